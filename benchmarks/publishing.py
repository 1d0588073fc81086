"""What it costs to publish a frame: to nobody, and to an outside process that takes markers and overlay.

``tools/run python -m benchmarks.publishing``: processor time of the thread that does it, at 640x480, on DDS. The
display's thread draws markers and overlay, and delays no hand.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import rclpy
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from benchmarks.display_load import WATCH
from benchmarks.live_graph import NAMESPACE, use_own_graph
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.pose import Frame, HandPose
from hand_pose_ros.ros.hand_estimator.display import HandDisplay, ShownFrame
from hand_pose_ros.ros.hand_estimator.output import HandPublishers
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.messages.markers import serialised_markers
from hand_pose_ros.ros.messages.overlay import draw_overlay
from hand_pose_ros.ros.messages.selection import HandSelector

_REPEATS, _WARM_UP = 200, 20
_MATCHING_S = 30.0
_CAMERA = CameraModel.from_fov(640, 480, math.radians(60.0))
_PLACES_M = {"right": (-0.12, 0.0, 0.5), "left": (0.12, 0.0, 0.5)}
_ROW = "{:<52} {:>10} {:>10}".format


def frame_with(sides: tuple[str, ...]) -> FrameResult:
    """A frame with a hand of each side."""
    from helpers.hand_poses import detection, random_pose

    hands = [random_pose(side, 3, covariance=True, centre_m=_PLACES_M[side]) for side in sides]
    image = np.full((480, 640, 3), 90, np.uint8)
    return FrameResult(hands, [detection(side) for side in sides], Frame(image, _CAMERA))


def processor_ms(function: Callable[[], object]) -> float:
    """Median processor time of a call, in this thread."""
    times = []
    for number in range(_REPEATS + _WARM_UP):
        began_s = time.thread_time()
        function()
        if number >= _WARM_UP:
            times.append(1e3 * (time.thread_time() - began_s))
    return median(times)


def measure(results: dict[int, FrameResult], watched: bool) -> dict[str, list[float]]:
    """Row -> milliseconds with one hand and with two."""
    node = LifecycleNode("hand_estimator", namespace=NAMESPACE)
    header = Header(frame_id="camera", stamp=node.get_clock().now().to_msg())
    parameters = HandEstimatorParameters()
    display = HandDisplay(node, lambda _seconds: None, lambda _reason: None)
    publishers = HandPublishers(node, display)
    node.trigger_configure()
    node.trigger_activate()
    end_s = time.monotonic() + _MATCHING_S
    while watched and not all(one.get_subscription_count() for one in display.publishers):
        assert time.monotonic() < end_s, "nobody subscribed"
        time.sleep(0.1)
    looks = "markers and overlay taken" if watched else "nobody looks"
    rows: dict[str, list[float]] = {}
    for result in results.values():
        rows.setdefault(f"publish, {looks}", []).append(
            processor_ms(lambda result=result: publishers.publish(result, header, parameters))
        )
        if not watched:
            continue
        shown = ShownFrame(HandSelector().select(result.hands), result, header, parameters)
        rows.setdefault("display thread: skinning, markers, overlay, sending", []).append(
            processor_ms(lambda shown=shown: display.draw(shown))
        )
    publishers.close()
    node.destroy_node()
    return rows


def drawing(results: dict[int, FrameResult]) -> dict[str, list[float]]:
    """The same for markers and overlay alone, without sending."""
    header, rows = Header(frame_id="camera"), {"markers": [], "overlay": []}
    for result in results.values():
        hands = [HandPose(**{**vars(pose), "mesh": hand_mesh(pose)}) for pose in result.hands]
        published = HandSelector().select(hands)
        frame, found = result.frame, result.detections
        rows["markers"].append(processor_ms(lambda p=published: serialised_markers(p, header, 0.5, [])))
        rows["overlay"].append(
            processor_ms(
                lambda h=hands, f=frame, d=found: draw_overlay(f.image_bgr, f.camera, h, d, mesh=True)
            )
        )
    return rows


def main() -> None:
    use_own_graph()
    rclpy.init()
    results = {len(sides): frame_with(sides) for sides in (("right",), ("right", "left"))}
    rows = measure(results, watched=False)
    watcher = subprocess.Popen([sys.executable, "-m", "benchmarks.display_load", WATCH])
    try:
        rows |= measure(results, watched=True)
    finally:
        watcher.kill()
        watcher.wait()
    rows |= drawing(results)
    print(_ROW("milliseconds of processor time, median", "one hand", "two hands"))
    for name, values in rows.items():
        print(_ROW(name, *(f"{value:.2f}" for value in values)))


if __name__ == "__main__":
    main()
