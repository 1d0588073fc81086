"""The description that the recorder leaves in a bag, so that an export needs no options: task and topics."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.files.safe_json import parse_json
from hand_pose_ros.files.safe_yaml import read_yaml

KEY: Final = "hand_pose_ros"
"""Key of the description in the custom data of a bag's metadata.yaml."""
_MOST_CHARACTERS: Final = 1 << 16


@dataclass(frozen=True)
class EpisodeDescription:
    """The content of an episode, and its topics. Topics are full names; empty where there is none.

    task: what is done, as a sentence. namespace: of the hand_estimator.
    image: topic of the images, raw or compressed; empty for the first with colours.
    robot: name of the robot hand. joint_states, command, teleop_state: topics of the robot's state, of its
        commands, and of the hand_teleop's state.
    command_names: names of the values of a command that has none itself (Float64MultiArray).
    """

    task: str = ""
    namespace: str = "/hand_pose"
    image: str = ""
    robot: str = ""
    joint_states: str = ""
    command: str = ""
    command_names: tuple[str, ...] = ()
    teleop_state: str = "/hand_pose/hand_teleop/state"

    def to_json(self) -> str:
        """The description as a JSON object."""
        return json.dumps(asdict(self))

    def updated(self, given: dict[str, Any]) -> EpisodeDescription:
        """A copy in which the values that are not None replace those of the fields."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def read_description(bag: Path) -> EpisodeDescription:
    """The description in a bag's metadata.yaml; an empty one if there is none.

    Raises:
        ValueError: the metadata or the description cannot be read.
        OSError: the metadata cannot be read.
    """
    path = bag / "metadata.yaml"
    if not path.is_file():
        return EpisodeDescription()
    values: Any = read_yaml(path)
    for key in ("rosbag2_bagfile_information", "custom_data", KEY):
        values = values.get(key) if isinstance(values, dict) else None
    return description_from_json(values) if isinstance(values, str) else EpisodeDescription()


def description_from_json(text: str) -> EpisodeDescription:
    """Read a description.

    Raises:
        ValueError: it is too long, no JSON object, or has an unknown field or one of another type.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"the description of the episode has more than {_MOST_CHARACTERS} characters")
    return read_dataclass(EpisodeDescription, parse_json(text), "the description of the episode")
