"""The ``hand_pose record`` command records episodes of hands, images and a robot into MCAP bags, for learning.

It ends after --episodes, with q and Enter, or with Ctrl-C; what was received by then is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hand_pose_ros import hand
from hand_pose_ros.recordings.description import EpisodeDescription
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.ros.recorder.interface import NAME, SERVICES
from hand_pose_ros.ros.recorder.plan import Plan

NAMESPACE: Final = "/hand_pose"
_MB: Final = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        description = describe(options)
        # Late imports: the help and the refusals above need no ROS.
        from hand_pose_ros.recordings.session import RecordingSession
        from hand_pose_ros.ros.recorder.node import HandRecorder
        from hand_pose_ros.ros.recorder.topics import wanted_topics
        from hand_pose_ros.ros.shared.process import run_node

        others = [full_name(topic, description.namespace) for topic in options.topic]
        wanted = wanted_topics(description, others)
        limits = options.memory_mb * _MB, options.least_free_mb * _MB
        with RecordingSession(options.output.resolve(), description, *limits) as session:
            plan = Plan(options.manual, options.episode_seconds, options.episodes, options.reset_seconds)
            return run_node(
                lambda: HandRecorder(session, wanted, plan, description.namespace),
                lambda node: node.run(options.timeout_seconds),
                args=[],
            )
    except ImportError as error:
        sys.stderr.write(
            f"hand_pose record: it needs ROS 2, by a sourced installation or `make setup`: {error}\n"
        )
        return 1
    except (ValueError, OSError) as error:
        sys.stderr.write(f"hand_pose record: {error}\n")
        return 1


def describe(options: argparse.Namespace) -> EpisodeDescription:
    """The description of the episodes, from the command's options and the robot's profile.

    Raises:
        ValueError: there is no such robot, or its profile has a mistake.
        OSError: the profile cannot be read.
    """
    space = "/" + options.namespace.strip("/")
    state, command, names, robot = options.joint_states, options.command, (), ""
    if options.robot:
        profile = read_profile(options.robot, options.robot_side)
        output, robot = profile.command, profile.name
        if output is None and not (state and command):
            raise ValueError(f"the profile of {robot} has no command: name --joint-states and --command")
        if output is not None:
            state, command = state or output.state_topic, command or output.topic
            names = tuple(one.name or one.joint for one in output.joints)
    return EpisodeDescription(
        task=options.task,
        namespace=space,
        image=full_name(options.image, space),
        robot=robot,
        joint_states=full_name(state, space),
        command=full_name(command, space),
        command_names=names,
        teleop_state=full_name(options.teleop_state, space),
    )


def full_name(topic: str, namespace: str) -> str:
    """The full name of a topic whose name may be relative to a namespace; empty stays empty."""
    return topic if not topic or topic.startswith("/") else f"{namespace.rstrip('/')}/{topic}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hand_pose record",
        description=__doc__,
        epilog=f"Services of the node {NAME}: "
        + "; ".join(f"{one.name} ({one.kind}), {one.description}" for one in SERVICES),
    )
    parser.add_argument("output", type=Path, help="folder of the episodes; new ones are added to those in it")
    parser.add_argument("--task", default="", help="what is done, as a sentence")
    parser.add_argument("--robot", default="", help="robot hand: a name of config/robots, or a profile")
    parser.add_argument("--robot-side", choices=hand.SIDES, default="right", help="side of the robot hand")
    topics = parser.add_argument_group("topics; relative names are in the namespace")
    topics.add_argument("--namespace", default=NAMESPACE, help=f"of the nodes, default {NAMESPACE}")
    topics.add_argument("--image", default="image", help="raw or compressed images, as the estimator's")
    topics.add_argument("--joint-states", default="", help="the robot's state, in place of the profile's")
    topics.add_argument("--command", default="", help="the robot's commands, in place of the profile's")
    topics.add_argument("--teleop-state", default="hand_teleop/state", help="state of the hand_teleop")
    topics.add_argument("--topic", action="append", default=[], help="a further topic; may be repeated")
    episodes = parser.add_argument_group("episodes")
    episodes.add_argument("--manual", action="store_true", help="begin none by itself: by key or service")
    episodes.add_argument("--episode-seconds", type=_positive, help="end an episode after this time")
    episodes.add_argument("--episodes", type=_count, help="end after so many episodes")
    episodes.add_argument("--reset-seconds", type=_seconds, default=0.0, help="pause between two episodes")
    episodes.add_argument(
        "--timeout-seconds", type=_positive, default=30.0, help="wait so long for the topics (default 30)"
    )
    episodes.add_argument(
        "--memory-mb", type=_count, default=256, help="limit of the messages that wait to be written"
    )
    episodes.add_argument(
        "--least-free-mb", type=_count, default=200, help="end when the disk has less space (default 200)"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a time in seconds")
    return seconds


def _positive(text: str) -> float:
    if (seconds := _seconds(text)) == 0:
        raise argparse.ArgumentTypeError("must be more than zero")
    return seconds


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
