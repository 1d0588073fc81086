"""How long the hand_estimator takes until it sees images, with its exports in the cache (warm) and without (cold).

``tools/run python -m benchmarks.startup [starts]``: wall time, and processor time, which other work on the machine
hardly changes. On an idle machine both are about the same.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.live_graph import NAMESPACE, NodeProcess, use_own_graph
from benchmarks.timing import processor_seconds

_READY = "images from"
_LONGEST_S = 600.0
_STARTS = 5
_ROW = "{:<28} {:>10} {:>14} {:>8}".format


def start(cache: Path) -> tuple[float, float]:
    """Wall and processor time of one start, seconds."""
    began_s = time.monotonic()
    process = NodeProcess(
        "hand_pose_ros.ros.hand_estimator.process",
        log_path=cache / "estimator.log",
        namespace=NAMESPACE,
        parameters={"autostart": True},
        environment={"XDG_CACHE_HOME": str(cache)},
    )
    try:
        process.wait_for_log(_READY, _LONGEST_S)
        return time.monotonic() - began_s, processor_seconds(process.pid)
    finally:
        process.end()


def main() -> None:
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else _STARTS
    use_own_graph()
    cold, warm = [], []
    for _ in range(starts):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(start(Path(cache)))
            warm.append(start(Path(cache)))
    print(_ROW("start of the hand_estimator", "wall (s)", "processor (s)", "starts"))
    for name, times in (("warm", warm), ("cold", cold)):
        wall, processor = (median(values) for values in zip(*times, strict=True))
        print(_ROW(name, f"{wall:.1f}", f"{processor:.1f}", starts))


if __name__ == "__main__":
    main()
