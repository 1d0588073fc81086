"""A message that is taken when it is wanted, in a node that an executor spins."""

from __future__ import annotations

from helpers.ros_harness import Listener, wait_for
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from hand_pose_ros.ros.shared.polled_subscription import PolledSubscription

TOPIC = "/polled"


def test_it_gives_the_newest_message_once(listener: Listener):
    polled = PolledSubscription(listener.node, String, TOPIC, QoSProfile(depth=1))
    called = listener.subscribe(String, TOPIC)
    publisher = listener.publisher(String, TOPIC)
    wait_for(lambda: publisher.get_subscription_count() == 2, "both subscriptions")
    assert polled.take() is None
    for text in ("old", "new"):
        publisher.publish(String(data=text))
    called.wait_for(2)
    wait_for(lambda: getattr(polled.take(), "data", "") == "new", "the newest message")
    assert polled.take() is None
    polled.close()
    publisher.publish(String(data="late"))
    called.wait_for(3)
    wait_for(lambda: publisher.get_subscription_count() == 1, "the end of the subscription")


def test_an_executor_that_takes_the_message_loses_nothing(listener: Listener):
    polled = PolledSubscription(listener.node, String, TOPIC, QoSProfile(depth=1))
    polled._on_message(String(data="taken"))
    assert polled.take().data == "taken"
    assert polled.take() is None
    polled.close()
