"""An upright frame at the camera, for displays: its parent is the images' frame, whatever that is called."""

from __future__ import annotations

from typing import Final

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster

# x towards the viewer, y right, z up, in the optical frame (x right, y down, z forward): xyzw.
_UPRIGHT: Final = (0.5, 0.5, -0.5, 0.5)
_CENTRE_M: Final = (-0.5, 0.0, 0.0)
"""Expected position of the hands in the upright frame."""


class ViewFrame:
    """Broadcasts the frame, static: at once with a child, so that displays know it, and below the images' frame.

    The child, ``NAME_centre``, is where hands are expected.
    """

    def __init__(self, node: Node, name: str) -> None:
        """``name``: of the frame."""
        self.name, self._parent = name, ""
        self._broadcaster = StaticTransformBroadcaster(node)
        centre = TransformStamped(
            header=Header(frame_id=name, stamp=node.get_clock().now().to_msg()),
            child_frame_id=f"{name}_centre",
        )
        at = centre.transform.translation
        at.x, at.y, at.z = _CENTRE_M
        self._broadcaster.sendTransform(centre)

    def follow(self, header: Header) -> None:
        """Take the frame of an image as parent."""
        if header.frame_id in ("", self._parent):
            return
        self._parent = header.frame_id
        transform = TransformStamped(header=header, child_frame_id=self.name)
        turn = transform.transform.rotation
        turn.x, turn.y, turn.z, turn.w = _UPRIGHT
        self._broadcaster.sendTransform(transform)
