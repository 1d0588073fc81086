"""The virtual camera: it looks at the hand, and image, crop and space map onto each other exactly."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.virtual import VirtualCamera
from hand_pose_ros.camera.warp import map_by_projection, sampling_map

K = (420.0, 0.0, 318.5, 0.0, 430.0, 243.25, 0.0, 0.0, 1.0)
CAMERAS = {
    "pinhole": CameraModel.from_matrix(640, 480, K),
    "plumb_bob": CameraModel.from_matrix(640, 480, K, "plumb_bob", (-0.25, 0.08, 0.001, -0.001, -0.01)),
    "equidistant": CameraModel.from_matrix(640, 480, K, "equidistant", (-0.012, 0.031, -0.022, 0.004)),
}
BOX = (430.0, 60.0, 610.0, 200.0)
SIZE = 128


@pytest.fixture(params=CAMERAS, name="camera")
def _camera(request: pytest.FixtureRequest) -> CameraModel:
    return CAMERAS[request.param]


def pixels_in_box(count: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return torch.tensor(BOX[:2]).double() + unit * torch.tensor([180.0, 140.0]).double()


def test_the_box_just_fills_the_crop(camera: CameraModel) -> None:
    virtual = VirtualCamera.around_box(camera, BOX, SIZE)
    edge = torch.linspace(0, 1, 50, dtype=torch.float64)
    x, y = BOX[0] + edge * (BOX[2] - BOX[0]), BOX[1] + edge * (BOX[3] - BOX[1])
    border = torch.cat([torch.cartesian_prod(x, y[[0, -1]]), torch.cartesian_prod(x[[0, -1]], y)])
    seen = virtual.crop_pixels(border)
    lowest, highest = seen.amin(0), seen.amax(0)
    torch.testing.assert_close(
        (lowest + highest) / 2, torch.full((2,), (SIZE - 1) / 2).double(), atol=0.2, rtol=0
    )
    assert math.isclose((highest - lowest).max().item(), SIZE, abs_tol=0.2)
    wider = VirtualCamera.around_box(camera, torch.tensor(BOX), SIZE, enlarge=1.25)
    assert math.isclose(wider.crop.fx * 1.25, virtual.crop.fx, rel_tol=1e-6)


def test_points_just_fill_the_crop_whatever_the_roll(camera: CameraModel) -> None:
    for roll_rad in (0.0, 0.7, -2.5):
        virtual = VirtualCamera.around_points(camera, pixels_in_box(), SIZE, roll_rad=roll_rad)
        seen = virtual.crop_pixels(pixels_in_box())
        assert math.isclose(seen.amin().item(), -0.5, abs_tol=1e-6) or math.isclose(
            seen.amax().item(), SIZE - 0.5, abs_tol=1e-6
        )
        middle = (seen.amin(0) + seen.amax(0)) / 2
        torch.testing.assert_close(middle, torch.full((2,), (SIZE - 1) / 2).double(), atol=1e-6, rtol=0)


def test_the_rotation_is_proper_and_rolls_by_what_is_asked(camera: CameraModel) -> None:
    level = VirtualCamera.around_box(camera, BOX, SIZE).R_virtual_camera
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(level @ level.T, identity, atol=1e-12, rtol=0)
    assert math.isclose(torch.linalg.det(level).item(), 1.0, abs_tol=1e-12)
    # The shortest rotation turns about an axis in the image plane: its matrix is symmetric in x and y.
    assert math.isclose(level[0, 1].item(), level[1, 0].item(), abs_tol=1e-12)
    pixels = pixels_in_box()
    straight = VirtualCamera.around_points(camera, pixels, SIZE)
    rolled = VirtualCamera.around_points(camera, pixels, SIZE, roll_rad=math.pi / 2)
    quarter_turn = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(rolled.R_virtual_camera, quarter_turn @ straight.R_virtual_camera)
    # Anticlockwise: what was to the right of the middle is now above it (y points down).
    turned, upright = rolled.crop_pixels(pixels), straight.crop_pixels(pixels)
    torch.testing.assert_close(turned[:, 1], SIZE - 1 - upright[:, 0])


def test_points_pixels_and_space_agree_both_ways(camera: CameraModel) -> None:
    virtual = VirtualCamera.around_box(camera, BOX, SIZE, enlarge=1.2, roll_rad=0.3)
    pixels = pixels_in_box().reshape(4, 50, 2)
    points = camera.back_project(pixels, torch.linspace(0.2, 2, 200, dtype=torch.float64).reshape(4, 50))
    in_virtual = virtual.to_virtual(points)
    torch.testing.assert_close(virtual.crop.project(in_virtual), virtual.crop_pixels(pixels))
    torch.testing.assert_close(virtual.image_pixels(virtual.crop_pixels(pixels)), pixels)
    torch.testing.assert_close(virtual.to_camera(in_virtual), points)
    single = virtual.to_virtual(points.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), in_virtual, atol=1e-6, rtol=1e-6)
    assert virtual.crop_pixels(pixels[:0]).shape == (0, 50, 2)


def test_homography_of_a_camera_without_distortion() -> None:
    virtual = VirtualCamera.around_box(CAMERAS["pinhole"], BOX, SIZE, roll_rad=0.2)
    pixels = pixels_in_box()
    homogeneous = (
        torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1) @ virtual.homography_crop_image.T
    )
    torch.testing.assert_close(homogeneous[:, :2] / homogeneous[:, 2:], virtual.crop_pixels(pixels))
    with pytest.raises(ValueError, match="'plumb_bob' distortion has no homography"):
        _ = VirtualCamera.around_box(CAMERAS["plumb_bob"], BOX, SIZE).homography_crop_image


def test_warp_matches_opencv_without_distortion() -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    virtual = VirtualCamera.around_box(CAMERAS["pinhole"], BOX, 224, enlarge=1.2, roll_rad=0.2)
    theirs = cv2.warpPerspective(image, virtual.homography_crop_image.numpy(), (224, 224))
    ours = virtual.warp(image)
    assert ours.shape == (224, 224, 3)
    assert ours.dtype == np.uint8
    difference = np.abs(ours.astype(int) - theirs)
    assert np.percentile(difference, 99) <= 2
    assert difference.mean() < 0.5


def test_the_fast_sampling_map_matches_projection(camera: CameraModel) -> None:
    virtual = VirtualCamera.around_box(camera, BOX, SIZE, enlarge=1.3, roll_rad=0.2)
    arguments = (camera, virtual.crop, virtual.R_virtual_camera.T)
    for fast, slow in zip(sampling_map(*arguments), map_by_projection(*arguments), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-3)
    # Wide crops reach beyond what the lens sees: there, nothing of the image may be sampled.
    wide = VirtualCamera.around_box(camera, BOX, SIZE, enlarge=40.0)
    columns, rows = sampling_map(camera, wide.crop, wide.R_virtual_camera.T)
    seen = wide.image_pixels(torch.tensor([[2.0, 64.0], [125.0, 64.0]], dtype=torch.float64))
    assert not bool(seen[1].isfinite().any())
    assert columns[64, 125] < -1
    np.testing.assert_allclose((columns[64, 2], rows[64, 2]), seen[0].nan_to_num(-10.0), atol=1e-2)


def draw_disc(camera: CameraModel, pixel: torch.Tensor) -> np.ndarray:
    rows, columns = np.mgrid[: camera.height, : camera.width]
    x, y = pixel.tolist()
    return (255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))).astype(np.float32)


@pytest.mark.parametrize("size_px", [24, 128, 300])
def test_the_warped_picture_shows_things_where_crop_pixels_says(camera: CameraModel, size_px: int) -> None:
    """A blurred dot in the image is found, by its centroid, where its pixel maps to: for shrinking crops too."""
    virtual = VirtualCamera.around_box(camera, BOX, size_px, enlarge=1.1, roll_rad=-0.4)
    for pixel in torch.tensor([[470.0, 90.0], [520.0, 130.0], [580.3, 170.6]], dtype=torch.float64):
        crop = virtual.warp(draw_disc(camera, pixel))
        rows, columns = np.mgrid[:size_px, :size_px]
        centroid = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        expected = virtual.crop_pixels(pixel).numpy()
        # The dot is two to forty pixels wide in the crop; perspective moves a centroid by a little of that.
        np.testing.assert_allclose(centroid, expected, atol=0.02 + 0.0015 * size_px)


def test_shrinking_averages_instead_of_aliasing() -> None:
    """Stripes of one pixel, far too fine for the crop, turn into their mean grey."""
    image = np.zeros((480, 640), dtype=np.uint8)
    image[:, ::2] = 200
    virtual = VirtualCamera.around_box(CAMERAS["pinhole"], (40.0, 40.0, 600.0, 440.0), 64)
    inside = virtual.warp(image)[20:-20, 8:-8].astype(float)
    assert abs(inside.mean() - 100) < 3
    assert inside.std() < 15


def test_outside_the_image_is_black() -> None:
    image = np.full((480, 640), 255, dtype=np.uint8)
    crop = VirtualCamera.around_box(CAMERAS["pinhole"], (-200.0, 100.0, 200.0, 400.0), 100).warp(image)
    assert crop[50, 5] == 0
    assert crop[50, 95] == 255


def test_flipping_the_crop_is_mirroring_the_virtual_frame(camera: CameraModel) -> None:
    """What the estimator relies on for left hands."""
    virtual = VirtualCamera.around_box(camera, BOX, SIZE)
    points = virtual.to_virtual(camera.rays(pixels_in_box()))
    mirrored = virtual.crop.project(points * torch.tensor([-1.0, 1.0, 1.0]).double())
    seen = virtual.crop.project(points)
    torch.testing.assert_close(mirrored[:, 0], SIZE - 1 - seen[:, 0])
    torch.testing.assert_close(mirrored[:, 1], seen[:, 1])


def test_missing_points_are_left_out() -> None:
    camera = CAMERAS["pinhole"]
    pixels = pixels_in_box(20)
    holes = torch.cat((pixels, torch.full((3, 2), math.nan).double()))
    expected = VirtualCamera.around_points(camera, pixels, SIZE)
    virtual = VirtualCamera.around_points(camera, holes, SIZE)
    assert torch.equal(virtual.R_virtual_camera, expected.R_virtual_camera)
    assert virtual.crop == expected.crop


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((100.0, 100.0, 100.0, 200.0), "x_min < x_max"),
        ((100.0, 200.0, 200.0, 100.0), "y_min < y_max"),
        ((100.0, math.nan, 200.0, 300.0), "finite"),
        ((-1e9, 0.0, 1e9, 100.0), "coincide|90 degrees"),
    ],
)
def test_degenerate_boxes_are_refused(box: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VirtualCamera.around_box(CAMERAS["pinhole"], box, SIZE)


def test_degenerate_points_are_refused() -> None:
    camera = CAMERAS["pinhole"]
    with pytest.raises(ValueError, match="got 1"):
        VirtualCamera.around_points(camera, torch.tensor([[1.0, 2.0], [math.nan, 0.0]]), SIZE)
    with pytest.raises(ValueError, match="got 0"):
        VirtualCamera.around_points(camera, torch.zeros(0, 2), SIZE)
    with pytest.raises(ValueError, match="coincide"):
        VirtualCamera.around_points(camera, torch.full((5, 2), 100.0), SIZE)
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        VirtualCamera.around_points(camera, torch.zeros(5, 3), SIZE)
    with pytest.raises(ValueError, match="enlarge"):
        VirtualCamera.around_points(camera, pixels_in_box(), SIZE, enlarge=0.0)
    with pytest.raises(ValueError, match="roll_rad"):
        VirtualCamera.around_points(camera, pixels_in_box(), SIZE, roll_rad=math.inf)
    with pytest.raises(ValueError, match="whole number of pixels"):
        VirtualCamera.around_points(camera, pixels_in_box(), 0)


def test_an_image_of_another_size_is_refused(camera: CameraModel) -> None:
    virtual = VirtualCamera.around_box(camera, BOX, SIZE)
    with pytest.raises(ValueError, match="480 rows by 640 columns"):
        virtual.warp(np.zeros((640, 480, 3), dtype=np.uint8))
