"""The hand as a URDF: the same tree, angles, limits and frames as the FK layer, for either side and any size.

Every bounded angle is one revolute joint, named as in :func:`hand_pose_ros.hand.joint_state_names`, so that
``robot_state_publisher`` shows a JointState directly. Per bone: flexion, abduction and twist in this order, as
far as the bone has them, each with a link of its own that has no geometry, then a fixed joint along the bone to
the link that is named after the TF frame at its end. That link has the position and the orientation that
:func:`hand_pose_ros.kinematics.forward.forward_kinematics` gives. The root link is the wrist.

The links have visual shapes but no inertia: neither display nor kinematics needs it.

    hand_pose urdf --side left --anchor-length 0.085 --output left_hand.urdf
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.mirror import mirror_axes, side_sign
from hand_pose_ros.mesh.shape import FINGER_RADII_MM

MEAN_PROPORTIONS: Final = tuple(mean for _, mean, _ in hand.PROPORTIONS)

_MOTION_ORDER: Final = ("flexion", "abduction", "twist")  # Ry @ Rz @ Rx, outermost first
_SKIN_RGBA: Final = "0.87 0.68 0.57 1"
# A URDF joint must state both. They limit nothing here: a person's fingers reach about 20 rad/s.
_EFFORT: Final = "1"
_VELOCITY: Final = "20"


def hand_urdf(
    side: str = "right",
    anchor_length_m: float = hand.MEAN_ANCHOR_LENGTH_M,
    proportions: Sequence[float] = MEAN_PROPORTIONS,
) -> str:
    """The URDF document of one hand.

    Args:
        side: 'left' or 'right'. A left hand has mirrored axes, so that the same angles mean the same motion.
        anchor_length_m: length of the bone wrist -> index MCP, metres.
        proportions: the 20 bone lengths relative to that bone, in ``hand.BONES`` order.

    Raises:
        ValueError: unknown side, or a length that is not a positive number, or not 20 of them.
    """
    hand.check_side(side)
    lengths_m = [float(anchor_length_m) * float(proportion) for proportion in proportions]
    if len(lengths_m) != hand.NUM_BONES:
        raise ValueError(f"expected {hand.NUM_BONES} proportions, got {len(lengths_m)}")
    if not all(math.isfinite(length) and length > 0 for length in lengths_m):
        raise ValueError(
            f"anchor length and proportions must be positive, got {anchor_length_m} and {tuple(proportions)}"
        )

    robot = ElementTree.Element("robot", name=f"{side}_hand")
    skin = ElementTree.SubElement(robot, "material", name="skin")
    ElementTree.SubElement(skin, "color", rgba=_SKIN_RGBA)
    wrist = _add_link(robot, hand.frame_name("wrist", side))
    scale = float(anchor_length_m) / hand.MEAN_ANCHOR_LENGTH_M
    _add_sphere(wrist, (0.0, 0.0, 0.0), _radii_m(hand.WRIST + 1, scale)[0])
    axes = _joint_axes(side)
    for node in range(1, hand.NUM_JOINTS):
        _add_bone(robot, node, side, lengths_m[node - 1], axes, _radii_m(node, scale))
    ElementTree.indent(robot)
    # Without an encoding: lxml, and with it urdf_parser_py and Gazebo's spawner, refuse a str that declares one.
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def _joint_axes(side: str) -> dict[str, tuple[float, ...]]:
    """Axis of each motion in the frame of the joint, by the mirror rule."""
    sign = side_sign(side, like=torch.zeros((), dtype=torch.float64))
    axes = mirror_axes(torch.eye(3, dtype=torch.float64), sign).tolist()
    return {motion: tuple(axes[column]) for motion, column in hand.MOTION_AXES.items()}


def _radii_m(node: int, scale: float) -> tuple[float, float]:
    """Radius of the bone that ends in ``node`` at its start and at its end, metres."""
    finger = hand.FINGERS[(node - 1) // 4]
    depth = (node - 1) % 4
    radii = (FINGER_RADII_MM[finger][0], *FINGER_RADII_MM[finger])
    return radii[depth] * scale / 1e3, radii[depth + 1] * scale / 1e3


def _add_bone(
    robot: ElementTree.Element,
    node: int,
    side: str,
    length_m: float,
    axes: dict[str, tuple[float, ...]],
    radii_m: tuple[float, float],
) -> None:
    """The revolute joints that turn one bone, the fixed joint along it, and the link at its end."""
    parent = hand.frame_name(hand.JOINT_NAMES[hand.PARENTS[node]], side)
    names = hand.joint_state_names(side)
    turning = [index for index, angle in enumerate(hand.ANGLES) if angle.node == node]
    for index in sorted(turning, key=lambda i: _MOTION_ORDER.index(hand.ANGLES[i].motion)):
        angle = hand.ANGLES[index]
        joint = _add_joint(robot, names[index], "revolute", parent, f"{names[index]}_link")
        ElementTree.SubElement(joint, "axis", xyz=_numbers(axes[angle.motion]))
        lower, upper = math.radians(angle.min_deg), math.radians(angle.max_deg)
        limit = {"lower": _numbers([lower]), "upper": _numbers([upper])}
        ElementTree.SubElement(joint, "limit", limit, effort=_EFFORT, velocity=_VELOCITY)
        parent = f"{names[index]}_link"
        _add_link(robot, parent)

    end = hand.frame_name(hand.JOINT_NAMES[node], side)
    fixed = _add_joint(robot, f"{end}_bone", "fixed", parent, end)
    ElementTree.SubElement(fixed, "origin", xyz=_numbers((length_m, 0.0, 0.0)), rpy="0 0 0")
    link = _add_link(robot, end)
    _add_sphere(link, (0.0, 0.0, 0.0), radii_m[1])
    _add_cylinder(link, -length_m, sum(radii_m) / 2)
    if hand.PARENTS[node] == hand.WRIST:
        _add_sphere(link, (-length_m, 0.0, 0.0), radii_m[0])


def _add_link(robot: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(robot, "link", name=name)


def _add_joint(
    robot: ElementTree.Element, name: str, kind: str, parent: str, child: str
) -> ElementTree.Element:
    joint = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=child)
    return joint


def _add_sphere(link: ElementTree.Element, centre: Sequence[float], radius_m: float) -> None:
    geometry = _add_visual(link, centre, rpy=(0.0, 0.0, 0.0))
    ElementTree.SubElement(geometry, "sphere", radius=_numbers([radius_m]))


def _add_cylinder(link: ElementTree.Element, start_x_m: float, radius_m: float) -> None:
    """A cylinder along the link's x axis from ``start_x_m`` to the link's origin."""
    geometry = _add_visual(link, (start_x_m / 2, 0.0, 0.0), rpy=(0.0, math.pi / 2, 0.0))
    ElementTree.SubElement(
        geometry, "cylinder", radius=_numbers([radius_m]), length=_numbers([abs(start_x_m)])
    )


def _add_visual(link: ElementTree.Element, xyz: Sequence[float], rpy: Sequence[float]) -> ElementTree.Element:
    """A visual with the skin's material at a pose in the link; returns its empty geometry."""
    visual = ElementTree.SubElement(link, "visual")
    ElementTree.SubElement(visual, "origin", xyz=_numbers(xyz), rpy=_numbers(rpy))
    geometry = ElementTree.SubElement(visual, "geometry")
    ElementTree.SubElement(visual, "material", name="skin")
    return geometry


def _numbers(values: Sequence[float]) -> str:
    """Numbers that read back as the same doubles; 0 without a sign."""
    return " ".join(repr(float(value) + 0.0) for value in values)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the URDF of a hand to a file, or to standard output."""
    parser = argparse.ArgumentParser(prog="hand_pose urdf", description=main.__doc__)
    parser.add_argument("--side", choices=hand.SIDES, default="right")
    parser.add_argument(
        "--anchor-length",
        type=float,
        default=hand.MEAN_ANCHOR_LENGTH_M,
        metavar="METRES",
        help="length of the bone wrist -> index MCP (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, help="file to write (default: standard output)")
    options = parser.parse_args(arguments)
    try:
        document = hand_urdf(options.side, options.anchor_length)
    except ValueError as error:
        parser.error(str(error))
    if options.output is None:
        sys.stdout.write(document)
    else:
        options.output.write_text(document, encoding="utf-8")
