"""Coefficients that no lens has are refused; those that fold inside the image are told, with the radius."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from hand_pose_ros.camera.lens_check import check_lens, coverage_px, covers
from hand_pose_ros.camera.model import CameraModel


def camera(model: str, *coefficients: float, focal: float = 554.0) -> CameraModel:
    return CameraModel(1280, 960, focal, focal, 639.5, 479.5, model, coefficients)


@pytest.mark.parametrize(
    "lens",
    [
        camera(""),
        camera("plumb_bob", -0.28, 0.09, 7e-4, -4e-4, 0.0, focal=1000.0),
        camera("plumb_bob", 0.11, -0.2, 1e-3, 1e-3, 0.1, focal=1000.0),
        camera("rational_polynomial", 4.2, 1.7, 1e-4, -3e-4, 0.06, 4.55, 2.9, 0.36),
        camera("equidistant", 0.02, 0.01, -0.03, 0.008),
        CameraModel(848, 800, 286.2, 286.3, 416.9, 403.3, "equidistant", (-0.0072, 0.0428, -0.0405, 0.0071)),
        camera("equidistant", 0.0, 0.0, 0.0, 0.0, focal=600.0),
    ],
)
def test_lenses_are_accepted(lens):
    assert check_lens(lens) == ""
    if lens.distortion_model != "equidistant":  # a wide fisheye's corners may lie behind it
        corners = torch.tensor(((0.0, 0.0), (1279.0, 0.0), (0.0, 959.0), (1279.0, 959.0)))
        assert bool(covers(lens, corners).all())


@pytest.mark.parametrize(
    "coefficients",
    [
        (1480.5, -3320.1, 7e-4, -4e-4, 812.3),
        (1480.5, 0.0, 0.0, 0.0, 0.0),
        (-300.0, 0.0, 0.0, 0.0, 0.0),
        (-12.0, 40.0, 0.0, 0.0, -300.0),
        (0.0007, -0.0004, -0.28, 0.09, 0.0),  # p before k
        (0.0, 0.0, 1.0, 0.0, 0.0),
        (2.1, -1.3, 0.0, 0.0, 0.4, 2.0, -1.2, 0.35, 3.0, 0.0, 3.0, 0.0),
        (2.1, -1.3, 0.0, 0.0, 0.4, 2.0, -1.2, 0.35, 0.0, 0.0, 0.0, 0.0, 10.0, 0.0),  # degrees
    ],
)
def test_coefficients_that_no_lens_has_are_refused(coefficients):
    with pytest.raises(ValueError, match="no lens has the distortion coefficients"):
        check_lens(camera("plumb_bob", *coefficients))


@pytest.mark.parametrize("k3", [-0.1, -0.2, -0.3, -0.9])
def test_a_fold_inside_the_image_is_told_with_its_radius(k3):
    lens = camera("plumb_bob", 0.0, 0.0, 0.0, 0.0, k3)
    fold = (-1 / (7 * k3)) ** (1 / 6)
    fold_px = 554 * fold * (1 + k3 * fold**6)
    reach = coverage_px(lens)
    assert 0.9 * fold_px < reach < fold_px
    assert f"folds back {reach:.0f} pixels" in check_lens(lens)
    along = torch.tensor([[639.5 + share * fold_px, 479.5] for share in (0.5, 0.8, 1.001, 1.1)])
    assert covers(lens, along).tolist() == [True, True, False, False]


def test_a_region_of_interest_inside_the_fold_needs_no_warning():
    lens = CameraModel(640, 480, 554.0, 554.0, 319.5, 239.5, "plumb_bob", (0.0, 0.0, 0.0, 0.0, -0.1))
    assert coverage_px(lens) > math.hypot(320, 240)
    assert check_lens(lens) == ""


@pytest.mark.parametrize(("fx", "fy"), [(1e300, 1e300), (0.866, 1.154), (3.6, 3.6), (5540.0, 553.0)])
def test_focal_lengths_that_are_not_in_pixels_are_refused(fx, fy):
    for model, d in (("", ()), ("plumb_bob", (-0.28, 0.09, 7e-4, -4e-4, 0.0))):
        with pytest.raises(ValueError, match="no camera has the focal lengths"):
            check_lens(CameraModel(640, 480, fx, fy, 319.5, 239.5, model, d))


@pytest.mark.parametrize("point", [(0.0, 0.0), (-3.0, 479.5), (639.5, 960.0), (5000.0, 479.5)])
def test_a_principal_point_outside_the_image_is_told(point):
    outside = dataclasses.replace(camera("plumb_bob", 0.0, 0.0, 0.0, 0.0, -0.9), cx=point[0], cy=point[1])
    warning = check_lens(outside)
    assert (
        f"the principal point ({point[0]:.4g}, {point[1]:.4g}) lies outside the image of 1280x960" in warning
    )
    assert "folds back" in warning  # the other warning is not lost
