"""An episode as time series and images; recordings that are damaged, hostile or of another kind."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import recordings as made

from hand_pose_ros.recordings.episode import Episode
from hand_pose_ros.video.sources import SourceError

FRAMES = 14


def read(path, warnings: list[str] | None = None, **given) -> Episode:
    episode = Episode(path, given, (warnings if warnings is not None else []).append)
    episode.read()
    return episode


def test_series_and_images_of_an_episode(tmp_path):
    warnings: list[str] = []
    with read(made.write_bag(tmp_path / "bag", made.messages(FRAMES)), warnings) as episode:
        assert episode.description == made.DESCRIPTION
        assert not warnings
        assert episode.skipped == 0
        stamps = [made.stamp_ns(number) for number in range(FRAMES)]
        assert episode.image_times_ns.tolist() == stamps
        assert set(episode.hands) == {"right"}
        assert episode.has_hand("right")
        assert not episode.has_hand("left")
        assert episode.state.names == episode.command.names == made.ROBOT_JOINTS
        at = np.array([made.stamp_ns(3) + 60_000_000])  # between two commands
        np.testing.assert_allclose(episode.command.at(at)[0], made.command(3), rtol=1e-6)
        newest = made.START_NS + (at[0] - made.START_NS) // made.STATE_PERIOD_NS * made.STATE_PERIOD_NS
        np.testing.assert_allclose(episode.state.at(at)[0], made.state(newest), rtol=1e-6)
        assert episode.following.at(np.array([stamps[0] - 1, *stamps])).tolist() == [False] * (
            1 + FRAMES // 2
        ) + [True] * (FRAMES - FRAMES // 2)
        times = np.array([stamps[0], stamps[2] - 1, stamps[2], stamps[5], stamps[13] + 10**9])
        assert [made.number_of(image) for image in episode.images_at(times)] == [0, 1, 2, 5, 13]


def test_no_image_is_shown_before_it_was_taken(tmp_path):
    bag = made.write_bag(tmp_path / "bag", made.messages(3))
    with read(bag) as episode, pytest.raises(SourceError, match="first images cannot be read"):
        next(episode.images_at(np.array([made.START_NS - 1])))


def test_a_simulated_clock_falls_back_to_the_time_of_the_recording(tmp_path):
    """Stamps near zero do not follow the recording's times."""
    content = made.messages(FRAMES)
    for _, _, _, message in content:
        if hasattr(message, "header"):
            message.header.stamp.sec -= made.START_NS // 10**9
    with read(made.write_bag(tmp_path / "bag", content)) as episode:
        assert episode.image_times_ns[0] == made.START_NS + 2_000_000


def test_messages_that_cannot_be_used_are_passed_over_and_told_once(tmp_path):
    content = made.messages(FRAMES)
    for index in (3, 5):
        poses = made.make("geometry_msgs/msg/PoseArray", made.header(made.stamp_ns(index)), [])
        content.append(
            (
                made.stamp_ns(index) + 1,
                f"{made.NAMESPACE}/left/joints",
                "geometry_msgs/msg/PoseArray",
                poses,
            )
        )
    content.sort(key=lambda one: one[0])
    warnings: list[str] = []
    with read(made.write_bag(tmp_path / "bag", content), warnings) as episode:
        assert set(episode.hands) == {"right"}
        assert episode.skipped == 2
    assert len(warnings) == 1
    assert "left/joints that cannot be used are passed over: a hand has 21 poses, got 0" in warnings[0]


def test_topics_can_be_named_for_recordings_without_a_description(tmp_path):
    bag = made.write_bag(tmp_path / "bag", made.messages(FRAMES), description=None)
    with read(bag) as episode:
        assert episode.state is None
        assert episode.command is None
        assert episode.description.task == ""
    with read(bag, joint_states=made.STATES, command=made.COMMANDS, task="x") as episode:
        assert episode.state is not None
        assert episode.command is not None
    with read(bag / "bag.mcap", namespace="/other") as episode:
        assert not episode.hands
    with pytest.raises(ValueError, match=r"is of type sensor_msgs/msg/CompressedImage, expected sensor_msgs"):
        read(bag, command=f"{made.IMAGE}/compressed")
    with pytest.raises(ValueError, match="has no topic /none of images"):
        Episode(bag, {"image": "/none"})


def test_a_folder_without_metadata_is_read_by_its_file(tmp_path):
    bag = made.write_bag(tmp_path / "bag", made.messages(FRAMES))
    (bag / "metadata.yaml").unlink()
    with read(bag) as episode:
        assert len(episode.image_times_ns) == FRAMES


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_recording_is_refused(tmp_path, share):
    bag = made.write_bag(tmp_path / "bag", made.messages(FRAMES))
    content = (bag / "bag.mcap").read_bytes()
    (bag / "bag.mcap").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"is not a recording that can be read|is damaged"):
        read(bag)


def test_a_strange_description_is_refused(tmp_path):
    bag = made.write_bag(tmp_path / "bag", made.messages(2))
    metadata = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(metadata.replace('"task"', '"tusk"'))
    with pytest.raises(ValueError, match=r"unknown key: the description of the episode\.tusk"):
        Episode(bag)
