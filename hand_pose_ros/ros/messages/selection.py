"""The module selects which hand of each side carries the topics of that side, and names the frames of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.pose import HandPose
from hand_pose_ros.ros.messages.geometry import quaternions


@dataclass(frozen=True)
class PublishedHand:
    """A valid hand and its names.

    hand_id: the track id, or the index in the frame without tracking; unique in a frame.
    primary: it carries the topics and the plain frame names of its side.
    frame_prefix: of its frames' names.
    """

    pose: HandPose
    hand_id: int
    primary: bool
    frame_prefix: str = ""

    @cached_property
    def quaternions(self) -> np.ndarray:
        """(21, 4) xyzw of ``pose.rotations``; several messages need them."""
        return quaternions(self.pose.rotations)

    def frame_name(self, joint: str) -> str:
        """TF frame of a joint: ``right_hand_index_mcp``, ``right_hand_7_index_mcp`` for a further right hand."""
        name = self.frame_prefix + hand.frame_name(joint, self.pose.side)
        if self.primary:
            return name
        return name.removesuffix(joint) + f"{self.hand_id}_{joint}"


class HandSelector:
    """Chooses the primary hand of each side: the previous one, else the one with the best score.

    Without memory, two people's right hands would alternate on ``right/joints`` as their scores vary.
    """

    def __init__(self, frame_prefix: str = "") -> None:
        """``frame_prefix``: of all hands' frames."""
        self.frame_prefix = frame_prefix
        self._primary_tracks: dict[str, int | None] = {}

    def select(self, poses: Sequence[HandPose]) -> list[PublishedHand]:
        """Return the valid hands of a frame, best score first.

        A side has no primary hand while its previous one is in view but could not be estimated.
        """
        identified = [
            (index if pose.track_id is None else pose.track_id, pose) for index, pose in enumerate(poses)
        ]
        identified.sort(key=lambda item: -item[1].score)
        primaries: dict[str, HandPose] = {}
        for _, pose in identified:
            was_primary = pose.track_id is not None and pose.track_id == self._primary_tracks.get(pose.side)
            if was_primary or (pose.valid and pose.side not in primaries):
                primaries[pose.side] = pose
        self._primary_tracks = {side: pose.track_id for side, pose in primaries.items()}
        return [
            PublishedHand(pose, hand_id, primaries[pose.side] is pose, self.frame_prefix)
            for hand_id, pose in identified
            if pose.valid
        ]

    def reset(self) -> None:
        """Forget the primary hands."""
        self._primary_tracks = {}
