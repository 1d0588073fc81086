"""An upright frame at the camera, for displays: its parent is the images' frame, whatever that is called."""

from __future__ import annotations

from typing import Final

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from std_msgs.msg import Header
from tf2_ros import StaticTransformBroadcaster

# x towards the viewer, y right, z up, in the optical frame (x right, y down, z forward): xyzw.
_UPRIGHT: Final = (0.5, 0.5, -0.5, 0.5)


class ViewFrame:
    """Broadcasts the frame, static, when the first image names its parent."""

    def __init__(self, node: Node, name: str) -> None:
        """``name``: of the frame."""
        self.name, self._parent = name, ""
        self._broadcaster = StaticTransformBroadcaster(node)

    def follow(self, header: Header) -> None:
        """Take the frame of an image as parent."""
        if header.frame_id in ("", self._parent):
            return
        self._parent = header.frame_id
        transform = TransformStamped(header=header, child_frame_id=self.name)
        turn = transform.transform.rotation
        turn.x, turn.y, turn.z, turn.w = _UPRIGHT
        self._broadcaster.sendTransform(transform)
