"""Video sources: what they deliver, in which order, from where after a seek, and how they refuse."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.rendering.clip import CLIP_CAMERA, render_clip
from hand_pose_ros.video import clip
from hand_pose_ros.video.bag import BagSource
from hand_pose_ros.video.image_files import ImageFilesSource
from hand_pose_ros.video.open import open_source
from hand_pose_ros.video.sources import SourceError, VideoFrame, VideoSource
from hand_pose_ros.video.video_file import VideoFileSource

WIDTH, HEIGHT, FRAMES, RATE_HZ = 64, 48, 12, 25.0
CAMERA = CameraModel(WIDTH, HEIGHT, 50.0, 51.0, 31.0, 23.0, "plumb_bob", (0.1, -0.05, 0.001, 0.002, 0.0))


def level(index: int) -> np.ndarray:
    """An image that says its number by its grey level."""
    return np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8)


def number(frame: VideoFrame) -> int:
    return round(float(frame.image.mean()) / 20)


def drain(source: VideoSource) -> list[VideoFrame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images whose alphabetical order is not their order."""
    path = tmp_path / "folder"
    path.mkdir()
    for index in range(FRAMES):
        cv2.imwrite(str(path / f"frame_{index}.png"), level(index))
    (path / "notes.txt").write_text("not an image")
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE_HZ, (WIDTH, HEIGHT))
    for index in range(FRAMES):
        writer.write(level(index))
    writer.release()
    return path


def write_bag(path: Path, plugin: StoragePlugin, compressed: bool, calibrated: bool = True) -> Path:
    """A recording of two cameras, of which the first is numbered and calibrated."""
    types = get_typestore(Stores.ROS2_JAZZY)
    T = types.types
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        kind = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
        name = "/cam/image_raw/compressed" if compressed else "/cam/image_raw"
        images = writer.add_connection(name, kind, typestore=types)
        infos = writer.add_connection("/cam/camera_info", "sensor_msgs/msg/CameraInfo", typestore=types)
        others = writer.add_connection("/other/image_raw", "sensor_msgs/msg/Image", typestore=types)
        for index in range(FRAMES):
            time_ns = 1_700_000_000_000_000_000 + round(index / RATE_HZ * 1e9)
            stamp = T["builtin_interfaces/msg/Time"](time_ns // 10**9, time_ns % 10**9)
            header = T["std_msgs/msg/Header"](stamp, "cam")
            pixels = cv2.cvtColor(level(index), cv2.COLOR_BGR2RGB)
            raw = T["sensor_msgs/msg/Image"](header, HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH, pixels.reshape(-1))
            message = raw
            if compressed:
                data = cv2.imencode(".png", level(index))[1].reshape(-1)
                message = T["sensor_msgs/msg/CompressedImage"](header, "png", data)
            info = T["sensor_msgs/msg/CameraInfo"](
                header,
                HEIGHT,
                WIDTH,
                "plumb_bob",
                np.array(CAMERA.distortion),
                CAMERA.K.numpy().reshape(-1) * calibrated,
                np.eye(3).reshape(-1),
                np.zeros(12),
                0,
                0,
                T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
            )
            writer.write(images, time_ns, types.serialize_cdr(message, kind))
            writer.write(infos, time_ns, types.serialize_cdr(info, "sensor_msgs/msg/CameraInfo"))
            writer.write(others, time_ns + 1000, types.serialize_cdr(raw, "sensor_msgs/msg/Image"))
    return path


@pytest.fixture(params=["folder", "video", "sqlite3", "mcap"])
def source(request, tmp_path: Path) -> VideoSource:
    """The same twelve numbered images, from every kind of source."""
    if request.param == "sqlite3":
        path = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3, compressed=True)
    elif request.param == "mcap":
        path = write_bag(tmp_path / "bag", StoragePlugin.MCAP, compressed=False)
    else:
        path = request.getfixturevalue(request.param)
    source = open_source(str(path))
    yield source
    source.close()


def test_every_image_once_in_order_at_its_time(source):
    frames = drain(source)
    assert [number(frame) for frame in frames] == list(range(FRAMES))
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    rate_hz = 30.0 if isinstance(source, ImageFilesSource) else RATE_HZ
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(FRAMES) / rate_hz, atol=1e-6)
    assert source.rate_hz == pytest.approx(rate_hz, rel=1e-3)
    assert source.duration_s == pytest.approx(FRAMES / rate_hz, abs=1.1 / rate_hz)
    assert source.read() is None


def test_seeking_forward_back_and_beyond(source):
    times_s = [frame.time_s for frame in drain(source)]
    for index in (7, 0, 11, 3):
        source.seek(times_s[index])
        assert number(source.read()) == index
        if index + 1 < FRAMES:
            assert number(source.read()) == index + 1
    source.seek((times_s[4] + times_s[5]) / 2)
    frame = source.read()
    assert (number(frame), frame.time_s) == (5, pytest.approx(times_s[5]))
    source.seek(1e3)
    assert source.read() is None
    source.seek(0.0)
    assert len(drain(source)) == FRAMES


def test_a_bag_brings_its_calibration(tmp_path):
    bag = BagSource(write_bag(tmp_path / "bag", StoragePlugin.MCAP, compressed=False))
    assert {frame.camera for frame in drain(bag)} == {CAMERA}
    assert bag.image_topic == "/cam/image_raw"
    bag.close()
    uncalibrated = BagSource(
        write_bag(tmp_path / "bag2", StoragePlugin.MCAP, compressed=True, calibrated=False)
    )
    assert {frame.camera for frame in drain(uncalibrated)} == {None}
    uncalibrated.close()


def test_the_topic_of_a_bag_can_be_chosen(tmp_path):
    path = write_bag(tmp_path / "bag", StoragePlugin.SQLITE3, compressed=True)
    bag = open_source(str(path), image_topic="other/image_raw")
    assert bag.image_topic == "/other/image_raw"
    assert len(drain(bag)) == FRAMES
    bag.close()
    with pytest.raises(ValueError, match=r"no topic nope of images; it has .*/cam/image_raw/compressed"):
        open_source(str(path), image_topic="nope")


def test_a_file_of_a_bag_is_enough(tmp_path):
    path = write_bag(tmp_path / "bag", StoragePlugin.MCAP, compressed=False)
    (file,) = path.glob("*.mcap")
    bag = open_source(str(file))
    assert len(drain(bag)) == FRAMES
    bag.close()


def test_what_cannot_be_played_is_refused(tmp_path):
    for spec in ("", "nowhere", str(tmp_path / "absent.mp4")):
        with pytest.raises(FileNotFoundError, match="no video source"):
            open_source(spec)
    with pytest.raises(FileNotFoundError, match="no webcam 98"):
        open_source("98")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds neither images"):
        open_source(str(tmp_path / "empty"))
    for name in ("text.mp4", "text.mcap", "text.db3"):
        (tmp_path / name).write_text("not what it says")
        with pytest.raises(ValueError, match=f"{name} is not a"):
            open_source(str(tmp_path / name))


def test_a_broken_image_in_a_folder_is_named_and_passed_over(folder):
    (folder / "frame_1.png").write_bytes(b"broken")
    said = []
    source = open_source(str(folder), warn=said.append)
    assert [number(frame) for frame in drain(source)] == [0, *range(2, FRAMES)]
    assert "frame_1.png" in said[0]
    for index in range(FRAMES):
        (folder / f"frame_{index}.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match="holds no image that OpenCV can read"):
        open_source(str(folder), warn=said.append).read()


def test_a_truncated_video_ends_early(video, tmp_path):
    cut = tmp_path / "cut.avi"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size * 4 // 5])
    assert 0 < len(drain(VideoFileSource(cut))) < FRAMES


def test_the_clip_is_rendered_once_and_comes_with_its_camera(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(clip, "render_clip", lambda: render_clip(duration_s=0.2))
    outdated = tmp_path / "hand_pose_ros" / "clip_of_last_year.avi"
    outdated.parent.mkdir()
    outdated.touch()
    said = []
    source = open_source("clip", report=said.append)
    assert said == ["rendering the clip, once: 0%"]
    frames = drain(source)
    assert len(frames) == 6
    assert {frame.camera for frame in frames} == {CLIP_CAMERA}
    for frame, truth in zip(frames, render_clip(duration_s=0.2), strict=True):
        assert frame.time_s == pytest.approx(truth.stamp_s)
        assert np.abs(frame.image.astype(int) - truth.rendering.image).mean() < 3
    assert len(list(outdated.parent.glob("clip*"))) == 1
    monkeypatch.setattr(clip, "render_clip", None)
    assert len(drain(open_source("clip"))) == 6


def test_a_third_party_bag_of_2019_without_metadata(shared_data):
    source = open_source(str(shared_data / "rosbags" / "klintan_sample.db3"))
    (frame,) = drain(source)
    assert frame.image.ndim == 3
    assert frame.camera is None
    source.close()
    compressed = open_source(str(shared_data / "rosbags" / "klintan_sample.db3"), "/image/compressed")
    assert len(drain(compressed)) == 1
    compressed.close()


def test_the_real_bag(shared_data):
    source = open_source(str(shared_data / "rosbags" / "hankpan_141122079464_compressed_db3"))
    frames = drain(source)
    assert len(frames) == 148
    assert source.rate_hz == pytest.approx(30.0, rel=1e-3)
    assert {(frame.camera.width, frame.camera.height) for frame in frames} == {frames[0].image.shape[1::-1]}
    source.close()


def test_the_real_video(shared_data):
    (path,) = (shared_data / "sequences" / "dex_retargeting").rglob("*.mp4")
    source = open_source(str(path))
    assert (source.rate_hz, source.duration_s) == (pytest.approx(30.0), pytest.approx(20.7))
    first = [source.read().image for _ in range(41)]
    source.seek(40 / 30)
    frame = source.read()
    assert frame.time_s == pytest.approx(40 / 30)
    assert np.abs(frame.image.astype(int) - first[40]).mean() < 0.5
    assert np.abs(frame.image.astype(int) - first[38]).mean() > 0.5
    source.close()
