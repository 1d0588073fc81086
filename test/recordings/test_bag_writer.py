"""The bag of an episode: it replaces nothing unasked, keeps its description, and refuses what it cannot hold."""

from __future__ import annotations

import resource
import signal

import numpy as np
import pytest
from helpers.recordings import IMAGE, image_message, make, serialised
from rosbags.rosbag2 import Reader

from hand_pose_ros.recordings.bag_writer import RecordingWriter
from hand_pose_ros.recordings.description import EpisodeDescription, description_from_json, read_description

STRING = "std_msgs/msg/String"


def text(content: str) -> bytes:
    return serialised(STRING, make(STRING, content))


def test_an_existing_bag_is_replaced_only_if_asked(tmp_path):
    for replace in (True, True):
        with RecordingWriter(tmp_path / "bag", replace=replace) as writer:
            writer.write("/a", STRING, text("x"), 1)
    with pytest.raises(ValueError, match="exists already"):
        RecordingWriter(tmp_path / "bag", replace=False)


def test_the_description_comes_back(tmp_path):
    described = EpisodeDescription(
        task="pick up the café's cup: 'red'\n", command_names=("a", "b"), robot="leap"
    )
    with RecordingWriter(
        tmp_path / "bag", custom_data={"hand_pose_ros": described.to_json(), "other": "1"}
    ) as writer:
        writer.write("/a", STRING, text("x"), 1)
    assert read_description(tmp_path / "bag") == described
    with Reader(tmp_path / "bag") as reader:
        assert [connection.topic for connection in reader.connections] == ["/a"]


def test_a_bag_of_another_recorder_has_an_empty_description(tmp_path):
    with RecordingWriter(tmp_path / "bag") as writer:
        writer.write("/a", STRING, text("x"), 1)
    assert read_description(tmp_path / "bag") == EpisodeDescription()
    assert read_description(tmp_path / "bag" / "bag.mcap") == EpisodeDescription()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "must hold keys and values"),
        ('{"task": 3}', "task"),
        ('{"tasks": "x"}', "unknown key"),
        ('{"command_names": ["a", 1]}', "command_names"),
        ("{", "Expecting"),
        ('"' + "x" * 70_000 + '"', "more than 65536 characters"),
    ],
)
def test_a_strange_description_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        description_from_json(content)


def test_a_type_without_definition_is_refused_by_name(tmp_path):
    with RecordingWriter(tmp_path / "bag") as writer:
        writer.write("/a", STRING, text("x"), 1)
        with pytest.raises(ValueError, match="/b cannot be recorded: my_msgs/msg/Thing"):
            writer.write("/b", "my_msgs/msg/Thing", b"\0\1\0\0", 2)
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == 1


def test_a_file_that_cannot_grow_is_an_error_and_the_bag_is_closed(tmp_path):
    """As on a full disk: a limit of the file's size, which the system reports in the same way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    generator, message = np.random.default_rng(0), image_message(1)
    writer = RecordingWriter(tmp_path / "bag")

    def record() -> None:
        with writer:
            for number in range(200):
                message.data = generator.integers(0, 256, message.data.size, np.uint8)
                image = serialised("sensor_msgs/msg/Image", message)
                writer.write(IMAGE, "sensor_msgs/msg/Image", image, number)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        with pytest.raises(OSError, match="File too large"):
            record()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert not (tmp_path / "bag" / "metadata.yaml").exists()
