"""The wrist link follows the human wrist for the arm: transforms in, target and velocity out."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from rclpy.time import Time as ClockTime
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener

from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand
from hand_pose_ros.retargeting.wrist.poses import RigidPose
from hand_pose_ros.retargeting.wrist.target import WristFollower, WristOptions, WristTarget
from hand_pose_ros.ros.messages.observed_hands import stamp_s
from hand_pose_ros.ros.messages.wrist_target import pose_of_transform, target_pose, target_twist
from hand_pose_ros.ros.shared.faults import FaultLog

_QOS = QoSProfile(depth=5)


class WristLink:
    """Publishes ``wrist_target`` and ``wrist_twist`` while it follows; a zero velocity when it stops."""

    def __init__(self, node: LifecycleNode, options: WristOptions, faults: FaultLog) -> None:
        self._node = node
        self._faults = faults
        self.follower = WristFollower(options)
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        self._poses = node.create_publisher(PoseStamped, "wrist_target", _QOS)
        self._twists = node.create_publisher(TwistStamped, "wrist_twist", _QOS)
        self._moving = False

    def close(self) -> None:
        """Stop and end subscriptions and publishers."""
        self.release()
        self._listener.unregister()
        for publisher in (self._poses, self._twists):
            self._node.destroy_publisher(publisher)

    def release(self, forget: bool = False) -> None:
        """Stop following; ``forget``: the next target starts at the tool."""
        if self._moving:
            self._moving = False
            self._twists.publish(target_twist(np.zeros(3), np.zeros(3), self._header()))
        if forget:
            self.follower.reset()
        else:
            self.follower.release()

    def follow(self, observed: ObservedHand, camera_frame: str, time_s: float) -> WristTarget | None:
        """Publish the target for a hand of an image with the stamp ``time_s``; None without usable transforms."""
        options = self.follower.options
        T_robot_camera = self._transform(camera_frame)
        tool = None
        if options.tool_frame and self.follower.pose is None and T_robot_camera is not None:
            tool = self._transform(options.tool_frame)
            if tool is None:
                return None
        if T_robot_camera is None:
            # The arm may have moved meanwhile: where its tool is known, the target starts there again.
            self.release(forget=bool(options.tool_frame))
            return None
        target = self.follower.follow(
            RigidPose(observed.wrist_m, observed.rotation),
            observed.covariance,
            time_s,
            T_robot_camera,
            tool,
        )
        if target is None:
            self._faults.report("wrist", "the wrist has numbers or a covariance that give no finite target")
            self.release()
            return None
        self._faults.clear("wrist")
        header = self._header()
        self._poses.publish(target_pose(target.pose, header))
        self._twists.publish(target_twist(target.linear_m_s, target.angular_rad_s, header))
        self._moving = True
        return target

    def _transform(self, frame: str) -> RigidPose | None:
        robot_frame = self.follower.options.robot_frame
        try:
            message = self._buffer.lookup_transform(robot_frame, frame, ClockTime())
            found = pose_of_transform(message)
            # The stamp is that of the oldest of the transforms that are not static, 0 if all are.
            age_s = self._clock_s() - (stamp_s(message.header.stamp) or np.inf)
            if frame != robot_frame and age_s > self.follower.options.max_tf_age_s:
                raise ValueError(f"it is {age_s:.1f} s old")
        except (TransformException, ValueError) as error:
            self._faults.report(
                "transform",
                f"no usable transform from {frame!r} to {robot_frame!r} for the wrist target: {error}",
                DiagnosticStatus.ERROR,
            )
            return None
        self._faults.clear("transform")
        return found

    def _clock_s(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    def _header(self) -> Header:
        """A target is a command, so its stamp is the time at which it is given."""
        stamp: Time = self._node.get_clock().now().to_msg()
        return Header(stamp=stamp, frame_id=self.follower.options.robot_frame)
