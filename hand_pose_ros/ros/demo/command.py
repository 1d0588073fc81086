"""The demo plays a video through the real nodes over DDS and writes a video, an image and a bag of the result.

It starts `video_player` and `hand_estimator` as processes on a ROS domain of their own, records all their topics,
and ends with the source. With a robot, `hand_teleop` and `robot_simulator` run as well: a simulated robot hand
follows the hand and is shown beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hand_pose_ros import hand
from hand_pose_ros.camera.calibration import read_calibration
from hand_pose_ros.common.share import share_file
from hand_pose_ros.ros.demo.node import NAMESPACE, DemoNode
from hand_pose_ros.ros.demo.processes import DemoError, GraphProcess, own_domain
from hand_pose_ros.ros.demo.robot.demo_robot import read_demo_robot
from hand_pose_ros.ros.demo.robot.node import RobotDemoNode
from hand_pose_ros.ros.demo.robot.session import robot_graph
from hand_pose_ros.ros.demo.session import DemoSession
from hand_pose_ros.ros.demo.source import DemoSource, inspect_source
from hand_pose_ros.ros.demo.status_line import StatusLine
from hand_pose_ros.ros.demo.summary import OutputFiles, write_outputs
from hand_pose_ros.ros.shared.process import run_node
from hand_pose_ros.video.open import CLIP
from hand_pose_ros.video.sources import SourceError

_DEFAULT_FOV_DEG: Final = 60.0
_WARM_UP_HZ: Final = 4.0
INTERRUPTED: Final = 130


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    options = _parse(args)
    status = StatusLine(sys.stdout)
    try:
        return _run(options, status)
    except KeyboardInterrupt:
        status.say("interrupted")
        return INTERRUPTED
    except (DemoError, SourceError, OSError, ValueError, ImportError) as error:
        status.clear()
        sys.stderr.write(f"The demo failed: {error}\n")
        return 1


def _parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hand_pose demo", description=__doc__)
    parser.add_argument(
        "--input",
        default=CLIP,
        help="'clip' (the package's rendered clip, whose truth is known), a webcam's number, or the path of a "
        "video, an image, a folder of images or a recording",
    )
    parser.add_argument(
        "--topic", default="", help="image topic of a recording; the first with colours if empty"
    )
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder of the output files")
    parser.add_argument(
        "--calibration", default="", help="calibration file of the camera, as camera_calibration's"
    )
    parser.add_argument(
        "--fov", type=float, default=0.0, help="horizontal field of view in degrees, in its place"
    )
    parser.add_argument("--detector", default="", help="what finds the hands: mediapipe or own")
    parser.add_argument(
        "--estimator", default="", help="what estimates the pose: diffusion, heatmap, ik or mesh_diffusion"
    )
    parser.add_argument("--heatmap-weights", default="", help="weight file of the estimator heatmap")
    parser.add_argument("--mesh-weights", default="", help="weight file of the estimator mesh_diffusion")
    parser.add_argument(
        "--condition",
        default="",
        help="input of the estimator: the landmarks (keypoints), the image (image), or both",
    )
    parser.add_argument(
        "--robot",
        default="",
        help="robot hand that follows: demo_hand, another name of config/robots, or the path of a profile",
    )
    parser.add_argument(
        "--robot-urdf", default="", help="URDF or xacro file of the robot; demo_hand needs none"
    )
    parser.add_argument("--side", choices=hand.SIDES, default="right", help="the hand that the robot follows")
    parser.add_argument("--domain-id", type=int, help="ROS domain to run on; a free one by default")
    options = parser.parse_args(args)
    if options.calibration and options.fov:
        parser.error("a calibration and a field of view exclude each other")
    if options.robot_urdf and not options.robot:
        parser.error("a URDF needs a robot: its name or the path of its profile")
    return options


def _run(options: argparse.Namespace, status: StatusLine) -> int:
    robot = read_demo_robot(options.robot, options.robot_urdf, options.side) if options.robot else None
    source = inspect_source(options.input or CLIP, status.update, options.topic, status.say)
    camera, note = _camera_parameters(options, source)
    files = OutputFiles(options.output.resolve())
    files.prepare()
    with own_domain(options.domain_id) as domain_id:
        nodes = "video_player and hand_estimator" + (f", {robot.profile.name} follows" if robot else "")
        status.say(f"Playing {source.name} through {nodes}, ROS_DOMAIN_ID={domain_id}.")
        if note:
            status.say(note)
        estimate = _estimator_parameters(options)
        play = camera | ({"image_topic": options.topic} if options.topic else {})
        with (
            _graph(source, play, estimate, files.folder) as (player, estimator),
            robot_graph(robot, files.folder) as robot_session,
        ):
            session = DemoSession(source, player, estimator, files, status, robot_session)

            def demo() -> DemoNode:
                return DemoNode() if robot is None else RobotDemoNode(robot)

            run_node(demo, session.play, args=[])
        outcome = session.outcome
        if outcome is None:  # run_node ends quietly on Ctrl-C
            raise KeyboardInterrupt
    status.update("writing the video and the image ...")
    text, hand_found = write_outputs(files, source, NAMESPACE, outcome, robot)
    status.say(text)
    if not hand_found and source.is_clip and outcome.complete:
        raise DemoError(
            f"no hand was found, though each frame shows one; the nodes' logs are in {files.folder}"
        )
    return 0


def _estimator_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the user set of the estimator's parameters.

    Raises:
        ValueError: there is no such weight file.
    """
    weights = {"heatmap": options.heatmap_weights, "mesh_diffusion": options.mesh_weights}
    for path in filter(None, weights.values()):
        if not Path(path).is_file():
            raise ValueError(f"there is no weight file {path}")
    given = {
        "detector": options.detector,
        "estimator": options.estimator,
        **{f"{name}.weights": str(Path(path).resolve()) if path else "" for name, path in weights.items()},
        "diffusion.condition": options.condition,
    }
    return {name: value for name, value in given.items() if value}


def _camera_parameters(options: argparse.Namespace, source: DemoSource) -> tuple[dict[str, Any], str]:
    """Return the player's calibration parameters, and a note for the user."""
    if options.calibration:
        calibration = read_calibration(options.calibration)  # fails now if it is wrong
        return {"calibration_file": str(Path(options.calibration).resolve())}, "\n".join(calibration.warnings)
    if options.fov:
        return {"horizontal_fov_deg": options.fov}, ""
    if source.calibrated:
        return {}, ""
    return {"horizontal_fov_deg": _DEFAULT_FOV_DEG}, (
        f"Its camera's calibration is not known: a horizontal field of view of {_DEFAULT_FOV_DEG:.0f} degrees is "
        "assumed, and distances are as right as that. Better: CALIBRATION=camera.yaml, or FOV=degrees."
    )


@contextmanager
def _graph(
    source: DemoSource, camera: dict[str, Any], estimate: dict[str, Any], folder: Path
) -> Iterator[tuple[GraphProcess, GraphProcess]]:
    """Run the two nodes as processes; end them afterwards.

    Args:
        camera, estimate: parameters of the player and of the estimator.
    """
    spec = (
        source.spec
        if source.is_clip or source.rate_hz is None
        else str(Path(source.spec).expanduser().resolve())
    )
    play = {"source": spec, "wait_for_subscriber": True, **camera}
    if source.rate_hz is not None:
        play |= {"rate_hz": min(_WARM_UP_HZ, source.rate_hz), "loop": True}
    # The clip has one hand: with two, MediaPipe searches every frame for the second one.
    estimate = {"display_rate_hz": 0.0, **estimate, **({"tracker.max_hands": 1} if source.is_clip else {})}
    modules = "hand_pose_ros.ros.video_player.process", "hand_pose_ros.ros.hand_estimator.process"
    processes: list[GraphProcess] = []
    try:
        processes.append(GraphProcess(modules[0], NAMESPACE, folder / "video_player.log", play))
        parameter_file = share_file("config/estimator.yaml")
        log = folder / "hand_estimator.log"
        processes.append(GraphProcess(modules[1], NAMESPACE, log, estimate, parameter_file))
        yield processes[0], processes[1]
    finally:
        for process in processes:
            process.end()
