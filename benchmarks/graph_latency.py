"""Latency of the live graph on a video, per stage and from image stamp to publication, beside MediaPipe alone.

``tools/run python -m benchmarks.graph_latency [video]``: without a video, the rendered clip. MediaPipe's own
tracking runs on the same frames right after, in this process, with nothing around it.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from benchmarks.live_graph import live_graph
from benchmarks.mediapipe_graph import MediaPipeGraph
from hand_pose_ros.video.open import open_source

_MOST_FRAMES = 600


def mediapipe_alone_ms(source: str) -> list[float]:
    """Time of MediaPipe's tracking mode on each frame."""
    detector = MediaPipeGraph(max_hands=1)
    times = []
    video = open_source(source)
    while len(times) < _MOST_FRAMES and (frame := video.read()) is not None:
        start = time.perf_counter()
        detector.find(frame.image)
        times.append(1e3 * (time.perf_counter() - start))
    detector.close()
    return times


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else "clip"
    with live_graph(source) as graph:
        graph.hands.wait_for(1)
        while graph.player.running and len(graph.hands) < _MOST_FRAMES:
            time.sleep(0.2)
        time.sleep(1.5)  # the last diagnostics
        values, latencies_ms = graph.latency_values(), 1e3 * np.array(graph.latencies_s)
    alone = mediapipe_alone_ms(source)
    reference = float(np.median(alone))
    row = "{:<34} {:>9} {:>9} {:>9} {:>22}".format
    print(row("milliseconds", "median", "p95", "p99", "of MediaPipe's median"))
    for stage in (
        "convert",
        "detect",
        "estimate",
        "smooth",
        "place",
        "publish",
        "total",
        "stamp to publication",
    ):
        percentiles = [values[f"{stage} {rank} (ms)"] for rank in ("median", "p95", "p99")]
        print(row(stage, *(f"{value:.1f}" for value in percentiles), f"{percentiles[0] / reference:.2f}x"))
    shown = [f"{value:.1f}" for value in np.percentile(latencies_ms, (50, 95, 99))]
    print(row("stamp to arrival in this process", *shown, f"{np.median(latencies_ms) / reference:.2f}x"))
    print(
        row(
            "MediaPipe alone, same frames", *(f"{v:.1f}" for v in np.percentile(alone, (50, 95, 99))), "1.00x"
        )
    )
    overhead = values["convert median (ms)"] + values["publish median (ms)"]
    print(f"node overhead (convert + publish): {overhead:.2f} ms per frame")
    print(f"{len(latencies_ms)} frames published, {values['images dropped']:.0f} dropped for newer ones")


if __name__ == "__main__":
    main()
