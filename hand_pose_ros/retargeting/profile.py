"""A robot hand's profile: which links follow which human joints, how, and what its driver expects.

Profiles are read from files by :mod:`hand_pose_ros.retargeting.profile_files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hand_pose_ros import hand
from hand_pose_ros.retargeting.command_output import CommandOutput
from hand_pose_ros.retargeting.human_frame import check_rotation, rotation_from_axes
from hand_pose_ros.retargeting.robot_hand import Array, RobotHand

OBJECTIVES: Final = ("vector", "dexpilot", "position")
DEFAULT_AXES: Final = ("palmar", "across", "distal")
"""Base frame of most models, dex-urdf's among them: x out of the palm, z distal, and y mirrored with the side."""


@dataclass(frozen=True)
class LinkVector:
    """A vector of the robot hand that follows one of the human hand.

    origin, task: links at its ends; an empty origin is the origin of the base frame.
    human_origin, human_task: the human joints at its ends, by name (docs/use/frames.md).
    scale: times the profile's scaling. weight: how much it counts.
    """

    task: str
    human_task: str
    origin: str = ""
    human_origin: str = "wrist"
    scale: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        for joint in (self.human_origin, self.human_task):
            if joint not in hand.JOINT_INDEX:
                raise ValueError(f"human joint {joint!r} must be one of {', '.join(hand.JOINT_NAMES)}")
        if self.weight < 0 or self.scale <= 0:
            raise ValueError(
                f"scale must be positive and weight not negative, got {self.scale} and {self.weight}"
            )


@dataclass(frozen=True)
class Fingertip:
    """A fingertip link of the robot and the human joint that it follows, for the DexPilot objective.

    scale: of the vector from the wrist to it, times the profile's scaling.
    """

    link: str
    human: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.human not in hand.JOINT_INDEX:
            raise ValueError(f"human joint {self.human!r} must be one of {', '.join(hand.JOINT_NAMES)}")
        if self.scale <= 0:
            raise ValueError(f"scale must be positive, got {self.scale}")


@dataclass(frozen=True)
class PinchOptions:
    """Pinches of the DexPilot objective (Handa et al. 2019, section IV), thumb to finger and finger to finger.

    project_m: a pinch closes when the human fingertips come nearer than this. escape_m: and opens beyond
        this.
    thumb_gap_m, finger_gap_m: distance of the robot's fingertips in a closed pinch (eta1, eta2).
    finger_project_m: two fingers that both pinch the thumb are brought together below this distance.
    thumb_weight, finger_weight: how much a closed pinch counts, against 1 for an open one.
    """

    project_m: float = 0.03
    escape_m: float = 0.05
    thumb_gap_m: float = 1e-4
    finger_gap_m: float = 0.03
    finger_project_m: float = 0.03
    thumb_weight: float = 200.0
    finger_weight: float = 400.0

    def __post_init__(self) -> None:
        if not 0 < self.project_m <= self.escape_m:
            raise ValueError(
                f"project_m must be positive and at most escape_m, got {self.project_m}, {self.escape_m}"
            )


@dataclass(frozen=True)
class RobotProfile:
    """Retargeting of one human hand to one robot hand; every key of the YAML file is a field here.

    objective: 'vector' (robot vectors follow human vectors), 'dexpilot' (also the vectors between fingertips,
        and pinches close), 'position' (links follow points).
    axes: direction of the human hand along the base frame's x, y and z; ``rotation`` (3, 3) replaces it.
    scaling: the robot hand's size over the human hand's.
    wrist_m: where the human wrist is in the robot's base frame, for vectors that begin there.
    normalise_size: scale every human hand to the same length wrist -> index MCP, so that the estimate of the
        hand's size does not matter.
    smoothness: weight of the squared change of the joints from frame to frame (norm_delta of
        dex-retargeting).
    huber_m: from this error on, the loss grows linearly.
    sigma_m: a vector whose standard deviation is this counts half.
    low_pass_hz: cutoff of a low-pass on the joints, or ``low_pass_alpha``: its factor per frame, for any
        frame rate.
    joint_limits: [lower, upper] by joint, in place of the URDF's. velocity_limits: by joint, likewise;
        ``velocity_limit``: of all other joints.
    target_joints: joints that move; all if empty. The others stay.
    """

    name: str
    objective: str = "dexpilot"
    side: str = "right"
    description: str = ""
    axes: tuple[str, str, str] = DEFAULT_AXES
    rotation: tuple[tuple[float, float, float], ...] | None = None
    scaling: float = 1.0
    wrist_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    normalise_size: bool = True
    vectors: tuple[LinkVector, ...] = ()
    wrist_link: str = ""
    fingertips: tuple[Fingertip, ...] = ()
    pinch: PinchOptions = field(default_factory=PinchOptions)
    smoothness: float = 4e-3
    huber_m: float = 0.02
    sigma_m: float = 0.02
    low_pass_hz: float | None = None
    low_pass_alpha: float | None = None
    joint_limits: Mapping[str, Any] = field(default_factory=dict)
    velocity_limits: Mapping[str, Any] = field(default_factory=dict)
    velocity_limit: float | None = None
    target_joints: tuple[str, ...] = ()
    free_base: bool = False
    ignore_mimic: bool = False
    urdf: str = ""
    command: CommandOutput | None = None

    def __post_init__(self) -> None:
        hand.check_side(self.side)
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {self.objective!r}")
        if self.objective == "dexpilot":
            if not 2 <= len(self.fingertips) <= 5:
                raise ValueError(f"fingertips must be 2 to 5, the thumb first, got {len(self.fingertips)}")
        elif not self.vectors:
            raise ValueError(f"vectors must not be empty with the objective {self.objective!r}")
        for name in ("scaling", "huber_m", "sigma_m"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.smoothness < 0:
            raise ValueError(f"smoothness must not be negative, got {self.smoothness}")
        if self.low_pass_hz is not None and self.low_pass_alpha is not None:
            raise ValueError("low_pass_hz and low_pass_alpha exclude each other")
        if self.low_pass_alpha is not None and not 0 <= self.low_pass_alpha <= 1:
            raise ValueError(f"low_pass_alpha must be between 0 and 1, got {self.low_pass_alpha}")
        if self.low_pass_hz is not None and self.low_pass_hz <= 0:
            raise ValueError(f"low_pass_hz must be positive, got {self.low_pass_hz}")
        _ = self.rotation_base_wrist

    @property
    def rotation_base_wrist(self) -> Array:
        """(3, 3) human wrist frame -> robot base frame."""
        if self.rotation is not None:
            return check_rotation(self.rotation)
        return rotation_from_axes(self.axes, self.side)

    def robot_hand(self, urdf: str) -> RobotHand:
        """The kinematics of the hand with this profile's limits, from the text of its URDF.

        Raises:
            ValueError: see :meth:`RobotHand.from_urdf`.
        """
        limits = {name: tuple(map(float, values)) for name, values in self.joint_limits.items()}
        velocities = {name: float(value) for name, value in self.velocity_limits.items()}
        return RobotHand.from_urdf(
            urdf,
            limits=limits,
            velocities=velocities,
            velocity=self.velocity_limit,
            free_base=self.free_base,
            ignore_mimic=self.ignore_mimic,
        )
