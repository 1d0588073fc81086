"""The ``hand_pose evaluate-detectors`` command: the own detector beside MediaPipe's, on the same images."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector
from hand_pose_ros.detection.own.detector import OwnDetector, OwnDetectorConfig
from hand_pose_ros.evaluation.detection.images import (
    SceneImage,
    images_without_hands,
    labelled_photos,
    parts_without_hands,
    unseen_photos,
)
from hand_pose_ros.evaluation.detection.scores import Counts, SearchingDetector, score
from hand_pose_ros.evaluation.report import replace_between_markers
from hand_pose_ros.files.atomic_file import write_text_atomically

_COMMAND: Final = "hand_pose evaluate-detectors"
_SHARES: Final = {"near": 0.6, "middle": 0.25, "far": 0.1}
"""Extent of a hand as a share of the image's width."""
_FAR: Final = 0.35  # size of a labelled photo in the far set
_HEAD: Final = ("images", "detector", "palms", "false palms", "hands", "side", "false hands", "2D error")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog=_COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, help="labelled photos with a samples.json")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="photos with pseudo-labels")
    parser.add_argument("--without", type=Path, nargs="*", default=[], help="folders of images without hands")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--weights", default="", help="weights of the hand detector; default: the shipped")
    parser.add_argument("--landmark-weights", default="", help="those of the fast 2.5D network")
    parser.add_argument("--output", type=Path, help="JSON file of all counts")
    parser.add_argument("--docs", type=Path, help="document whose table is replaced")
    options = parser.parse_args(arguments)
    try:
        text, counts = _evaluate(options)
        if options.output is not None:
            write_text_atomically(options.output, json.dumps(counts, indent=1) + "\n")
        if options.docs is not None:
            replace_between_markers(options.docs, text, _COMMAND)
    except (ValueError, ImportError) as error:
        sys.stderr.write(f"{_COMMAND}: {error}\n")
        return 2
    return 0


def _evaluate(options: argparse.Namespace) -> tuple[str, dict[str, dict[str, dict]]]:
    if options.every < 1:
        raise ValueError(f"--every must be at least 1, got {options.every}")
    detectors: dict[str, SearchingDetector] = {
        "own": OwnDetector(
            OwnDetectorConfig(
                weights=options.weights, landmark_weights=options.landmark_weights, device="cpu"
            )
        ),
        "MediaPipe": MediaPipeDetector(MediaPipeConfig(device="cpu")),
    }
    counts: dict[str, dict[str, Counts]] = {}
    for name, images in _sets(options):
        counts[name] = score(detectors, images)
        sys.stdout.write("\n".join(_rows(name, counts[name])) + "\n")
        sys.stdout.flush()
    rows = [row for name, of_set in counts.items() for row in _rows(name, of_set)]
    table = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD), *rows]
    return "\n".join(table), {
        name: {detector: asdict(one) for detector, one in of_set.items()} for name, of_set in counts.items()
    }


def _sets(options: argparse.Namespace) -> Iterator[tuple[str, Iterator[SceneImage]]]:
    """Yield the sets of images with their names."""
    every = options.every
    if options.real:
        for name, share in _SHARES.items():
            title = f"unseen sources, {name}: {100 * share:.0f} % of the width"
            yield title, unseen_photos(options.real, share, every)
    for folder in options.folders:
        yield folder.name, labelled_photos(folder, every)
        yield f"{folder.name}, far: {_FAR} of the size", labelled_photos(folder, every, _FAR)
    if options.real:
        yield "parts of unseen photos without hands", parts_without_hands(options.real, every)
    for folder in options.without:
        yield f"images without hands: {folder.name}", images_without_hands(folder)


def _rows(name: str, counts: dict[str, Counts]) -> list[str]:
    rows = []
    for detector, one in counts.items():
        first = f"{name} ({one.images})" if not rows else ""
        rows.append("| " + " | ".join((first, detector, *one.row())) + " |")
    return rows
