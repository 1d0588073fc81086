"""The hand_teleop process runs the node."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from hand_pose_ros.ros.shared.process import run_node
from hand_pose_ros.ros.teleop.node import HandTeleop
from hand_pose_ros.ros.teleop.parameters import TeleopParameters


def hand_teleop() -> HandTeleop:
    """The node, unconfigured."""
    return HandTeleop()


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    torch.set_num_threads(1)  # small tensors; more threads would take the estimator's
    return run_node(hand_teleop, args=args, parameters=TeleopParameters)


if __name__ == "__main__":
    sys.exit(main())
