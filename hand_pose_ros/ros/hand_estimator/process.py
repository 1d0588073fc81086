"""The hand_estimator process runs the node with the pipeline that its parameters describe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hand_pose_ros.ros.hand_estimator.interface import INTERFACE
from hand_pose_ros.ros.shared.command_line import node_main


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    return node_main(INTERFACE, _run, args)


def _run(args: Sequence[str] | None) -> int:
    # Late imports: the help needs no ROS.
    import torch

    from hand_pose_ros.factory import create_pipeline
    from hand_pose_ros.pipeline import FramePipeline
    from hand_pose_ros.ros.hand_estimator.node import HandEstimator
    from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
    from hand_pose_ros.ros.shared.process import run_node

    def create(parameters: HandEstimatorParameters) -> FramePipeline:
        return create_pipeline(parameters.pipeline)

    def hand_estimator() -> HandEstimator:
        return HandEstimator(create)

    # The tensors of a frame are small: more threads would wait for each other and delay the detector.
    torch.set_num_threads(1)
    return run_node(hand_estimator, args=args)


if __name__ == "__main__":
    sys.exit(main())
