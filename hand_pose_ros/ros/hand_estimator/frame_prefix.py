"""The prefix of the hands' TF frames, which keeps the frames of two cameras apart."""

from __future__ import annotations

import time
from typing import Final

from rclpy.node import Node

AUTO: Final = "auto"
DISCOVERY_S: Final = 4.0
"""How long after its creation a node knows the others of its graph.

A DDS participant announces itself in a burst when it starts, and then every three seconds. On a busy machine the
burst may be lost.
"""
DEFAULT_NAMESPACE: Final = "hand_pose"
"""The launch files' namespace, as a rule of the only camera."""
_BURST_S: Final = 1.5
"""How long after its creation a node of the default namespace waits: for the burst."""
_POLL_S: Final = 0.05
_IMAGE_TYPES: Final = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


def frame_prefix(node: Node, setting: str, created_s: float) -> str:
    """The prefix of all hand frames.

    With 'auto' the first camera's frames have none. An estimator that finds another one of its name when it is
    activated, in another namespace, takes its own namespace: two estimators must never give one frame two parents.

    Args:
        setting: the parameter ``frame_prefix``: 'auto', or the prefix itself.
        created_s: when the node was created, of the monotonic clock. With 'auto' a younger node waits until it
            knows the others, or is ``DISCOVERY_S`` old; in the default namespace 1.5 s.
    """
    if setting != AUTO:
        return setting
    own = namespace_prefix(node)
    if not own:
        return ""
    wait_until_s = created_s + (_BURST_S if own == DEFAULT_NAMESPACE else DISCOVERY_S)
    while not rivals(node):
        if time.monotonic() >= wait_until_s or not node.context.ok():
            return ""
        time.sleep(_POLL_S)
    return f"{own}_"


def namespace_prefix(node: Node) -> str:
    """The node's namespace as a part of a frame's name."""
    return node.get_namespace().strip("/").replace("/", "_")


def rivals(node: Node, only_active: bool = False) -> list[str]:
    """Full names of the other estimators that come before this one: active ones, and others by their names.

    Two that start at the same moment see each other inactive; the one whose name sorts first comes first.
    """
    own = (node.get_namespace(), node.get_name())
    found = []
    for name, namespace in set(node.get_node_names_and_namespaces()):
        if name != own[1] or namespace == own[0]:
            continue
        if _is_active(node, name, namespace) or (not only_active and (namespace, name) < own):
            found.append(f"{namespace.rstrip('/')}/{name}")
    return sorted(found)


def _is_active(node: Node, name: str, namespace: str) -> bool:
    """Whether another estimator listens to a camera, which it does only while it is active."""
    try:
        subscriptions = node.get_subscriber_names_and_types_by_node(name, namespace)
    except RuntimeError:  # NodeNameNonExistentError: it has just ended
        return False
    return any(kind in _IMAGE_TYPES for _, kinds in subscriptions for kind in kinds)
