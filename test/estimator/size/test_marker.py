"""The size from a marker that is drawn into the plane of the palm."""

import numpy as np
import pytest
from helpers.scale_evidence import MARKER_M, larger, open_pose, rendered, with_marker

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.size.marker import DICTIONARIES, MarkerScale

CAMERA = CameraModel.from_fov(640, 480, 1.0)
PLACE = (0.05, 0.05, 0.5)
POSE = open_pose(0.085, PLACE)


def picture(**changes):
    return with_marker(rendered(CAMERA, 0.085, PLACE).image, CAMERA, POSE, **changes)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_the_ratio_of_the_sizes_is_found(factor):
    ratio = MarkerScale(MARKER_M).ratio(picture(), CAMERA, larger(POSE, 1 / factor))
    assert ratio is not None
    assert ratio.value == pytest.approx(factor, rel=0.02)
    assert abs(ratio.value / factor - 1) < 3 * ratio.spread
    assert 0.01 < ratio.spread < 0.06


@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_every_dictionary_is_read(dictionary):
    planes = MarkerScale(MARKER_M, dictionary).planes(picture(dictionary=dictionary), CAMERA)
    assert planes
    centre = planes[0].centre
    assert np.linalg.norm(centre) == pytest.approx(np.linalg.norm(POSE.joints_m[9]), rel=0.1)


def test_a_larger_marker_means_a_larger_hand():
    image = picture()
    small, large = (MarkerScale(size).ratio(image, CAMERA, POSE) for size in (MARKER_M, 1.1 * MARKER_M))
    assert large.value / small.value == pytest.approx(1.1, rel=1e-3)


def test_markers_out_of_the_hand_s_plane_or_far_away_do_not_count():
    marker = MarkerScale(MARKER_M)
    assert marker.ratio(rendered(CAMERA, 0.085, PLACE).image, CAMERA, POSE) is None
    assert marker.planes(picture(tilt_rad=1.1), CAMERA)
    assert marker.ratio(picture(tilt_rad=1.1), CAMERA, POSE) is None
    elsewhere = open_pose(0.02, (-0.2, 0.1, 0.5))
    assert marker.ratio(picture(offset_m=(0.14, -0.02)), CAMERA, elsewhere) is None


def test_wrong_sizes_and_dictionaries_are_refused():
    with pytest.raises(ValueError, match="positive"):
        MarkerScale(0.0)
    with pytest.raises(ValueError, match="dictionary"):
        MarkerScale(0.05, "dice")
