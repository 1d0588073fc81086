"""A GPU that fails under a running hand_estimator: hands go on, /diagnostics warns, and one line is logged."""

from __future__ import annotations

from helpers.fake_hand_estimator import Command
from helpers.hand_estimator_harness import (
    FAKE,
    NAMESPACE,
    OK,
    WARN,
    Camera,
    Estimator,
    fake_environment,
)
from sensor_msgs.msg import PointCloud2


def test_hands_go_on_with_a_warning_and_one_line(start_node, listener, repository):
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"diagnostics_period_s": 0.1},
    )
    camera = Camera(listener)
    try:
        estimator = Estimator(process, listener)
        estimator.activate()
        hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
        hands.wait_for(3)
        estimator.wait_for_status("estimator", OK, "2 hands")
        camera.back_to_normal(Command.GPU_FAILS)
        warning = estimator.wait_for_status("estimator", WARN, "the GPU is out of memory")
        assert "on the CPU until the next start" in warning.message
        values = {value.key: value.value for value in warning.values}
        assert values["last error"] == "", "no frame was lost"
        hands.wait_for(len(hands) + 5)
        camera.back_to_normal()
        estimator.wait_for_status("estimator", WARN, "the GPU is out of memory")
        lines = [line for line in process.log.splitlines() if "out of memory" in line]
        assert len(lines) == 1, process.log
        assert "hand_estimator" in lines[0], "it comes from the node's own log"
    finally:
        camera.close()
