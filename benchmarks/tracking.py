"""What following hands costs: tracker and filter alone, and finding them in a video beside MediaPipe's tracking.

``python -m benchmarks.tracking [video]``; without a video, a rendered clip of one hand. CPU time, so that other
work on the machine does not count.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import torch

from benchmarks.mediapipe_graph import MediaPipeGraph
from benchmarks.timing import print_header, print_row
from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.estimator.root_filter import RootFilter
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.rendering.clip import render_clip
from hand_pose_ros.tracking.identities import HandIdentities, IdentityConfig
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker, LandmarkTrackerConfig
from hand_pose_ros.tracking.observation import Observation

_FRAMES = 150
_INTERVAL_S = 1 / 30


def identities_and_filter(frames: int = 600) -> tuple[float, float]:
    """Median CPU seconds per frame of the identities and of the root filter, for two hands."""
    generator = np.random.default_rng(Seed.ARBITRARY)
    identities, root_filter = HandIdentities(), RootFilter()
    shape = generator.uniform(0, 150, (2, hand.NUM_JOINTS, 2)) + np.array(((50, 50), (350, 50)))[:, None]
    poses = [_pose(side) for side in hand.SIDES]
    seconds = []
    for number in range(frames):
        points = shape + 5 * number % 100 + generator.normal(0, 1, shape.shape)
        observations = [
            Observation.of(Detection(side, 0.9, box_around(one, 0.1), one), float(side == "right"))
            for side, one in zip(hand.SIDES, points, strict=True)
        ]
        moved = [replace(one, joints_m=one.joints_m + generator.normal(0, 0.003, 3)) for one in poses]
        start = time.thread_time()
        identities.update(observations, number * _INTERVAL_S)
        numbered = time.thread_time()
        root_filter.smooth(moved, number * _INTERVAL_S)
        seconds.append((numbered - start, time.thread_time() - numbered))
    first, second = np.median(seconds, axis=0).tolist()
    return first, second


def _pose(side: str) -> HandPose:
    joints = np.random.default_rng(Seed.ARBITRARY).uniform(0.3, 0.5, (hand.NUM_JOINTS, 3))
    return HandPose(
        side=side,
        score=1.0,
        joints_m=joints,
        rotations=np.zeros((hand.NUM_JOINTS, 3, 3)),
        angles_rad=np.zeros(hand.NUM_ANGLES),
        proportions=np.ones(hand.NUM_BONES),
        anchor_length_m=0.09,
        covariance_m2=np.full((hand.NUM_JOINTS, 3, 3), np.nan),
        wrist_covariance=1e-5 * np.eye(6),
        track_id=hand.SIDES.index(side),
    )


def cpu_seconds(find: Callable[[np.ndarray], object], images: Iterable[np.ndarray]) -> float:
    """Mean CPU seconds of the process for an image."""
    seconds = []
    for image in images:
        start = time.process_time()
        find(image)
        seconds.append(time.process_time() - start)
    return float(np.mean(seconds))


def _images(arguments: list[str]) -> list[np.ndarray]:
    if not arguments:
        return [frame.rendering.image for frame in islice(render_clip(), 60)]
    video = cv2.VideoCapture(arguments[0])
    images = []
    while len(images) < _FRAMES and (read := video.read())[0]:
        images.append(read[1])
    video.release()
    return images


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images = _images(sys.argv[1:])
    height, width = images[0].shape[:2]
    camera = CameraModel.from_fov(width, height, 1.0)  # no network looks at it
    print_header()
    for name, seconds in zip(("identities", "root filter"), identities_and_filter(), strict=True):
        print_row(f"{name}, two hands", seconds)
    for max_hands in (1, 2):
        config = LandmarkTrackerConfig(identity=IdentityConfig(max_hands=max_hands))
        tracker = LandmarkTracker(*create_finders(threads=1), config)
        graph = MediaPipeGraph(max_hands)
        times = iter(np.arange(len(images)) * _INTERVAL_S)
        ours = cpu_seconds(
            lambda image, tracker=tracker, times=times: tracker.track(Frame(image, camera, next(times))),
            images,
        )
        theirs = cpu_seconds(graph.find, images)
        # The third column is MediaPipe's own tracking mode on the same images.
        print_row(f"{width}x{height}, max_hands {max_hands}, beside MediaPipe", ours, theirs)
        counts = tracker.counts
        share = counts.searches_following / max(counts.frames_following, 1)
        print(f"    the palm detector ran on {100 * share:.1f} % of the frames with a known hand")
        graph.close()
        tracker.close()


if __name__ == "__main__":
    main()
