"""The hand_teleop process runs the node."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hand_pose_ros.ros.shared.command_line import node_main
from hand_pose_ros.ros.teleop.interface import INTERFACE


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    return node_main(INTERFACE, _run, args)


def _run(args: Sequence[str] | None) -> int:
    # Late imports: the help needs no ROS.
    import torch

    from hand_pose_ros.ros.shared.process import run_node
    from hand_pose_ros.ros.teleop.driver import LONGEST_END_S
    from hand_pose_ros.ros.teleop.node import HandTeleop

    torch.set_num_threads(1)  # small tensors; more threads would take the estimator's
    return run_node(HandTeleop, args=args, clean_up_s=LONGEST_END_S)


if __name__ == "__main__":
    sys.exit(main())
