"""The hand_teleop process runs the node."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hand_pose_ros.ros.shared.command_line import answer
from hand_pose_ros.ros.shared.ending import node_process
from hand_pose_ros.ros.teleop.interface import INTERFACE


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    code = answer(INTERFACE, sys.argv[1:] if args is None else args)
    if code is not None:
        return code
    return _run(args) if args is not None else node_process(lambda: _run(None))


def _run(args: Sequence[str] | None) -> int:
    # Late imports: the help needs no ROS.
    import torch

    from hand_pose_ros.ros.shared.process import run_node
    from hand_pose_ros.ros.teleop.node import HandTeleop

    torch.set_num_threads(1)  # small tensors; more threads would take the estimator's
    return run_node(HandTeleop, args=args)


if __name__ == "__main__":
    sys.exit(main())
