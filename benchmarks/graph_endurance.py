"""Endurance of the live graph: memory and output over minutes of looping input at 30 Hz.

``tools/run python -m benchmarks.graph_endurance [minutes] [video]``: ten minutes of the rendered clip if not told
otherwise. Fails if memory grows by more than 20 MB after the first minute, or a topic falls silent.
"""

from __future__ import annotations

import sys
import time

from benchmarks.live_graph import live_graph

_GROWTH_MB = 20.0
_SILENCE_S = 5.0
_SETTLING_S = 60.0


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    source = sys.argv[2] if len(sys.argv) > 2 else "clip"
    with live_graph(source, loop=True, rate_hz=30.0) as graph:
        graph.hands.wait_for(1)
        start_s = time.monotonic()
        settled_mb, longest_silence_s, frames = None, 0.0, 0
        while (elapsed_s := time.monotonic() - start_s) < 60 * minutes:
            time.sleep(1)
            longest_silence_s = max(longest_silence_s, time.monotonic() - graph.hands.times_s[-1])
            frames += len(graph.hands) - 1
            del graph.hands.messages[:-1], graph.hands.times_s[:-1], graph.latencies_s[:]
            memory_mb = graph.estimator.process.memory_mb
            if settled_mb is None and elapsed_s >= min(_SETTLING_S, 30 * minutes):
                settled_mb = memory_mb
            sys.stdout.write(f"\r{elapsed_s:6.0f} s  {frames:6d} frames  {memory_mb:7.1f} MB ")
            sys.stdout.flush()
        growth_mb = graph.estimator.process.memory_mb - settled_mb
        dropped = graph.latency_values()["images dropped"]
    print(f"\n{frames} frames, {frames / elapsed_s:.1f} Hz, {dropped:.0f} images dropped for newer ones")
    print(
        f"memory: {settled_mb:.1f} MB after settling, {growth_mb:+.1f} MB until the end (limit {_GROWTH_MB:.0f})"
    )
    print(f"longest silence of the output: {longest_silence_s:.1f} s (limit {_SILENCE_S:.0f})")
    return 0 if growth_mb < _GROWTH_MB and longest_silence_s < _SILENCE_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
