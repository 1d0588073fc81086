"""The hand_estimator process runs the node with the pipeline that its parameters describe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from hand_pose_ros.factory import create_pipeline
from hand_pose_ros.pipeline import FramePipeline
from hand_pose_ros.ros.hand_estimator.node import HandEstimator
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.shared.process import run_node


def _create_pipeline(parameters: HandEstimatorParameters) -> FramePipeline:
    return create_pipeline(parameters.pipeline)


def hand_estimator() -> HandEstimator:
    """The node, unconfigured."""
    return HandEstimator(_create_pipeline)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    # The tensors of a frame are small: more threads would wait for each other and delay the detector.
    torch.set_num_threads(1)
    return run_node(hand_estimator, args=args, parameters=HandEstimatorParameters)


if __name__ == "__main__":
    sys.exit(main())
