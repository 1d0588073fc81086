"""The video_player process plays until its source ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hand_pose_ros.ros.shared.command_line import answer
from hand_pose_ros.ros.shared.ending import node_process
from hand_pose_ros.ros.video_player.interface import INTERFACE


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    code = answer(INTERFACE, sys.argv[1:] if args is None else args)
    if code is not None:
        return code
    return _run(args) if args is not None else node_process(lambda: _run(None))


def _run(args: Sequence[str] | None) -> int:
    # Late imports: the help needs neither ROS nor the libraries.
    from hand_pose_ros.ros.shared.process import run_node
    from hand_pose_ros.ros.video_player.node import VideoPlayer

    return run_node(VideoPlayer, VideoPlayer.play, args)


if __name__ == "__main__":
    sys.exit(main())
