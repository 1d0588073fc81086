"""Two views give joints their true place, wrong landmarks are left out, and the folder is read back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import yaml
from helpers.hands import random_hands

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.hand_images.two_views.command import SeenTwice, label, write_folder
from hand_pose_ros.hand_images.two_views.rig import RigCamera, read_rig
from hand_pose_ros.hand_images.two_views.triangulation import (
    View,
    consistent_joints,
    metric_scale,
    triangulate,
)

_RIGHT_ANGLE = np.array(((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
VIEWS = View(np.eye(3), np.zeros(3)), View(_RIGHT_ANGLE, np.array((6.0, 0.0, 6.0)))
_CAMERA = CameraModel.from_fov(320, 240, 1.0)


def clip(count=6):
    """One hand in motion, in units of a tenth of a metre, 0.6 m before the first camera: (n, 21, 3)."""
    joints = random_hands(1, seed=2).pose().joints.numpy()
    joints = joints - joints[:, :1]
    return 10 * joints + np.linspace((-0.3, -0.2, 5.8), (0.4, 0.3, 6.2), count)[:, None]


def seen_by(view, joints):
    in_camera = joints @ view.rotation.T + view.translation
    return in_camera[..., :2] / in_camera[..., 2:]


def test_exact_points_give_exact_joints():
    joints = clip()
    got = triangulate(*(seen_by(view, joints) for view in VIEWS), VIEWS)
    np.testing.assert_allclose(got, joints, atol=1e-6)


def test_noise_gives_the_least_image_error():
    joints = clip(1)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((2, 1, 21, 2))
    seen = [seen_by(view, joints) + one for view, one in zip(VIEWS, noise, strict=True)]

    def error(points):
        return sum(
            np.square(seen_by(view, points) - one).sum() for view, one in zip(VIEWS, seen, strict=True)
        )

    got = triangulate(*seen, VIEWS)
    assert np.abs(got - joints).max() < 0.05
    for step in 1e-3 * np.eye(3):
        assert error(got) <= min(error(got + step), error(got - step))


def test_points_that_one_view_lacks_are_unknown():
    first, second = (seen_by(view, clip(1)) for view in VIEWS)
    first[0, 3] = np.nan
    got = triangulate(first, second, VIEWS)
    assert np.isnan(got[0, 3]).all()
    assert np.isfinite(np.delete(got[0], 3, axis=0)).all()
    same = triangulate(second, second, (VIEWS[1], VIEWS[1]))
    assert np.isnan(same).all()


def test_wrong_landmarks_are_left_out():
    joints = clip()
    seen = [seen_by(view, joints) for view in VIEWS]
    seen[0][2, 8] += 0.2 * np.ptp(seen[0][2])
    got = consistent_joints(triangulate(*seen, VIEWS), (seen[0], seen[1]), VIEWS)
    assert np.isnan(got[2, 8]).all()
    assert np.isfinite(got).all(-1).sum() == 6 * 21 - 1


def test_the_scale_is_that_of_adults():
    scale = metric_scale(clip())
    assert 0.07 < scale < 0.15
    with pytest.raises(ValueError, match="no hand"):
        metric_scale(np.full((2, 21, 3), np.nan))


def rig():
    return tuple(RigCamera("unused", _CAMERA, view) for view in VIEWS)


def test_labels_project_onto_the_photos(tmp_path):
    joints = clip()
    images = tuple(np.full((240, 320, 3), 90, np.uint8) for _ in VIEWS)
    seen = [
        SeenTwice(number, images, "right", np.stack([seen_by(view, one) for view in VIEWS]))
        for number, one in enumerate(joints)
    ]
    samples = label(rig(), seen)
    assert len(samples) == 2 * len(joints)
    write_folder(tmp_path, seen, samples)
    photos = read_samples(tmp_path)
    lengths = []
    for number, photo in enumerate(photos):
        assert photo.image().shape == (240, 320, 3)
        normalised = photo.camera.normalise(torch.from_numpy(photo.points_px)).numpy()
        np.testing.assert_allclose(normalised, seen[number // 2].points[number % 2], atol=1e-4)
        np.testing.assert_allclose(photo.joints_m[:, :2] / photo.joints_m[:, 2:], normalised, atol=1e-4)
        lengths.append(np.linalg.norm(photo.joints_m[5] - photo.joints_m[0]))
    assert np.ptp(lengths) < 1e-4


def test_a_rig_is_read(tmp_path):
    entry = {
        "video": "a.mp4", "width": 320, "height": 240, "K": _CAMERA.K.tolist(), "D": [0.1, 0, 0, 0, 0],
        "R": np.eye(3).tolist(), "T": [0, 1, 2],
    }  # fmt: skip
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump({"cameras": [entry, entry | {"D": [], "R": _RIGHT_ANGLE.tolist()}]}))
    first, second = read_rig(path)
    assert first.video == tmp_path / "a.mp4"
    assert first.camera.distortion[0] == 0.1
    assert not second.camera.distortion_model
    np.testing.assert_allclose(first.view.centre, (0, -1, -2))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "cameras: []",
        "cameras: [1, 2]",
        "cameras: [{video: a}, {video: b}]",
        "- 1",
        "cameras: {a: [",
        "a: &a [*a]",
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "rig.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match="does not describe two cameras"):
        read_rig(path)
    cv2.setNumThreads(1)
