"""Joints and links of a robot hand's URDF, checked: limits, velocity limits and mimic joints, and the plain tree.

Only kinematics is read. What else a URDF holds (meshes, inertia, ros2_control, Gazebo) is ignored, so that a
file loads wherever it came from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from xml.etree import ElementTree

DEFAULT_VELOCITY_RAD_S: Final = 3.0
"""Velocity limit of a joint whose URDF states none, or zero, and for which the caller gives none."""
CONTINUOUS_LIMITS_RAD: Final = (-math.pi, math.pi)
"""Range of a continuous joint: one turn about zero, so that a command never winds up."""
FREE_BASE_JOINTS: Final = tuple(
    f"dummy_{axis}_{kind}_joint" for kind in ("translation", "rotation") for axis in "xyz"
)
"""Names of the six joints of a free base, as dex-retargeting calls them."""

_MOVABLE = ("revolute", "continuous", "prismatic")
_FREE_BASE_RANGE = {"translation": 5.0, "rotation": 2 * math.pi}
_FREE_BASE_VELOCITY = {"translation": 2.0, "rotation": 6.0}


@dataclass(frozen=True)
class Mimic:
    """A joint's position as ``multiplier * position of joint + offset``."""

    joint: str
    multiplier: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class UrdfJoint:
    """One movable joint: radians and rad/s, or metres and m/s if prismatic.

    assumed_velocity: the URDF states no usable velocity limit and nobody else did, so that it is the default.
    """

    name: str
    kind: str
    lower: float
    upper: float
    velocity: float
    mimic: Mimic | None = None
    assumed_velocity: bool = False


@dataclass(frozen=True)
class UrdfTree:
    """Movable joints in the order of the document, link names, the root link, and the kinematics alone as XML."""

    name: str
    joints: tuple[UrdfJoint, ...]
    links: tuple[str, ...]
    root_link: str
    xml: str


def read_urdf(
    text: str,
    *,
    limits: Mapping[str, Sequence[float]] | None = None,
    velocities: Mapping[str, float] | None = None,
    velocity: float | None = None,
    free_base: bool = False,
) -> UrdfTree:
    """Read the kinematics of a URDF.

    Args:
        text: the document; xacro must be expanded before.
        limits: (lower, upper) by joint, in place of the URDF's.
        velocities: velocity limits by joint, in place of the URDF's. velocity: that of all other joints.
        free_base: let the hand move freely: six joints (:data:`FREE_BASE_JOINTS`) above the root link.

    Raises:
        ValueError: not a URDF, or one with a movable joint without limits, of a kind that no hand has, that
            follows a joint that is not there, or with links that do not form one tree; names the joint or
            link.
    """
    robot = urdf_root(text)
    links = tuple(_name(link, "link") for link in robot.findall("link"))
    joints = robot.findall("joint")
    root_link = _check_tree(links, joints)
    plain = ElementTree.Element("robot", name=robot.get("name", "robot"))
    for link in links:
        ElementTree.SubElement(plain, "link", name=link)
    found = [
        joint
        for element in joints
        if (joint := _read_joint(element, plain, limits or {}, velocities or {}, velocity)) is not None
    ]
    if free_base:
        found = [*_add_free_base(plain, root_link), *found]
    _check_names(found, limits or {}, velocities or {})
    return UrdfTree(
        name=robot.get("name", "robot"),
        joints=tuple(found),
        links=links,
        root_link=root_link,
        xml=ElementTree.tostring(plain, encoding="unicode"),
    )


def urdf_root(text: str) -> ElementTree.Element:
    """The element <robot> of a URDF, without entities or xacro.

    Raises:
        ValueError: not a URDF, or one whose xacro elements are not expanded.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # no URDF needs them, and entities can expand without end
        raise ValueError("the URDF defines a document type; remove it")
    try:
        robot = ElementTree.fromstring(text.encode())  # noqa: S314 - no entities, see above
    except ElementTree.ParseError as error:
        raise ValueError(f"the URDF is not XML: {error}") from error
    if robot.tag != "robot":
        raise ValueError(f"a URDF's root element is <robot>, not <{robot.tag}>")
    if any("xacro" in element.tag for element in robot.iter()):
        raise ValueError("the URDF holds xacro elements; expand it with `xacro FILE` first")
    return robot


def _name(element: ElementTree.Element, what: str) -> str:
    name = element.get("name")
    if not name:
        raise ValueError(f"a {what} of the URDF has no name")
    return name


def _end(element: ElementTree.Element, end: str) -> str:
    """Name of a joint's parent or child link."""
    link = element.find(end)
    name = link.get("link") if link is not None else None
    if not name:
        raise ValueError(f"joint {_name(element, 'joint')!r} of the URDF has no {end} link")
    return name


def _check_tree(links: Sequence[str], joints: Sequence[ElementTree.Element]) -> str:
    """The root link of a URDF whose links form one tree."""
    children = [_end(joint, "child") for joint in joints]
    for joint, child in zip(joints, children, strict=True):
        for link in (child, _end(joint, "parent")):
            if link not in links:
                raise ValueError(
                    f"joint {joint.get('name')!r} of the URDF names the link {link!r}, which is not there"
                )
    roots = [link for link in links if link not in children]
    if len(roots) != 1 or len(set(children)) != len(children):
        raise ValueError(f"the links of the URDF must form one tree, but its roots are {roots}")
    return roots[0]


def _read_joint(
    element: ElementTree.Element,
    plain: ElementTree.Element,
    limits: Mapping[str, Sequence[float]],
    velocities: Mapping[str, float],
    velocity: float | None,
) -> UrdfJoint | None:
    """Copy the joint's kinematics to ``plain``; the joint if it moves, else None."""
    name, kind = _name(element, "joint"), element.get("type", "")
    if kind not in (*_MOVABLE, "fixed"):
        raise ValueError(
            f"joint {name!r} is of type {kind!r}; a robot hand has {', '.join(_MOVABLE)} or fixed joints"
        )
    copy = ElementTree.SubElement(
        plain, "joint", name=name, type="revolute" if kind == "continuous" else kind
    )
    for tag in ("origin", "parent", "child", "axis"):
        if (part := element.find(tag)) is not None:
            copy.append(part)
    if kind == "fixed":
        return None
    joint = UrdfJoint(name, kind, *_limits(element, name, kind, limits), velocity=1.0)
    joint = _with_velocity(joint, element, velocities.get(name, velocity))
    if (mimic := element.find("mimic")) is not None:
        source = mimic.get("joint")
        if not source:
            raise ValueError(f"joint {name!r} has a mimic element that names no joint")
        multiplier = _number(mimic, "multiplier", name, 1.0)
        joint = replace(joint, mimic=Mimic(source, multiplier, _number(mimic, "offset", name, 0.0)))
    _add_limit(copy, joint)
    return joint


def _limits(
    element: ElementTree.Element, name: str, kind: str, limits: Mapping[str, Sequence[float]]
) -> tuple[float, float]:
    if name in limits:
        lower, upper = map(float, limits[name])
    elif kind == "continuous":
        lower, upper = CONTINUOUS_LIMITS_RAD
    else:
        limit = element.find("limit")
        if limit is None or (limit.get("lower") is None and limit.get("upper") is None):
            raise ValueError(
                f"joint {name!r} of the URDF has no limits; state them in the profile's joint_limits"
            )
        # The URDF's own rule: a missing attribute is zero.
        lower, upper = _number(limit, "lower", name, 0.0), _number(limit, "upper", name, 0.0)
    if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
        raise ValueError(f"joint {name!r} has the limits {lower} to {upper}, which are no range")
    return lower, upper


def _with_velocity(joint: UrdfJoint, element: ElementTree.Element, given: float | None) -> UrdfJoint:
    """The joint with the velocity limit that was given, else the URDF's, else the default."""
    if given is not None:
        if not (math.isfinite(given) and given > 0):
            raise ValueError(f"the velocity limit of joint {joint.name!r} must be positive, got {given}")
        return replace(joint, velocity=float(given))
    limit = element.find("limit")
    stated = 0.0 if limit is None else _number(limit, "velocity", joint.name, 0.0)
    if math.isfinite(stated) and stated > 0:
        return replace(joint, velocity=stated)
    return replace(joint, velocity=DEFAULT_VELOCITY_RAD_S, assumed_velocity=True)


def _number(element: ElementTree.Element, attribute: str, joint: str, default: float) -> float:
    text = element.get(attribute)
    try:
        value = default if text is None else float(text)
    except ValueError as error:
        raise ValueError(f"joint {joint!r}: {attribute}={text!r} is not a number") from error
    if math.isnan(value):
        raise ValueError(f"joint {joint!r}: {attribute} is NaN")
    return value


def _add_limit(element: ElementTree.Element, joint: UrdfJoint) -> None:
    values = {"lower": joint.lower, "upper": joint.upper, "velocity": joint.velocity, "effort": 1.0}
    ElementTree.SubElement(element, "limit", {key: repr(value) for key, value in values.items()})


def _add_free_base(plain: ElementTree.Element, root_link: str) -> list[UrdfJoint]:
    """Three prismatic and three revolute joints from a new root link to the old one."""
    links = [
        "dummy_base_link",
        *(name.replace("_joint", "_link") for name in FREE_BASE_JOINTS[:-1]),
        root_link,
    ]
    for link in links[:-1]:
        ElementTree.SubElement(plain, "link", name=link)
    joints: list[UrdfJoint] = []
    for index, name in enumerate(FREE_BASE_JOINTS):
        motion = name.split("_")[2]
        reach = _FREE_BASE_RANGE[motion]
        kind = "prismatic" if motion == "translation" else "revolute"
        joint = UrdfJoint(name, kind, -reach, reach, _FREE_BASE_VELOCITY[motion])
        element = ElementTree.SubElement(plain, "joint", name=name, type=kind)
        ElementTree.SubElement(element, "parent", link=links[index])
        ElementTree.SubElement(element, "child", link=links[index + 1])
        ElementTree.SubElement(
            element, "axis", xyz=" ".join("1" if index % 3 == i else "0" for i in range(3))
        )
        _add_limit(element, joint)
        joints.append(joint)
    return joints


def _check_names(
    joints: Sequence[UrdfJoint], limits: Mapping[str, object], velocities: Mapping[str, float]
) -> None:
    names = [joint.name for joint in joints]
    if len(set(names)) != len(names):
        raise ValueError(
            f"joint names of the URDF repeat: {sorted({n for n in names if names.count(n) > 1})}"
        )
    given = {*limits, *velocities}
    if unknown := sorted(given - set(names)):
        raise ValueError(f"limits are given of joints that the URDF does not have: {unknown}; it has {names}")
    for joint in joints:
        if joint.mimic and joint.mimic.joint not in names:
            raise ValueError(f"joint {joint.name!r} follows {joint.mimic.joint!r}, which is no movable joint")
