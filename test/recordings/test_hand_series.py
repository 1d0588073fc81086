"""A hand over time: the messages of one image belong together, and what is not known is NaN."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import recordings as made

from hand_pose_ros.recordings.hand_series import _CLOUD, HandCollector

FRAMES = 12


@pytest.fixture
def collector() -> HandCollector:
    found = HandCollector()
    add = {
        "joints": found.add_joints,
        "wrist": found.add_wrist,
        "joint_states": found.add_angles,
    }
    for _, topic, _, message in made.messages(FRAMES):
        if topic == f"{made.NAMESPACE}/hands":
            found.add_cloud(message, stamp(message))
        elif topic.startswith(f"{made.NAMESPACE}/right/"):
            add[topic.rpartition("/")[2]](message, "right", stamp(message))
    return found


def stamp(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_the_hand_of_an_image_has_all_its_parts(collector):
    series = collector.series("right")
    assert collector.series("left") is None
    times = np.array([made.stamp_ns(number) for number in range(FRAMES)])
    found = series.at(times, 1.0)
    for number in range(FRAMES):
        if number == made.NO_HAND:
            continue
        shown = number - 1 if number == made.NOT_PROCESSED else number
        np.testing.assert_array_equal(found.joints_m[number], made.joints(shown).astype(np.float32))
        np.testing.assert_array_equal(found.sigma_m[number], made.sigma(shown).astype(np.float32))
        np.testing.assert_array_equal(found.wrist[number], made.wrist(shown).astype(np.float32))
        np.testing.assert_array_equal(found.angles_rad[number], made.angles(shown).astype(np.float32))
    assert found.valid.tolist() == [number != made.NO_HAND for number in range(FRAMES)]
    for values in found[:-1]:
        assert np.isnan(values[made.NO_HAND]).all()


def test_a_hand_that_is_too_old_is_not_valid(collector):
    series = collector.series("right")
    last = made.stamp_ns(FRAMES - 1)
    found = series.at(np.array([made.START_NS - 1, last + 100_000_000, last + 300_000_000]), 0.2)
    assert found.valid.tolist() == [False, True, False]
    assert np.isnan(found.joints_m[[0, 2]]).all()


def test_sigma_is_that_of_the_same_hand():
    """A second right hand in the cloud, ten centimetres away, is another person's."""
    collector, message = HandCollector(), made.cloud(3, ("right",))
    other = made.cloud(3, ("right",))
    points = np.frombuffer(other.data.tobytes(), _CLOUD).copy()
    points["x"] += 0.1
    points["sigma"] = 9
    message.data = np.concatenate([np.frombuffer(points.tobytes(), np.uint8), message.data])
    message.width = 42
    collector.add_cloud(message, 5)
    poses = [made.pose(one, made.wrist(3)[3:]) for one in made.joints(3)]
    collector.add_joints(made.make("geometry_msgs/msg/PoseArray", made.header(5), poses), "right", 5)
    series = collector.series("right")
    np.testing.assert_array_equal(series.hands.sigma_m[0], made.sigma(3).astype(np.float32))


def test_parts_that_were_not_recorded_are_not_known():
    collector = HandCollector()
    poses = [made.pose(one, made.wrist(3)[3:]) for one in made.joints(3)]
    collector.add_joints(made.make("geometry_msgs/msg/PoseArray", made.header(5), poses), "left", 5)
    found = collector.series("left").at(np.array([5]), 0.1)
    assert found.valid.all()
    assert np.isfinite(found.joints_m).all()
    assert all(np.isnan(values).all() for values in (found.sigma_m, found.wrist, found.angles_rad))


def test_strange_messages_are_refused():
    collector = HandCollector()
    poses = [made.pose(one, made.wrist(3)[3:]) for one in made.joints(3)]
    with pytest.raises(ValueError, match="21 poses, got 20"):
        collector.add_joints(made.make("geometry_msgs/msg/PoseArray", made.header(5), poses[:20]), "left", 5)
    poses[4].position.x = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        collector.add_joints(made.make("geometry_msgs/msg/PoseArray", made.header(5), poses), "left", 5)
    with pytest.raises(ValueError, match="2 positions for 1 names"):
        collector.add_angles(made.joint_state(("a",), np.zeros(2), 5), "left", 5)
    cut = made.cloud(3, ("left",))
    cut.data = cut.data[:-26]
    with pytest.raises(ValueError, match="no whole hands"):
        collector.add_cloud(cut, 5)
    mixed = made.cloud(3, ("left",))
    mixed.data = mixed.data.copy()
    mixed.data[24] = 1  # the side of the first point
    with pytest.raises(ValueError, match="not one hand"):
        collector.add_cloud(mixed, 5)
    other = made.cloud(3, ("left",))
    other.fields = other.fields[1:]
    with pytest.raises(ValueError, match="not those of hands"):
        collector.add_cloud(other, 5)
    assert collector.series("left") is None


def test_clouds_with_further_fields_are_read_alike():
    found = []
    for more in ((), (("visibility", "u1", 2),), (("visibility", "u1", 2), ("later", "<f4", 7))):
        collector = HandCollector()
        message = made.cloud(3, ("right",), more)
        collector.add_cloud(message, stamp(message))
        found.append(next(iter(collector._clouds.values())))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert one[0] == same[0]
            np.testing.assert_array_equal(one[1], same[1])
            np.testing.assert_array_equal(one[2], same[2])


def test_points_of_impossible_sizes_are_refused():
    message = made.cloud(3, ("right",))
    for step in (20, 0, 2**32 - 1):
        message.point_step = step
        with pytest.raises(ValueError, match=f"points of {step} bytes"):
            HandCollector().add_cloud(message, 5)
