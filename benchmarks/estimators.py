"""The processor time from image to HandPose by estimator, on one tracked hand of the rendered clip at 640x480.

``python -m benchmarks.estimators [estimators]``, by default ``mesh_diffusion``, beside the default estimator. All
see each frame, one after the other, on one thread. Other work on the machine changes times by the clock, but
hardly the ratio of processor times.
"""

from __future__ import annotations

import sys
import time
from itertools import islice

import cv2
import numpy as np
import torch

from benchmarks.timing import print_header, print_row
from hand_pose_ros.factory import PipelineConfig, create_pipeline
from hand_pose_ros.pose import Frame
from hand_pose_ros.rendering.clip import CLIP_CAMERA, render_clip

_FRAMES, _WARM_UP = 70, 10


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    default = PipelineConfig().flat()["estimator"]
    pipelines = {
        name: create_pipeline(
            PipelineConfig.from_flat({"estimator": name, "tracker.max_hands": 1, "device": "cpu"})
        )
        for name in dict.fromkeys((*(sys.argv[1:] or ("mesh_diffusion",)), default))
    }
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    found = dict.fromkeys(pipelines, 0)
    for number, drawn in enumerate(islice(render_clip(), _FRAMES)):
        for name, pipeline in pipelines.items():
            start = time.process_time()
            hands = pipeline.process(Frame(drawn.rendering.image, CLIP_CAMERA, number / 30)).hands
            if number >= _WARM_UP:
                seconds[name].append(time.process_time() - start)
                found[name] += any(one.valid for one in hands)
    middle = {name: float(np.median(values)) for name, values in seconds.items()}
    print_header()
    for name, value in middle.items():
        print_row(f"{name}, a hand in {found[name]} of {_FRAMES - _WARM_UP} frames", value)
        print(f"    {value / middle[default]:.2f} times the processor time of {default}")
    for pipeline in pipelines.values():
        pipeline.close()


if __name__ == "__main__":
    main()
