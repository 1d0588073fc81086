"""The renderer against its own ground truth: mask, depth, visibility, mirroring, distortion, several hands."""

import numpy as np
import pytest
import torch
import trimesh
from helpers.meshes import reversed_template

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.mesh.skinning import mesh_faces, skin
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.renderer import HandInView, render
from hand_pose_ros.rendering.surface import render_surface
from hand_pose_ros.rendering.views import place, upright_rotation

CAMERA = CameraModel.from_fov(320, 240, np.deg2rad(60))
GREY = np.full((240, 320, 3), 120, dtype=np.uint8)


def hand_in_view(
    gesture: str = "open",
    view: str = "palm",
    side: str = "right",
    centre_m: tuple[float, float, float] = (0.0, 0.0, 0.35),
    **kwargs,
) -> HandInView:
    pose = gesture_angles(gesture), proportion_bounds().neutral, upright_rotation(view)
    at_origin = forward_kinematics(*pose, anchor_length=hand.MEAN_ANCHOR_LENGTH_M, side=side)
    frames = forward_kinematics(*pose, place(at_origin.joints, centre_m), hand.MEAN_ANCHOR_LENGTH_M, side)
    return HandInView(frames, side, **kwargs)


def test_ground_truth_is_the_skeleton_and_lies_on_the_mask():
    one = hand_in_view()
    result = render([one], CAMERA, GREY)
    truth = result.hands[0]
    np.testing.assert_allclose(truth.joints_m, one.frames.joints.numpy(), atol=1e-7)
    np.testing.assert_allclose(truth.joints_px, CAMERA.project(one.frames.joints).numpy(), atol=1e-3)
    columns, rows = truth.joints_px.round().astype(int).T
    assert (result.mask[rows, columns] == 1).all()
    assert truth.visible.all()  # a flat open hand hides no joint
    depth = result.depth_m[rows, columns]
    flesh = truth.joints_m[:, 2] - depth
    assert (flesh > 0).all()
    assert (flesh < 0.03).all()


def test_depth_is_that_of_the_posed_mesh():
    one = hand_in_view("relaxed", "left")
    result = render([one], CAMERA, GREY)
    mesh = trimesh.Trimesh(skin(one.frames).numpy(), mesh_faces().numpy(), process=False)
    wrist_row = result.hands[0].joints_px[0, 1] - 12  # above the forearm, which the mesh does not have
    rows, columns = np.nonzero(result.mask)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(rows < wrist_row))[:400]
    pixels = torch.tensor(np.stack((columns, rows), axis=1)[chosen], dtype=torch.float32)
    rays = CAMERA.rays(pixels).numpy()
    triangles = mesh.triangles
    expected = np.array([first_hit_depth(triangles, ray) for ray in rays])
    difference = np.abs(result.depth_m[rows[chosen], columns[chosen]] - expected)
    assert np.isfinite(expected).mean() > 0.97  # the drawn surface is smoothed: outlines differ by a pixel
    assert np.nanmedian(difference) < 2e-4
    assert np.nanpercentile(difference, 95) < 1.5e-3


def first_hit_depth(triangles: np.ndarray, ray: np.ndarray) -> float:
    """Depth where a ray from the origin first meets triangles (F, 3, 3), NaN for a miss (Moeller, Trumbore)."""
    origin, edge1, edge2 = (
        triangles[:, 0],
        triangles[:, 1] - triangles[:, 0],
        triangles[:, 2] - triangles[:, 0],
    )
    p = np.cross(ray, edge2)
    determinant = (edge1 * p).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = -(origin * p).sum(axis=1) / determinant
        q = np.cross(-origin, edge1)
        v = (q @ ray) / determinant
        distance = (edge2 * q).sum(axis=1) / determinant
    hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    return distance[hit].min() if hit.any() else np.nan


def test_left_hand_is_the_mirror_image():
    camera = CameraModel.pinhole(250, 250, 159.5, 119.5, 320, 240)
    right = hand_in_view("point")
    flip = torch.tensor((-1.0, 1.0, 1.0))
    frames = HandFrames(
        right.frames.joints * flip, flip[:, None] * right.frames.rotations * torch.tensor((1.0, -1.0, 1.0))
    )
    first, second = (render([one], camera, GREY) for one in (right, HandInView(frames, "left")))
    np.testing.assert_allclose(second.depth_m[:, ::-1], first.depth_m, atol=1e-4)
    assert (second.mask[:, ::-1] == first.mask).mean() > 0.9999
    np.testing.assert_array_equal(second.hands[0].visible, first.hands[0].visible)
    # The light comes from one side, so that the pictures' shading is not mirrored, but the outline is.
    assert ((second.image != GREY).any(axis=2)[:, ::-1] == (first.image != GREY).any(axis=2)).mean() > 0.995


def test_the_same_picture_twice():
    background = room_background(320, 240, seed=3)
    first, second = (render([hand_in_view("ok")], CAMERA, background) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(background, room_background(320, 240, seed=3))
    assert (background != room_background(320, 240, seed=4)).any()


def test_background_is_untouched_away_from_the_hand():
    background = room_background(320, 240, seed=1)
    result = render([hand_in_view(centre_m=(0.05, 0.0, 0.5))], CAMERA, background)
    away = np.isnan(result.depth_m)
    changed = (result.image != background).any(axis=2)
    assert changed[~away].mean() > 0.95
    assert changed[away].mean() < 0.02  # the outer halves of antialiased outlines


def test_fist_hides_fingertips_and_back_view_hides_what_lies_behind():
    palm, back = (
        render([hand_in_view("fist", view)], CAMERA, GREY).hands[0].visible for view in ("palm", "back")
    )
    tips = list(hand.FINGERTIPS[1:])
    knuckles = [hand.JOINT_INDEX[f"{finger}_mcp"] for finger in hand.FINGERS[1:]]
    assert not back[tips].any()
    assert back[knuckles].all()
    assert not palm[knuckles].all()


def test_joints_outside_the_image_or_behind_the_camera_are_not_visible():
    aside = render([hand_in_view(centre_m=(0.23, 0.0, 0.35))], CAMERA, GREY)
    outside = ~((aside.hands[0].joints_px > -0.5) & (aside.hands[0].joints_px < (319.5, 239.5))).all(axis=1)
    assert outside.any()
    assert not aside.hands[0].visible[outside].any()
    behind = render([hand_in_view(centre_m=(0.0, 0.0, -0.5))], CAMERA, GREY)
    np.testing.assert_array_equal(behind.image, GREY)
    assert not behind.hands[0].visible.any()
    assert np.isnan(behind.hands[0].joints_px).all()


def test_two_hands_and_the_nearer_hides_the_farther():
    near = hand_in_view("flat", "back", "left", centre_m=(-0.01, 0.0, 0.30))
    far = hand_in_view("flat", "palm", "right", centre_m=(0.02, 0.0, 0.45))
    both = render([far, near], CAMERA, GREY)
    alone = render([near], CAMERA, GREY)
    assert [truth.side for truth in both.hands] == ["right", "left"]
    assert set(np.unique(both.mask)) == {0, 1, 2}
    np.testing.assert_array_equal(both.mask == 2, alone.mask == 1)
    assert both.hands[1].visible.sum() >= 18
    assert both.hands[0].visible.sum() < render([far], CAMERA, GREY).hands[0].visible.sum()
    apart = render(
        [hand_in_view(centre_m=(-0.09, 0, 0.4)), hand_in_view(centre_m=(0.09, 0, 0.4))], CAMERA, GREY
    )
    assert all(truth.visible.all() for truth in apart.hands)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("plumb_bob", (-0.28, 0.09, 0.001, -0.0005, 0.0)), ("equidistant", (0.02, -0.01, 0.004, -0.001))],
)
def test_distorted_camera(model, coefficients):
    camera = CameraModel(320, 240, 200.0, 200.0, 159.5, 119.5, model, coefficients)
    one = hand_in_view(centre_m=(0.10, -0.03, 0.3))
    result = render([one], camera, GREY)
    ideal = render([one], camera.without_distortion(), GREY)
    truth = result.hands[0]
    np.testing.assert_allclose(truth.joints_px, camera.project(one.frames.joints).numpy(), atol=1e-3)
    assert np.abs(truth.joints_px - ideal.hands[0].joints_px).max() > 3
    inside = truth.visible
    assert inside.sum() > 12
    columns, rows = truth.joints_px[inside].round().astype(int).T
    assert (result.mask[rows, columns] == 1).all()


def test_sleeve_and_forearm():
    bare, sleeved = (
        render([hand_in_view(forearm=Forearm(sleeve_start_m=start))], CAMERA, GREY) for start in (None, 0.03)
    )
    assert (sleeved.mask > 0).sum() < (bare.mask > 0).sum()
    assert (
        np.isfinite(sleeved.depth_m).sum() > np.isfinite(bare.depth_m).sum()
    )  # a sleeve is wider than the arm
    bent = render([hand_in_view(forearm=Forearm(abduction_rad=0.5))], CAMERA, GREY)
    bottom = [np.nonzero(result.mask[-1])[0].mean() for result in (bare, bent)]
    assert bottom[1] - bottom[0] > 10  # this right palm's thumb points right, and so does its arm
    np.testing.assert_array_equal(bent.hands[0].joints_m, bare.hands[0].joints_m)


def test_subdivision_is_closed_and_near_the_template():
    surface = render_surface(load_template())
    posed = surface.subdivision @ skin(hand_in_view().frames).numpy()
    mesh = trimesh.Trimesh(posed, surface.faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume > 0
    np.testing.assert_allclose(np.asarray(surface.subdivision.sum(axis=1)), 1, atol=1e-5)


@pytest.mark.parametrize("side", hand.SIDES)
def test_any_template_is_drawn(side):
    """The same surface with its vertices in another order gives the same image, to rounding."""
    first, second = (
        render([hand_in_view("pinch", side=side, template=template)], CAMERA, GREY)
        for template in (load_template(), reversed_template())
    )
    assert (first.mask != second.mask).mean() < 1e-3
    both = (first.mask > 0) & (second.mask > 0)
    np.testing.assert_allclose(first.depth_m[both], second.depth_m[both], atol=1e-4)
    np.testing.assert_array_equal(first.hands[0].visible, second.hands[0].visible)
    difference = np.abs(first.image.astype(int) - second.image.astype(int))
    assert difference.mean() < 0.05
    assert (first.image != GREY).any(axis=2).sum() > 5000


def test_no_hands_and_wrong_input():
    empty = render([], CAMERA, GREY)
    np.testing.assert_array_equal(empty.image, GREY)
    assert not empty.hands
    assert not empty.mask.any()
    one = hand_in_view()
    with pytest.raises(ValueError, match="background must be"):
        render([one], CAMERA, GREY[:100])
    with pytest.raises(ValueError, match="background must be"):
        render([one], CAMERA, GREY.astype(np.float32))
    with pytest.raises(ValueError, match="side must be one of"):
        HandInView(one.frames, "middle")
    with pytest.raises(ValueError, match="finite"):
        HandInView(HandFrames(one.frames.joints * torch.nan, one.frames.rotations))
    with pytest.raises(ValueError, match="of one hand"):
        HandInView(HandFrames(one.frames.joints[None], one.frames.rotations[None]))
    with pytest.raises(ValueError, match="sleeve_start_m"):
        Forearm(sleeve_start_m=1.0)
    with pytest.raises(ValueError, match="view must be"):
        upright_rotation("top")
    with pytest.raises(ValueError, match="width and height"):
        room_background(0, 10, seed=0)
