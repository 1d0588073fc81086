"""Checks labels by themselves: 3D against 2D, bones against a hand's, the side against the fingers' bend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import project

_SLACK: Final = 0.1  # of a proportion: labels are not exact
_TIPS: Final = hand.FINGERTIPS[1:]
_INDEX, _LITTLE = hand.JOINT_INDEX["index_mcp"], hand.JOINT_INDEX["little_mcp"]


@dataclass
class LabelChecks:
    """Findings of the checks of some hands.

    count: of hands. sides, groups: name -> number of hands. with_mask, with_mesh: number of hands.
    reprojection_px: distances between projected 3D and labelled 2D joints, one each.
    bones_within: share of bones that a hand can have, of each hand. side_agrees: whether the fingers bend to
    the palm of the stated side, of each hand with bent fingers.
    """

    count: int = 0
    sides: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    with_mask: int = 0
    with_mesh: int = 0
    reprojection_px: list[float] = field(default_factory=list)
    bones_within: list[float] = field(default_factory=list)
    side_agrees: list[bool] = field(default_factory=list)

    def text(self) -> str:
        """Format the findings, a line each."""
        lines = [f"{self.count} hands: " + ", ".join(f"{count} {side}" for side, count in self.sides.items())]
        if any(self.groups):
            lines.append("groups: " + ", ".join(f"{count} {name}" for name, count in self.groups.items()))
        lines.append(f"with a segmentation: {self.with_mask}, with a mesh: {self.with_mesh}")
        if self.reprojection_px:
            errors = np.array(self.reprojection_px)
            lines.append(
                f"labels reproject to {errors.mean():.3f} px on average, {errors.max():.3f} px at most"
            )
        if self.bones_within:
            lines.append(f"bones of a length that a hand has: {100 * np.mean(self.bones_within):.1f} %")
        if self.side_agrees:
            lines.append(
                f"fingers bend to the palm of the stated side: {100 * np.mean(self.side_agrees):.1f} %"
            )
        return "\n".join(lines)


def check_labels(hands: Iterable[LabelledHand]) -> LabelChecks:
    """Check the labels of hands; images are not read."""
    found = LabelChecks()
    for one in hands:
        found.count += 1
        found.sides[one.side] = found.sides.get(one.side, 0) + 1
        found.groups[one.group] = found.groups.get(one.group, 0) + 1
        found.with_mask += one.read_mask is not None
        found.with_mesh += one.vertices_m is not None
        if one.camera is not None:
            errors = np.linalg.norm(project(one.camera, one.joints_m) - one.points_px, axis=1)
            found.reprojection_px += errors[np.isfinite(errors)].tolist()
        joints = one.joints_with_wrist_m
        if np.isfinite(joints).all():
            found.bones_within.append(float(bones_within(joints).mean()))
            side = side_by_bend(joints)
            if side:
                found.side_agrees.append(side == one.side)
    return found


def bones_within(joints: np.ndarray) -> np.ndarray:
    """Return whether each of the 20 bones of joints (21, 3) has a proportion that a hand can have."""
    lengths = np.array([np.linalg.norm(joints[child] - joints[parent]) for parent, child in hand.BONES])
    low, _, high = np.array(hand.PROPORTIONS).T
    proportions = lengths / max(lengths[hand.ANCHOR_BONE], 1e-9)
    return (proportions > low - _SLACK) & (proportions < high + _SLACK)


def side_by_bend(joints: np.ndarray, least: float = 0.2) -> str:
    """Return the side to whose palm the fingers of joints (21, 3) bend; '' if they bend too little.

    ``least``: sine of the mean angle between fingers and palm.
    """
    to_palm = np.cross(joints[_INDEX] - joints[hand.WRIST], joints[_LITTLE] - joints[hand.WRIST])
    fingers = joints[list(_TIPS)] - joints[list(hand.KNUCKLES)]
    scale = np.linalg.norm(to_palm) * np.linalg.norm(fingers, axis=1)
    bend = float(np.mean(fingers @ to_palm / np.maximum(scale, 1e-12)))
    if abs(bend) < least:
        return ""
    return "right" if bend > 0 else "left"
