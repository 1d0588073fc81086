"""tf2_ros and tf2_msgs as this environment has them, over real DDS: what is sent arrives, also for late comers."""

from __future__ import annotations

import tf2_ros
from geometry_msgs.msg import TransformStamped
from helpers.ros_harness import Listener, wait_for
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


def transform(child: str) -> TransformStamped:
    result = TransformStamped(child_frame_id=child)
    result.header.frame_id = "camera"
    result.transform.translation.x = 0.25
    return result


def test_transforms_arrive(ros_domain, listener):
    with Listener() as sender:
        received = listener.subscribe(TFMessage, "/tf")
        broadcaster = tf2_ros.TransformBroadcaster(sender.node)
        wait_for(broadcaster.pub_tf.get_subscription_count, "the connection")
        broadcaster.sendTransform([transform("wrist"), transform("thumb")])
        assert list(received.wait_for(1)[0].transforms) == [transform("wrist"), transform("thumb")]


def test_static_transforms_reach_a_late_comer(ros_domain, listener):
    with Listener() as sender:
        broadcaster = tf2_ros.StaticTransformBroadcaster(sender.node)
        broadcaster.sendTransform(transform("wrist"))
        broadcaster.sendTransform(transform("thumb"))
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        received = listener.subscribe(TFMessage, "/tf_static", latched)
        assert list(received.wait_for(1)[0].transforms) == [transform("wrist"), transform("thumb")]
