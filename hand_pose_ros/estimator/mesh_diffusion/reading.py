"""The module gathers what the network reads of detected hands, and turns its meshes into their canonical views."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.hand_crop import hand_crops
from hand_pose_ros.camera.keypoint_view import KeypointView, view_square
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.estimator.keypoint_input import check_view, keypoint_input, mirrored_rays, why_not
from hand_pose_ros.networks.mesh_diffusion.config import MeshEncoderConfig
from hand_pose_ros.networks.orientation.features import NETWORK
from hand_pose_ros.pose import Detection, Frame

NO_FEATURES: Final = (
    "the mesh needs features of hand_landmark_full.tflite, which only the detector 'mediapipe' with "
    "model_complexity 1 gives"
)
_MARGIN: Final = 1.0


class ReadHand(NamedTuple):
    """The network's input for one hand, with a leading dimension of 1.

    inputs: of the encoder. sign: (1,) +1 for a right hand, -1 for a left one. turn: (1, 3, 3) from the crop's axes
    to those of the view, float64. view: the canonical view, with the landmarks as its points. half_extent: (1,)
    tangent of half the crop's angle, float64.
    """

    inputs: Tensor
    sign: Tensor
    turn: Tensor
    view: KeypointView
    half_extent: Tensor


def read_hand(frame: Frame, detection: Detection, encoder: MeshEncoderConfig) -> ReadHand:
    """Return what the network reads of a detected hand.

    Raises:
        ValueError: the hand cannot be estimated; the message says why.
    """
    reason = why_not(detection, frame.camera)
    if reason:
        raise ValueError(reason)
    view, _ = keypoint_input(frame.camera, detection)
    if encoder.reads_features:
        inputs, corners = _features(detection)
    else:
        square = RotatedSquare.around_landmarks(_known_landmarks(detection))
        inputs, corners = None, square.corners_px()
    rays = mirrored_rays(frame.camera, torch.from_numpy(np.asarray(corners, np.float64)), detection.side)
    crop = view_square(rays[None])
    check_view(crop.half_extent)
    if inputs is None:
        image = hand_crops(frame.image_bgr, frame.camera, crop, [detection.side], encoder.size_px, _MARGIN)
        inputs = torch.from_numpy(image)
    sign = torch.tensor([1.0 if detection.side == "right" else -1.0])
    turn = view.rotation.double() @ crop.rotation.mT
    return ReadHand(inputs, sign, turn, to(view, torch.float32), crop.half_extent.double())


def _features(detection: Detection) -> tuple[Tensor, np.ndarray]:
    crop = detection.crop
    if crop is None or crop.network != NETWORK:
        raise ValueError(NO_FEATURES)
    features = torch.from_numpy(np.asarray(crop.features, np.float32))
    if not bool(features.isfinite().all()):
        raise ValueError("the features of the image are not finite")
    return features[None], crop.corners_px


def _known_landmarks(detection: Detection) -> np.ndarray:
    landmarks = np.asarray(detection.landmarks_px, np.float64)
    if not np.isfinite(landmarks).all():
        raise ValueError("the crop of the mesh network needs all 21 landmarks")
    return landmarks
