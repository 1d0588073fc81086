"""Messages of any length are short in the log and on /diagnostics."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from diagnostic_msgs.msg import DiagnosticStatus

from hand_pose_ros.ros.shared.diagnostics import status
from hand_pose_ros.ros.shared.faults import FaultLog


def test_a_message_of_a_megabyte_is_cut_everywhere():
    lines: list[str] = []
    faults = FaultLog(SimpleNamespace(error=lines.append, warning=lines.append, info=lines.append))
    faults.report("image", "the encoding '" + "x" * 1_000_000 + "' is not known")
    faults.report("camera", "y" * 1_000_000, DiagnosticStatus.WARN)
    held = [fault.message for fault in faults.take().values()]
    faults.clear("image")
    assert len(lines) == 3
    assert max(map(len, (*lines, *held))) < 700
    assert lines[0].endswith("is not known")
    found = status("camera", DiagnosticStatus.ERROR, "z" * 1_000_000, {"topic": "t" * 1_000_000, "rate": 1.5})
    assert len(found.message) < 700
    assert [len(pair.value) < 700 for pair in found.values] == [True, True]
    assert found.values[1].value == "1.5"
