"""What hand_teleop adds to the estimator's latency: from the publication of a hand to the robot's command.

``tools/run python -m benchmarks.teleop_latency``: hands at 30 Hz whose stamp is the time of their publication, a
hand_teleop and a simulated robot as processes on real DDS, at camera rate and resampled. Resampled, the time ends
with the first command after the image, which is still on its way to the image's target.

``tools/run python -m benchmarks.teleop_latency clip``, or a video: the whole chain, from images at their own rate
through the estimator to the command, beside the estimator's own latency in the same run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from benchmarks.live_graph import NAMESPACE, Listener, NodeProcess, Recorder, live_graph, use_own_graph
from benchmarks.timing import processor_seconds

_TELEOP = f"/{NAMESPACE}/hand_teleop"
_MEASURED_S = 12.0
_CHAIN_S = 40.0
_PATIENT = {"hand.max_age_s": 2.0, "watchdog.timeout_s": 2.0, "robot_state.timeout_s": 2.0}
"""A busy machine is not to be taken for a lost hand."""
_RANKS = ("median", "p95", "p99")
_RATES_HZ = (0.0, 60.0, 200.0)
_GESTURES = ("relaxed", "fist", "relaxed", "open")


def figures_of(diagnostics: Recorder) -> dict[str, float]:
    """The newest latencies on /diagnostics."""
    for message in reversed(diagnostics.messages):
        for status in message.status:
            if status.name == f"{_TELEOP[1:]}: latency" and status.values:
                return {value.key: float(value.value) for value in status.values}
    return {}


def measured(listener: Listener, rate_hz: float) -> dict[str, float]:
    """hand_teleop's latencies at an output rate, while it follows a hand that opens and closes."""
    from helpers.teleop_harness import HandStream, pose_of

    diagnostics = listener.subscribe(DiagnosticArray, "/diagnostics")
    poses = [[pose_of(name)] for name in _GESTURES]
    with ExitStack() as stack:
        start_robot(stack, {"motion.output_rate_hz": rate_hz})
        stream = HandStream(listener)
        stack.callback(stream.close)
        activate(listener)
        end_s = time.monotonic() + _MEASURED_S
        while time.monotonic() < end_s:
            listener.call_again(Trigger, f"{_TELEOP}/engage", Trigger.Request())  # it may have disengaged
            stream.poses = poses[int(time.monotonic()) % len(poses)]
            time.sleep(0.5)
        return figures_of(diagnostics)


def start_robot(stack: ExitStack, parameters: dict[str, float]) -> NodeProcess:
    """Start the simulated robot and hand_teleop, which is returned; they end with the stack."""
    logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    processes = []
    for module, own in (("robot_simulator.process", {}), ("teleop.process", parameters)):
        process = NodeProcess(
            f"hand_pose_ros.ros.{module}",
            log_path=logs / f"{module}.log",
            namespace=NAMESPACE,
            parameters=own,
        )
        stack.callback(process.end)
        processes.append(process)
    return processes[-1]


def activate(listener: Listener) -> None:
    """Configure and activate the hand_teleop."""
    listener.change_state(_TELEOP, Transition.TRANSITION_CONFIGURE, "inactive")
    listener.change_state(_TELEOP, Transition.TRANSITION_ACTIVATE, "active")


def chain(source: str) -> None:
    """Print the latency of the estimator and of the command in the same run, at camera rate."""
    with ExitStack() as stack:
        graph = stack.enter_context(live_graph(source, loop=True))
        listener = stack.enter_context(Listener())
        diagnostics = listener.subscribe(DiagnosticArray, "/diagnostics")
        teleop_process = start_robot(stack, _PATIENT)
        activate(listener)
        graph.hands.wait_for(1)
        before, used_s = len(graph.hands), processor_seconds(teleop_process.pid)
        end_s = time.monotonic() + _CHAIN_S
        while time.monotonic() < end_s:
            listener.call_again(Trigger, f"{_TELEOP}/engage", Trigger.Request())
            time.sleep(0.5)
        images = len(graph.hands) - before
        used_ms = 1e3 * (processor_seconds(teleop_process.pid) - used_s) / images
        estimator, teleop = graph.latency_values(), figures_of(diagnostics)
    rows = {
        "estimator: stamp to publication": [
            estimator[f"stamp to publication {rank} (ms)"] for rank in _RANKS
        ],
        "stamp to command": [teleop[f"stamp to command {rank} (ms)"] for rank in _RANKS],
        "of that: retarget": [teleop[f"retarget {rank} (ms)"] for rank in _RANKS],
    }
    row = "{:<34} {:>9} {:>9} {:>9}".format
    print(row("milliseconds", *_RANKS))
    for name, values in rows.items():
        print(row(name, *(f"{value:.1f}" for value in values)))
    published, commanded = list(rows.values())[:2]
    print(row("added, of the ranks", *(f"{b - a:.1f}" for a, b in zip(published, commanded, strict=True))))
    print(
        f"{images / _CHAIN_S:.1f} images a second; hand_teleop and its messages take {used_ms:.1f} ms of "
        "processor time an image"
    )


def main() -> None:
    if len(sys.argv) > 1:
        chain(sys.argv[1])
        return
    use_own_graph()
    row = "{:<14} {:<18} {:>9} {:>9} {:>9}".format
    with Listener() as listener:
        figures = {rate_hz: measured(listener, rate_hz) for rate_hz in _RATES_HZ}
    print(row("output", "milliseconds", *_RANKS))
    for rate_hz, values in figures.items():
        for stage in ("retarget", "stamp to command"):
            shown = [f"{values[f'{stage} {rank} (ms)']:.2f}" for rank in _RANKS]
            print(row(f"{rate_hz:g} Hz" if rate_hz else "camera rate", stage, *shown))


if __name__ == "__main__":
    main()
