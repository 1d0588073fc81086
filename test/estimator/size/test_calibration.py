"""The measurement of a hand over some seconds: what it answers, and when it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.scale_evidence import MARKER_M, larger, open_pose, rendered, with_marker

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.estimator.size.calibration import DEPTH, MARKER, ScaleCalibration, ScaleRefusedError
from hand_pose_ros.estimator.size.marker import MarkerScale
from hand_pose_ros.pose import Detection, Frame, HandPose

CAMERA = CameraModel.from_fov(640, 480, 1.0)
PLACE = (0.05, 0.05, 0.5)
TRUE_M = 0.085
POSE = larger(open_pose(TRUE_M, PLACE), 1 / 1.06)
"""The hand as estimated, 6 % too small and too near."""
GREY = np.full((480, 640, 3), 110, np.uint8)


def collected(frame, hands=(POSE,), count=20, **changes):
    calibration = ScaleCalibration(**changes)
    for _ in range(count):
        calibration.add(frame, hands)
    return calibration


@pytest.fixture(scope="module")
def picture():
    return rendered(CAMERA, TRUE_M, PLACE)


@pytest.fixture(scope="module")
def with_depth(picture):
    return Frame(picture.image, CAMERA, depth_m=picture.depth_m)


@pytest.fixture(scope="module")
def both(picture):
    return with_marker(picture.image, CAMERA, open_pose(TRUE_M, PLACE))


def test_a_depth_image_gives_the_size(with_depth):
    measured = collected(with_depth).measured()
    assert measured.sources == (DEPTH,)
    assert measured.frames == 20
    assert measured.size.size_m == pytest.approx(TRUE_M, rel=0.004)
    assert measured.size.spread == pytest.approx(np.hypot(0.01, 0.03), rel=0.05)


def test_a_marker_gives_the_size(both):
    measured = collected(Frame(both, CAMERA), marker=MarkerScale(MARKER_M)).measured()
    assert measured.sources == (MARKER,)
    assert abs(measured.size.size_m - TRUE_M) < 2 * measured.size.sigma_m
    assert measured.size.size_m == pytest.approx(TRUE_M, rel=0.02)


def test_both_together_agree_or_are_refused(both, picture):
    frame = Frame(both, CAMERA, depth_m=picture.depth_m)
    measured = collected(frame, marker=MarkerScale(MARKER_M)).measured()
    assert set(measured.sources) == {DEPTH, MARKER}
    assert measured.size.size_m == pytest.approx(TRUE_M, rel=0.02)
    with pytest.raises(ScaleRefusedError, match="contradicts itself"):
        collected(frame, marker=MarkerScale(1.5 * MARKER_M)).measured()


def test_the_placement_s_own_uncertainty_is_part_of_the_answer(with_depth):
    wrist = POSE.joints_m[0]
    sure, unsure = (
        replace(POSE, covariance_m2=np.tile(np.outer(wrist, wrist) * (0.065**2 + own**2), (21, 1, 1)))
        for own in (0.01, 0.08)
    )
    spreads = [collected(with_depth, (one,)).measured().size.spread for one in (sure, unsure)]
    assert spreads[0] == pytest.approx(np.hypot(0.01, 0.01), rel=0.05)
    assert spreads[1] == pytest.approx(np.hypot(0.08, 0.01), rel=0.05)
    in_use = HandSize(0.08, 0.065 * 0.08)
    assert collected(with_depth, (sure,), in_use=in_use).measured().size.spread == pytest.approx(spreads[0])


def test_without_evidence_the_ways_are_named():
    with pytest.raises(
        ScaleRefusedError, match=r"depth image.*scale_marker_m.*second calibrated camera.*hand_length_m"
    ):
        collected(Frame(GREY, CAMERA)).measured()
    with pytest.raises(ScaleRefusedError, match="no marker was found"):
        collected(Frame(GREY, CAMERA), marker=MarkerScale(MARKER_M)).measured()
    empty = np.full((480, 640), np.nan, np.float32)
    with pytest.raises(ScaleRefusedError, match="aligned"):
        collected(Frame(GREY, CAMERA, depth_m=empty)).measured()


def test_a_hand_is_needed_open_and_alone(with_depth):
    invalid = HandPose.invalid(Detection("right", 0.9, np.array([0.0, 0.0, 9.0, 9.0])), "hidden")
    fist = replace(POSE, angles_rad=np.full_like(POSE.angles_rad, 1.3))
    for hands, message in (
        ((), "a hand was seen in 0 of 20 images"),
        ((invalid,), "a hand was seen in 0 of 20 images"),
        ((POSE, POSE), "more than one hand"),
        ((fist,), "an open hand was seen in 0 of 20"),
    ):
        with pytest.raises(ScaleRefusedError, match=message):
            collected(with_depth, hands).measured()
    with pytest.raises(ScaleRefusedError, match="no image came"):
        ScaleCalibration().measured()


def test_evidence_in_a_few_frames_is_not_enough(with_depth):
    calibration = collected(with_depth, count=6)
    for _ in range(30):
        calibration.add(Frame(GREY, CAMERA), (POSE,))
    with pytest.raises(ScaleRefusedError, match="one camera alone"):
        calibration.measured()


def test_a_size_that_no_hand_has_is_refused(picture):
    millimetres_as_metres = Frame(picture.image, CAMERA, depth_m=1e3 * picture.depth_m)
    with pytest.raises(ScaleRefusedError, match="not that of a hand"):
        collected(millimetres_as_metres).measured()
