"""A recording of a hand that moves a robot hand, as the recorder writes it, with values that tests can compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros import hand
from hand_pose_ros.recordings.bag_writer import RecordingWriter
from hand_pose_ros.recordings.description import KEY, EpisodeDescription

TYPES = get_typestore(Stores.ROS2_JAZZY)
NAMESPACE = "/hand_pose"
IMAGE, STATES, COMMANDS = f"{NAMESPACE}/image", "/robot/joint_states", "/robot/command"
TELEOP_STATE = f"{NAMESPACE}/hand_teleop/state"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_333_333
STATE_PERIOD_NS = 10_000_000
LATENCY_NS, COMMAND_LATENCY_NS = 40_000_000, 50_000_000
"""From an image's stamp to the reception of the hand, and to the command."""
SIZE = (160, 120)
NO_HAND, NOT_PROCESSED = 7, 10
"""Images without a hand, and without a result."""
ROBOT_JOINTS = ("thumb", "index")
DESCRIPTION = EpisodeDescription(
    task="close the hand", image=IMAGE, robot="test_hand", joint_states=STATES, command=COMMANDS
)


def make(msgtype: str, *fields: Any) -> Any:
    return TYPES.types[msgtype](*fields)


def serialised(msgtype: str, message: Any) -> bytes:
    return bytes(TYPES.serialize_cdr(message, msgtype))


def header(time_ns: int) -> Any:
    stamp = make("builtin_interfaces/msg/Time", *divmod(time_ns, 1_000_000_000))
    return make("std_msgs/msg/Header", stamp, "camera")


def stamp_ns(number: int) -> int:
    return START_NS + number * PERIOD_NS


def pixels(number: int) -> np.ndarray:
    """An image (H, W, 3) whose eight columns are the bits of its number."""
    image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            image[:, 20 * bit : 20 * (bit + 1)] = (60, 200, 220)
    return image


def number_of(image: np.ndarray) -> int:
    """The number of an image that was compressed."""
    return sum(1 << bit for bit in range(8) if image[:, 20 * bit + 5 : 20 * bit + 15].mean() > 100)


def joints(number: int) -> np.ndarray:
    """Positions (21, 3), metres."""
    return 0.01 * np.arange(63).reshape(21, 3) + 0.001 * number


def sigma(number: int) -> np.ndarray:
    return 0.001 * np.arange(1, 22) + 0.0001 * number


def angles(number: int) -> np.ndarray:
    return 0.01 * np.arange(hand.NUM_ANGLES) + 0.02 * number


def wrist(number: int) -> np.ndarray:
    """x, y, z, quaternion xyzw."""
    return np.array([0.1, 0.2, 0.3 + 0.01 * number, 0.5, 0.5, 0.5, 0.5])


def state(time_ns: int) -> np.ndarray:
    return np.array([1.0, -1.0]) * (time_ns - START_NS) * 1e-9


def command(number: int) -> np.ndarray:
    return np.array([0.1, -0.2]) * number


def image_message(number: int) -> Any:
    width, height = SIZE
    data = pixels(number).reshape(-1)
    return make("sensor_msgs/msg/Image", header(stamp_ns(number)), height, width, "bgr8", 0, 3 * width, data)


def pose(position: np.ndarray, quaternion: np.ndarray) -> Any:
    point = make("geometry_msgs/msg/Point", *map(float, position))
    return make(
        "geometry_msgs/msg/Pose", point, make("geometry_msgs/msg/Quaternion", *map(float, quaternion))
    )


def cloud(number: int, sides: tuple[str, ...], more: tuple[tuple[str, str, int], ...] = ()) -> Any:
    """The hands of an image; ``more``: name, NumPy's and ROS's type of further fields."""
    layout = [(name, "<f4", 7) for name in ("x", "y", "z", "sigma", "score")]
    layout += [("track_id", "<i4", 5), ("side", "u1", 2), ("joint", "u1", 2), *more]
    dtype = np.dtype([(name, kind) for name, kind, _ in layout])
    points = np.zeros((len(sides), 21), dtype)
    for row, side in zip(points, sides, strict=True):
        row["x"], row["y"], row["z"] = joints(number).T
        row["sigma"], row["side"] = sigma(number), hand.SIDES.index(side)
        row["joint"] = np.arange(21)
    fields = [
        make("sensor_msgs/msg/PointField", name, dtype.fields[name][1], kind, 1) for name, _, kind in layout
    ]
    data = np.frombuffer(points.tobytes(), np.uint8)
    count, step = points.size, dtype.itemsize
    return make(
        "sensor_msgs/msg/PointCloud2",
        header(stamp_ns(number)),
        1,
        count,
        fields,
        False,
        step,
        step * count,
        data,
        True,
    )


def joint_state(names: tuple[str, ...], values: np.ndarray, time_ns: int) -> Any:
    empty = np.empty(0)
    return make("sensor_msgs/msg/JointState", header(time_ns), list(names), values, empty, empty)


def trajectory(names: tuple[str, ...], values: np.ndarray) -> Any:
    empty = np.empty(0)
    duration = make("builtin_interfaces/msg/Duration", 0, 0)
    point = make("trajectory_msgs/msg/JointTrajectoryPoint", values, empty, empty, empty, duration)
    return make("trajectory_msgs/msg/JointTrajectory", header(0), list(names), [point])


def camera_info(number: int, fx: float = 150.0) -> Any:
    k = np.array([fx, 0, 80, 0, 151.0, 60, 0, 0, 1])
    roi = make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    size, p = SIZE[::-1], np.insert(k, [3, 6, 9], 0)
    d, r = np.array([0.1, -0.05, 0, 0, 0]), np.eye(3).reshape(-1)
    stamped = header(stamp_ns(number))
    return make("sensor_msgs/msg/CameraInfo", stamped, *size, "plumb_bob", d, k, r, p, 0, 0, roi)


Message = tuple[int, str, str, Any]
"""Time of reception (ns), topic, type, message."""


def messages(frames: int, side: str = "right", robot: bool = True) -> list[Message]:
    """The messages of an episode of so many images, in order of their reception."""
    found: list[Message] = []
    for number in range(frames):
        at = stamp_ns(number)
        found.append((at + 2_000_000, IMAGE, "sensor_msgs/msg/Image", image_message(number)))
        info = f"{NAMESPACE}/camera_info"
        found.append((at + 2_000_000, info, "sensor_msgs/msg/CameraInfo", camera_info(number)))
        if number == NOT_PROCESSED:
            continue
        known = number != NO_HAND
        sides = (side,) if known else ()
        received = at + LATENCY_NS
        found.append((received, f"{NAMESPACE}/hands", "sensor_msgs/msg/PointCloud2", cloud(number, sides)))
        if not known:
            continue
        poses = [pose(one, wrist(number)[3:]) for one in joints(number)]
        covariance = make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose(wrist(number)[:3], wrist(number)[3:]),
            np.zeros(36),
        )
        of_side = {
            "joints": ("geometry_msgs/msg/PoseArray", make("geometry_msgs/msg/PoseArray", header(at), poses)),
            "wrist": (
                "geometry_msgs/msg/PoseWithCovarianceStamped",
                make("geometry_msgs/msg/PoseWithCovarianceStamped", header(at), covariance),
            ),
            "joint_states": (
                "sensor_msgs/msg/JointState",
                joint_state(hand.joint_state_names(side), angles(number), at),
            ),
        }
        found += [
            (received, f"{NAMESPACE}/{side}/{topic}", kind, message)
            for topic, (kind, message) in of_side.items()
        ]
        if robot:
            kind = "trajectory_msgs/msg/JointTrajectory"
            found.append((at + COMMAND_LATENCY_NS, COMMANDS, kind, trajectory(ROBOT_JOINTS, command(number))))
    if robot:
        for at in range(START_NS, stamp_ns(frames), STATE_PERIOD_NS):
            kind = "sensor_msgs/msg/JointState"
            found.append((at + 1_000_000, STATES, kind, joint_state(ROBOT_JOINTS, state(at), at)))
        for at, text in (
            (START_NS, "disengaged: not engaged yet"),
            (stamp_ns(frames // 2), "engaged: follows"),
        ):
            found.append((at, TELEOP_STATE, "std_msgs/msg/String", make("std_msgs/msg/String", text)))
    return sorted(found, key=lambda one: one[0])


def write_bag(
    folder: Path, content: list[Message], description: EpisodeDescription | None = DESCRIPTION
) -> Path:
    """Write messages as the recorder does; without a description, as `ros2 bag record` does."""
    custom = {} if description is None else {KEY: description.to_json()}
    with RecordingWriter(folder, replace=False, custom_data=custom) as writer:
        for received, topic, kind, message in content:
            writer.write(topic, kind, serialised(kind, message), received)
    return folder
