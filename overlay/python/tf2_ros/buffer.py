"""Keeps the newest transform of each frame, with the interface of tf2_ros.Buffer; it has no history."""

from __future__ import annotations

import itertools
import threading

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time


class TransformException(Exception):  # noqa: N818 - the name of the original
    """Base of all errors of a buffer."""


class LookupException(TransformException):
    """A frame is not known."""


class ConnectivityException(TransformException):
    """The frames are not connected."""


class ExtrapolationException(TransformException):
    """The transform is not known at the time."""


class InvalidArgumentException(TransformException):
    """A frame has no valid name, or a transform no valid numbers."""


class Buffer:
    """The tree of frames; may be used by several threads."""

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        self._parents: dict[str, TransformStamped] = {}
        self._static: set[str] = set()
        self._lock = threading.Lock()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add or replace the transform of a child frame."""
        self._set(transform, static=False)

    def _set(self, transform: TransformStamped, static: bool) -> None:
        child = _name(transform.child_frame_id)
        if child == _name(transform.header.frame_id):
            raise InvalidArgumentException(f"the frame {child!r} cannot be its own parent")
        with self._lock:
            self._parents[child] = transform
            (self._static.add if static else self._static.discard)(child)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add or replace a transform that does not change."""
        self._set(transform, static=True)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether lookup_transform would succeed."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, "") if return_debug_tuple else True

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """The newest transform that takes coordinates of the source frame to the target frame.

        Its stamp is the oldest of those of the transforms on the way that are not static; zero if all are.
        """
        if time.nanoseconds:
            raise NotImplementedError("this stand-in has the newest transforms only: ask for Time()")
        target, source = _name(target_frame), _name(source_frame)
        with self._lock:
            known = {*self._parents, *(_name(t.header.frame_id) for t in self._parents.values())}
            for frame in (target, source):
                if frame not in known:
                    raise LookupException(f'"{frame}" passed to lookupTransform does not exist.')
            from_target, from_source = self._chain(target), self._chain(source)
            moving = {
                name: one.header.stamp for name, one in self._parents.items() if name not in self._static
            }
        root = next((frame for frame in from_source if frame in from_target), None)
        if root is None:
            raise ConnectivityException(f'"{target}" and "{source}" are not in the same tree.')
        matrix = np.linalg.inv(_product(from_target, root)) @ _product(from_source, root)
        on_the_way = {*_until(from_target, root), *_until(from_source, root)}
        result = _message(target, source, matrix)
        stamps = [(moving[frame].sec, moving[frame].nanosec) for frame in on_the_way if frame in moving]
        result.header.stamp.sec, result.header.stamp.nanosec = min(stamps, default=(0, 0))
        return result

    def _chain(self, frame: str) -> dict[str, np.ndarray]:
        """Frame -> its transform to its parent (4, 4), from ``frame`` to the root; the root's is the identity."""
        chain: dict[str, np.ndarray] = {}
        while frame in self._parents:
            if frame in chain:
                raise ConnectivityException(f'the tree holds a loop through "{frame}".')
            chain[frame] = _matrix(self._parents[frame])
            frame = _name(self._parents[frame].header.frame_id)
        if frame in chain:
            raise ConnectivityException(f'the tree holds a loop through "{frame}".')
        return {**chain, frame: np.eye(4)}


def _product(chain: dict[str, np.ndarray], root: str) -> np.ndarray:
    """The transform (4, 4) from the first frame of a chain to ``root``."""
    result = np.eye(4)
    for frame in _until(chain, root):
        result = chain[frame] @ result
    return result


def _until(chain: dict[str, np.ndarray], root: str) -> list[str]:
    """The frames of a chain below ``root``."""
    return list(itertools.takewhile(lambda frame: frame != root, chain))


def _name(frame: str) -> str:
    if not frame:
        raise InvalidArgumentException("a frame must have a name")
    return frame.removeprefix("/")


def _matrix(transform: TransformStamped) -> np.ndarray:
    rotation, translation = transform.transform.rotation, transform.transform.translation
    x, y, z, w = np.array([rotation.x, rotation.y, rotation.z, rotation.w]) / np.linalg.norm(
        [rotation.x, rotation.y, rotation.z, rotation.w]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation.x, translation.y, translation.z
    return matrix


def _message(target: str, source: str, matrix: np.ndarray) -> TransformStamped:
    result = TransformStamped(child_frame_id=source)
    result.header.frame_id = target
    translation, rotation = result.transform.translation, result.transform.rotation
    translation.x, translation.y, translation.z = matrix[:3, 3].tolist()
    m = matrix[:3, :3]
    # The component of the largest magnitude first: the others follow by a division that is far from zero.
    squares = np.array([1 + m[0, 0] - m[1, 1] - m[2, 2], 1 - m[0, 0] + m[1, 1] - m[2, 2],
                        1 - m[0, 0] - m[1, 1] + m[2, 2], 1 + m[0, 0] + m[1, 1] + m[2, 2]])  # fmt: skip
    first = int(squares.argmax())
    s = np.sqrt(squares[first])
    if first == 3:
        parts = [(m[2, 1] - m[1, 2]) / s, (m[0, 2] - m[2, 0]) / s, (m[1, 0] - m[0, 1]) / s, s]
    else:
        j, k = (first + 1) % 3, (first + 2) % 3
        parts = [0.0, 0.0, 0.0, (m[k, j] - m[j, k]) / s]
        parts[first], parts[j], parts[k] = s, (m[j, first] + m[first, j]) / s, (m[k, first] + m[first, k]) / s
    rotation.x, rotation.y, rotation.z, rotation.w = (float(part / 2) for part in parts)
    return result
