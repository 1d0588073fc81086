"""Robot hands for the tests of retargeting: small URDFs, human joints of named poses, and a hand that moves."""

from __future__ import annotations

import math

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import Retargeter

LIMIT = '<limit lower="-1" upper="1" velocity="2" effort="1"/>'


def joint(
    name: str, parent: str, child: str, kind: str = "revolute", inside: str = LIMIT, xyz: str = "0.05 0 0"
) -> str:
    """One joint about z, ``xyz`` from its parent."""
    return (
        f'<joint name="{name}" type="{kind}"><origin xyz="{xyz}"/><parent link="{parent}"/><child link="{child}"/>'
        f'<axis xyz="0 0 1"/>{inside}</joint>'
    )


def urdf(*joints: str, links: str = "base a b c tip") -> str:
    """A URDF of these joints and links."""
    named = "".join(f'<link name="{name}"/>' for name in links.split())
    return f'<robot name="test">{named}{"".join(joints)}</robot>'


def finger(*inside: str, kinds: tuple[str, ...] = ("revolute", "revolute", "revolute")) -> str:
    """A finger of three joints q1, q2, q3 and a tip, with what stands inside each joint."""
    links = ("base", "a", "b", "c")
    joints = [
        joint(f"q{i + 1}", links[i], links[i + 1], kinds[i], inside[i] if i < len(inside) else LIMIT)
        for i in range(3)
    ]
    return urdf(*joints, joint("q_tip", "c", "tip", "fixed", ""))


def human_joints(pose: str, side: str = "right") -> np.ndarray:
    """Joints (21, 3) of a named pose in the wrist frame, metres, of a hand of mean proportions."""
    angles = list(hand.limits()[1])
    for name, degrees in GESTURES_DEG[pose].items():
        angles[hand.ANGLE_INDEX[name]] = math.radians(degrees)
    return _posed(angles, side)


def random_joints(random: np.random.Generator, side: str = "right") -> np.ndarray:
    """Joints (21, 3) of a hand whose angles are uniform inside their limits."""
    lower, _, upper = (np.array(limit) for limit in hand.limits())
    return _posed(list(random.uniform(lower, upper)), side)


def between(first: np.ndarray, second: np.ndarray, count: int) -> list[np.ndarray]:
    """``count`` hands on the way from one to the other."""
    return [first + (second - first) * t for t in np.linspace(0, 1, count)]


def demo_retargeter(side: str = "right") -> Retargeter:
    """The demonstration hand's retargeter."""
    profile = read_profile("demo_hand", side)
    return Retargeter(profile, profile.robot_hand(demo_hand_urdf(side)))


def _posed(angles: list[float], side: str) -> np.ndarray:
    frames = forward_kinematics(
        torch.tensor([angles], dtype=torch.float64),
        torch.tensor([[mean for _, mean, _ in hand.PROPORTIONS]], dtype=torch.float64),
        anchor_length=hand.MEAN_ANCHOR_LENGTH_M,
        side=side,
    )
    return frames.joints[0].numpy()
