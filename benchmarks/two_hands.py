"""Track ids of two rendered hands that cross, touch, or of which one leaves and returns: docs/how/tracking.md.

``python -m benchmarks.two_hands [clips of each kind, 20] [noise, 0]``. The noise is the largest change of a
pixel's value; it changes the networks' answers at least as much as another processor's rounding does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parent.parent / "test")]

from helpers.identity_score import IdentityScore, score  # noqa: E402
from helpers.two_hand_clips import KINDS, TwoHandFrame, cut_out_clip, sides  # noqa: E402

from hand_pose_ros.detection.mediapipe.finders import create_finders  # noqa: E402
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker  # noqa: E402

_ROW = "{:<12} {:>10} {:>12} {:>12} {:>12} {:>14} {:>14} {:>16}"


def noisy(clip: Iterable[TwoHandFrame], noise: int, seed: int) -> Iterator[TwoHandFrame]:
    """Add uniform noise from ``-noise`` to ``noise`` to each pixel of a clip's frames."""
    generator = np.random.default_rng(seed)
    for one in clip:
        image = one.frame.image_bgr + generator.integers(-noise, noise + 1, one.frame.image_bgr.shape)
        yield replace(one, frame=replace(one.frame, image_bgr=np.clip(image, 0, 255).astype(np.uint8)))


def _print_row(kind: str, results: list[IdentityScore]) -> None:
    found = np.array([one.found for one in results])
    searches = np.array([one.search_share for one in results])
    print(
        _ROW.format(
            kind,
            f"{sum(one.switches == 0 for one in results)} of {len(results)}",
            f"{sum(len(ids) == 1 for one in results for ids in one.numbers)} of {2 * len(results)}",
            sum(one.wrong_sides for one in results),
            sum(one.late for one in results),
            " ".join(f"{100 * share:.0f} %" for share in found.mean(axis=0)),
            " ".join(f"{100 * share:.0f} %" for share in found.min(axis=0)),
            f"{100 * searches.mean():.1f} % ({100 * searches.max():.1f} %)",
        )
    )


def main() -> None:
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    noise = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    header = ("", "no exchange", "one id", "wrong sides", "late", "found, mean", "least", "palm detector")
    print(_ROW.format(*header))
    with closing(LandmarkTracker(*create_finders(threads=1))) as tracker:
        for kind in KINDS:
            results = []
            for seed in range(count):
                tracker.reset()
                clip = cut_out_clip(kind, seed)
                results.append(score(noisy(clip, noise, seed) if noise else clip, tracker, sides(kind)))
            _print_row(kind, results)


if __name__ == "__main__":
    main()
