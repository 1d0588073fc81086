"""What tests of the live graph are written with: nodes as processes, and a node of the test's own that listens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

START_TIMEOUT_S = 60.0
"""How long a node may take until it is there: imports are slow on a busy machine."""
TIMEOUT_S = 30.0
"""How long a test waits for what should be there at once."""
_ATTEMPTS = 4
_POLL_S = 0.02
_SPIN_S = 0.1
_MATCHING_S = 0.2
"""How long a service may take to know a new client; a response to one that it does not know is lost."""

RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = qos_profile_sensor_data


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Poll until ``condition()`` is true and return what it returned; fail with ``what`` if it does not come."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(_POLL_S)


class NodeProcess:
    """A node, started as ``python -m module --ros-args ...``, with its output in a file.

    Args:
        parameters: name -> value.
        remappings: name -> name.
        parameter_file: YAML file of parameters.
    """

    def __init__(
        self,
        module: str,
        *,
        log_path: Path,
        parameters: Mapping[str, Any] | None = None,
        remappings: Mapping[str, str] | None = None,
        namespace: str = "",
        parameter_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", module, "--ros-args"]
        for name, value in (parameters or {}).items():
            command += ["-p", f"{name}:={json.dumps(value) if not isinstance(value, str) else value}"]
        for name, target in (remappings or {}).items():
            command += ["-r", f"{name}:={target}"]
        if namespace:
            command += ["-r", f"__ns:=/{namespace.strip('/')}"]
        if parameter_file:
            command += ["--params-file", str(parameter_file)]
        self._log_path = log_path
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "RCUTILS_LOGGING_BUFFERED_STREAM": "0", **(environment or {})},
                start_new_session=True,  # so that end() finds children that the node may have left
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def memory_mb(self) -> float:
        """Resident memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """All output so far."""
        return self._log_path.read_text(errors="replace")

    def wait_for_log(self, text: str, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the output holds ``text``; fail with the output if it does not, or the node ends first."""

        def arrived() -> bool:
            ended = not self.running
            if text in self.log:
                return True
            assert not ended, f"the node ended before it said {text!r}:\n{self.log}"
            return False

        try:
            wait_for(arrived, repr(text), timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the output:\n{self.log}") from None

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        """Wait until the process ends by itself, and return its exit code."""
        return self._process.wait(timeout_s)

    def signal(self, number: int) -> None:
        """Send a signal to the node."""
        self._process.send_signal(number)

    def interrupt(self, timeout_s: float = TIMEOUT_S) -> int:
        """Send SIGINT, as Ctrl-C and launch do; return the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout_s)

    def end(self) -> None:
        """End the process and its children, gently if it lets us."""
        if self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.interrupt(timeout_s=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Recorder:
    """The messages received on one topic, each with the time of the monotonic clock at which it came."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.times_s: list[float] = []

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, message: Any) -> None:
        """Append a message; called by the executor's thread."""
        self.times_s.append(time.monotonic())
        self.messages.append(message)

    def wait_for(self, count: int, timeout_s: float = START_TIMEOUT_S) -> list[Any]:
        """Wait until there are ``count`` messages; return those."""
        try:
            wait_for(lambda: len(self.messages) >= count, f"{count} messages", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}, got {len(self.messages)}") from None
        return self.messages[:count]


def release_state_machine(node: LifecycleNode) -> None:
    """Let go of the state machine of a lifecycle node destroyed in this process: it holds the participant.

    rclpy keeps both until the garbage collector runs: dozens of participants then slow down the discovery of the
    next tests' nodes, and their threads may wait for ever when they are destroyed in the end.
    """
    node._state_machine = None


class Listener:
    """A node of the test's own, with its own context, spun in a thread."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _spin(self) -> None:
        # Not Executor.spin: shutting it down from another thread destroys handles that the thread still uses.
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=_SPIN_S)

    def subscribe(self, kind: type, topic: str, qos: QoSProfile | int = RELIABLE) -> Recorder:
        """Record a topic."""
        recorder = Recorder()
        self.node.create_subscription(kind, topic, recorder.add, qos)
        return recorder

    def publisher(self, kind: type, topic: str, qos: QoSProfile | int = RELIABLE) -> Any:
        """A publisher on a topic."""
        return self.node.create_publisher(kind, topic, qos)

    def call(self, kind: type, service: str, request: Any, timeout_s: float = TIMEOUT_S) -> Any:
        """Call a service, waiting until it is there, and return its response."""
        client = self.node.create_client(kind, service)
        try:
            assert client.wait_for_service(START_TIMEOUT_S), f"no service {service}"
            time.sleep(_MATCHING_S)
            future = client.call_async(request)
            wait_for(future.done, f"the response of {service}", timeout_s)
            return future.result()
        finally:
            self.node.destroy_client(client)

    def call_again(self, kind: type, service: str, request: Any) -> Any:
        """As :meth:`call`, and once more if no response comes; for requests that may be made twice.

        On a busy machine a service may take longer to know a client than :meth:`call` waits.
        """
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(AssertionError):
                return self.call(kind, service, request, timeout_s=TIMEOUT_S / _ATTEMPTS)
        return self.call(kind, service, request)

    def change_state(self, node: str, transition: int, goal: str) -> None:
        """Ask a node for a transition of its lifecycle until it is in the state ``goal``."""
        request = ChangeState.Request(transition=Transition(id=transition))

        def reached() -> bool:
            self.call_again(ChangeState, f"{node}/change_state", request)
            answer = self.call_again(GetState, f"{node}/get_state", GetState.Request())
            return answer.current_state.label == goal

        wait_for(reached, f"{node} to be {goal}")

    def set_parameters(self, node: str, values: Mapping[str, Any]) -> list[tuple[bool, str]]:
        """Set parameters of a node; return (successful, reason) of each."""
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParameters.Request(parameters=parameters)
        response = self.call(SetParameters, f"{node}/set_parameters", request)
        return [(result.successful, result.reason) for result in response.results]

    def get_parameters(self, node: str, names: Sequence[str]) -> dict[str, Any]:
        """Values of a node's parameters."""
        response = self.call(
            GetParameters, f"{node}/get_parameters", GetParameters.Request(names=list(names))
        )
        return {
            name: rclpy.parameter.parameter_value_to_python(value)
            for name, value in zip(names, response.values, strict=True)
        }

    def list_parameters(self, node: str) -> list[str]:
        """Names of a node's parameters."""
        return list(
            self.call(ListParameters, f"{node}/list_parameters", ListParameters.Request()).result.names
        )
