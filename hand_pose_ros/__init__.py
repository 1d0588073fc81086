"""Metric 3D hands from one RGB camera: a library, and the ROS 2 nodes on top of it.

Its face is exported here and imported on first use, so that ``import hand_pose_ros`` needs no library.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hand_pose_ros.camera.model import CameraModel
    from hand_pose_ros.factory import PipelineConfig, create_pipeline
    from hand_pose_ros.pose import Detection, Frame, HandPose

__version__ = "0.1.0"
__all__ = ["CameraModel", "Detection", "Frame", "HandPose", "PipelineConfig", "create_pipeline"]

_HOMES = {
    "CameraModel": "camera.model",
    "Detection": "pose",
    "Frame": "pose",
    "HandPose": "pose",
    "PipelineConfig": "factory",
    "create_pipeline": "factory",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(globals() | _HOMES)
