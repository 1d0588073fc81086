"""The camera model: OpenCV's projection, its own inverse, CameraInfo's rules, and bad input."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from hand_pose_ros.camera.distortion import distort, max_radius, undistort
from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError
from hand_pose_ros.camera.warp import sample, undistortion_map

LENSES = {
    "none": ("", ()),
    "plumb_bob": ("plumb_bob", (-0.32, 0.12, 0.0011, -0.0007, -0.02)),
    "plumb_bob_pincushion": ("plumb_bob", (0.11, 0.05, -0.002, 0.001, 0.01)),
    "plumb_bob_without_k3": ("plumb_bob", (-0.25, 0.08, 0.001, 0.0005)),
    "rational_polynomial": ("rational_polynomial", (4.2, 1.7, 0.0001, -0.0003, 0.06, 4.55, 2.9, 0.36)),
    "thin_prism": ("rational_polynomial", (-0.3, 0.1, 1e-3, -5e-4, 0, 0, 0, 0, 4e-3, -2e-3, -3e-3, 1e-3)),
    "tilted": ("rational_polynomial", (-0.2, 0.1, 1e-3, -5e-4, 0, 0, 0, 0, 4e-3, 0, -3e-3, 0, 0.02, -0.03)),
    "equidistant": ("equidistant", (-0.012, 0.031, -0.022, 0.004)),
    "equidistant_ideal": ("equidistant", (0.0, 0.0, 0.0, 0.0)),
}
K = (420.0, 0.0, 318.5, 0.0, 430.0, 243.25, 0.0, 0.0, 1.0)


@pytest.fixture(params=LENSES, name="camera")
def _camera(request: pytest.FixtureRequest) -> CameraModel:
    return CameraModel.from_matrix(640, 480, K, *LENSES[request.param])


def points_in_view(count: int = 500, spread: float = 0.7) -> torch.Tensor:
    """(count, 3) points in front of the camera, up to ``spread`` off the axis in normalised coordinates."""
    generator = torch.Generator().manual_seed(0)
    normalised = (2 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1) * spread
    depth = 0.1 + 3 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    return torch.cat((normalised * depth, depth), dim=-1)


def opencv_project(camera: CameraModel, points: torch.Tensor) -> np.ndarray:
    project = cv2.fisheye.projectPoints if camera.distortion_model == "equidistant" else cv2.projectPoints
    origin = np.zeros(3)
    coefficients = np.array(camera.distortion) if camera.distortion else np.zeros(5)
    points = points.numpy().reshape(-1, 1, 3)
    return project(points, origin, origin, camera.K.numpy(), coefficients)[0][:, 0]


def test_project_matches_opencv(camera: CameraModel) -> None:
    points = points_in_view()
    np.testing.assert_allclose(camera.project(points).numpy(), opencv_project(camera, points), atol=1e-9)


def test_undistort_points_matches_opencv(camera: CameraModel) -> None:
    pixels = camera.project(points_in_view(spread=0.5))
    undistort = (
        cv2.fisheye.undistortPoints if camera.distortion_model == "equidistant" else cv2.undistortPoints
    )
    matrix, distortion = camera.K.numpy(), np.array(camera.distortion or np.zeros(5))
    options = {"P": matrix}
    if camera.distortion_model != "equidistant":  # OpenCV's default of 5 iterations is off by up to 0.05 px
        undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)  # OpenCV 5 has one function
        options = {"R": np.eye(3), "P": matrix, "criteria": (cv2.TERM_CRITERIA_COUNT, 500, 0.0)}
    expected = undistort(pixels.numpy()[:, None], matrix, distortion, **options)[:, 0]
    np.testing.assert_allclose(camera.undistort_points(pixels).numpy(), expected, atol=1e-5)


def test_back_project_undoes_project(camera: CameraModel) -> None:
    points = points_in_view()
    restored = camera.back_project(camera.project(points), points[:, 2])
    torch.testing.assert_close(restored, points, atol=1e-9, rtol=0)
    assert bool((camera.rays(camera.project(points))[:, 2] == 1).all())


def test_results_follow_dtype_and_leading_shape(camera: CameraModel) -> None:
    points = points_in_view(24)
    pixels = camera.project(points)
    single = camera.project(points.float().reshape(2, 3, 4, 3))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double().reshape(-1, 2), pixels, atol=2e-3, rtol=0)
    restored = camera.back_project(single, points.float().reshape(2, 3, 4, 3)[..., 2])
    torch.testing.assert_close(restored.double().reshape(-1, 3), points, atol=2e-4, rtol=0)
    one_by_one = torch.stack([camera.undistort_points(pixel) for pixel in pixels])
    torch.testing.assert_close(one_by_one, camera.undistort_points(pixels), atol=1e-9, rtol=0)
    assert camera.project(points[:0]).shape == (0, 2)
    assert camera.rays(pixels[:0]).shape == (0, 3)


def test_gradients(camera: CameraModel) -> None:
    points = points_in_view(6)
    points[0, :2] = 0  # on the optical axis, where a radius has no derivative
    assert torch.autograd.gradcheck(camera.project, points.requires_grad_(), atol=1e-6)
    # Off the axis, the inverse must be differentiable as well; its fold-free part only.
    pixels = camera.project(points.detach()[1:]).requires_grad_()
    assert torch.autograd.gradcheck(camera.normalise, pixels, atol=1e-6)


def test_points_behind_and_missing_points_are_nan_with_finite_gradients(camera: CameraModel) -> None:
    points = torch.tensor([[0.1, 0.1, 1.0], [0.1, 0.1, 0.0], [0.1, 0.1, -1.0], [math.nan, 0.0, 1.0]])
    points.requires_grad_()
    pixels = camera.project(points)
    assert pixels.isnan().any(-1).tolist() == [False, True, True, True]
    pixels[0].sum().backward()
    assert bool(points.grad.isfinite().all())

    seen = pixels.detach().clone().requires_grad_()
    rays = camera.rays(seen)
    assert rays.isnan().any(-1).tolist() == [False, True, True, True]
    rays[0].sum().backward()
    assert bool(seen.grad.isfinite().all())


@pytest.mark.parametrize("name", [name for name in LENSES if name != "none"])
def test_what_comes_back_is_a_true_inverse_or_nan(name: str) -> None:
    """Over a plane far wider than the lens: never a number that the lens would not image where it was seen."""
    camera = CameraModel.from_matrix(640, 480, K, *LENSES[name])
    axis = torch.linspace(-3000, 3000, 101, dtype=torch.float64)
    pixels = torch.cartesian_prod(axis, axis)
    rays = camera.rays(pixels)
    answered = rays.isfinite().all(-1)
    np.testing.assert_allclose(opencv_project(camera, rays[answered]), pixels[answered].numpy(), atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_the_inverse_finds_nearly_every_ray_of_random_lenses(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lenses = {
        "plumb_bob": generator.normal(0, (0.4, 0.3, 0.002, 0.002, 0.2)),
        "rational_polynomial": generator.normal(
            (2, 1, 0, 0, 0.1, 2, 1, 0.2), (1, 1, 5e-4, 5e-4, 0.1, 1, 1, 0.1)
        ),
        "equidistant": generator.normal(0, 0.1, 4),
    }
    angle = torch.from_numpy(generator.uniform(0, 2 * math.pi, 300))
    for model, values in lenses.items():
        lens = (model, tuple(values))
        radius = torch.from_numpy(generator.uniform(0, 0.95, 300)) * min(max_radius(*lens), 3.0)
        points = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1)
        restored = undistort(distort(points, *lens), *lens)
        found = restored.isfinite().all(-1)
        torch.testing.assert_close(restored[found], points[found], atol=1e-8, rtol=0)
        assert found.double().mean() > 0.99


def test_project_is_nan_beyond_the_fold() -> None:
    """x (1 + k1 x^2) with k1 = -1/3 turns back at x = 1, where it images 2/3."""
    camera = CameraModel(100, 100, 1.0, 1.0, 0.0, 0.0, "plumb_bob", (-1 / 3, 0.0, 0.0, 0.0, 0.0))
    points = torch.tensor([[0.99, 0.0, 1.0], [1.01, 0.0, 1.0], [3.0, 0.0, 1.0]], dtype=torch.float64)
    assert camera.project(points)[:, 0].isnan().tolist() == [False, True, True]
    pixels = torch.tensor([[0.66, 0.0], [0.67, 0.0], [5.0, 0.0]], dtype=torch.float64)
    assert camera.normalise(pixels)[:, 0].isnan().tolist() == [False, True, True]


def test_an_ideal_fisheye_sees_up_to_ninety_degrees() -> None:
    camera = CameraModel(100, 100, 1.0, 1.0, 0.0, 0.0, "equidistant", (0.0,) * 4)
    pixels = torch.tensor([[math.radians(89.0), 0.0], [math.radians(91.0), 0.0]], dtype=torch.float64)
    rays = camera.rays(pixels)
    assert math.isclose(rays[0, 0].item(), math.tan(math.radians(89.0)), rel_tol=1e-9)
    assert bool(rays[1].isnan().any())


def test_from_fov_spans_the_image_between_its_outer_edges() -> None:
    camera = CameraModel.from_fov(640, 480, math.radians(60))
    edges = camera.rays(torch.tensor([[-0.5, 239.5], [639.5, 239.5]], dtype=torch.float64))
    tangent = math.tan(math.radians(30))
    torch.testing.assert_close(edges[:, 0], torch.tensor([-tangent, tangent], dtype=torch.float64))
    assert camera.fx == camera.fy
    for fov in (0.0, math.pi, math.nan):
        with pytest.raises(ValueError, match="horizontal_fov_rad"):
            CameraModel.from_fov(640, 480, fov)


def test_region_of_interest_and_binning() -> None:
    """A pixel of the cut and binned image is the full image's, less the offset, divided by the binning."""
    fields = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": (-0.3, 0.1, 0, 0, 0), "k": K}
    full = CameraModel.from_camera_info(**fields)
    assert (full.width, full.height, full.K.flatten().tolist()) == (640, 480, list(K))
    part = CameraModel.from_camera_info(
        **fields, binning_x=2, binning_y=4, roi_x_offset=100, roi_y_offset=60, roi_width=320, roi_height=240
    )
    assert (part.width, part.height) == (160, 60)
    points = points_in_view(spread=0.4)
    scale, offset = torch.tensor([2.0, 4.0]).double(), torch.tensor([100.0, 60.0]).double()
    torch.testing.assert_close(part.project(points), (full.project(points) - offset) / scale)
    whole = CameraModel.from_camera_info(**fields, roi_width=640, roi_height=480, binning_x=1, binning_y=1)
    assert whole == full
    for outside in ({"roi_x_offset": 400, "roi_width": 320}, {"roi_y_offset": -1}, {"binning_x": -2}):
        with pytest.raises(ValueError, match="region of interest"):
            CameraModel.from_camera_info(**fields, **outside)


def test_rectified_images_use_the_projection_matrix() -> None:
    p = (400.0, 0.0, 310.0, -48.0, 0.0, 400.0, 250.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    fields = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": (-0.3, 0.1, 0, 0, 0), "k": K}
    camera = CameraModel.from_camera_info(**fields, p=p, rectified=True)
    assert camera == CameraModel.pinhole(400, 400, 310, 250, 640, 480)
    with pytest.raises(ValueError, match="P must have 12 elements"):
        CameraModel.from_camera_info(**fields, rectified=True)


def test_an_uncalibrated_camera_has_an_error_of_its_own() -> None:
    with pytest.raises(UncalibratedCameraError, match="not calibrated"):
        CameraModel.from_camera_info(width=640, height=480, distortion_model="", d=(), k=(0.0,) * 9)


def _changed(index: int, value: float) -> tuple[float, ...]:
    return (*K[:index], value, *K[index + 1 :])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": _changed(2, math.nan)}, "K must be finite"),
        ({"k": _changed(4, math.inf)}, "K must be finite"),
        ({"k": _changed(4, 0.0)}, "fy must be a positive focal length"),
        ({"k": _changed(0, -420.0)}, "fx must be a positive focal length"),
        ({"k": _changed(1, 0.5)}, "no skew"),
        ({"k": _changed(8, 2.0)}, "no skew"),
        ({"k": K[:8]}, "K must have 9 elements, got 8"),
        ({"width": 0}, "width must be a positive whole number"),
        ({"height": 480.5}, "height must be a positive whole number"),
        (
            {"distortion_model": "inverse_brown_conrady"},
            "unknown distortion model 'inverse_brown_conrady'; expected",
        ),
        ({"d": (0.1, 0.2)}, "'plumb_bob' takes 4, 5, 8, 12, 14 coefficients, got 2"),
        ({"d": (0.1,) * 15}, "'plumb_bob' takes 4, 5, 8, 12, 14 coefficients, got 15"),
        ({"d": (0.1,) * 5, "distortion_model": ""}, "'' takes no coefficients, got 5"),
        ({"d": (0.1,) * 5, "distortion_model": "equidistant"}, "'equidistant' takes 4 coefficients, got 5"),
        ({"d": (0.1, math.nan, 0.0, 0.0, 0.0)}, "distortion coefficients must be finite"),
    ],
)
def test_bad_calibrations_are_refused(changes: dict, message: str) -> None:
    fields = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": (0.1,) * 5, "k": K}
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        CameraModel.from_camera_info(**(fields | changes))


def test_no_coefficients_and_unused_zero_coefficients_are_accepted() -> None:
    pinhole = CameraModel.from_matrix(640, 480, K)
    assert CameraModel.from_matrix(640, 480, K, "plumb_bob", ()) == pinhole
    assert CameraModel.from_matrix(640, 480, K, "plumb_bob", (0.0,) * 5) == pinhole
    long = CameraModel.from_matrix(640, 480, K, "rational_polynomial", (0.1,) * 8 + (0.0,) * 6)
    assert long.distortion == (0.1,) * 8
    assert CameraModel.from_matrix(640, 480, K, "plumb_bob", (0.1,) * 8) == long  # as OpenCV reads it
    short = CameraModel.from_matrix(640, 480, K, "rational_polynomial", (0.1,) * 5)
    assert short.distortion == (*(0.1,) * 5, 0, 0, 0)
    assert hash(long) == hash(CameraModel.from_matrix(640, 480, K, "rational_polynomial", (0.1,) * 8))


@pytest.mark.parametrize(
    "name", ["none", "None", "pinhole", "inverse_brown_conrady", "something", "plumb_bob"]
)
@pytest.mark.parametrize("count", [0, 1, 2, 5, 14])
def test_zero_coefficients_are_no_distortion_whatever_the_model(name: str, count: int) -> None:
    assert CameraModel.from_matrix(640, 480, K, name, (0.0,) * count) == CameraModel.from_matrix(640, 480, K)


@pytest.mark.parametrize(
    ("name", "model", "count"),
    [
        ("fisheye", "equidistant", 4),
        ("radtan", "plumb_bob", 4),
        ("Plumb Bob", "plumb_bob", 5),
        ("Kannala-Brandt", "equidistant", 4),
        ("brown_conrady", "plumb_bob", 5),
    ],
)
def test_models_have_the_names_that_drivers_use(name: str, model: str, count: int) -> None:
    values = (0.1, 0.02, 0.003, 0.004, 0.005)[:count]
    assert CameraModel.from_matrix(640, 480, K, name, values) == CameraModel.from_matrix(
        640, 480, K, model, values
    )


def test_skew_of_rounding_size_is_accepted() -> None:
    rounded = (*K[:1], 1.1e-13, *K[2:8], 1.0000000001)
    assert CameraModel.from_matrix(640, 480, rounded) == CameraModel.from_matrix(640, 480, K)


def test_wrong_points_are_refused(camera: CameraModel) -> None:
    with pytest.raises(ValueError, match=r"points must have shape \(..., 3\), got \(4, 2\)"):
        camera.project(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"pixels must have shape \(..., 2\), got \(3,\)"):
        camera.rays(torch.zeros(3))
    with pytest.raises(ValueError, match="floating point"):
        camera.rays(torch.zeros(2, dtype=torch.int64))


def test_undistorted_images_match_opencv(camera: CameraModel) -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 3)  # so that the last bit of a coordinate does not matter
    ours = sample(image, undistortion_map(camera))
    coefficients = np.array(camera.distortion or np.zeros(5))
    if camera.distortion_model == "equidistant":
        theirs = cv2.fisheye.undistortImage(image, camera.K.numpy(), coefficients, Knew=camera.K.numpy())
    else:
        theirs = cv2.undistort(image, camera.K.numpy(), coefficients)
    assert np.abs(ours.astype(int) - theirs).mean() < 0.1
