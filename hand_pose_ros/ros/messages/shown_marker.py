"""A marker of RViz as plain numbers and arrays, and the message that it stands for.

The messages of two hands as Python objects take milliseconds; from this form :mod:`hand_pose_ros.ros.messages.cdr`
writes their bytes directly.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

MarkerKey = tuple[str, int]
"""(namespace, id) of a marker, its key in RViz."""

_ORIGIN: Final = (0.0, 0.0, 0.0)
_UPRIGHT: Final = (0.0, 0.0, 0.0, 1.0)
_NONE: Final = np.zeros((0, 3))
_NO_COLOURS: Final = np.zeros((0, 4), np.float32)


class ShownMarker(NamedTuple):
    """The fields of a marker that this package fills.

    namespace, number: its key in RViz. kind, action: of visualization_msgs/Marker.
    position, orientation, scale: metres and xyzw. rgba: in [0, 1].
    points: (n, 3). colours: (n, 4) one for each point, or none.
    """

    namespace: str
    number: int
    kind: int = Marker.ARROW
    position: tuple[float, ...] = _ORIGIN
    orientation: tuple[float, ...] = _UPRIGHT
    scale: tuple[float, ...] = _ORIGIN
    rgba: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    points: np.ndarray = _NONE
    colours: np.ndarray = _NO_COLOURS
    text: str = ""
    action: int = Marker.ADD

    @property
    def key(self) -> MarkerKey:
        """Its key in RViz."""
        return self.namespace, self.number


def duration(seconds: float) -> Duration:
    """The message of a duration in seconds."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def marker_message(shown: ShownMarker, header: Header, lifetime_s: float) -> Marker:
    """The message of a marker; RViz removes it after ``lifetime_s`` without another one."""
    (x, y, z), (qx, qy, qz, qw), (width, depth, height) = shown.position, shown.orientation, shown.scale
    r, g, b, a = shown.rgba
    return Marker(
        header=header,
        ns=shown.namespace,
        id=shown.number,
        type=shown.kind,
        action=shown.action,
        pose=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw)),
        scale=Vector3(x=width, y=depth, z=height),
        color=ColorRGBA(r=r, g=g, b=b, a=a),
        lifetime=duration(lifetime_s),
        points=[Point(x=x, y=y, z=z) for x, y, z in shown.points.tolist()],
        colors=[ColorRGBA(r=r, g=g, b=b, a=a) for r, g, b, a in shown.colours.tolist()],
        text=shown.text,
    )
