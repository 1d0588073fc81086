"""A detector's answers on labelled photos, in the form of its answers on renders: to check a noise model with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import stack
from hand_pose_ros.datasets.photo_folder import LabelledPhoto
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.initial_guess import rigid_fit
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.pose import Frame
from hand_pose_ros.synthetic.detector.study import Detect, Study, answer

_PALM = [hand.WRIST, *hand.KNUCKLES]


def photo_study(photos: Sequence[LabelledPhoto], detect: Detect) -> Study:
    """Show photos to a detector that looks for one hand; those without a camera or all 21 joints are left out.

    Hidden joints are those that :func:`joints_visible` takes for hidden; the wrist's orientation is that of a mean
    palm laid on the labelled one.

    Raises:
        ValueError: no photo is fully labelled.
    """
    complete = [photo for photo in photos if photo.camera is not None and np.isfinite(photo.joints_m).all()]
    if not complete:
        raise ValueError(f"none of {len(photos)} photos has a camera and all of its joints labelled in 3D")
    return stack([_show(photo, detect) for photo in complete])


def _show(photo: LabelledPhoto, detect: Detect) -> Study:
    assert photo.camera is not None, "only photos with a camera are shown"
    frame, joints = Frame(photo.image(), photo.camera), photo.joints_m.copy()
    if photo.side == "left":  # stored as the right hand that its mirror image shows
        frame = frame.mirrored()
        joints[:, 0] *= -1
    camera = frame.camera
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    points = torch.from_numpy(joints)[None]
    projected = joints[:, :2] / joints[:, 2:] * (fx, fy) + (cx, cy)
    inside = ((projected > -0.5) & (projected < (camera.width - 0.5, camera.height - 0.5))).all(1)
    anchor = (points[:, hand.ANCHOR_JOINT] - points[:, hand.WRIST]).norm(dim=-1)
    visible = joints_visible(points, anchor)[0].numpy()
    found = answer(detect, frame, mirrored=False)
    return Study(
        joints_m=joints,
        rotation=_palm_rotation(points)[0].numpy(),
        visible=visible & inside,
        inside=inside,
        camera=np.array((fx, fy, cx, cy)),
        **found,
    )


def _palm_rotation(joints: torch.Tensor) -> torch.Tensor:
    """Wrist frame -> camera frame (n, 3, 3) of right hands, from their palms."""
    bounds, lengths = angle_bounds(joints.dtype), proportion_bounds(joints.dtype)
    palm = forward_kinematics(bounds.neutral, lengths.neutral).joints[_PALM].expand(len(joints), -1, -1)
    weights = joints.new_ones(palm.shape[:2])
    return rigid_fit(palm, joints[:, _PALM], weights)[0]
