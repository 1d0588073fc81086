"""The ``hand_pose benchmark`` command: estimators on a public data set, beside the published figures."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from hand_pose_ros.common.parts import add_part_argument
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet
from hand_pose_ros.datasets.protocols import PROTOCOLS
from hand_pose_ros.datasets.published import published_rows
from hand_pose_ros.datasets.registry import open_set
from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.evaluation.benchmark import estimation
from hand_pose_ros.evaluation.benchmark.estimation import BenchmarkRun, Look, Method
from hand_pose_ros.evaluation.benchmark.parts import merge_parts, save_part
from hand_pose_ros.evaluation.benchmark.scoring import Score, score
from hand_pose_ros.evaluation.benchmark.submission import write_submission
from hand_pose_ros.evaluation.benchmark.tables import benchmark_table, benchmark_values, plot_curves
from hand_pose_ros.factory import ESTIMATORS
from hand_pose_ros.files.atomic_file import atomic_path, write_text_atomically
from hand_pose_ros.hand_images.labelled.command import add_set_arguments, parse_options, set_help
from hand_pose_ros.hand_images.labelled.sheet import labelled_sheet
from hand_pose_ros.mesh.mano import load_mano

DETECTOR: Final = "mediapipe"
PERFECT: Final = "labels"
METHODS: Final = (*ESTIMATORS, DETECTOR, PERFECT)
WORST: Final = 20
_MM: Final = 1e3

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    options.estimator = list(dict.fromkeys(options.estimator or ["diffusion"]))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        sys.stdout.write(benchmark(options) + "\n")
    except (ValueError, ImportError, OSError) as error:
        sys.stderr.write(f"hand_pose benchmark: {error}\n")
        return 2
    return 0


def benchmark(options: argparse.Namespace) -> str:
    """Estimate, score, write the requested files, and return the table.

    Raises:
        ValueError: an unknown set, protocol, method or option, or a malformed set.
        ImportError: the detector is not installed.
    """
    protocols = PROTOCOLS[options.set]
    if options.protocol not in protocols:
        raise ValueError(f"{options.set} has no protocol {options.protocol!r}, only {', '.join(protocols)}")
    protocol = protocols[options.protocol]
    if options.submission is not None and (not protocol.server or options.every != 1 or options.limit):
        raise ValueError("--submission needs all hands of a set with a server: freihand or ho3d")
    if options.merge and (options.output is None or not options.part.whole):
        raise ValueError("--merge takes the parts in the folder --output, without --part")
    if not options.part.whole and (options.output is None or options.submission is not None):
        raise ValueError("--part needs --output, the folder of all parts; --submission belongs to --merge")
    hands = open_set(options.set, options.path, parse_options(options.option), options.malformed)
    meshes = bool(protocol.f_scores or options.submission)
    if options.merge:
        result = merge_parts(options.output, _settings(hands, options, meshes), hands)
    else:
        chosen = _Chosen(hands, options)
        with _opened(options.estimator, options.look) as look:
            methods = {name: _method(name, options, meshes) for name in options.estimator}
            estimated = estimation.estimate(chosen, methods, look, meshes)
        if not options.part.whole:
            settings = _settings(hands, options, meshes)
            path = save_part(options.output, options.part, settings, chosen.kept, estimated)
            return f"part {options.part} of {hands.title}: {len(estimated.hands)} hands in {path}"
        result = estimation.whole_run(estimated)
    scores = {name: score(protocol, one, result.labels) for name, one in result.estimates.items()}
    found = {name: float(one.found.mean()) for name, one in result.estimates.items()}
    published = published_rows(options.set, options.protocol)
    table = benchmark_table(protocol, scores, found, published)
    title = f"**{hands.title}**, {len(result.hands)} hands, protocol `{options.protocol}`"
    text = f"{title}: {protocol.rule}\n\n{table}"
    if options.output is not None:
        record = {
            "set": options.set,
            "protocol": options.protocol,
            "options": hands.options.flat(),
            "hands": len(result.hands),
            "detected": float(result.detected.mean()),
            "left_out_of_the_index": len(hands.skipped),
            **benchmark_values(scores, found, published),
        }
        _write(options.output, text, record, scores, result)
    if options.submission is not None:
        write_submission(result.estimates[options.estimator[0]], protocol.server, options.submission)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hand_pose benchmark",
        description=(__doc__ or "").split("\n")[0],
        epilog=set_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_set_arguments(parser)
    parser.add_argument(
        "--estimator",
        action="append",
        choices=METHODS,
        help=f"what to score; may be repeated; {DETECTOR}: the detector's own 3D, placed by PnP; "
        f"{PERFECT}: the labels, to check a set (default: diffusion)",
    )
    parser.add_argument("--weights", default="", help="weights of the diffusion estimator")
    parser.add_argument("--heatmap-weights", default="", help="weights of the heatmap estimator")
    parser.add_argument("--mesh-weights", default="", help="weights of the mesh diffusion estimator")
    parser.add_argument(
        "--mano",
        type=Path,
        help="your licensed MANO_RIGHT.npz or .pkl: hands get its mesh, whose vertices are those of the labels",
    )
    parser.add_argument(
        "--hand-size-m", type=float, help="bone wrist -> index MCP; the mean of adults if not given"
    )
    parser.add_argument("--device", default="auto", help="where networks run")
    parser.add_argument(
        "--protocol",
        default="paper",
        help="rule of scoring (default: paper); one of "
        + "; ".join(f"{name}: {', '.join(one)}" for name, one in PROTOCOLS.items()),
    )
    parser.add_argument(
        "--look",
        choices=("detector", "labels"),
        default="detector",
        help="where hands are looked for: in the whole image, or, as in the papers, where the labels are",
    )
    parser.add_argument("--every", type=int, default=1, help="take every n-th hand")
    parser.add_argument("--limit", type=int, default=0, help="stop after so many hands")
    parser.add_argument(
        "--output", type=Path, help="folder for benchmark.md, benchmark.json, curves.png, worst.jpg"
    )
    add_part_argument(parser, "hands, whose estimates are stored in the folder --output")
    parser.add_argument(
        "--merge",
        action="store_true",
        help="estimate nothing: score the parts in the folder --output, with their other options; "
        "the protocol may be another",
    )
    parser.add_argument(
        "--submission", type=Path, metavar="ZIP", help="file for the set's server, of the first estimator"
    )
    return parser


@contextmanager
def _opened(estimators: Sequence[str], look: str) -> Iterator[Look]:
    """Open what finds the hands; nothing, if only the labels are scored."""
    if set(estimators) == {PERFECT}:
        yield estimation.by_nobody
        return
    if look == "labels":
        from hand_pose_ros.detection.mediapipe.finders import create_finders

        yield estimation.by_labels(create_finders()[1])
        return
    from hand_pose_ros.hand_images.detections import open_mediapipe

    detector = open_mediapipe()
    try:
        yield estimation.by_detector(detector)
    finally:
        detector.close()


def _method(name: str, options: argparse.Namespace, meshes: bool) -> Method:
    if name == PERFECT:
        return estimation.perfect
    if name == DETECTOR:
        return estimation.detector_method
    given = {
        "diffusion": ("model_file", options.weights),
        "heatmap": ("weights", options.heatmap_weights),
        "mesh_diffusion": ("weights", options.mesh_weights),
    }
    option, value = given.get(name, ("", ""))
    values = {option: value} if value else {}
    estimator = ESTIMATORS[name].from_flat(values).create(options.hand_size_m, options.device)
    mano = None if options.mano is None else load_mano(options.mano)
    return estimation.estimator_method(estimator, meshes, mano)


class _Chosen:
    """The chosen hands of the set, or of a part of them; where malformed files are skipped, without those whose
    labels or image cannot be read.

    kept: numbers in the set of the hands that were yielded.
    """

    def __init__(self, hands: LabelledSet[Any], options: argparse.Namespace) -> None:
        numbers = range(0, len(hands), options.every)
        numbers = numbers[: options.limit] if options.limit else numbers
        self._hands, self._numbers = hands, options.part.of(numbers)
        self._skips = options.malformed == "skipped"
        self.kept: list[int] = []

    def __iter__(self) -> Iterator[LabelledHand]:
        for number in self._numbers:
            try:
                one = self._hands[number]
                if self._skips:
                    one.image()
            except MalformedFileError as error:
                if not self._skips:
                    raise
                _log.warning("left out: %s", error)
                continue
            self.kept.append(number)
            yield one


def _settings(hands: LabelledSet[Any], options: argparse.Namespace, meshes: bool) -> dict[str, Any]:
    """Return everything that decides which hands are estimated and how, for the parts of a benchmark."""
    named = (
        "estimator",
        "weights",
        "heatmap_weights",
        "mesh_weights",
        "hand_size_m",
        "look",
        "every",
        "limit",
    )
    settings = {name: getattr(options, name) for name in (*named, "malformed")}
    settings["mano"] = options.mano is not None
    of_set = {"set": hands.name, "hands": len(hands), "options": hands.options.flat()}
    return {**of_set, **settings, "meshes": meshes}


def _write(
    folder: Path, text: str, record: dict[str, Any], scores: dict[str, Score], result: BenchmarkRun
) -> None:
    write_text_atomically(folder / "benchmark.md", text + "\n")
    write_text_atomically(folder / "benchmark.json", json.dumps(record, indent=1) + "\n")
    plot_curves(scores, folder / "curves.png")
    first, one = next(iter(scores.items()))
    rows = worst_hands(one.worst)
    if len(rows):
        sheet = labelled_sheet(
            [result.hands[row] for row in rows],
            [result.estimates[first].points_px[row] for row in rows],
            [f"{result.hands[row].path.name} {_length(one.worst[row], result.hands[row])}" for row in rows],
        )
        with atomic_path(folder / "worst.jpg") as unfinished:
            unfinished.write_bytes(cv2.imencode(".jpg", sheet)[1].tobytes())


def worst_hands(errors: np.ndarray, count: int = WORST) -> np.ndarray:
    """Return the rows of the largest finite errors (n,), the largest first."""
    rows = np.flatnonzero(np.isfinite(errors))
    return rows[np.argsort(-errors[rows], kind="stable")][:count]


def _length(error: float, one: LabelledHand) -> str:
    """Return an error of the protocol's first view as a text: millimetres, or image points without 3D."""
    return f"{_MM * error:.0f} mm" if one.known.any() else f"{error:.2f}"
