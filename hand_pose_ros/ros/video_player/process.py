"""The video_player process plays until its source ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hand_pose_ros.ros.shared.command_line import node_main
from hand_pose_ros.ros.video_player.interface import INTERFACE


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    return node_main(INTERFACE, _run, args)


def _run(args: Sequence[str] | None) -> int:
    # Late imports: the help needs neither ROS nor the libraries.
    from hand_pose_ros.ros.shared.process import run_node
    from hand_pose_ros.ros.video_player.node import VideoPlayer

    return run_node(VideoPlayer, VideoPlayer.play, args)


if __name__ == "__main__":
    sys.exit(main())
