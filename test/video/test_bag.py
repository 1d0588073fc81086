"""Recordings: the right calibration for each image; what cannot be read is passed over; odd folders are read."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.video.encoded_video import EncodedVideo
from hand_pose_ros.video.open import open_source
from hand_pose_ros.video.sources import SourceError

TYPES = get_typestore(Stores.ROS2_JAZZY)
T = TYPES.types
WIDTH, HEIGHT = 64, 48
START_NS, STEP_NS = 1_700_000_000_000_000_000, 40_000_000
NAMES = {
    "image": "sensor_msgs/msg/Image",
    "jpeg": "sensor_msgs/msg/CompressedImage",
    "info": "sensor_msgs/msg/CameraInfo",
}
IMAGES = ("image", lambda i, t: image(t))
INFOS = ("info", lambda i, t: info(t))


def header(time_ns: int):
    stamp = T["builtin_interfaces/msg/Time"](time_ns // 10**9, time_ns % 10**9)
    return T["std_msgs/msg/Header"](stamp, "cam")


def image(time_ns: int, encoding: str = "mono8", level: int = 90, **fields):
    item = 2 if encoding == "16UC1" else 4 if encoding == "32FC1" else 1
    data = np.full(HEIGHT * WIDTH * item, level, np.uint8)
    values = {"height": HEIGHT, "width": WIDTH, "data": data} | fields
    return T[NAMES["image"]](
        header(time_ns), values["height"], values["width"], encoding, 0, WIDTH * item, values["data"]
    )


def jpeg(time_ns: int, data: bytes | None = None):
    if data is None:
        data = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()
    return T[NAMES["jpeg"]](header(time_ns), "bgr8; jpeg compressed bgr8", np.frombuffer(data, np.uint8))


def info(time_ns: int, focal: float = 50.0, p_focal: float = 60.0, d=(-0.2, 0.05, 0.0, 0.0, 0.0)):
    k = np.array((focal, 0, 31.5, 0, focal, 23.5, 0, 0, 1.0))
    p = np.array((p_focal, 0, 30, 0, 0, p_focal, 20, 0, 0, 0, 1.0, 0))
    region = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return T[NAMES["info"]](
        header(time_ns), HEIGHT, WIDTH, "plumb_bob", np.array(d), k, np.eye(3).ravel(), p, 0, 0, region
    )


def write(
    path: Path, topics: dict, count: int = 4, plugin=StoragePlugin.MCAP, stamp_step_ns: int = STEP_NS
) -> Path:
    """A recording with ``count`` messages of each topic; topics: name -> (kind, message of (index, stamp))."""
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {
            name: writer.add_connection(name, NAMES[kind], typestore=TYPES)
            for name, (kind, _) in topics.items()
        }
        for index in range(count):
            for name, (kind, make) in topics.items():
                message = make(index, START_NS + index * stamp_step_ns)
                serialised = TYPES.serialize_cdr(message, NAMES[kind])
                writer.write(connections[name], START_NS + index * STEP_NS, serialised)
    return path


def frames(source):
    found = []
    while (frame := source.read()) is not None:
        found.append(frame)
    source.close()
    return found


def test_rectified_topics_have_the_rectified_camera(tmp_path):
    topics = {
        "/cam/image_rect": IMAGES,
        "/cam/camera_info": INFOS,
    }
    camera = frames(open_source(str(write(tmp_path / "a", topics))))[0].camera
    assert (camera.fx, camera.cx, camera.distortion_model) == (60.0, 30.0, "")
    topics["/cam/image_raw"] = topics.pop("/cam/image_rect")
    path = write(tmp_path / "b", topics)
    assert frames(open_source(str(path)))[0].camera.fx == 50.0
    assert frames(open_source(str(path), rectified=True))[0].camera.fx == 60.0


def test_the_calibration_of_another_camera_is_never_used(tmp_path):
    topics = {
        "/left/image_raw/compressed": ("jpeg", lambda i, t: jpeg(t)),
        "/right/camera_info": INFOS,
    }
    said = []
    source = open_source(str(write(tmp_path / "bag", topics)), warn=said.append)
    assert {frame.camera for frame in frames(source)} == {None}
    assert "no camera_info belongs to /left/image_raw/compressed" in said[0]
    assert "/right/camera_info" in said[0]


def test_a_calibration_that_no_lens_has_is_told_and_not_used(tmp_path):
    topics = {
        "/cam/image_raw": IMAGES,
        "/cam/camera_info": ("info", lambda i, t: info(t, d=(1480.5, -3320.1, 0.0, 0.0, 812.3))),
    }
    said = []
    source = open_source(str(write(tmp_path / "bag", topics)), warn=said.append)
    assert {frame.camera for frame in frames(source)} == {None}
    assert sum("no lens has the distortion coefficients" in one for one in said) == 1


@pytest.mark.parametrize(
    "depth",
    [
        ("/cam/depth/image_rect_raw", lambda i, t: image(t, "16UC1")),
        ("/cam/range", lambda i, t: image(t, "32FC1")),
    ],
)
def test_colours_are_preferred_to_depth(tmp_path, depth):
    name, make = depth
    topics = {name: ("image", make), "/cam/color/image_raw": ("jpeg", lambda i, t: jpeg(t))}
    said = []
    source = open_source(str(write(tmp_path / "bag", topics)), warn=said.append)
    assert source.image_topic == "/cam/color/image_raw"
    assert name in said[0]
    assert len(frames(source)) == 4
    with pytest.raises(ValueError, match="holds depth images only"):
        open_source(str(write(tmp_path / "depth", {name: ("image", make)})))


@pytest.mark.parametrize("bad", [b"", bytes(500)])
def test_one_bad_image_is_passed_over(tmp_path, bad):
    topics = {"/cam/image_raw": ("jpeg", lambda i, t: jpeg(t, bad if i == 2 else None))}
    said = []
    source = open_source(str(write(tmp_path / "bag", topics)), warn=said.append)
    assert [round(frame.time_s * 25) for frame in frames(source)] == [0, 1, 3]
    assert (source.skipped, len(said)) == (1, 1)


def test_a_first_image_without_pixels_is_passed_over(tmp_path):
    topics = {"/cam/image_raw": ("image", lambda i, t: image(t) if i else image(t, width=0, height=0))}
    source = open_source(str(write(tmp_path / "bag", topics)), warn=lambda text: None)
    assert len(frames(source)) == 3


def test_a_recording_without_a_readable_image_is_refused(tmp_path):
    topics = {"/cam/image_raw": ("jpeg", lambda i, t: jpeg(t, b"nothing"))}
    source = open_source(str(write(tmp_path / "bag", topics)), warn=lambda text: None)
    with pytest.raises(SourceError, match="none of its 4 images can be read"):
        source.read()


def test_several_channels_of_a_topic_are_one(tmp_path):
    """Files of one recording, each with its own channel of the topic."""
    folder = tmp_path / "both"
    folder.mkdir()
    for name in ("a", "b"):
        (file,) = write(tmp_path / name, {"/cam/image_raw": IMAGES}).glob("*.mcap")
        shutil.copy(file, folder / f"{name}.mcap")
    assert len(frames(open_source(str(folder)))) == 8


def test_times_are_those_of_the_headers_unless_they_do_not_follow_the_recording(tmp_path):
    topics = {"/cam/image_raw": IMAGES}
    path = write(tmp_path / "a", topics, stamp_step_ns=STEP_NS + 1_000_000)
    np.testing.assert_allclose([one.time_s for one in frames(open_source(str(path)))], np.arange(4) * 0.041)
    path = write(tmp_path / "b", topics, stamp_step_ns=-5 * 10**9)
    np.testing.assert_allclose([one.time_s for one in frames(open_source(str(path)))], np.arange(4) * 0.04)


@pytest.mark.parametrize(
    "stamp",
    [lambda i, t: START_NS - i * 1000, lambda i, t: t + (i % 2) * STEP_NS * 3 // 2, lambda i, t: START_NS],
)
def test_headers_that_do_not_rise_lose_no_image(tmp_path, stamp):
    topics = {"/cam/image_raw": ("image", lambda i, t: image(stamp(i, t)))}
    found = frames(open_source(str(write(tmp_path / "bag", topics, count=12))))
    np.testing.assert_allclose([one.time_s for one in found], np.arange(12) * 0.04, atol=1e-4)


def test_a_first_image_with_a_wrong_time_is_left_out(tmp_path):
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection("/cam/image_raw", NAMES["image"], typestore=TYPES)
        for time_ns in (5 * 10**9, *(START_NS + index * STEP_NS for index in range(4))):
            writer.write(images, time_ns, TYPES.serialize_cdr(image(0), NAMES["image"]))
    said = []
    source = open_source(str(path), warn=said.append)
    assert source.rate_hz == pytest.approx(25.0)
    np.testing.assert_allclose([one.time_s for one in frames(source)], np.arange(4) * 0.04, atol=1e-4)
    assert "more than a day before the next" in said[0]


def test_a_database_with_impossible_times_is_refused(tmp_path):
    path = write(tmp_path / "bag", {"/cam/image_raw": IMAGES}, plugin=StoragePlugin.SQLITE3)
    (file,) = path.glob("*.db3")
    with sqlite3.connect(file) as database:
        database.execute("update messages set timestamp = 'abc' where id % 3 = 0")
    with pytest.raises(ValueError, match="the recording is damaged"):
        frames(open_source(str(path)))


def test_the_rate_is_that_of_the_images(tmp_path):
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        images = writer.add_connection("/cam/image_raw", NAMES["image"], typestore=TYPES)
        texts = writer.add_connection("/rosout", "std_msgs/msg/String", typestore=TYPES)
        for index in range(4):
            time_ns = START_NS + index * STEP_NS
            writer.write(images, time_ns, TYPES.serialize_cdr(image(time_ns), NAMES["image"]))
        text = TYPES.serialize_cdr(T["std_msgs/msg/String"]("late"), "std_msgs/msg/String")
        writer.write(texts, START_NS + 60 * 10**9, text)
    source = open_source(str(path))
    assert source.rate_hz == pytest.approx(25.0)
    assert source.duration_s == pytest.approx(0.16)
    source.close()


def test_folders_of_recordings_and_of_images_are_told_apart(tmp_path):
    topics = {"/cam/image_raw": IMAGES}
    path = write(tmp_path / "bag", topics)
    (file,) = path.glob("*.mcap")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(file, bare)
    assert len(frames(open_source(str(bare)))) == 4
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("storage_identifier: mcap", "storage_identifier: ''"))
    assert len(frames(open_source(str(path)))) == 4
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "1.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (pictures / "._1.png").write_bytes(b"of another system")
    (pictures / "metadata.yaml").write_text("author: someone\n")
    assert len(frames(open_source(str(pictures)))) == 1


def test_ros_1_recordings_are_read(tmp_path):
    types = get_typestore(Stores.ROS1_NOETIC)
    R = types.types
    path = tmp_path / "take.bag"
    with Writer1(path) as writer:
        images = writer.add_connection("/cam/image_raw", NAMES["image"], typestore=types)
        infos = writer.add_connection("/cam/camera_info", NAMES["info"], typestore=types)
        for index in range(3):
            time_ns = START_NS + index * STEP_NS
            stamp = R["builtin_interfaces/msg/Time"](time_ns // 10**9, time_ns % 10**9)
            head = R["std_msgs/msg/Header"](index, stamp, "cam")
            data = np.full(HEIGHT * WIDTH, 90, np.uint8)
            raw = R[NAMES["image"]](head, HEIGHT, WIDTH, "mono8", 0, WIDTH, data)
            region = R["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            k = np.array((50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1.0))
            calibration = R[NAMES["info"]](
                head,
                HEIGHT,
                WIDTH,
                "plumb_bob",
                np.zeros(5),
                k,
                np.eye(3).ravel(),
                np.zeros(12),
                0,
                0,
                region,
            )
            writer.write(infos, time_ns, types.serialize_ros1(calibration, NAMES["info"]))
            writer.write(images, time_ns, types.serialize_ros1(raw, NAMES["image"]))
    found = frames(open_source(str(path)))
    assert [frame.camera.fx for frame in found] == [50.0] * 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("take.bag", b"#ROSBAG V2.0\n", "is not a recording that can be read"),
        ("take.mcap", b"\x89MCAP0\r\n", "is not a recording that can be read"),
        ("take.db3", b"SQLite format 3\0", "is not a recording that can be read"),
        ("take.db3.zstd", b"", "name the folder that holds it"),
    ],
)
def test_damaged_recordings_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        open_source(str(tmp_path / name))


def test_video_packets_need_pyav_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match="need PyAV: pip install av"):
        EncodedVideo().decode(SimpleNamespace(format="h264", data=b""), 0.0)
    with pytest.raises(ValueError, match="'mpeg9' are not supported"):
        EncodedVideo().decode(SimpleNamespace(format="mpeg9", data=b""), 0.0)


@pytest.mark.parametrize(
    ("codec", "named"), [("libx264", "h264"), ("libx265", "h265"), ("libvpx-vp9", "vp9")]
)
def test_video_packets_are_decoded_at_their_own_times(codec, named):
    av = pytest.importorskip("av", reason="needs PyAV, which recordings with video packets need")
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 240, "yuv420p", Fraction(1, 25)
    if codec != "libvpx-vp9":
        encoder.options = {"tune": "zerolatency"}  # as camera drivers encode: no image refers to a later one
    packets = []
    for index in range(8):
        frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 25 * index, np.uint8), format="bgr24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    video, found = EncodedVideo(), []
    for packet in packets:
        data = np.frombuffer(bytes(packet), np.uint8)
        found += video.decode(SimpleNamespace(format=named, data=data), 0.04 * packet.pts)
    assert len(found) >= 4
    for time_s, image in found:
        assert image.mean() == pytest.approx(25 * time_s / 0.04, abs=12)
