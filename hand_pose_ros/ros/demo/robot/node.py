"""The demo's node with a robot: it records the robot's topics, too, and engages as an operator would."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from hand_pose_ros.rendering.views import upright_rotation
from hand_pose_ros.ros.demo.node import NAMESPACE, DemoNode
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot
from hand_pose_ros.ros.messages.geometry import fill, quaternions
from hand_pose_ros.ros.messages.robot_command import COMMAND_KINDS
from hand_pose_ros.ros.video_player.parameters import VideoPlayerParameters

TELEOP: Final = "hand_teleop"
STATE_TOPIC: Final = f"{NAMESPACE}/{TELEOP}/state"
_LATCHED: Final = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
VIEW_FRAME: Final = "hand_pose_view"
"""An upright frame at the camera, for displays: x towards the viewer, y right, z up."""
_CAMERA_VIEW: Final = np.array(((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (-1.0, 0.0, 0.0)))
_BESIDE_THE_HAND_M: Final = (0.28, 0.08, 0.5)
"""Place of the robot's base in the camera's frame, for display only."""
_AGAIN_S: Final = 0.3


def full_topic(topic: str) -> str:
    """The topic in the nodes' namespace."""
    return topic if topic.startswith("/") else f"{NAMESPACE}/{topic}"


class RobotDemoNode(DemoNode):
    """Adds the robot to the demo's node: its topics, its place among the frames, and the operator."""

    def __init__(self, robot: DemoRobot) -> None:
        self.teleop_state = ""
        """The newest state of the hand_teleop with its reason."""
        self.refused = ""
        """Why engaging was refused last."""
        self.engaged_times = 0
        super().__init__(
            {
                full_topic(robot.command_topic): COMMAND_KINDS[robot.robot.output.kind].message,
                full_topic(robot.state_topic): JointState,
                f"{NAMESPACE}/frame_checker": MarkerArray,
            },
            {STATE_TOPIC: String, f"{NAMESPACE}/robot_description": String, "/tf_static": TFMessage},
        )
        self.watch(STATE_TOPIC, self._on_teleop_state)
        self._engage = self.create_client(Trigger, f"{NAMESPACE}/{TELEOP}/engage")
        self._answer: Future | None = None
        self._asked_s = 0.0
        self._frames = self.create_publisher(TFMessage, "/tf_static", _LATCHED)
        palm = upright_rotation("palm").numpy() @ robot.profile.rotation_base_wrist.T
        placed = [
            _in_camera(robot.base_frame, _BESIDE_THE_HAND_M, palm),
            _in_camera(VIEW_FRAME, (0.0, 0.0, 0.0), _CAMERA_VIEW),
        ]
        self._frames.publish(TFMessage(transforms=placed))

    def keep_engaged(self) -> None:
        """Engage the robot, and again after it has disengaged; does not wait for the answer."""
        if self._answer is not None:
            if not self._answer.done():
                return
            response = self._answer.result()
            self._answer = None
            self.refused = "" if response is None or response.success else response.message
            self.engaged_times += bool(response and response.success)
        state = self.teleop_state.partition(":")[0]
        now_s = time.monotonic()
        if state.startswith("disengaged") and now_s - self._asked_s > _AGAIN_S:
            self._asked_s = now_s
            self._answer = self._engage.call_async(Trigger.Request())

    def _on_teleop_state(self, serialised: bytes) -> None:
        self.teleop_state = deserialize_message(serialised, String).data


def _in_camera(frame: str, place_m: tuple[float, float, float], rotation: np.ndarray) -> TransformStamped:
    """A frame at a place (3,) of the camera's frame, turned by ``rotation`` (3, 3), frame -> camera."""
    result = TransformStamped(child_frame_id=frame, header=Header(frame_id=VideoPlayerParameters().frame_id))
    transform = result.transform
    fill(transform.translation, transform.rotation, list(place_m), quaternions(rotation).tolist())
    return result
