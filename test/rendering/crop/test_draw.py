"""Pictures of the fast renderer: the same silhouette as the ray tracer's, mirrored hands, sleeves and light."""

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.rendering.crop.draw import CropView, draw_crop, over_background
from hand_pose_ros.rendering.crop.hand_parts import Wrist, hand_part, sleeve_part
from hand_pose_ros.rendering.crop.hand_surface import HandSurface
from hand_pose_ros.rendering.crop.mesh_part import MeshPart, Texture
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.lighting import Light, Lighting
from hand_pose_ros.rendering.renderer import HandInView, render
from hand_pose_ros.rendering.skin import SKIN_TONES
from hand_pose_ros.rendering.views import place, upright_rotation

SIZE = 160
TANGENT = 0.3
VIEW = CropView(np.eye(3, dtype=np.float32), TANGENT, SIZE)
CAMERA = CameraModel(SIZE, SIZE, SIZE / 2 / TANGENT, SIZE / 2 / TANGENT, SIZE / 2 - 0.5, SIZE / 2 - 0.5)
ARM = Forearm(0.3, 0.1, sleeve_start_m=0.025)


@pytest.fixture(scope="module")
def surface() -> HandSurface:
    return HandSurface(load_template())


@pytest.fixture(scope="module")
def texture(surface) -> Texture:
    return surface.procedural(SKIN_TONES[1])


def frames_of(side: str, yaw: float = 0.3) -> HandFrames:
    rotation = upright_rotation(
        "palm", yaw if side == "right" else -yaw, 0.2, 0.1 if side == "right" else -0.1
    )
    frames = forward_kinematics(
        gesture_angles("relaxed"),
        proportion_bounds().neutral,
        rotation,
        None,
        hand.MEAN_ANCHOR_LENGTH_M,
        side,
    )
    return HandFrames(frames.joints + place(frames.joints, (0.0, 0.0, 0.5)), frames.rotations)


def parts_of(side: str, surface: HandSurface, texture: Texture, arm: Forearm = ARM) -> list[MeshPart]:
    frames = frames_of(side)
    joints, rotations = frames.joints.numpy(), frames.rotations.numpy()
    wrist = Wrist(rotations[0], joints[0], 1.0, side)
    tint = np.ones(3, dtype=np.float32)
    parts = [hand_part(surface, skin(frames, side).numpy(), wrist, arm, texture, tint, 1.0, 1)]
    if arm.sleeve_start_m is not None:
        parts.append(sleeve_part(wrist, arm, np.full((8, 8, 3), 0.1, dtype=np.float32), 1, 2))
    return parts


def draw(parts: list[MeshPart], lighting: Lighting | None = None, shadows: int = 1):
    centre = np.float32((0, 0, 0.5))
    return draw_crop(parts, VIEW, lighting or Lighting(), centre, 0.16, shadows)


@pytest.mark.parametrize("side", hand.SIDES)
def test_same_picture_as_the_ray_tracer(side, surface, texture):
    drawn = draw(parts_of(side, surface, texture))
    background = np.full((SIZE, SIZE, 3), 90, dtype=np.uint8)
    traced = render([HandInView(frames_of(side), side, SKIN_TONES[1], ARM)], CAMERA, background)
    of_hand = drawn.labels == 1
    scale = len(drawn.labels) / SIZE
    places = ((np.arange(SIZE) + 0.5) * scale).astype(int)
    found = of_hand[np.ix_(places, places)]
    wanted = traced.mask == 1
    assert (found & wanted).sum() / (found | wanted).sum() > 0.95
    # Not subdivided, other shadows, no grain, the light as such: the same colours but for these.
    image = over_background(drawn.bgra, background)
    difference = np.abs(image[found & wanted].astype(float) - traced.image[found & wanted])
    assert difference.mean() < 14
    np.testing.assert_array_equal(image[:4], background[:4])


def test_left_is_the_mirror_image_of_right(surface, texture):
    right = draw(parts_of("right", surface, texture), shadows=0)
    left = draw(parts_of("left", surface, texture), shadows=0)
    mirrored = left.labels[:, ::-1]
    assert (mirrored != right.labels).mean() < 0.002
    covered = (mirrored == right.labels) & (right.labels > 0)
    np.testing.assert_allclose(left.depth[:, ::-1][covered], right.depth[covered], atol=2e-3)


def test_sleeve_is_drawn_and_hides_the_arm(surface, texture):
    bare = draw(parts_of("right", surface, texture, Forearm(0.3, 0.1)))
    dressed = draw(parts_of("right", surface, texture))
    assert (dressed.labels == 2).sum() > 1000
    assert (dressed.labels == 1).sum() < (bare.labels == 1).sum()
    assert not (bare.labels == 2).any()


def test_shadows_darken_only(surface, texture):
    parts = parts_of("right", surface, texture)
    lighting = Lighting(lights=(Light((0.9, -0.4, -0.3), (1.5, 1.5, 1.5)),))
    light, shaded = draw(parts, lighting, shadows=0).bgra, draw(parts, lighting, shadows=1).bgra
    difference = shaded.astype(int) - light
    assert difference.max() <= 1
    assert (difference < -20).any(axis=2).sum() > 100


def test_an_unlit_picture_is_dark_and_exposure_brightens(surface, texture):
    parts = parts_of("right", surface, texture)
    dark = draw(parts, Lighting(lights=(), sky_rgb=(0, 0, 0), ground_rgb=(0, 0, 0)))
    assert dark.bgra[..., :3].max() == 0
    assert dark.bgra[..., 3].max() == 255
    dim, bright = (draw(parts, Lighting(exposure=value)).bgra[..., :3].mean() for value in (0.3, 1.2))
    assert bright > 1.3 * dim


def test_nothing_in_view(surface, texture):
    behind = list(parts_of("right", surface, texture))
    away = CropView(np.float32(np.diag((1, -1, -1))), TANGENT, SIZE)
    drawn = draw_crop(behind, away, Lighting(), np.float32((0, 0, 0.5)), 0.16)
    assert drawn.bgra.max() == 0
    assert not drawn.labels.any()
    assert np.isinf(drawn.depth).all()


def test_over_background():
    background = np.full((2, 2, 3), 200, dtype=np.uint8)
    bgra = np.zeros((2, 2, 4), dtype=np.uint8)
    bgra[0, 0] = (10, 20, 30, 255)
    bgra[0, 1] = (5, 10, 15, 128)
    image = over_background(bgra, background)
    assert image[0, 0].tolist() == [10, 20, 30]
    np.testing.assert_allclose(image[0, 1], 200 * 127 / 255 + np.array((5, 10, 15)), atol=1)
    assert image[1].tolist() == [[200] * 3] * 2


def test_thickness_moves_flesh_away_from_its_bone():
    frames = frames_of("right")
    bone = hand.JOINT_INDEX["index_pip"]
    thickness = torch.ones(hand.NUM_JOINTS)
    thickness[bone] = 1.5
    template = load_template()
    plain, thick = skin(frames), skin(frames, thickness=thickness)
    torch.testing.assert_close(skin(frames, thickness=torch.ones(hand.NUM_JOINTS)), plain)
    start = frames.joints[bone - 1]
    axis = frames.rotations[bone, :, 0]
    rigid = template.weights[:, bone] > 0.999

    def across(vertices: torch.Tensor) -> torch.Tensor:
        offset = vertices[rigid] - start
        return offset - (offset @ axis)[:, None] * axis

    torch.testing.assert_close(across(thick), 1.5 * across(plain), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(
        (thick[rigid] - plain[rigid]) @ axis, torch.zeros(int(rigid.sum())), atol=1e-6, rtol=0
    )
