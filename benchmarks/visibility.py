"""Measures the visibility of joints on degraded renders, whose truth is known, and on photos with labels by hand.

    python -m benchmarks.visibility --rendered FOLDER --labelled FOLDER --docs docs/results/visibility.md

The estimator gets the landmark network's answer on degraded crops of the renders. Photos need the entry
``uv_manual_visible`` in their ``samples.json``: whether a person who labelled them saw each joint.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.visibility import with_visibility
from hand_pose_ros.evaluation.accuracy.comparison import photo_set
from hand_pose_ros.evaluation.report import replace_between_markers
from hand_pose_ros.files.safe_json import read_json
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.hand_images.shards import ShardedHandImages
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.pose import VISIBILITY, Detection, Frame
from hand_pose_ros.training.tasks.landmark_error import WORSE
from hand_pose_ros.training.tasks.orientation.crops import cut_crops

_SIDE_PX: Final = 224
_LEAST_SCORE: Final = 0.5


def told(estimator: DiffusionEstimator, frame: Frame, detection: Detection) -> np.ndarray | None:
    """Return the visibility (21,) of a hand; None if it cannot be estimated."""
    found = estimator.estimate(frame, [detection])
    (pose,) = with_visibility(frame.camera, place(found))
    return pose.visibility


def rendered(estimator: DiffusionEstimator, folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return true and told visibility (n, 21) of the last ``count`` renders in which the network sees a hand."""
    cv2.setNumThreads(1)
    table = ShardedHandImages([folder])
    hands = table.rows(np.arange(max(len(table) - count, 0), len(table)))
    hands = hands.rows(np.isfinite(hands.joints).all((1, 2)))
    crops = cut_crops(hands, WORSE, np.random.default_rng(Seed.DEGRADATION), _SIDE_PX)
    _, landmarks = create_finders()
    joints = torch.from_numpy(crops.joints + crops.wrist[:, None]).float()
    unhidden = joints_visible(joints, torch.ones(hands.count)).numpy()
    true, found = [], []
    for row in range(hands.count):
        focal = _SIDE_PX / 2 / float(crops.half_extent[row])
        middle = (_SIDE_PX - 1) / 2
        camera = CameraModel.pinhole(focal, focal, middle, middle, _SIDE_PX, _SIDE_PX)
        frame = Frame(crops.image[row], camera)
        answer = landmarks.near(frame, (crops.points[row] + 1) * _SIDE_PX / 2 - 0.5, "right")
        if answer is None or answer.detection.score < _LEAST_SCORE:
            continue
        pixels = answer.detection.landmarks_px
        assert pixels is not None
        one = Detection(
            "right", answer.detection.score, box_around(pixels, 0.1), pixels, answer.detection.landmarks_m,
            crop=answer.detection.crop,
        )  # fmt: skip
        flags = told(estimator, frame, one)
        if flags is None:
            continue
        inside = (np.abs(crops.points[row]) < 1).all(-1)
        truth = np.where(crops.visible[row], 0, np.where(unhidden[row], 2, 1))
        true.append(np.where(inside, truth, 3))
        found.append(flags)
    return np.stack(true), np.stack(found)


def labelled(estimator: DiffusionEstimator, folder: Path, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the labeller saw each joint (n, 21), and the told visibility, of joints inside the images."""
    entries = {
        one["image"]: one["uv_manual_visible"] for one in read_json(folder / "samples.json")["samples"]
    }
    photos = read_samples(folder)[::every]
    seen = {str(photo.path): entries[str(photo.path.relative_to(folder))] for photo in photos}
    detector, true, found = open_mediapipe(), [], []
    for photo in photos:
        observations = photo_set(folder.name, [photo], detector).observations
        for one in observations:
            flags = told(estimator, Frame(one.image(), one.camera), one.detection)
            if flags is not None:
                true.append(list(seen[str(photo.path)]))
                found.append(flags)
    detector.close()
    return np.array(true, dtype=object), np.stack(found)


def rendered_table(true: np.ndarray, found: np.ndarray) -> str:
    """Format the confusion of the four values."""
    lines = ["| true | n | " + " | ".join(VISIBILITY) + " |", "|---|---|" + "---|" * len(VISIBILITY)]
    for value, name in enumerate(VISIBILITY):
        chosen = true == value
        shares = [100 * (found[chosen] == other).mean() for other in range(len(VISIBILITY))]
        lines.append(f"| {name} | {chosen.sum()} | " + " | ".join(f"{one:.0f} %" for one in shares) + " |")
    seen = ((true == 0) == (found == 0)).mean()
    lines.append(
        f"\nVisible or not: {100 * seen:.0f} % right; always *visible*: {100 * (true == 0).mean():.0f} %."
    )
    return "\n".join(lines)


def labelled_table(true: np.ndarray, found: np.ndarray) -> str:
    """Format how often joints that a person saw, and those that he did not, are told visible."""
    lines = ["| labelled | n | " + " | ".join(VISIBILITY) + " |", "|---|---|" + "---|" * len(VISIBILITY)]
    for name, wanted in (("seen", True), ("not seen", False)):
        chosen = np.array([[value is not None and bool(value) == wanted for value in row] for row in true])
        shares = [100 * (found[chosen] == other).mean() for other in range(len(VISIBILITY))]
        lines.append(f"| {name} | {chosen.sum()} | " + " | ".join(f"{one:.0f} %" for one in shares) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write them into a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rendered", type=Path, help="folder of shards that the network was not trained on")
    parser.add_argument("--count", type=int, default=512, help="how many renders")
    parser.add_argument("--labelled", type=Path, help="photos with labels of what is visible")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    options = parser.parse_args(arguments)
    estimator, texts = DiffusionEstimatorConfig().create(None, "cpu"), []
    if options.rendered is not None:
        table = rendered_table(*rendered(estimator, options.rendered, options.count))
        texts.append(f"**Degraded renders**\n\n{table}")
    if options.labelled is not None:
        table = labelled_table(*labelled(estimator, options.labelled, options.every))
        texts.append(f"**{options.labelled.name}**\n\n{table}")
    text = "\n\n".join(texts)
    sys.stdout.write(text + "\n")
    if options.docs is not None:
        replace_between_markers(options.docs, text, "benchmarks.visibility")


if __name__ == "__main__":
    main()
