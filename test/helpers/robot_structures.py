"""Small URDFs with the joint names, limits, mimic joints and links of real robot hands, but geometry of our own.

The profiles of ``config/robots`` are tested on them, since the hands' own URDFs are not part of the repository.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree

FINGER_Y_M = {"thumb": 0.03, "index": 0.03, "middle": 0.01, "ring": -0.01, "little": -0.03}


class Joint(NamedTuple):
    """A joint of one finger: name, link that it turns, limits, and (source, multiplier, offset) of a mimic."""

    name: str
    child: str
    lower: float
    upper: float
    mimic: tuple[str, float, float] | None = None


class Structure(NamedTuple):
    """A hand: root link, the links between it and the palm, and fingers as (finger, joints, tip link)."""

    root: str
    palm: str
    fingers: tuple[tuple[str, tuple[Joint, ...], str], ...]
    axes: tuple[str, str, str] = ("palmar", "across", "distal")


def structure(name: str, side: str) -> Structure:
    """The structure of a profile's robot hand."""
    return {
        "leap": _leap,
        "allegro_v5": _allegro,
        "inspire_rh56": _inspire,
        "revo2": _revo2,
        "ability": _ability,
        "shadow": _shadow,
    }[name](side)


def structure_urdf(name: str, side: str) -> str:
    """A URDF of that structure: fingers along z that flex about y towards x, turned as the profile's axes say."""
    hand = structure(name, side)
    robot = ElementTree.Element("robot", name=name)
    sign = 1.0 if side == "right" else -1.0
    turned = hand.axes[0] == "-across"
    ElementTree.SubElement(robot, "link", name=hand.root)
    if hand.palm != hand.root:
        ElementTree.SubElement(robot, "link", name=hand.palm)
        _joint(robot, f"{hand.palm}_fixed", "fixed", hand.root, hand.palm, (0.0, 0.0, 0.0))
    for finger, joints, tip in hand.fingers:
        parent = hand.palm
        y = sign * FINGER_Y_M[finger]
        height = 0.03 if finger == "thumb" else 0.08
        origin = (-y, 0.0, height) if turned else (0.0, y, height)
        flexion = "-1 0 0" if turned else "0 1 0"
        for index, joint in enumerate(joints):
            sideways = index == 0 and len([one for one in joints if not one.mimic]) > 1
            axis = "0 0 1" if sideways else flexion
            element = _joint(robot, joint.name, "revolute", parent, joint.child, origin)
            ElementTree.SubElement(robot, "link", name=joint.child)
            ElementTree.SubElement(element, "axis", xyz=axis)
            limit = {"lower": str(joint.lower), "upper": str(joint.upper), "effort": "1", "velocity": "5"}
            ElementTree.SubElement(element, "limit", limit)
            if joint.mimic:
                source, multiplier, offset = joint.mimic
                ElementTree.SubElement(
                    element, "mimic", joint=source, multiplier=str(multiplier), offset=str(offset)
                )
            parent, origin = joint.child, (0.0, 0.0, 0.0 if sideways else 0.035)
        ElementTree.SubElement(robot, "link", name=tip)
        _joint(robot, f"{tip}_fixed", "fixed", parent, tip, (0.0, 0.0, 0.03))
    return ElementTree.tostring(robot, encoding="unicode")


def _joint(
    robot: ElementTree.Element, name: str, kind: str, parent: str, child: str, xyz: tuple[float, float, float]
) -> ElementTree.Element:
    joint = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(joint, "origin", xyz=" ".join(map(str, xyz)))
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=child)
    return joint


def _leap(side: str) -> Structure:
    # Of each finger, motor 1 (forward) comes before motor 0 (side); the thumb's four are in a row.
    limits = {1: (-0.314, 2.23), 0: (-1.047, 1.047), 2: (-0.506, 1.885), 3: (-0.366, 2.042)}
    fingers = tuple(
        (
            finger,
            tuple(
                Joint(str(4 * number + motor), f"{finger}_{motor}", *limits[motor]) for motor in (1, 0, 2, 3)
            ),
            f"{finger}_tip_head",
        )
        for number, finger in enumerate(("index", "middle", "ring"))
    )
    ranges = ((-0.349, 2.094), (-0.47, 2.443), (-1.2, 1.9), (-1.34, 1.88))
    thumb = tuple(Joint(str(12 + motor), f"thumb_{motor}", *limit) for motor, limit in enumerate(ranges))
    return Structure("base", "palm_lower", (*fingers, ("thumb", thumb, "thumb_tip_head")))


def _allegro(side: str) -> Structure:
    ranges = ((-0.3, 0.3), (-0.01, 1.6), (-0.07, 1.86), (-0.02, 2.01))
    thumb = ((0.0, 1.78), (-0.26, 1.65), (-0.05, 1.85), (-0.09, 1.8))
    return Structure(
        "world",
        "palm_link",
        tuple(
            (
                finger,
                tuple(
                    Joint(f"joint_{4 * number + i}_0", f"link_{4 * number + i}_0", *limit)
                    for i, limit in enumerate(thumb if finger == "thumb" else ranges)
                ),
                f"link_{4 * number + 3}_0_tip",
            )
            for number, finger in enumerate(("index", "middle", "ring", "thumb"))
        ),
    )


def _coupled(finger: str, prefix: str, upper: float, multiplier: float, offset: float, tip: str) -> tuple:
    """A finger of one motor, whose second joint follows."""
    names = f"{prefix}proximal_joint", f"{prefix}second_joint"
    second = multiplier * upper + offset + 0.01
    return (
        finger,
        (
            Joint(names[0], f"{prefix}proximal", 0.0, upper),
            Joint(names[1], f"{prefix}second", min(0.0, offset), second, (names[0], multiplier, offset)),
        ),
        tip,
    )


def _inspire(side: str) -> Structure:
    pitch = "thumb_proximal_pitch_joint"
    thumb = (
        Joint("thumb_proximal_yaw_joint", "thumb_proximal_base", 0.0, 1.308),
        Joint(pitch, "thumb_proximal", 0.0, 0.6),
        Joint("thumb_intermediate_joint", "thumb_intermediate", 0.0, 0.8, (pitch, 1.334, 0.0)),
        Joint("thumb_distal_joint", "thumb_distal", 0.0, 0.4, (pitch, 0.667, 0.0)),
    )
    names = {"index": "index", "middle": "middle", "ring": "ring", "little": "pinky"}
    fingers = tuple(_coupled(f, f"{n}_", 1.47, 1.06399, -0.04545, f"{n}_tip") for f, n in names.items())
    return Structure("base", "hand_base_link", (("thumb", thumb, "thumb_tip"), *fingers))


def _revo2(side: str) -> Structure:
    proximal = f"{side}_thumb_proximal_joint"
    thumb = (
        Joint(f"{side}_thumb_metacarpal_joint", f"{side}_thumb_metacarpal_link", 0.0, 1.57),
        Joint(proximal, f"{side}_thumb_proximal_link", 0.0, 1.03),
        Joint(f"{side}_thumb_distal_joint", f"{side}_thumb_distal_link", 0.0, 1.03, (proximal, 1.0, 0.0)),
    )
    names = {"index": "index", "middle": "middle", "ring": "ring", "little": "pinky"}
    fingers = tuple(
        _coupled(f, f"{side}_{n}_", 1.41, 1.155, 0.0, f"{side}_{n}_tip_link") for f, n in names.items()
    )
    return Structure(
        f"{side}_base_link", f"{side}_base_link", (("thumb", thumb, f"{side}_thumb_tip_link"), *fingers)
    )


def _ability(side: str) -> Structure:
    thumb = (Joint("thumb_q1", "thumb_L1", -2.0, 0.0), Joint("thumb_q2", "thumb_L2", 0.0, 2.0))
    names = {"index": "index", "middle": "middle", "ring": "ring", "little": "pinky"}
    fingers = tuple(
        (
            finger,
            (
                Joint(f"{name}_q1", f"{name}_L1", 0.0, 2.0),
                Joint(f"{name}_q2", f"{name}_L2", 0.0, 1.844, (f"{name}_q1", 0.814, 0.0)),
            ),
            f"{name}_anchor",
        )
        for finger, name in names.items()
    )
    return Structure(
        "base_link", "base", (("thumb", thumb, "thumb_anchor"), *fingers), ("-across", "palmar", "distal")
    )


def _shadow(side: str) -> Structure:
    long_finger = ((4, (-0.349, 0.349)), (3, (-0.262, 1.571)), (2, (0.0, 1.571)), (1, (0.0, 1.571)))
    fingers = []
    for finger, code in (("index", "FF"), ("middle", "MF"), ("ring", "RF"), ("little", "LF")):
        ranges = (((5, (0.0, 0.785)),) if code == "LF" else ()) + long_finger
        joints = tuple(Joint(f"{code}J{n}", f"{code.lower()}{n}", *limit) for n, limit in ranges)
        fingers.append((finger, joints, f"{code.lower()}tip"))
    thumb_ranges = (
        (5, (-1.047, 1.047)),
        (4, (0.0, 1.222)),
        (3, (-0.209, 0.209)),
        (2, (-0.698, 0.698)),
        (1, (-0.262, 1.571)),
    )
    thumb = tuple(Joint(f"THJ{n}", f"th{n}", *limit) for n, limit in thumb_ranges)
    return Structure("world", "palm", (("thumb", thumb, "thtip"), *fingers))
