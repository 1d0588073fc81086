"""Hostile recordings: damaged bags and metadata are read, or refused with the documented error."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from helpers.fuzzing import changed_bytes, fuzz, refused
from helpers.recordings import START_NS, messages, serialised, write_bag
from hypothesis import given

from hand_pose_ros.recordings.bag_writer import RecordingWriter
from hand_pose_ros.recordings.episode import Episode
from hand_pose_ros.video.bag_topics import COMPRESSED_IMAGE, IMAGE
from hand_pose_ros.video.sources import SourceError


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    return write_bag(tmp_path_factory.mktemp("fuzz") / "bag", messages(4))


def consume(bag: Path) -> None:
    """Read everything of an episode, with its images."""
    with Episode(bag, warn=lambda _: None) as episode:
        episode.read()
        for _ in episode.images_at(episode.image_times_ns):
            pass


@pytest.mark.parametrize("name", ["bag.mcap", "metadata.yaml"])
def test_changed_files_of_a_bag(bag, name):
    good = (bag / name).read_bytes()

    @fuzz(60)
    @given(content=changed_bytes(good))
    def changed(content: bytes) -> None:
        (bag / name).write_bytes(content)
        refused(lambda: consume(bag), ValueError, SourceError)

    changed()
    (bag / name).write_bytes(good)
    consume(bag)


CONTENT = messages(4)
KINDS = {topic: (kind, message) for _, topic, kind, message in CONTENT}


@pytest.mark.parametrize("topic", sorted(KINDS))
def test_changed_messages(tmp_path, topic):
    """The bag is whole; a message in it is not."""
    kind, good = KINDS[topic]
    recorded = COMPRESSED_IMAGE if kind == IMAGE else kind  # the recorder would convert it, and refuse it
    numbers = count()

    @fuzz(15)
    @given(changed=changed_bytes(serialised(kind, good)))
    def written(changed: bytes) -> None:
        folder = tmp_path / str(next(numbers))
        with RecordingWriter(folder) as writer:
            for received, other, its_kind, message in CONTENT:
                writer.write(other, its_kind, serialised(its_kind, message), received)
            writer.write(
                f"{topic}/compressed" if kind == IMAGE else topic, recorded, changed, START_NS + 10**9
            )
        refused(lambda: consume(folder), ValueError, SourceError)

    written()
