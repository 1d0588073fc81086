"""The robot_simulator process runs the node."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hand_pose_ros.ros.robot_simulator.interface import INTERFACE
from hand_pose_ros.ros.shared.command_line import node_main


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    return node_main(INTERFACE, _run, args)


def _run(args: Sequence[str] | None) -> int:
    # Late imports: the help needs no ROS.
    from hand_pose_ros.ros.robot_simulator.node import RobotSimulator
    from hand_pose_ros.ros.shared.process import run_node

    return run_node(RobotSimulator, args=args)


if __name__ == "__main__":
    sys.exit(main())
