"""The stand-ins of overlay/, or the real modules where they are: one interface, tested by round trips."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

OVERLAY = Path(__file__).resolve().parents[2] / "overlay" / "python"


def field(name: str, offset: int, datatype: int = PointField.FLOAT32, count: int = 1) -> PointField:
    return PointField(name=name, offset=offset, datatype=datatype, count=count)


XYZ = [field("x", 0), field("y", 4), field("z", 8)]
OTHERS = [("id", 12, PointField.UINT16), ("side", 14, PointField.INT8), ("t", 16, PointField.FLOAT64)]
MIXED = [*XYZ, *(field(*other) for other in OTHERS)]


def test_rows_come_back_as_they_were():
    rows = [(1.0, 2.0, 3.0, 65535, -1, 1e300), (np.nan, -2.0, 0.5, 0, 127, -0.0)]
    cloud = point_cloud2.create_cloud(Header(frame_id="camera"), MIXED, rows)
    assert (cloud.header.frame_id, cloud.width, cloud.height) == ("camera", 2, 1)
    assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (24, 48, 48)
    read = point_cloud2.read_points(cloud)
    assert read.dtype.names == ("x", "y", "z", "id", "side", "t")
    assert [tuple(row) for row in read[:1]] == rows[:1]
    np.testing.assert_array_equal(read["x"], [1.0, np.nan])


def test_plain_and_structured_arrays_give_the_same_cloud():
    points = np.random.default_rng(0).normal(size=(21, 3)).astype(np.float32)
    plain = point_cloud2.create_cloud(Header(), XYZ, points)
    rows = point_cloud2.create_cloud(Header(), XYZ, points.tolist())
    structured = np.array([tuple(p) for p in points], dtype=point_cloud2.dtype_from_fields(XYZ))
    assert plain == rows == point_cloud2.create_cloud(Header(), XYZ, structured)
    assert plain == point_cloud2.create_cloud_xyz32(Header(), points)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(plain), points)


def test_some_fields_some_points_no_nans():
    points = np.arange(15, dtype=np.float32).reshape(5, 3)
    points[1, 0] = np.nan
    cloud = point_cloud2.create_cloud(Header(), XYZ, points)
    zx = point_cloud2.read_points_numpy(cloud, field_names=["z", "x"], skip_nans=True)
    np.testing.assert_array_equal(zx, points[[0, 2, 3, 4]][:, [2, 0]])
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, uvs=[4, 2]), points[[4, 2]])
    np.testing.assert_array_equal(
        point_cloud2.read_points_numpy(cloud, ["y"], skip_nans=True)[:, 0], points[:, 1]
    )


def test_an_organised_cloud_keeps_its_grid():
    grid = np.random.default_rng(1).normal(size=(4, 3, 3)).astype(np.float32)
    cloud = point_cloud2.create_cloud(Header(), XYZ, grid)
    assert (cloud.width, cloud.height) == (4, 3)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, reshape_organized_cloud=True), grid)
    assert point_cloud2.read_points(cloud).shape == (12,)


def test_padding_counts_and_byte_order():
    fields = [field("v", 4, PointField.INT32, count=2)]
    cloud = point_cloud2.create_cloud(Header(), fields, [(1, 2), (3, 4)], point_step=16)
    assert (cloud.point_step, len(cloud.data)) == (16, 32)
    assert point_cloud2.read_points(cloud).dtype.names == ("v_0", "v_1")
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, field_names=["v_1"])[:, 0], [2, 4])
    swapped = point_cloud2.create_cloud(Header(), XYZ, np.array([[1, 2, 3]], np.float32))
    swapped.data = np.frombuffer(swapped.data, np.float32).byteswap().tobytes()
    swapped.is_bigendian = not swapped.is_bigendian
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(swapped), [[1, 2, 3]])


def test_what_does_not_fit_is_refused():
    with pytest.raises(AssertionError):
        point_cloud2.create_cloud(Header(), MIXED, np.zeros((2, 6), np.float32))
    with pytest.raises(AssertionError):
        point_cloud2.read_points(point_cloud2.create_cloud_xyz32(Header(), [(0, 0, 0)]), field_names=["w"])
    with pytest.raises(AssertionError):
        point_cloud2.dtype_from_fields([field("x", 0), field("x", 4)])
    with pytest.raises(AssertionError):
        point_cloud2.read_points_numpy(PointCloud2(fields=MIXED, point_step=24))


def test_signatures_are_those_of_ros():
    for name, expected in {
        "create_cloud": ["header", "fields", "points", "point_step"],
        "read_points": ["cloud", "field_names", "skip_nans", "uvs", "reshape_organized_cloud"],
        "read_points_numpy": ["cloud", "field_names", "skip_nans", "uvs", "reshape_organized_cloud"],
    }.items():
        parameters = list(inspect.signature(getattr(point_cloud2, name)).parameters)
        assert parameters[: len(expected)] == expected


class FakeNode:
    """Keeps what is published instead of sending it."""

    def __init__(self) -> None:
        self.topics: dict[str, list[TFMessage]] = {}

    def create_publisher(self, kind: type, topic: str, qos: object) -> FakeNode:
        assert kind is TFMessage
        self._messages = self.topics.setdefault(topic, [])
        return self

    def publish(self, message: TFMessage) -> None:
        self._messages.append(TFMessage(transforms=list(message.transforms)))


def transform(child: str, x: float = 0.0) -> TransformStamped:
    result = TransformStamped(child_frame_id=child)
    result.transform.translation.x = x
    return result


def test_transforms_go_out_as_they_are_given():
    node = FakeNode()
    broadcaster = tf2_ros.TransformBroadcaster(node)
    broadcaster.sendTransform(transform("a"))
    broadcaster.sendTransform((transform("b"), transform("c")))
    sent = [[t.child_frame_id for t in message.transforms] for message in node.topics["/tf"]]
    assert sent == [["a"], ["b", "c"]]


def test_static_transforms_add_up():
    node = FakeNode()
    broadcaster = tf2_ros.StaticTransformBroadcaster(node)
    broadcaster.sendTransform(transform("a", 1.0))
    broadcaster.sendTransform([transform("b", 2.0)])
    last = node.topics["/tf_static"][-1].transforms
    assert [(t.child_frame_id, t.transform.translation.x) for t in last] == [("a", 1.0), ("b", 2.0)]


def frame(
    parent: str, child: str, xyz: tuple[float, float, float], rotvec: tuple[float, float, float]
) -> TransformStamped:
    result = TransformStamped(child_frame_id=child)
    result.header.frame_id = parent
    translation, rotation = result.transform.translation, result.transform.rotation
    translation.x, translation.y, translation.z = xyz
    rotation.x, rotation.y, rotation.z, rotation.w = Rotation.from_rotvec(rotvec).as_quat().tolist()
    return result


def matrix(message: TransformStamped) -> np.ndarray:
    rotation, translation = message.transform.rotation, message.transform.translation
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat([rotation.x, rotation.y, rotation.z, rotation.w]).as_matrix()
    result[:3, 3] = translation.x, translation.y, translation.z
    return result


@pytest.fixture
def buffer() -> tf2_ros.Buffer:
    """world -> a -> b, world -> c, and alone -> d."""
    result = tf2_ros.Buffer()
    for turn, one in enumerate((3.0, 1.9)):
        result.set_transform(frame("world", "a", (1, 2, 3), (one, 0.1, 0.2)), "test")
        result.set_transform(frame("a", "b", (0, 1, 0), (0.3, one + 1, turn)), "test")
    result.set_transform_static(frame("world", "c", (-1, 0, 0), (0, 0, -2.5)), "test")
    result.set_transform_static(frame("alone", "d", (0, 0, 0), (0, 0, 0)), "test")
    return result


def test_a_lookup_goes_up_and_down_the_tree(buffer):
    world_a, a_b = frame("", "", (1, 2, 3), (1.9, 0.1, 0.2)), frame("", "", (0, 1, 0), (0.3, 2.9, 1))
    world_c = matrix(frame("", "", (-1, 0, 0), (0, 0, -2.5)))
    found = buffer.lookup_transform("c", "b", Time())
    assert (found.header.frame_id, found.child_frame_id) == ("c", "b")
    expected = np.linalg.inv(world_c) @ matrix(world_a) @ matrix(a_b)
    np.testing.assert_allclose(matrix(found), expected, atol=1e-9)
    np.testing.assert_allclose(
        matrix(buffer.lookup_transform("b", "c", Time())), np.linalg.inv(expected), atol=1e-9
    )
    np.testing.assert_allclose(matrix(buffer.lookup_transform("b", "b", Time())), np.eye(4), atol=1e-9)
    assert buffer.can_transform("world", "b", Time())


def test_a_lookup_is_as_old_as_the_oldest_transform_that_is_not_static():
    buffer = tf2_ros.Buffer()
    for parent, child, second in (("world", "a", 7), ("a", "b", 5), ("b", "c", 3), ("c", "d", 0)):
        one = frame(parent, child, (0, 0, 0), (0, 0, 0))
        one.header.stamp.sec = second
        (buffer.set_transform if second else buffer.set_transform_static)(one, "test")
    ages = {(a, b): buffer.lookup_transform(a, b, Time()).header.stamp.sec for a, b in
            (("world", "a"), ("world", "b"), ("b", "world"), ("a", "b"), ("a", "d"), ("c", "d"))}  # fmt: skip
    assert list(ages.values()) == [7, 5, 5, 5, 3, 0]


def test_frames_that_are_not_there_or_not_connected_are_named(buffer):
    with pytest.raises(tf2_ros.LookupException, match="nowhere"):
        buffer.lookup_transform("world", "nowhere", Time())
    with pytest.raises(tf2_ros.ConnectivityException, match="d"):
        buffer.lookup_transform("world", "d", Time())
    assert not buffer.can_transform("world", "d", Time())
    for error in (tf2_ros.LookupException, tf2_ros.ConnectivityException, tf2_ros.ExtrapolationException):
        assert issubclass(error, tf2_ros.TransformException)


def test_the_overlay_holds_only_what_pypi_lacks():
    assert sorted(path.name for path in OVERLAY.iterdir() if path.name != "__pycache__") == [
        "sensor_msgs_py",
        "tf2_ros",
    ]
