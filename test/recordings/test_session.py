"""The session of a recorder: episodes one after the other, bounded memory, one recorder, and full disks."""

from __future__ import annotations

import threading
import time

import pytest
from helpers.recordings import make, serialised
from rosbags.rosbag2 import Reader

from hand_pose_ros.recordings.bag_writer import RecordingWriter
from hand_pose_ros.recordings.description import EpisodeDescription, read_description
from hand_pose_ros.recordings.episode_writer import EpisodeWriter, Message
from hand_pose_ros.recordings.session import RecordingSession

STRING = "std_msgs/msg/String"
DESCRIBED = EpisodeDescription(task="wave")


def message(number: int, topic: str = "/text", size: int = 10) -> Message:
    return Message(topic, STRING, serialised(STRING, make(STRING, f"{number}".ljust(size))), 10**9 + number)


def contents(folder) -> list[tuple[str, int, str]]:
    with Reader(folder) as reader:
        return [
            (connection.topic, at, raw[8:].rstrip(b"\0 ").decode())
            for connection, at, raw in reader.messages()
        ]


def test_episodes_are_numbered_and_hold_what_came_between_start_and_stop(tmp_path):
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        session.receive(message(0))
        for episode in range(2):
            assert session.start(0).name == f"episode_{episode:06d}"
            assert session.recording
            session.receive(message(10 * episode + 1))
            session.receive(message(10 * episode + 2))
            report = session.stop()
            assert report is not None
            assert (report.written["/text"], report.failure, report.seconds) == (2, "", 1e-9)
        assert session.stop() is None
    assert [text for _, _, text in contents(tmp_path / "s/episode_000001")] == ["11", "12"]
    assert read_description(tmp_path / "s/episode_000000") == DESCRIBED
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        assert session.start(0).name == "episode_000002"
        session.receive(message(1))
    assert contents(tmp_path / "s/episode_000002")  # leaving the block ends the episode
    assert sorted(path.name for path in (tmp_path / "s").glob("e*")) == [f"episode_{n:06d}" for n in range(3)]


def test_all_that_waits_is_written_at_the_end(tmp_path, monkeypatch):
    """A slow disk: the messages are still in the queue when the episode ends."""
    write = RecordingWriter.write

    def slow(self, *arguments) -> None:
        time.sleep(0.005)
        write(self, *arguments)

    monkeypatch.setattr(RecordingWriter, "write", slow)
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        session.start(0)
        for number in range(100):
            session.receive(message(number))
    assert [text for _, _, text in contents(tmp_path / "s/episode_000000")] == [str(n) for n in range(100)]


def test_memory_is_bounded_and_what_is_dropped_is_counted(tmp_path, monkeypatch):
    blocked, written = threading.Event(), []

    def wait(self, topic, *rest) -> None:
        blocked.wait(10)
        written.append(topic)

    monkeypatch.setattr(RecordingWriter, "write", wait)
    writer = EpisodeWriter(tmp_path / "bag", DESCRIBED, most_bytes=10_000)
    size = len(message(0, size=1000).serialised)
    taken = [writer.offer(message(number, size=1000)) for number in range(50)]
    assert sum(taken) == 10_000 // size
    blocked.set()
    report = writer.close()
    assert report.dropped["/text"] == 50 - sum(taken)
    assert report.written["/text"] == len(written) == sum(taken)
    assert not writer.offer(message(1))


def test_an_episode_can_be_discarded_and_one_without_messages_is_not_kept(tmp_path):
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        session.start(0)
        session.receive(message(1))
        session.stop(discard=True)
        session.start(0)
        session.stop()
        assert not list((tmp_path / "s").glob("episode*"))
        assert session.start(0).name == "episode_000000"


def test_every_episode_begins_with_latched_messages(tmp_path):
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        for number in range(30):
            session.receive(message(number, "/state"), latched=True)
            session.receive(message(number, "/tf_static"), latched=True)
        for _ in range(2):
            session.start(5 * 10**9)
            session.stop()
    for episode in range(2):
        found = contents(tmp_path / f"s/episode_{episode:06d}")
        frames = [("/tf_static", 5 * 10**9, str(number)) for number in range(10, 30)]
        assert sorted(found) == [("/state", 5 * 10**9, "29"), *frames]


def test_a_message_that_cannot_be_written_is_counted_and_the_others_are_kept(tmp_path):
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        session.start(0)
        session.receive(Message("/image", "sensor_msgs/msg/Image", b"\0\1\0\0broken", 1))
        session.receive(Message("/own", "my_msgs/msg/Thing", b"\0\1\0\0", 2))
        session.receive(message(3))
        report = session.stop()
    assert report.written == {"/text": 1}
    assert report.unusable == {"/image": 1, "/own": 1}
    assert "my_msgs/msg/Thing is no message of ROS 2 itself" in report.reasons["/own"]


def test_a_disk_that_fills_up_ends_the_writing_with_the_reason(tmp_path, monkeypatch):
    write = RecordingWriter.write

    def full(self, topic, msgtype, serialised, received_ns) -> None:
        if received_ns > 10**9 + 5:
            raise OSError(28, "No space left on device")
        write(self, topic, msgtype, serialised, received_ns)

    monkeypatch.setattr(RecordingWriter, "write", full)
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        session.start(0)
        for number in range(10):
            session.receive(message(number))
        deadline = time.monotonic() + 10
        while not session.failure and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "cannot be written: No space left on device" in session.failure
        report = session.stop()
    assert report.written["/text"] == 6
    assert len(contents(tmp_path / "s/episode_000000")) == 6


def test_no_episode_begins_on_a_disk_that_is_nearly_full(tmp_path):
    with RecordingSession(tmp_path / "s", DESCRIBED, least_free_bytes=1 << 60) as session:
        assert "MB free" in session.nearly_full()
        with pytest.raises(OSError, match="MB that must stay"):
            session.start(0)
        assert not session.recording
    with RecordingSession(tmp_path / "s", DESCRIBED, least_free_bytes=0) as session:
        assert session.nearly_full() == ""


def test_one_recorder_at_a_time_and_no_other_things(tmp_path):
    with RecordingSession(tmp_path / "s", DESCRIBED) as session:
        with pytest.raises(ValueError, match="another recorder writes to"):
            RecordingSession(tmp_path / "s", DESCRIBED)
        session.start(0)
        with pytest.raises(ValueError, match="episode_000000 is being recorded already"):
            session.start(0)
    RecordingSession(tmp_path / "s", DESCRIBED).__exit__()
    (tmp_path / "s" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"other things than episodes, such as notes\.txt"):
        RecordingSession(tmp_path / "s", DESCRIBED)
