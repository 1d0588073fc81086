"""What RViz costs the hands: their rate and latency with and without a process that takes markers and overlay.

``tools/run python -m benchmarks.display_load [video]``: without a video, the rendered clip. The source plays at
30 Hz while phases without and with a watching process, which stands for RViz, follow each other.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from benchmarks.live_graph import NAMESPACE, LiveGraph, live_graph

_PHASES, _PHASE_S, _SETTLING_S = 6, 10.0, 3.0
WATCH = "watch"
_ROW = "{:<28} {:>12} {:>16} {:>16}".format


def watch() -> None:
    """Take all displays, serialised, as a program in C++ would; until the process ends."""
    rclpy.init()
    node = rclpy.create_node("watcher")
    displays = {"markers": MarkerArray, "image_overlay": Image}
    for topic, kind in {
        **{f"/{NAMESPACE}/{name}": kind for name, kind in displays.items()},
        "/tf": TFMessage,
    }.items():
        node.create_subscription(kind, topic, lambda _: None, QoSProfile(depth=5), raw=True)
    rclpy.spin(node)


def phase(graph: LiveGraph) -> tuple[float, list[float]]:
    """Rate of the hands in Hz and their latencies in milliseconds."""
    time.sleep(_SETTLING_S)
    before, began_s = len(graph.latencies_s), time.monotonic()
    time.sleep(_PHASE_S)
    latencies = graph.latencies_s[before:]
    return len(latencies) / (time.monotonic() - began_s), [1e3 * one for one in latencies]


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else "clip"
    rates: dict[bool, list[float]] = {False: [], True: []}
    latencies: dict[bool, list[float]] = {False: [], True: []}
    drawn_ms: list[float] = []
    with live_graph(source, loop=True, rate_hz=30.0) as graph:
        graph.hands.wait_for(1)
        for number in range(_PHASES):
            watched = number % 2 == 1
            watcher = None
            if watched:
                watcher = subprocess.Popen([sys.executable, "-m", "benchmarks.display_load", WATCH])
            rate, new = phase(graph)
            rates[watched].append(rate)
            latencies[watched] += new
            if watcher is not None:
                drawn_ms.append(graph.latency_values()["display median (ms)"])
                watcher.kill()
                watcher.wait()
    print(_ROW("", "hands (Hz)", "latency (ms)", "p99 (ms)"))
    for watched, name in ((False, "nobody looks"), (True, "markers and overlay taken")):
        median, p99 = np.percentile(latencies[watched], (50, 99))
        print(_ROW(name, f"{np.median(rates[watched]):.1f}", f"{median:.1f}", f"{p99:.1f}"))
    ratio = np.median(rates[True]) / np.median(rates[False])
    print(
        f"rate with displays / without: {ratio:.3f}; "
        f"a frame of markers and overlay takes {np.median(drawn_ms):.1f} ms"
    )


if __name__ == "__main__":
    if sys.argv[1:] == [WATCH]:
        watch()
    else:
        main()
