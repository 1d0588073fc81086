"""The fit of the noise model: it finds again what the model put in, and studies are kept and read as they were."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.keypoints import random_keypoints

from hand_pose_ros import hand
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.pose import Detection, Frame, ReadLandmarks
from hand_pose_ros.synthetic.detector.fit_noise import fit_noise
from hand_pose_ros.synthetic.detector.noise import NO_VARIETY, DetectorNoise
from hand_pose_ros.synthetic.detector.study import (
    Study,
    ViewedStudy,
    load_studies,
    run_study,
    save_study,
    view_study,
)


def imitate(noise: DetectorNoise, truth: dict[str, torch.Tensor], seed: int) -> ViewedStudy:
    """A study whose answers are the model's own."""
    noisy = noise(**truth, generator=torch.Generator().manual_seed(seed))
    return ViewedStudy(
        points=truth["points"],
        points_found=noisy.points,
        depth=truth["depth"],
        depth_found=noisy.depth,
        joints=torch.cat((truth["points"], truth["depth"][..., None]), dim=-1),
        visible=truth["visible"],
        inside=truth["inside"],
        view_rotation=truth["view_rotation"],
    )


def test_a_fit_to_the_models_own_errors_gives_such_errors():
    truth = random_keypoints(1000)
    truth = {name: value.double() if value.is_floating_point() else value for name, value in truth.items()}
    truth["visible"] = torch.rand(1000, 21, generator=torch.Generator().manual_seed(5)) < 0.6
    first = imitate(DetectorNoise(variety=NO_VARIETY, definition_offsets=True), truth, seed=1)
    fitted = DetectorNoise(variety=NO_VARIETY, definition_offsets=True, statistics=fit_noise(first))
    second = imitate(fitted, truth, seed=2)
    for chosen in (truth["visible"], ~truth["visible"]):
        errors = [(one.points_found - one.points).norm(dim=-1)[chosen] for one in (first, second)]
        assert errors[1].median() == pytest.approx(float(errors[0].median()), rel=0.2)
        assert errors[1].quantile(0.9) == pytest.approx(float(errors[0].quantile(0.9)), rel=0.2)
    depth = [(one.depth_found - one.depth).abs() for one in (first, second)]
    assert depth[1].median() == pytest.approx(float(depth[0].median()), rel=0.2)


class TruthfulDetector:
    """Says what it is told; finds nothing where that is None."""

    def __init__(self, answers: list[np.ndarray | None]) -> None:
        self._answers = iter(answers)

    def __call__(self, frame: Frame) -> list[Detection]:
        landmarks = next(self._answers)
        if landmarks is None:
            return []
        box = np.concatenate((landmarks.min(0), landmarks.max(0)))
        metres = np.concatenate((landmarks, landmarks[:, :1]), axis=1) * 1e-3
        return [Detection("right", 0.9, box, landmarks_px=landmarks, landmarks_m=metres)]


def test_a_study_is_mirrored_back_and_read_as_it_was_kept(tmp_path):
    answer = np.random.default_rng(0).uniform(0, 100, (hand.NUM_JOINTS, 2))
    study = run_study(3, TruthfulDetector([answer, None, answer]), seed=4)
    assert study.found.tolist() == [True, False, True]
    assert np.isnan(study.landmarks_px[1]).all()
    for index in (0, 2):
        same = np.allclose(study.landmarks_px[index], answer)
        assert same == study.right_side[index]  # the detector always says 'right'
        if not same:
            width = study.landmarks_px[index, 0, 0] + answer[0, 0] + 1
            assert np.allclose(width - 1 - study.landmarks_px[index, :, 0], answer[:, 0])

    save_study(study, tmp_path / "study_0000.npz")
    save_study(study, tmp_path / "study_0001.npz")
    twice = load_studies(tmp_path)
    for name in Study._fields:
        both = np.concatenate((getattr(study, name),) * 2)
        assert np.array_equal(getattr(twice, name), both, equal_nan=both.dtype.kind == "f")
    with pytest.raises(ValueError, match="study"):
        load_studies(tmp_path / "nowhere")
    old = {name: value for name, value in study._asdict().items() if name != "depth"}
    np.savez(tmp_path / "study_0002.npz", **old, landmarks_m=np.zeros((3, 21, 3)))
    with pytest.raises(ValueError, match=r"study_0002.npz is not a study of this version"):
        load_studies(tmp_path)


def test_the_depths_that_a_network_has_read_are_kept():
    depth = np.linspace(0, 1, hand.NUM_JOINTS, dtype=np.float32)

    def reader(frame: Frame) -> list[Detection]:
        centre = np.array((frame.camera.cx, frame.camera.cy))
        landmarks = centre + np.arange(2.0 * hand.NUM_JOINTS).reshape(-1, 2)
        box = np.concatenate((landmarks.min(0), landmarks.max(0)))
        read = ReadLandmarks(depth, np.full(hand.NUM_JOINTS, 0.1, np.float32))
        return [Detection("right", 0.9, box, landmarks_px=landmarks, read=read)]

    study = run_study(6, reader, seed=4)
    np.testing.assert_allclose(study.depth, np.tile(depth, (6, 1)))
    # The reader is shown the mirror image with the camera that took it: it sees the same side of the axis.
    offset = study.landmarks_px[:, 0, 0] - study.camera[:, 2]
    np.testing.assert_allclose(offset, 0, atol=1e-9)
    assert 0 < study.right_side.sum() < 6
    with pytest.raises(ValueError, match="depths"):
        run_study(1, lambda frame: [replace(reader(frame)[0], read=None)], seed=4)


def test_the_canonical_view_of_a_perfect_answer_is_the_truth():
    study = run_study(4, TruthfulDetector([None] * 4), seed=9)
    fx, fy, cx, cy = (study.camera[:, [k], None] for k in range(4))
    points = study.joints_m[..., :2] / study.joints_m[..., 2:] * np.concatenate((fx, fy), -1)
    viewed = view_study(
        study._replace(
            found=np.ones(4, bool),
            landmarks_px=points + np.concatenate((cx, cy), -1),
            depth=relative_depth(torch.from_numpy(study.joints_m)).numpy(),
        )
    )
    assert torch.allclose(viewed.points, viewed.points_found, atol=1e-5)
    assert torch.allclose(viewed.joints[..., 2], viewed.depth)
    turned = (
        viewed.view_rotation.transpose(-1, -2) @ viewed.joints[:, hand.JOINT_INDEX["middle_mcp"], :, None]
    )
    assert (turned[:, 0, 0] > 0.8).all()  # the wrist frame's x axis
    assert torch.allclose(viewed.view_rotation.det(), torch.ones(4, dtype=torch.float64), atol=1e-4)
