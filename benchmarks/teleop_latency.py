"""What hand_teleop adds to the estimator's latency: from the publication of a hand to the robot's command.

``tools/run python -m benchmarks.teleop_latency``: hands at 30 Hz whose stamp is the time of their publication, a
hand_teleop and a simulated robot as processes on real DDS, at camera rate and resampled. Resampled, the time ends
with the first command after the image, which is still on its way to the image's target.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import Trigger

from benchmarks.live_graph import NAMESPACE, Listener, NodeProcess, Recorder, use_own_graph

_TELEOP = f"/{NAMESPACE}/hand_teleop"
_MEASURED_S = 12.0
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
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for module in ("robot_simulator.process", "teleop.process"):
            process = NodeProcess(
                f"hand_pose_ros.ros.{module}",
                log_path=logs / f"{module}.log",
                namespace=NAMESPACE,
                parameters={"motion.output_rate_hz": rate_hz},
            )
            stack.callback(process.end)
        stream = HandStream(listener)
        stack.callback(stream.close)
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            assert listener.call(ChangeState, f"{_TELEOP}/change_state", request).success, process.log
        end_s = time.monotonic() + _MEASURED_S
        while time.monotonic() < end_s:
            listener.call(Trigger, f"{_TELEOP}/engage", Trigger.Request())  # again, should it have disengaged
            stream.poses = poses[int(time.monotonic()) % len(poses)]
            time.sleep(0.5)
        return figures_of(diagnostics)


def main() -> None:
    use_own_graph()
    row = "{:<14} {:<18} {:>9} {:>9} {:>9}".format
    ranks = ("median", "p95", "p99")
    with Listener() as listener:
        figures = {rate_hz: measured(listener, rate_hz) for rate_hz in _RATES_HZ}
    print(row("output", "milliseconds", *ranks))
    for rate_hz, values in figures.items():
        for stage in ("retarget", "stamp to command"):
            shown = [f"{values[f'{stage} {rank} (ms)']:.2f}" for rank in ranks]
            print(row(f"{rate_hz:g} Hz" if rate_hz else "camera rate", stage, *shown))


if __name__ == "__main__":
    main()
