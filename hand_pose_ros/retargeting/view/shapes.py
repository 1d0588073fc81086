"""The visual primitives of a URDF: boxes, cylinders, spheres and capsules, each in the frame of its link.

Meshes are not read. A link that has only meshes, or nothing, is drawn as capsules from its origin to its child
joints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

import numpy as np

from hand_pose_ros.retargeting.robot_hand import Array
from hand_pose_ros.retargeting.urdf_tree import urdf_root

Colour = tuple[float, float, float]

_GREY: Final[Colour] = (0.62, 0.64, 0.68)
_BONE_RADIUS_M: Final = 0.006
_SHORTEST_BONE_M: Final = 0.004
# The renderer's solids lie along x, those of a URDF along z.
_X_TO_Z: Final = np.array(((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))


@dataclass(frozen=True, eq=False)
class LinkShape:
    """One solid of a link.

    kind: one of :data:`~hand_pose_ros.rendering.crop.solids.SOLIDS`. half_size_m: half its extent along x, y
    and z; round solids have their axis along x. T_link_shape: (4, 4) pose in the link's frame. rgb: sRGB, 0 to 1.
    """

    link: str
    kind: str
    half_size_m: tuple[float, float, float]
    T_link_shape: Array
    rgb: Colour = _GREY


def link_shapes(urdf: str) -> tuple[LinkShape, ...]:
    """The shapes of all links of a URDF, in the order of the document.

    Raises:
        ValueError: not a URDF, or a size, origin or colour that is not a number.
    """
    robot = urdf_root(urdf)
    materials = {str(one.get("name")): _rgba(one, {}) for one in robot.findall("material")}
    shapes: list[LinkShape] = []
    for link in robot.findall("link"):
        name = str(link.get("name"))
        drawn = [
            shape
            for visual in link.findall("visual")
            if (shape := _shape(name, visual, materials)) is not None
        ]
        shapes += drawn or _bones(robot, name)
    return tuple(shapes)


def _shape(
    link: str, visual: ElementTree.Element, materials: Mapping[str, Colour | None]
) -> LinkShape | None:
    """The primitive of a visual; None for a mesh."""
    geometry = visual.find("geometry")
    primitive = next(iter(geometry), None) if geometry is not None else None
    if primitive is None:
        return None
    material = visual.find("material")
    rgb = (_rgba(material, materials) if material is not None else None) or _GREY
    pose = _origin(visual)
    if primitive.tag == "box":
        x, y, z = _numbers(primitive, "size", 3)
        return LinkShape(link, "box", (x / 2, y / 2, z / 2), pose, rgb)
    if primitive.tag == "sphere":
        (radius,) = _numbers(primitive, "radius", 1)
        return LinkShape(link, "ball", (radius, radius, radius), pose, rgb)
    if primitive.tag in ("cylinder", "capsule"):
        (radius,), (length,) = _numbers(primitive, "radius", 1), _numbers(primitive, "length", 1)
        pose[:3, :3] = pose[:3, :3] @ _X_TO_Z
        half = length / 2 + (radius if primitive.tag == "capsule" else 0.0)
        return LinkShape(link, primitive.tag, (half, radius, radius), pose, rgb)
    return None


def _bones(robot: ElementTree.Element, link: str) -> list[LinkShape]:
    """Capsules from the link's origin to each of its child joints."""
    shapes: list[LinkShape] = []
    for joint in robot.findall("joint"):
        parent = joint.find("parent")
        if parent is None or parent.get("link") != link:
            continue
        end = _origin(joint)[:3, 3]
        length = float(np.linalg.norm(end))
        if length < _SHORTEST_BONE_M:
            continue
        pose = np.eye(4)
        pose[:3, 3] = end / 2
        pose[:3, :3] = _along(end / length)
        half = (length / 2 + _BONE_RADIUS_M, _BONE_RADIUS_M, _BONE_RADIUS_M)
        shapes.append(LinkShape(link, "capsule", half, pose))
    return shapes


def _along(direction: Array) -> Array:
    """A rotation (3, 3) whose x axis is a unit vector."""
    helper = np.eye(3)[int(np.abs(direction).argmin())]
    y = np.cross(direction, helper)
    y /= np.linalg.norm(y)
    return np.stack((direction, y, np.cross(direction, y)), axis=1)


def _origin(element: ElementTree.Element) -> Array:
    """Pose (4, 4) of an element's <origin>: Rz(yaw) Ry(pitch) Rx(roll)."""
    pose = np.eye(4)
    origin = element.find("origin")
    if origin is None:
        return pose
    pose[:3, 3] = _numbers(origin, "xyz", 3) if origin.get("xyz") else 0.0
    if origin.get("rpy"):
        (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in _numbers(origin, "rpy", 3))
        pose[:3, :3] = (
            (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
            (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
            (-sp, cp * sr, cp * cr),
        )
    return pose


def _rgba(material: ElementTree.Element, known: Mapping[str, Colour | None]) -> Colour | None:
    """The colour of a material, its own or that of its name."""
    colour = material.find("color")
    if colour is None:
        return known.get(str(material.get("name")))
    r, g, b, _ = _numbers(colour, "rgba", 4)
    return (r, g, b)


def _numbers(element: ElementTree.Element, name: str, count: int) -> Sequence[float]:
    text = element.get(name, "")
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"<{element.tag}> of the URDF must have {count} numbers as {name}, got {text!r}")
    return numbers
