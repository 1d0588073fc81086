"""Round trip: a recording, the data set of it, and what PyArrow and PyAV read back; and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import recordings as made

from hand_pose_ros import hand
from hand_pose_ros.recordings.lerobot import command
from hand_pose_ros.recordings.lerobot.dataset import DatasetWriter, FileLimits
from hand_pose_ros.recordings.lerobot.export import ExportOptions, export, find_bags
from hand_pose_ros.recordings.lerobot.features import CAMERA, DatasetLayout

pq = pytest.importorskip("pyarrow.parquet", reason="needs PyArrow: pip install 'hand_pose_ros[lerobot]'")
av = pytest.importorskip("av", reason="needs PyAV: pip install 'hand_pose_ros[lerobot]'")

FPS = 25
LENGTHS = (40, 12, 20)
TASKS = ("close the hand", "open the hand", "close the hand")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Three episodes; the robot's hand is right, the human's left in the second one."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, (length, task) in enumerate(zip(LENGTHS, TASKS, strict=True)):
        content = made.messages(length, side="left" if number == 1 else "right")
        description = made.DESCRIPTION.updated({"task": task})
        made.write_bag(folder / f"episode_{number:06d}", content, description)
    return folder


@pytest.fixture(scope="module")
def dataset(recordings, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("datasets") / "set"
    assert command.main([str(recordings), "--output", str(output), "--fps", str(FPS)]) == 0
    return output


def frame_times(length: int) -> np.ndarray:
    """Times of the frames: from the first command, every 1/FPS until the last image."""
    first = made.START_NS + made.COMMAND_LATENCY_NS
    times = []
    while first + len(times) * 10**9 // FPS <= made.stamp_ns(length - 1):
        times.append(first + len(times) * 10**9 // FPS)
    return np.array(times)


def newest_image(time_ns: int) -> int:
    return (time_ns - made.START_NS) // made.PERIOD_NS


def newest_hand(time_ns: int) -> int | None:
    """The image whose hand is the newest; None where that image has none."""
    number = newest_image(time_ns)
    number = number - 1 if number == made.NOT_PROCESSED else number
    return None if number == made.NO_HAND else number


def newest_command(time_ns: int) -> int:
    number = (time_ns - made.START_NS - made.COMMAND_LATENCY_NS) // made.PERIOD_NS
    return number - 1 if number in (made.NO_HAND, made.NOT_PROCESSED) else number


def columns(dataset: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(dataset / "data/chunk-000/file-000.parquet")
    return {name: np.array(table.column(name).to_pylist()) for name in table.column_names}


def test_info_states_the_layout(dataset):
    info = json.loads((dataset / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["robot_type"]) == (FPS, "test_hand")
    frames = sum(len(frame_times(length)) for length in LENGTHS)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, frames, 2)
    assert info["splits"] == {"train": "0:3"}
    assert (info["chunks_size"], info["data_files_size_in_mb"], info["video_files_size_in_mb"]) == (
        1000,
        100,
        200,
    )
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["video_path"] == "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    features = info["features"]
    assert features[CAMERA]["dtype"] == "video"
    assert features[CAMERA]["shape"] == [made.SIZE[1], made.SIZE[0], 3]
    assert features[CAMERA]["names"] == ["height", "width", "channels"]
    video = features[CAMERA]["info"]
    assert [video[f"camera.{name}"] for name in ("fx", "fy", "cx", "cy")] == [150, 151, 80, 60]
    assert video["camera.distortion_model"] == "plumb_bob"
    assert video["camera.distortion"] == [0.1, -0.05, 0, 0, 0]
    assert features["action"] == {"dtype": "float32", "shape": [2], "names": list(made.ROBOT_JOINTS)}
    joints = features["observation.hand.left.joints_m"]
    assert joints["shape"] == [63]
    assert joints["names"][:4] == ["wrist_x", "wrist_y", "wrist_z", "thumb_cmc_x"]
    assert features["observation.hand.right.angles_rad"]["names"] == list(hand.ANGLE_NAMES)
    assert list(features)[-5:] == ["timestamp", "frame_index", "episode_index", "index", "task_index"]
    assert [features[key]["dtype"] for key in list(features)[-5:]] == ["float32"] + ["int64"] * 4


def test_columns_have_the_types_and_shapes_of_info(dataset):
    features = json.loads((dataset / "meta/info.json").read_text())["features"]
    schema = pq.read_schema(dataset / "data/chunk-000/file-000.parquet")
    assert schema.names == [key for key, feature in features.items() if feature["dtype"] != "video"]
    for key in schema.names:
        (size,), dtype = (
            features[key]["shape"],
            {"float32": "float"}.get(features[key]["dtype"], features[key]["dtype"]),
        )
        kind = schema.field(key).type
        assert str(kind) == dtype if size == 1 else (kind.list_size, str(kind.value_type)) == (size, dtype)
    parquet = pq.ParquetFile(dataset / "data/chunk-000/file-000.parquet")
    assert parquet.num_row_groups == len(LENGTHS)


def test_values_come_back_to_the_bit(dataset):
    found, row = columns(dataset), 0
    tasks = {"close the hand": 0, "open the hand": 1}
    for number, (length, task) in enumerate(zip(LENGTHS, TASKS, strict=True)):
        side, other = ("left", "right") if number == 1 else ("right", "left")
        for frame, time_ns in enumerate(frame_times(length).tolist()):
            assert found["timestamp"][row] == np.float32(frame / FPS)
            assert [found[key][row] for key in ("frame_index", "episode_index", "index", "task_index")] == [
                frame,
                number,
                row,
                tasks[task],
            ]
            shown = newest_hand(time_ns)
            of_side = {
                name: found[f"observation.hand.{side}.{name}"][row]
                for name in ("joints_m", "sigma_m", "wrist_pose", "angles_rad", "valid")
            }
            assert of_side["valid"] == (shown is not None)
            if shown is None:
                assert all(np.isnan(of_side[name]).all() for name in of_side if name != "valid")
            else:
                for name, expected in {
                    "joints_m": made.joints(shown).reshape(-1),
                    "sigma_m": made.sigma(shown),
                    "wrist_pose": made.wrist(shown),
                    "angles_rad": made.angles(shown),
                }.items():
                    np.testing.assert_array_equal(
                        np.float32(of_side[name]), expected.astype(np.float32), err_msg=f"{name} {row}"
                    )
            assert not found[f"observation.hand.{other}.valid"][row]
            assert np.isnan(found[f"observation.hand.{other}.joints_m"][row]).all()
            newest_state = time_ns - (time_ns - made.START_NS) % made.STATE_PERIOD_NS
            np.testing.assert_array_equal(
                np.float32(found["observation.state"][row]), made.state(newest_state).astype(np.float32)
            )
            np.testing.assert_array_equal(
                np.float32(found["action"][row]),
                made.command(newest_command(time_ns)).astype(np.float32),
            )
            assert found["observation.teleop.following"][row] == (time_ns >= made.stamp_ns(length // 2))
            row += 1
    assert row == len(found["index"])


def test_the_video_shows_the_newest_image_at_each_frame(dataset):
    path = dataset / f"videos/{CAMERA}/chunk-000/file-000.mp4"
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert (stream.width, stream.height, stream.codec.canonical_name) == (*made.SIZE, "av1")
        assert stream.average_rate == FPS
        frames = [
            (frame.pts * stream.time_base, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(stream)
        ]
    assert [time for time, _ in frames] == [Fraction(number, FPS) for number in range(len(frames))]
    expected = [newest_image(time_ns) for length in LENGTHS for time_ns in frame_times(length).tolist()]
    assert [made.number_of(image) for _, image in frames] == expected
    lit = frames[5][1][:, : made.SIZE[0]].reshape(-1, 3)
    lit = lit[lit.mean(axis=1) > 100].mean(axis=0)
    np.testing.assert_allclose(lit, (220, 200, 60), atol=12)  # the columns' colour as RGB


PRIORITY = """
import ctypes, os, sys, threading
from pathlib import Path
import numpy as np
from hand_pose_ros.recordings.lerobot.video import VideoWriter

writer = VideoWriter(Path(sys.argv[1]), "video.mp4", 25, (64, 48), most_bytes=10**6)
writer.begin_episode()
writer.add(np.zeros((48, 64, 3), np.uint8))
policy, parameter = ctypes.c_int(), (ctypes.c_int * 8)()
libc = ctypes.CDLL(None)
libc.pthread_getschedparam.argtypes = [ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]
libc.pthread_getschedparam(threading.get_ident(), ctypes.byref(policy), ctypes.byref(parameter))
policies = [os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()]
print(len(policies), {*policies, policy.value} == {os.SCHED_OTHER})
writer.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the priorities")
def test_the_encoder_takes_no_real_time_priority(tmp_path):
    """Neither for its threads, nor for those that its caller starts later."""
    output = subprocess.check_output([sys.executable, "-c", PRIORITY, str(tmp_path)], text=True)
    threads, ordinary = output.split()
    assert int(threads) > 5, "the encoder works in threads"
    assert ordinary == "True"


def test_episodes_say_where_their_data_are(dataset):
    rows = pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    first = 0
    for number, (row, length) in enumerate(zip(rows, LENGTHS, strict=True)):
        count = len(frame_times(length))
        assert row["episode_index"] == number
        assert row["tasks"] == [TASKS[number]]
        assert row["length"] == count
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (first, first + count)
        assert row[f"videos/{CAMERA}/from_timestamp"] == pytest.approx(first / FPS)
        assert row[f"videos/{CAMERA}/to_timestamp"] == pytest.approx((first + count) / FPS)
        for key in ("data", f"videos/{CAMERA}", "meta/episodes"):
            assert (row[f"{key}/chunk_index"], row[f"{key}/file_index"]) == (0, 0)
        assert row["stats/action/count"] == [count]
        assert np.shape(row[f"stats/{CAMERA}/mean"]) == (3, 1, 1)
        first += count
    tasks = pq.read_table(dataset / "meta/tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0, 1], "task": ["close the hand", "open the hand"]}
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_statistics_are_those_of_the_columns(dataset):
    statistics = json.loads((dataset / "meta/stats.json").read_text())
    found = columns(dataset)
    assert statistics.keys() == {CAMERA, *found}
    for key, one in statistics.items():
        if key == CAMERA:
            assert 0 <= np.min(one["min"]) <= np.max(one["max"]) <= 1
            continue
        values = found[key].astype(np.float64).reshape(len(found[key]), -1)
        np.testing.assert_allclose(one["mean"], np.nanmean(values, axis=0), rtol=1e-6)
        np.testing.assert_allclose(one["max"], np.nanmax(values, axis=0), rtol=1e-6)
        np.testing.assert_allclose(one["q90"], np.nanquantile(values, 0.9, axis=0), rtol=1e-5, atol=1e-6)
        assert one["count"] == [len(values)]


def test_a_feature_that_is_never_known_has_no_statistics(recordings, tmp_path):
    """JSON has no NaN."""
    content = [one for one in made.messages(12) if not one[1].endswith(("/hands", "/wrist"))]
    bag = made.write_bag(tmp_path / "bag", content)
    export([bag], tmp_path / "set", ExportOptions(fps=FPS), lambda _: None, pytest.fail)
    statistics = json.loads((tmp_path / "set/meta/stats.json").read_text())
    assert "observation.hand.right.sigma_m" not in statistics
    assert "observation.hand.right.wrist_pose" not in statistics
    assert "observation.hand.right.joints_m" in statistics


def test_a_recording_without_a_robot(tmp_path):
    description = made.DESCRIPTION.updated({"joint_states": "", "command": "", "robot": ""})
    bag = made.write_bag(tmp_path / "bag", made.messages(6, robot=False), description)
    assert export([bag], tmp_path / "set", ExportOptions(fps=30), lambda _: None, pytest.fail) == (1, 5)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert info["robot_type"] is None
    assert not {"action", "observation.state", "observation.teleop.following"} & info["features"].keys()


def test_files_are_split_between_episodes(tmp_path):
    """With a limit of zero each episode has files of its own."""
    layout = DatasetLayout((64, 64), ("right",))
    values = {
        key: np.zeros((4,) if feature.shape == (1,) else (4, *feature.shape), feature.dtype)
        for key, feature in layout.columns.items()
    }
    images = [np.full((64, 64, 3), 60 * number, np.uint8) for number in range(4)]
    with DatasetWriter(tmp_path / "set", layout, 10, limits=FileLimits(0, 0)) as writer:
        for task in ("a", "b", "a"):
            writer.add_episode(task, values, images, 4)
    rows = pq.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["data/file_index"] for row in rows] == [0, 1, 2]
    assert [row[f"videos/{CAMERA}/file_index"] for row in rows] == [0, 1, 2]
    assert [row[f"videos/{CAMERA}/from_timestamp"] for row in rows] == [0, 0, 0]
    for number in range(3):
        table = pq.read_table(tmp_path / f"set/data/chunk-000/file-{number:03d}.parquet")
        assert table.column("index").to_pylist() == list(range(4 * number, 4 * number + 4))
        with av.open(str(tmp_path / f"set/videos/{CAMERA}/chunk-000/file-{number:03d}.mp4")) as container:
            assert len(list(container.decode(video=0))) == 4
    statistics = json.loads((tmp_path / "set/meta/stats.json").read_text())
    assert statistics["index"]["max"] == [11]


# --- refusals ----------------------------------------------------------------------------------------------------


def failed(capsys, *arguments: object) -> str:
    assert command.main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err


def nothing_left(folder: Path, *known: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(known)


def test_refusals_leave_nothing_behind(recordings, tmp_path, capsys):
    output = tmp_path / "set"
    assert "there is no" in failed(capsys, tmp_path / "none", "--output", output)
    (tmp_path / "empty").mkdir()
    assert "holds no recording" in failed(capsys, tmp_path / "empty", "--output", output)
    assert "exists already" in failed(capsys, recordings, "--output", tmp_path / "empty")
    damaged = made.write_bag(tmp_path / "damaged", made.messages(12))
    file = damaged / "damaged.mcap"
    file.write_bytes(file.read_bytes()[:5000])
    assert "is not a recording that can be read" in failed(capsys, damaged, "--output", output)
    silent = made.write_bag(tmp_path / "silent", made.messages(12), description=None)
    assert "states no task: name it by --task" in failed(capsys, silent, "--output", output)
    assert nothing_left(tmp_path, "empty", "damaged", "silent")


def test_an_episode_of_other_joints_is_refused(tmp_path, capsys):
    made.write_bag(tmp_path / "bags/a", made.messages(12))
    other = [
        (at, topic, kind, made.trajectory(("thumb", "middle"), message.points[0].positions))
        if topic == made.COMMANDS
        else (at, topic, kind, message)
        for at, topic, kind, message in made.messages(12)
    ]
    made.write_bag(tmp_path / "bags/b", other)
    message = failed(capsys, tmp_path / "bags", "--output", tmp_path / "set")
    assert "action: the joints are thumb, middle, those of the first episode thumb, index" in message
    assert nothing_left(tmp_path, "bags")


def test_images_that_change_their_size_are_refused(tmp_path, capsys):
    content = made.messages(12)
    for _, topic, _, message in content:
        if topic == made.IMAGE and message.header.stamp.nanosec > 200_000_000:
            message.width, message.height, message.step = 80, 60, 240
            message.data = message.data[: 60 * 240]
    made.write_bag(tmp_path / "bag", content)
    message = failed(capsys, tmp_path / "bag", "--output", tmp_path / "set")
    assert "the size of the images must not change" in message
    assert nothing_left(tmp_path, "bag")


def test_an_episode_without_commands_is_left_out(tmp_path, capsys):
    made.write_bag(tmp_path / "bags/a", made.messages(12))
    idle = [one for one in made.messages(12) if one[1] != made.COMMANDS]
    made.write_bag(tmp_path / "bags/b", idle)
    assert command.main([str(tmp_path / "bags"), "--output", str(tmp_path / "set")]) == 0
    shown = capsys.readouterr()
    assert "b is left out: no command was recorded for all joints" in shown.err
    assert "1 episodes" in shown.out


def test_another_calibration_is_told(tmp_path, capsys):
    made.write_bag(tmp_path / "bags/a", made.messages(6, robot=False))
    content = [one for one in made.messages(6, robot=False) if not one[1].endswith("/camera_info")]
    made.write_bag(tmp_path / "bags/b", content)
    assert command.main([str(tmp_path / "bags"), "--output", str(tmp_path / "set")]) == 0
    assert "b: its camera's calibration is not that of the first episode" in capsys.readouterr().err


def test_an_episode_that_did_not_end_is_left_out(recordings, tmp_path):
    bag = made.write_bag(tmp_path / "bags/a", made.messages(4))
    unfinished = made.write_bag(tmp_path / "bags/b", made.messages(4))
    (unfinished / "metadata.yaml").unlink()
    warnings: list[str] = []
    assert find_bags([tmp_path / "bags"], warnings.append) == [bag]
    assert len(warnings) == 1
    assert "its recording did not end" in warnings[0]
    assert find_bags([bag, unfinished / "b.mcap"], pytest.fail) == [bag, unfinished / "b.mcap"]


def test_images_of_odd_size_lose_a_row_and_a_column(tmp_path):
    content = made.messages(6, robot=False)
    for _, topic, _, message in content:
        if topic == made.IMAGE:
            rows = message.data.reshape(120, 160, 3)[:119, :157]
            message.width, message.height, message.step = 157, 119, 157 * 3
            message.data = np.ascontiguousarray(rows).reshape(-1)
    bag = made.write_bag(tmp_path / "bag", content)
    export([bag], tmp_path / "set", ExportOptions(), lambda _: None, pytest.fail)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert info["features"][CAMERA]["shape"] == [118, 156, 3]


@pytest.mark.parametrize("missing", ["pyarrow", "av"])
def test_without_the_libraries_it_says_how_to_get_them(recordings, tmp_path, capsys, monkeypatch, missing):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    message = failed(capsys, recordings, "--output", tmp_path / "set")
    assert "pip install 'hand_pose_ros[lerobot]'" in message
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["--fps", "0"], ["--fps", "x"], ["--max-age-s", "0"], ["--sides", "both"]]
)
def test_options_are_checked(recordings, tmp_path, arguments):
    with pytest.raises(SystemExit):
        command.main([str(recordings), "--output", str(tmp_path / "set"), *arguments])
