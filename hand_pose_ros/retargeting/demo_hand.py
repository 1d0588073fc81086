"""The demonstration robot hand: a URDF of our own, so that everything runs without a robot or others' files.

A thumb and three fingers of four joints each, about 1.2 times a human hand, with visual and collision shapes
of boxes, cylinders and spheres, and the limits of a hand with small servos. Its base frame is the human wrist
frame (docs/use/frames.md): x distal, z dorsal. The left hand is the mirror image in y, with the same value of
every joint for the same motion.

    hand_pose demo-hand --side left --output demo_hand_left.urdf
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from hand_pose_ros import hand

FINGERS: Final = ("thumb", "index", "middle", "ring")
VELOCITY_RAD_S: Final = 6.0
"""Velocity limit of every joint."""
TIP_RADIUS_M: Final = 0.008
"""The tip link lies on the surface of the pad, this far from the axis of the last phalanx."""

_EFFORT_NM = "1"
_PALM_M = (0.098, 0.088, 0.026)  # length, width, thickness
_WHITE, _GREY = "0.86 0.87 0.90 1", "0.25 0.27 0.31 1"

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class _Joint:
    """One joint of a right hand: its axis, limits, and the length of the link that it turns."""

    name: str
    axis: Vector
    lower: float
    upper: float
    length_m: float


@dataclass(frozen=True)
class _Finger:
    """One finger of a right hand: its origin, direction (roll, pitch, yaw), joints, and direction of the pad."""

    origin_m: Vector
    rpy: Vector
    joints: tuple[_Joint, ...]
    pad: Vector


def _long_finger(origin_m: Vector, yaw: float, lengths_m: Vector) -> _Finger:
    """A finger that abducts towards the thumb (+z) and flexes towards the palm (+y), by hand.py's signs."""
    flexion = (0.0, 1.0, 0.0)
    joints = (
        _Joint("abduction", (0.0, 0.0, 1.0), -0.35, 0.35, 0.0),
        _Joint("mcp", flexion, -0.3, 1.6, lengths_m[0]),
        _Joint("pip", flexion, 0.0, 1.8, lengths_m[1]),
        _Joint("dip", flexion, 0.0, 1.4, lengths_m[2]),
    )
    return _Finger(origin_m, (0.0, 0.0, yaw), joints, (0.0, 0.0, -1.0))


# The thumb first turns about the distal axis, from beside the palm (0) to in front of it (pi / 2), then bends
# towards the fingers. All in the base frame of a right hand.
_FLEXION = (0.0, 0.0, -1.0)
_HAND: Final = {
    "thumb": _Finger(
        (0.022, 0.030, -0.010),
        (0.0, 0.0, 0.0),
        (
            _Joint("rotation", (-1.0, 0.0, 0.0), -0.2, 2.2, 0.0),
            _Joint("cmc", _FLEXION, -0.5, 0.9, 0.050),
            _Joint("mcp", _FLEXION, -0.2, 1.2, 0.040),
            _Joint("ip", _FLEXION, -0.2, 1.4, 0.032),
        ),
        (0.0, -1.0, 0.0),
    ),
    "index": _long_finger((0.104, 0.030, 0.0), 0.09, (0.044, 0.029, 0.027)),
    "middle": _long_finger((0.108, 0.003, 0.0), 0.0, (0.047, 0.032, 0.028)),
    "ring": _long_finger((0.103, -0.024, 0.0), -0.09, (0.043, 0.031, 0.028)),
}
_THUMB_YAW: Final = 0.75  # direction of the thumb beside the palm at zero, from the distal axis


def joint_names(side: str) -> tuple[str, ...]:
    """The 16 joints: ``right_demo_thumb_rotation``, ..., ``right_demo_ring_dip``."""
    prefix = _prefix(side)
    return tuple(f"{prefix}{finger}_{joint.name}" for finger in FINGERS for joint in _HAND[finger].joints)


def link_name(side: str, part: str) -> str:
    """The link 'base', or one of a finger: 'index_tip'."""
    return _prefix(side) + part


def demo_hand_urdf(side: str = "right") -> str:
    """The URDF of the demonstration hand.

    Args:
        side: 'left' or 'right'.

    Raises:
        ValueError: unknown side.
    """
    mirror = 1.0 if hand.check_side(side) == "right" else -1.0
    robot = ElementTree.Element("robot", name=f"{side}_demo_hand")
    for name, rgba in (("shell", _WHITE), ("joint", _GREY)):
        material = ElementTree.SubElement(robot, "material", name=name)
        ElementTree.SubElement(material, "color", rgba=rgba)
    base = ElementTree.SubElement(robot, "link", name=link_name(side, "base"))
    _add_shape(base, "box", {"size": _text(_PALM_M)}, (_PALM_M[0] / 2, 0.003 * mirror, 0.0), "shell")
    for finger in FINGERS:
        _add_finger(robot, side, finger, mirror)
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def _add_finger(robot: ElementTree.Element, side: str, finger: str, mirror: float) -> None:
    shape = _HAND[finger]
    parent, origin, rpy = link_name(side, "base"), shape.origin_m, shape.rpy
    radius = 0.011
    link = robot
    for joint in shape.joints:
        name = f"{_prefix(side)}{finger}_{joint.name}"
        element = _add_joint(robot, name, "revolute", parent, f"{name}_link", origin, rpy, mirror)
        ElementTree.SubElement(element, "axis", xyz=_text(_mirrored_axis(joint.axis, mirror)))
        limit = {"lower": f"{joint.lower:g}", "upper": f"{joint.upper:g}"}
        ElementTree.SubElement(element, "limit", limit, effort=_EFFORT_NM, velocity=f"{VELOCITY_RAD_S:g}")
        link = ElementTree.SubElement(robot, "link", name=f"{name}_link")
        _add_shape(link, "sphere", {"radius": f"{radius:g}"}, (0.0, 0.0, 0.0), "joint")
        if joint.length_m:
            cylinder = {"radius": f"{radius - 0.001:g}", "length": f"{joint.length_m:g}"}
            _add_shape(link, "cylinder", cylinder, (joint.length_m / 2, 0.0, 0.0), "shell")
            radius -= 0.001
        parent, origin = f"{name}_link", (joint.length_m, 0.0, 0.0)
        rpy = (0.0, 0.0, _THUMB_YAW) if joint.name == "rotation" else (0.0, 0.0, 0.0)
    _add_shape(link, "sphere", {"radius": f"{TIP_RADIUS_M:g}"}, origin, "shell")
    pad = tuple(o + TIP_RADIUS_M * p for o, p in zip(origin, shape.pad, strict=True))
    tip = link_name(side, f"{finger}_tip")
    _add_joint(robot, f"{tip}_joint", "fixed", parent, tip, (pad[0], pad[1], pad[2]), (0.0, 0.0, 0.0), mirror)
    ElementTree.SubElement(robot, "link", name=tip)


def _add_joint(
    robot: ElementTree.Element,
    name: str,
    kind: str,
    parent: str,
    child: str,
    origin_m: Vector,
    rpy: Vector,
    mirror: float,
) -> ElementTree.Element:
    joint = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    mirrored_rpy = (mirror * rpy[0], rpy[1], mirror * rpy[2])
    xyz = (origin_m[0], mirror * origin_m[1], origin_m[2])
    ElementTree.SubElement(joint, "origin", xyz=_text(xyz), rpy=_text(mirrored_rpy))
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=child)
    return joint


def _mirrored_axis(axis: Vector, mirror: float) -> Vector:
    """Axis of the mirrored hand's joint: rotations mirror as pseudo-vectors, as in kinematics/mirror.py."""
    return (mirror * axis[0], axis[1], mirror * axis[2])


def _add_shape(
    link: ElementTree.Element, shape: str, size: dict[str, str], centre_m: Vector, material: str
) -> None:
    """One visual and the same collision shape; a cylinder lies along x."""
    rpy = (0.0, math.pi / 2, 0.0) if shape == "cylinder" else (0.0, 0.0, 0.0)
    for kind in ("visual", "collision"):
        element = ElementTree.SubElement(link, kind)
        ElementTree.SubElement(element, "origin", xyz=_text(centre_m), rpy=_text(rpy))
        geometry = ElementTree.SubElement(element, "geometry")
        ElementTree.SubElement(geometry, shape, size)
        if kind == "visual":
            ElementTree.SubElement(element, "material", name=material)


def _prefix(side: str) -> str:
    return f"{hand.check_side(side)}_demo_"


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value + 0.0:.9g}" for value in values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the URDF to a file or to standard output."""
    parser = argparse.ArgumentParser(prog="hand_pose demo-hand", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--side", choices=hand.SIDES, default="right")
    parser.add_argument("--output", type=Path, help="file to write; standard output if not given")
    options = parser.parse_args(arguments)
    document = demo_hand_urdf(options.side)
    if options.output:
        options.output.write_text(document)
    else:
        sys.stdout.write(document)
    return 0
