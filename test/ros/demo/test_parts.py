"""The demo's parts that need no ROS: recording, error against the truth, pictures, pace and status line."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros import hand
from hand_pose_ros.recordings.bag_writer import RecordingWriter, header_stamp_ns
from hand_pose_ros.rendering.clip import clip_joints, render_clip
from hand_pose_ros.ros.demo import command
from hand_pose_ros.ros.demo.accuracy import Accuracy, accuracy
from hand_pose_ros.ros.demo.images import COLUMNS, ROWS, contact_sheet, write_images
from hand_pose_ros.ros.demo.pace import adapted_rate_hz, sustainable_rate_hz
from hand_pose_ros.ros.demo.progress import Progress
from hand_pose_ros.ros.demo.recording import Recording, read_recording
from hand_pose_ros.ros.demo.source import inspect_source
from hand_pose_ros.ros.demo.status_line import StatusLine
from hand_pose_ros.ros.demo.summary import latency_text
from hand_pose_ros.video.bag_topics import COMPRESSED_IMAGE, IMAGE

TYPES = get_typestore(Stores.ROS2_JAZZY)
FRAMES, SIZE = 12, (64, 48)
NAMESPACE = "/hand_pose"


def stamp_ns(number: int) -> int:
    return 1_700_000_000_900_000_000 + number * 33_333_333


CLOUD = "sensor_msgs/msg/PointCloud2"


def header(number: int):
    seconds, nanoseconds = divmod(stamp_ns(number), 1_000_000_000)
    return TYPES.types["std_msgs/msg/Header"](
        TYPES.types["builtin_interfaces/msg/Time"](seconds, nanoseconds), "camera"
    )


def serialised(msgtype: str, *fields) -> bytes:
    return bytes(TYPES.serialize_cdr(TYPES.types[msgtype](*fields), msgtype))


def image(number: int) -> bytes:
    width, height = SIZE
    pixels = np.full((height, width, 3), (10 * number, 90, 200), np.uint8)
    return serialised(IMAGE, header(number), height, width, "bgr8", 0, 3 * width, pixels.reshape(-1))


def calibration(number: int) -> bytes:
    roi = TYPES.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    zeros = [np.zeros(size) for size in (5, 9, 9, 12)]
    return serialised(
        "sensor_msgs/msg/CameraInfo", header(number), *SIZE[::-1], "plumb_bob", *zeros, 0, 0, roi
    )


def no_hands(number: int) -> bytes:
    return serialised(CLOUD, header(number), 1, 0, [], False, 0, 0, np.empty(0, np.uint8), True)


def joints(number: int, positions: np.ndarray) -> bytes:
    point, quaternion, pose = (TYPES.types[f"geometry_msgs/msg/{n}"] for n in ("Point", "Quaternion", "Pose"))
    poses = [pose(point(*position), quaternion(0.0, 0.0, 0.0, 1.0)) for position in positions.tolist()]
    return serialised("geometry_msgs/msg/PoseArray", header(number), poses)


@pytest.fixture
def truth() -> np.ndarray:
    return clip_joints(duration_s=FRAMES / 30).double().numpy()


@pytest.fixture
def bag(tmp_path: Path, truth: np.ndarray) -> Path:
    """All frames but the third were processed; the hand, 10 mm too far, was not found in the fourth."""
    folder = tmp_path / "with space" / "bag"
    with RecordingWriter(folder) as writer:
        for number in range(FRAMES):
            received = stamp_ns(number) + 5_000_000
            writer.write(
                f"{NAMESPACE}/camera_info", "sensor_msgs/msg/CameraInfo", calibration(number), received
            )
            writer.write(f"{NAMESPACE}/image", IMAGE, image(number), received)
            if number != 2:
                writer.write(f"{NAMESPACE}/image_overlay", IMAGE, image(number), received)
                writer.write(f"{NAMESPACE}/hands", CLOUD, no_hands(number), received)
            if number not in (2, 3):
                estimate = joints(number, truth[number] + (0, 0, 0.01))
                writer.write(f"{NAMESPACE}/right/joints", "geometry_msgs/msg/PoseArray", estimate, received)
    return folder


def test_the_truth_is_that_of_the_rendered_frames():
    rendered = [frame.frames.joints.numpy() for frame in render_clip(side="left", seed=3, duration_s=0.07)]
    np.testing.assert_array_equal(clip_joints(side="left", seed=3, duration_s=0.07).numpy(), rendered)


def test_the_bag_holds_every_message_under_its_stamp(bag):
    assert (bag / "bag.mcap").read_bytes()[:8] == (bag / "bag.mcap").read_bytes()[-8:] == b"\x89MCAP0\r\n"
    with Reader(bag) as reader:
        counts = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        messages = [
            (c.topic, time, TYPES.deserialize_cdr(raw, c.msgtype)) for c, time, raw in reader.messages()
        ]
    assert counts == {
        f"{NAMESPACE}/camera_info": ("sensor_msgs/msg/CameraInfo", FRAMES),
        f"{NAMESPACE}/image/compressed": (COMPRESSED_IMAGE, FRAMES),
        f"{NAMESPACE}/image_overlay/compressed": (COMPRESSED_IMAGE, FRAMES - 1),
        f"{NAMESPACE}/hands": (CLOUD, FRAMES - 1),
        f"{NAMESPACE}/right/joints": ("geometry_msgs/msg/PoseArray", FRAMES - 2),
    }
    pictures = [message for topic, _, message in messages if topic.endswith("image/compressed")]
    assert [m.header.stamp.nanosec for m in pictures] == [stamp_ns(n) % 10**9 for n in range(FRAMES)]
    assert {m.header.frame_id for m in pictures} == {"camera"}
    assert pictures[0].format == "bgr8; jpeg compressed bgr8"
    decoded = cv2.imdecode(pictures[5].data, cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - (50, 90, 200)).max() <= 3
    assert [time for _, time, _ in messages] == sorted(time for _, time, _ in messages)


def test_the_bag_is_replaced_but_nothing_else_is(bag):
    with RecordingWriter(bag) as writer:
        writer.write("/image", IMAGE, image(0), 1)
    (bag / "notes.txt").touch()
    with pytest.raises(ValueError, match="other things"):
        RecordingWriter(bag)


def test_the_stamp_of_a_serialised_message():
    assert header_stamp_ns(image(7)) == stamp_ns(7)


def test_a_constant_offset_is_the_error(bag, truth):
    result = accuracy(read_recording(bag, NAMESPACE), truth, "right")
    assert result.processed == FRAMES - 1
    assert result.found_share == pytest.approx((FRAMES - 2) / (FRAMES - 1))
    assert result.right_side_share == 1
    assert (result.absolute_mm, result.root_depth_mm) == pytest.approx((10, 10))
    assert (result.root_relative_mm, result.pa_mm, result.jitter_mm) == pytest.approx((0, 0, 0), abs=1e-6)
    depth = np.delete(truth[:, hand.WRIST, 2], [2, 3])
    assert result.root_depth_percent == pytest.approx(100 * np.median(0.01 / depth))


def test_jitter_is_the_error_s_second_difference_where_three_frames_are_known(bag, truth):
    recording = read_recording(bag, NAMESPACE)
    moved = truth.copy()
    moved[::2, 4, 0] += (
        0.003  # to and fro: the second difference is twice as large as the step, of one joint in 21
    )
    assert accuracy(recording, moved, "right").jitter_mm == pytest.approx(2 * 3 / 21, rel=1e-3)


def test_images_before_the_clip_s_first_do_not_count(bag, truth):
    recording = read_recording(bag, NAMESPACE)
    late = replace(recording, frame_stamps_ns=[stamp_ns(-1), *recording.frame_stamps_ns])
    assert accuracy(late, truth, "right") == accuracy(recording, truth, "right")


def test_the_wrong_side_is_told_and_gives_no_error(bag, truth):
    result = accuracy(read_recording(bag, NAMESPACE), truth, "left")
    assert result.found_share > 0.9
    assert result.right_side_share == 0
    assert np.isnan([result.absolute_mm, result.pa_mm, result.root_depth_mm]).all()
    assert "0.0%" in result.report()


def test_too_few_images_are_not_compared(bag, truth):
    recording = read_recording(bag, NAMESPACE)
    with pytest.raises(ValueError, match="12 images were played, but 11"):
        accuracy(replace(recording, frame_stamps_ns=recording.frame_stamps_ns[1:]), truth, "right")


def test_the_report_says_what_its_figures_mean():
    text = Accuracy(270, 1.0, 0.99, 35.8, 22.0, 6.94, 18.8, 4.4, 2.3).report()
    for part in (
        "100.0%",
        "270",
        "99.0%",
        "35.8 mm",
        "22.0 mm",
        "6.9 mm",
        "18.8 mm",
        "4.4 %",
        "2.3 mm",
        "wrist",
    ):
        assert part in text


def test_video_and_picture_read_back(bag, tmp_path):
    recording = read_recording(bag, NAMESPACE)
    video, picture = tmp_path / "a b.mp4", tmp_path / "a b.jpg"
    assert write_images(recording, video, picture, 30.0) == FRAMES - 1
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30 * (FRAMES - 1) / FRAMES, abs=0.01)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == FRAMES - 1
    assert frames[0].shape == (SIZE[1], SIZE[0], 3)
    sheet = cv2.imread(str(picture))
    assert sheet.shape == (ROWS * 360, COLUMNS * 480, 3)
    shown = [
        int(sheet[row * 360 + 180, column * 480 + 240, 0]) for row in range(ROWS) for column in range(COLUMNS)
    ]
    assert shown == sorted(shown)
    assert len(set(shown)) == ROWS * COLUMNS


def test_without_a_processed_frame_there_is_no_picture(tmp_path):
    with RecordingWriter(tmp_path / "bag") as writer:
        writer.write(f"{NAMESPACE}/camera_info", "sensor_msgs/msg/CameraInfo", calibration(0), 1)
    recording = read_recording(tmp_path / "bag", NAMESPACE)
    assert recording == Recording(
        tmp_path / "bag", [stamp_ns(0)], [], [], {"left": {}, "right": {}}, NAMESPACE
    )
    assert write_images(recording, tmp_path / "v.mp4", tmp_path / "p.jpg", None) == 0
    assert not (tmp_path / "v.mp4").exists()
    assert not (tmp_path / "p.jpg").exists()


def test_a_sheet_of_four_has_two_rows():
    sheet = contact_sheet([np.full((2, 4, 3), 50 + k, np.uint8) for k in range(4)])
    assert sheet.shape == (4, 12, 3)
    assert sheet[:, ::4, 0].tolist() == [[50, 51, 52]] * 2 + [[53, 0, 0]] * 2


def test_the_pace_is_the_source_s_or_what_the_machine_follows():
    assert sustainable_rate_hz([0.01, 0.01, 0.5], 30) == 30
    assert sustainable_rate_hz([0.06, 0.06, 0.5], 30) == pytest.approx(10)
    assert sustainable_rate_hz([5.0], 30) == 1
    assert adapted_rate_hz(10, 12, missed=True) < 10
    assert adapted_rate_hz(1, 12, missed=True) == 1
    assert 10 < adapted_rate_hz(10, 12, missed=False) < adapted_rate_hz(11.9, 12, missed=False) == 12


def test_progress_counts_each_image_once_in_whatever_order():
    progress = Progress()
    for stamp in (1, 2, 3):
        progress.image(stamp, now_s=0.1 * stamp)
    assert not progress.idle
    progress.result(1, now_s=0.4)
    progress.result(3, now_s=0.6)  # 2 was passed over
    progress.overlay(3)  # 1 was not drawn
    progress.result(5, now_s=0.8)  # overtook its image, and that of 4
    progress.image(4, now_s=0.8)
    progress.image(5, now_s=0.8)
    assert (progress.images, progress.processed, progress.missed, progress.idle) == (5, 3, 2, True)
    assert (progress.unshown, progress.settled) == (1, False)
    assert progress.busy_s == pytest.approx([0.3, 0.3])
    assert progress.rate_hz == pytest.approx(5)
    progress.image(6, now_s=0.9)
    progress.overlay(6)  # overtook its result
    progress.overlay(6)
    assert not progress.settled
    progress.result(6, now_s=0.9)
    assert (progress.unshown, progress.settled) == (2, True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_status_is_rewritten_on_a_terminal_and_rare_elsewhere():
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        line = StatusLine(stream)
        for number in range(3):
            line.update(f"frame {number} " + "x" * 300)
        line.say("done")
    assert terminal.getvalue().count("\n") == 1
    assert all(len(part) < 300 for part in terminal.getvalue().split("\r"))
    assert terminal.getvalue().endswith("\r\x1b[Kdone\n")
    assert [text.split(" x")[0] for text in file.getvalue().splitlines()] == ["frame 0", "done"]


def test_the_latency_text_is_empty_until_all_is_known():
    values = {
        f"{name} median (ms)": "12.3"
        for name in ("detect", "estimate", "smooth", "place", "publish", "stamp to publication")
    }
    assert (
        latency_text(values)
        == "detect 12 + estimate 12 + smooth 12 + place 12 + publish 12 ms, stamp to publication 12 ms"
    )
    assert latency_text({"detect median (ms)": "1"}) == ""


def test_what_a_source_is(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((4, 6, 3), np.uint8))
    folder = inspect_source(str(tmp_path), print)
    assert (folder.rate_hz, folder.frames, folder.calibrated, folder.is_clip) == (30, 3, False, False)
    webcam = inspect_source("7", print)
    assert (webcam.rate_hz, webcam.frames) == (None, None)
    with pytest.raises(FileNotFoundError, match=r"nothing\.mp4"):
        inspect_source("nothing.mp4", print)


def test_the_demo_takes_an_estimator_and_its_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heatmap.safetensors").touch()
    given = command._parse(["--estimator", "heatmap", "--heatmap-weights", "heatmap.safetensors"])
    assert command._estimator_parameters(given) == {
        "estimator": "heatmap",
        "heatmap.weights": str(tmp_path / "heatmap.safetensors"),
    }
    (tmp_path / "mesh.safetensors").touch()
    given = command._parse(["--estimator", "mesh_diffusion", "--mesh-weights", "mesh.safetensors"])
    assert command._estimator_parameters(given) == {
        "estimator": "mesh_diffusion",
        "mesh_diffusion.weights": str(tmp_path / "mesh.safetensors"),
    }
    assert command._estimator_parameters(command._parse([])) == {}
    with pytest.raises(ValueError, match="there is no weight file nowhere"):
        command._estimator_parameters(command._parse(["--heatmap-weights", "nowhere"]))
