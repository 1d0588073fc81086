"""The data types that pass between the folders of the package: frame, detection, hand pose and hand mesh.

All are frozen and hold arrays that must not be written to. Missing values are NaN, never zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.camera.mirroring import mirrored_camera, mirrored_image
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.shapes import Array

VISIBILITY: Final = ("visible", "self_occluded", "occluded", "outside")
"""Visibility of a joint. ``self_occluded``: behind another part of the same hand. ``occluded``: behind something
else, which nothing tells yet. ``outside``: of the image."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a camera, with its camera model, time and depth.

    image_bgr: (H, W, 3) uint8, of the size that ``camera`` describes.
    camera: model of the camera that took it, for this image's pixels.
    time_s: when it was taken, seconds from any origin; None if unknown, or for a single image.
    depth_m: (H, W) depth of each pixel in metres, NaN where not known; None without a depth camera.
    """

    image_bgr: Array
    camera: CameraModel
    time_s: float | None = None
    depth_m: Array | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        _check_array("image_bgr", self.image_bgr, (*size, 3))
        if self.image_bgr.dtype != np.uint8:
            raise ValueError(f"image_bgr must be uint8, got {self.image_bgr.dtype}")
        if self.time_s is not None and not math.isfinite(self.time_s):
            raise ValueError(f"time_s must be finite or None, got {self.time_s}")
        if self.depth_m is not None:
            _check_array("depth_m", self.depth_m, size)
            if not np.issubdtype(self.depth_m.dtype, np.floating):
                raise ValueError(f"depth_m must be of floats, metres, got {self.depth_m.dtype}")

    @property
    def stamped_s(self) -> float:
        """``time_s`` of a frame of a video.

        Raises:
            ValueError: the frame has no time.
        """
        if self.time_s is None:
            raise ValueError("a tracker needs the time of each frame")
        return self.time_s

    def mirrored(self) -> Frame:
        """The frame flipped left to right, with the camera that takes such images."""
        return replace(
            self,
            image_bgr=mirrored_image(self.image_bgr),
            camera=mirrored_camera(self.camera),
            depth_m=None if self.depth_m is None else mirrored_image(self.depth_m),
        )


@dataclass(frozen=True, eq=False)
class SeenHand:
    """The output of an image encoder for one hand, so that the same encoder need not run on it again.

    encoder: the network. side: of the hand.
    view: fields (1, ...), of the crop, mirrored for a left hand; its points are the joints that were found there.
    features: (1, k) the image features that condition the diffusion.
    log_heat: (1, 21, h, w) logarithms of the heatmaps of the joints.
    """

    encoder: object
    side: str
    view: KeypointView
    features: Tensor
    log_heat: Tensor


@dataclass(frozen=True, eq=False)
class CropFeatures:
    """Features inside the landmark network for a hand's crop, so that another network can continue from them.

    network: checksum of the network's file. features: (channels, height, width) float32.
    corners_px: (4, 2) the crop's corners in the image: upper left, upper right, lower right, lower left.
    """

    network: str
    features: Array
    corners_px: Array


@dataclass(frozen=True, eq=False)
class ReadLandmarks:
    """Depths and expected errors that a 2.5D network gives with the landmarks it reads from the image.

    depth: (21,) relative to the wrist, along the ray through the hand's middle, anchor lengths, positive = away.
    error: (21,) expected distance of each landmark from its true place, in half extents of the hand's view.
    """

    depth: Array
    error: Array


@dataclass(frozen=True)
class Detection:
    """One hand found in an image.

    side: 'left' or 'right', of the person's hand, already corrected for mirrored images.
    score: confidence in [0, 1].
    box_px: (4,) x0, y0, x1, y1 of an upright box around the hand, pixels; may reach out of the image.
    landmarks_px: (21, 2) joints in pixels, NaN where not found; None from a detector that gives boxes only.
    landmarks_m: (21, 3) the detector's own 3D joints, metres, with an arbitrary origin and the axes of a camera
        that looks at the hand: x and y along the image's, z along the ray through the crop's middle. None if
        the detector has none.
    track_id: number that stays with the hand from frame to frame; None without tracking.
    landmark_scores: (21,) the detector's confidence in each landmark, in [0, 1], NaN where it has none; None from
        a detector that gives none at all.
    seen: what an image encoder saw, if one found the hand.
    crop: features of the landmark network, if it gives any; of the hand as it is in the image, not mirrored.
    read: depths and errors of the landmarks, if a 2.5D network has read them.
    """

    side: str
    score: float
    box_px: Array
    landmarks_px: Array | None = None
    landmarks_m: Array | None = None
    track_id: int | None = None
    landmark_scores: Array | None = None
    seen: SeenHand | None = None
    crop: CropFeatures | None = None
    read: ReadLandmarks | None = None

    def __post_init__(self) -> None:
        hand.check_side(self.side)
        _check_array("box_px", self.box_px, (4,))
        if not (self.box_px[2] > self.box_px[0] and self.box_px[3] > self.box_px[1]):
            raise ValueError(f"box_px must have x1 > x0 and y1 > y0, got {self.box_px.tolist()}")
        if self.landmarks_px is not None:
            _check_array("landmarks_px", self.landmarks_px, (hand.NUM_JOINTS, 2))
        if self.landmarks_m is not None:
            _check_array("landmarks_m", self.landmarks_m, (hand.NUM_JOINTS, 3))
        if self.landmark_scores is not None:
            _check_array("landmark_scores", self.landmark_scores, (hand.NUM_JOINTS,))


@dataclass(frozen=True)
class HandMesh:
    """The surface of one hand in the camera's optical frame, metres.

    vertices_m: (V, 3). faces: (F, 3) integers, counter-clockwise seen from outside, on a left hand too.
    template: name of the mesh that was posed; meshes of one template have the same vertices in the same order.
    sigma_m: (V,) standard deviation of each vertex for the hand's shape and pose, not its place; None if unknown.
    """

    vertices_m: Array
    faces: Array
    template: str
    sigma_m: Array | None = None

    def __post_init__(self) -> None:
        for name, kind in (("vertices_m", np.floating), ("faces", np.integer)):
            array = getattr(self, name)
            _check_array(name, array, (*np.shape(array)[:1], 3))
            if not np.issubdtype(array.dtype, kind):
                raise ValueError(f"{name} must be of {kind.__name__} numbers, got {array.dtype}")
        if not np.isfinite(self.vertices_m).all():
            raise ValueError("vertices_m must be finite: a hand that is not known has no mesh")
        if self.faces.size and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices_m):
            raise ValueError(f"faces must be indices of the {len(self.vertices_m)} vertices")
        if not self.template:
            raise ValueError("a mesh must name its template")
        if self.sigma_m is not None:
            _check_array("sigma_m", self.sigma_m, (len(self.vertices_m),))


@dataclass(frozen=True)
class HandPose:
    """One estimated hand in the camera's optical frame (x right, y down, z forward), metres.

    valid: whether the rest can be used; if not, every number is NaN and ``reason`` says why.
    joints_m: (21, 3). rotations: (21, 3, 3), bone frame -> camera frame; entry 0 is the wrist's.
    angles_rad: (38,) in ``hand.ANGLES`` order. proportions: (20,) in ``hand.BONES`` order.
    anchor_length_m: length of the bone wrist -> index MCP.
    covariance_m2: (21, 3, 3) of each joint; NaN where not known.
    wrist_covariance: (6, 6) of the wrist's position (m) and small rotation (rad) about the camera's axes; NaN
        where not known.
    mesh: the surface, from an estimator that gives one; if None, the joints' template is shown.
    size_sigma_m: standard deviation of the hand's size, as a part of ``anchor_length_m``; the covariances contain
        its effect along the ray. NaN where not known.
    visibility: (21,) uint8, the index in ``VISIBILITY`` of each joint; None if it is not known.
    """

    side: str
    score: float
    joints_m: Array
    rotations: Array
    angles_rad: Array
    proportions: Array
    anchor_length_m: float
    covariance_m2: Array
    wrist_covariance: Array
    valid: bool = True
    reason: str = ""
    track_id: int | None = None
    mesh: HandMesh | None = None
    size_sigma_m: float = math.nan
    visibility: Array | None = None

    def __post_init__(self) -> None:
        hand.check_side(self.side)
        for name, shape in _POSE_SHAPES.items():
            _check_array(name, getattr(self, name), shape)
        if self.visibility is not None:
            _check_array("visibility", self.visibility, (hand.NUM_JOINTS,))
            if self.visibility.dtype != np.uint8 or self.visibility.max() >= len(VISIBILITY):
                raise ValueError(f"visibility must be uint8 below {len(VISIBILITY)}, got {self.visibility}")
        if self.valid and not np.isfinite(self.joints_m).all():
            raise ValueError("a valid HandPose must have finite joints_m")
        if not self.valid and not self.reason:
            raise ValueError("an invalid HandPose must give a reason")
        if not self.valid and self.mesh is not None:
            raise ValueError("an invalid HandPose has no mesh")

    @property
    def joint_sigma_m(self) -> Array:
        """(21,) standard deviation of each joint, as the root of the mean variance of its axes; NaN if unknown."""
        return np.sqrt(np.trace(self.covariance_m2, axis1=1, axis2=2) / 3)

    def moved(self, shift_m: Array) -> HandPose:
        """The hand, with its mesh, moved by ``shift_m`` (3,)."""
        mesh = self.mesh and replace(self.mesh, vertices_m=self.mesh.vertices_m + shift_m)
        return replace(self, joints_m=self.joints_m + shift_m, mesh=mesh)

    @classmethod
    def invalid(cls, detection: Detection, reason: str) -> HandPose:
        """The pose of a detected hand that could not be estimated, for ``reason``."""
        unknown: dict[str, Any] = {name: np.full(shape, np.nan) for name, shape in _POSE_SHAPES.items()}
        return cls(
            side=detection.side,
            score=detection.score,
            anchor_length_m=float("nan"),
            valid=False,
            reason=reason,
            track_id=detection.track_id,
            **unknown,
        )


_POSE_SHAPES = {
    "joints_m": (hand.NUM_JOINTS, 3),
    "rotations": (hand.NUM_JOINTS, 3, 3),
    "angles_rad": (hand.NUM_ANGLES,),
    "proportions": (hand.NUM_BONES,),
    "covariance_m2": (hand.NUM_JOINTS, 3, 3),
    "wrist_covariance": (6, 6),
}


def _check_array(name: str, value: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(value, np.ndarray) or value.shape != shape:
        got = value.shape if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"{name} must be an array of shape {shape}, got {got}")
