"""How good the hypotheses of diffusion networks are, beyond their mean: on generated hands and on labelled photos.

    python -m benchmarks.hypotheses --weights FILE ... --photos FOLDER ... --docs docs/results/hypotheses.md

Hands are compared relative to their wrists and at their true size. The keypoints of generated hands have the
errors of the fast 2.5D network, those of photos are what it reads, around MediaPipe's landmarks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.detection.own.follower import read_again
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.landmark_reading import open_heatmap_landmarks, read_depths
from hand_pose_ros.evaluation.accuracy.comparison import photo_set
from hand_pose_ros.evaluation.accuracy.keypoint_sets import generated_hands
from hand_pose_ros.evaluation.hypotheses import FIGURES, hypothesis_scores
from hand_pose_ros.evaluation.network_input import network_input
from hand_pose_ros.evaluation.report import cell, markdown_table, replace_between_markers
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network
from hand_pose_ros.pose import Frame

SAMPLES: Final = 8
STEPS: Final = (1, 3, 4, 5, None)


class Hands(NamedTuple):
    """n hands: their keypoints, the true joints (n, 21, 3) relative to the wrist, anchor lengths, in the view, NaN
    where not labelled, and the true anchor lengths (n,), metres.
    """

    condition: KeypointCondition
    joints: torch.Tensor
    size_m: torch.Tensor


def generated(count: int) -> Hands:
    """Sample hands whose keypoints have the errors of the fast 2.5D network."""
    observed = generated_hands(count, landmarks="heatmap")
    return Hands(observed.condition, observed.joints, observed.placed.anchor_length_m)


def photographed(folder: Path, every: int) -> Hands:
    """Read the landmarks of the hands in labelled photos that MediaPipe finds and whose anchor is labelled."""
    detector, landmarks = open_mediapipe(), open_heatmap_landmarks("", "auto", "cpu")
    observations = []
    for one in photo_set(folder.name, read_samples(folder)[::every], detector).observations:
        if np.isfinite(one.joints_m[[hand.WRIST, hand.ANCHOR_JOINT]]).all():
            read = read_again(landmarks, Frame(one.image(), one.camera), one.detection)
            observations.append(replace(one, detection=read))
    detector.close()
    given = network_input(observations)
    taken = [observations[row] for row in given.rows]
    condition = read_depths(given.condition, [one.detection for one in taken])
    flip = np.array([(-1.0 if one.detection.side == "left" else 1.0, 1.0, 1.0) for one in taken])
    relative = np.stack([one.joints_m - one.joints_m[hand.WRIST] for one in taken]) * flip[:, None]
    size = np.linalg.norm(relative[:, hand.ANCHOR_JOINT], axis=-1)
    turn = given.view.rotation.double()
    joints = torch.from_numpy(relative / size[:, None, None]) @ turn.mT
    return Hands(condition, joints, torch.from_numpy(size))


def table(title: str, hands: Hands, networks: Sequence[tuple[str, HandDiffusion]]) -> str:
    """Format the scores of networks and numbers of steps on a set of hands."""
    names, cells = [], []
    for name, network in networks:
        for steps in STEPS:
            drawn = lift(network, hands.condition, SAMPLES, steps).samples.joints
            found = hypothesis_scores(
                drawn.double().numpy(), hands.joints.double().numpy(), hands.size_m.numpy()
            )
            names.append(f"{name}, {f'{steps} steps' if steps else 'ancestral'}")
            cells.append([cell(found[key], decimals) for key, decimals in FIGURES.items()])
    return f"**{title}: {len(hands.joints)} hands**\n\n" + markdown_table(
        ["hypotheses", *FIGURES], names, cells
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write them into a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--weights", type=Path, nargs="+", required=True, help="of keypoint diffusion networks"
    )
    parser.add_argument("--names", nargs="+", help="of these in the tables; by default the files'")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders with a samples.json")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--count", type=int, default=1000, help="generated hands")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    options = parser.parse_args(arguments)
    names = options.names or [path.stem for path in options.weights]
    if len(names) != len(options.weights):
        parser.error("give one name for each weight file")
    torch.set_num_threads(1)
    networks = [
        (name, load_network(path, HAND_DIFFUSION).network)
        for name, path in zip(names, options.weights, strict=True)
    ]
    sets = {"generated": generated(options.count)}
    sets |= {folder.name: photographed(folder, options.every) for folder in options.photos}
    text = "\n\n".join(table(title, hands, networks) for title, hands in sets.items())
    sys.stdout.write(text + "\n")
    if options.docs is not None:
        replace_between_markers(options.docs, text, "benchmarks.hypotheses")


if __name__ == "__main__":
    main()
