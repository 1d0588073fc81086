"""The FK layer against the obvious recursion and its mirror image; gradients, torch.compile, ONNX, CUDA."""

import io
import math
import shutil

import numpy as np
import pytest
import torch
from helpers.gpu import needs_cuda
from helpers.hands import random_hands
from torch.autograd import gradcheck

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds, sine_bound
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x, mirror_columns, mirror_points
from hand_pose_ros.rotations import orthogonalise


def slow_forward_kinematics(angles, proportions, root_rotation, root_position, anchor_length, side):
    """Eq. 7 node by node for one hand, with angles looked up by name: (joints, rotations) as arrays."""
    value = dict(zip(hand.ANGLE_NAMES, angles.tolist(), strict=True))
    rotations, joints = [np.eye(3)], [np.zeros(3)]
    for node in range(1, hand.NUM_JOINTS):
        parent = hand.PARENTS[node]
        finger = hand.JOINT_NAMES[node].split("_")[0]
        joint = hand.JOINT_NAMES[parent] if parent else f"{finger}_base"
        flexion, abduction, twist = (
            value.get(f"{joint}_{motion}", 0.0) for motion in ("flexion", "abduction", "twist")
        )
        cos, sin = math.cos, math.sin
        about_y = [[cos(flexion), 0, sin(flexion)], [0, 1, 0], [-sin(flexion), 0, cos(flexion)]]
        about_z = [[cos(abduction), -sin(abduction), 0], [sin(abduction), cos(abduction), 0], [0, 0, 1]]
        about_x = [[1, 0, 0], [0, cos(twist), -sin(twist)], [0, sin(twist), cos(twist)]]
        rotation = rotations[parent] @ np.array(about_y) @ np.array(about_z) @ np.array(about_x)
        length = float(anchor_length) * float(proportions[node - 1])
        rotations.append(rotation)
        joints.append(joints[parent] + rotation @ [length, 0, 0])
    if side == "left":
        mirror = np.diag([1.0, -1.0, 1.0])
        rotations = [mirror @ rotation @ mirror for rotation in rotations]
        joints = [mirror @ joint for joint in joints]
    root, origin = root_rotation.numpy(), root_position.numpy()
    return np.stack([root @ joint + origin for joint in joints]), np.stack([root @ r for r in rotations])


@pytest.mark.parametrize("side", hand.SIDES)
def test_batch_equals_the_slow_loop(side):
    hands = random_hands(200, seed=0)
    joints, rotations = hands.pose(side)
    for i in range(200):
        slow_joints, slow_rotations = slow_forward_kinematics(*(field[i] for field in hands), side)
        np.testing.assert_allclose(joints[i], slow_joints, rtol=0, atol=1e-12)
        np.testing.assert_allclose(rotations[i], slow_rotations, rtol=0, atol=1e-12)


def test_any_leading_shape():
    hands = random_hands(24, seed=1)
    joints, rotations = hands.pose("left")
    shaped = type(hands)(*(field.unflatten(0, (2, 3, 4)) for field in hands)).pose("left")
    torch.testing.assert_close(shaped.joints.flatten(0, 2), joints, rtol=0, atol=1e-15)
    torch.testing.assert_close(shaped.rotations.flatten(0, 2), rotations, rtol=0, atol=1e-15)
    one = type(hands)(*(field[5] for field in hands)).pose("left")
    torch.testing.assert_close(one.joints, joints[5], rtol=0, atol=1e-15)
    torch.testing.assert_close(one.rotations, rotations[5], rtol=0, atol=1e-15)


def test_leading_shapes_broadcast():
    """Each argument alone may carry the batch, the sign of the side included."""
    hands = random_hands(4, seed=2)
    names = (*hands._fields, "side")
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    for batched in names:
        arguments = {n: v if n == batched else v[0] for n, v in hands._asdict().items()}
        arguments["side"] = signs if batched == "side" else "right"
        joints, rotations = forward_kinematics(**arguments)
        assert joints.shape == (4, 21, 3)
        assert rotations.shape == (4, 21, 3, 3)
        for i in range(4):
            single = {n: getattr(hands, n)[i if n == batched else 0] for n in hands._fields}
            side = "left" if batched == "side" and signs[i] < 0 else "right"
            expected = slow_forward_kinematics(*single.values(), side)
            np.testing.assert_allclose(joints[i], expected[0], rtol=0, atol=1e-12)
            np.testing.assert_allclose(rotations[i], expected[1], rtol=0, atol=1e-12)
    crossed = forward_kinematics(hands.angles[:, None], hands.proportions[:3])
    assert crossed.joints.shape == (4, 3, 21, 3)
    assert crossed.rotations.shape == (4, 3, 21, 3, 3)


def test_defaults_are_the_wrist_frame_and_unit_scale():
    hands = random_hands(10, seed=3)
    eye = torch.eye(3, dtype=torch.float64).expand(10, 3, 3)
    zero, one = torch.zeros(10, 3, dtype=torch.float64), torch.ones(10, dtype=torch.float64)
    expected = forward_kinematics(hands.angles, hands.proportions, eye, zero, one, "right")
    actual = forward_kinematics(hands.angles, hands.proportions)
    torch.testing.assert_close(actual, expected)
    assert (actual.joints[:, 0] == 0).all()


@pytest.mark.parametrize("side", hand.SIDES)
def test_bones_have_their_lengths_and_lie_on_their_frames_x(side):
    hands = random_hands(100, seed=4)
    joints, rotations = hands.pose(side)
    bones = joints[:, 1:] - joints[:, list(hand.PARENTS[1:])]
    lengths = hands.proportions * hands.anchor_length[:, None]
    torch.testing.assert_close(bones.norm(dim=-1), lengths, rtol=0, atol=1e-14)
    torch.testing.assert_close(bones, rotations[:, 1:, :, 0] * lengths[..., None], rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(100, 21, dtype=torch.float64))
    torch.testing.assert_close(joints[:, 0], hands.root_position)
    torch.testing.assert_close(rotations[:, 0], hands.root_rotation)


def test_left_is_the_mirror_image_of_right():
    hands = random_hands(100, seed=5)
    right = forward_kinematics(hands.angles, hands.proportions, side="right")
    left = forward_kinematics(hands.angles, hands.proportions, side="left")
    flip = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(left.joints, right.joints * flip, rtol=0, atol=1e-15)
    expected = torch.diag(flip) @ right.rotations @ torch.diag(flip)
    torch.testing.assert_close(left.rotations, expected, rtol=0, atol=1e-15)
    minus = -torch.ones(100, dtype=torch.float64)
    torch.testing.assert_close(mirror_points(right.joints, minus), left.joints)
    torch.testing.assert_close(mirror_columns(hands.root_rotation, -minus), hands.root_rotation)


@pytest.mark.parametrize("side", hand.SIDES)
def test_flipping_the_image_gives_the_hand_of_the_other_side(side):
    hands = random_hands(50, seed=6)
    joints, rotations = mirror_across_camera_x(*hands.pose(side))
    other = hand.SIDES[1 - hand.SIDES.index(side)]
    root, position = rotations[:, 0], joints[:, 0]
    torch.testing.assert_close(torch.linalg.det(root), torch.ones(50, dtype=torch.float64))
    again = forward_kinematics(hands.angles, hands.proportions, root, position, hands.anchor_length, other)
    torch.testing.assert_close(again.joints, joints, rtol=0, atol=1e-14)
    torch.testing.assert_close(again.rotations, rotations, rtol=0, atol=1e-14)
    back = mirror_across_camera_x(joints, rotations)
    torch.testing.assert_close(back, tuple(hands.pose(side)))


def test_gradients():
    hands = random_hands(2, seed=7)
    inputs = tuple(field.clone().requires_grad_() for field in hands)
    for side in (*hand.SIDES, torch.tensor([1.0, -1.0])):
        assert gradcheck(lambda *x, side=side: tuple(forward_kinematics(*x, side=side)), inputs)
    matrix = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    assert gradcheck(
        lambda m, a: forward_kinematics(a, hands.proportions, orthogonalise(m)).joints,
        (matrix.requires_grad_(), inputs[0]),
    )


def test_empty_batch():
    hands = random_hands(0, seed=8)
    joints, rotations = hands.pose()
    assert joints.shape == (0, 21, 3)
    assert rotations.shape == (0, 21, 3, 3)


def test_nan_stays_in_its_finger_and_in_its_hand():
    hands = random_hands(2, seed=9)
    hands.angles[0, hand.ANGLE_INDEX["index_pip_flexion"]] = torch.nan
    joints = hands.pose().joints
    bad = joints.isnan().any(-1).nonzero().tolist()
    assert bad == [[0, hand.JOINT_INDEX["index_dip"]], [0, hand.JOINT_INDEX["index_tip"]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angles": torch.zeros(2, 37)}, r"angles must have shape \(..., 38\), got \(2, 37\)"),
        ({"proportions": torch.zeros(21)}, r"proportions must have shape \(..., 20\)"),
        ({"root_rotation": torch.zeros(2, 9)}, r"root_rotation must have shape \(..., 3, 3\), got \(2, 9\)"),
        ({"root_position": torch.zeros(2, 2)}, r"root_position must have shape \(..., 3\)"),
        ({"root_rotation": torch.zeros(3)}, r"root_rotation must have shape"),
        ({"angles": torch.zeros(())}, r"angles must have shape"),
        ({"root_position": torch.zeros(3, 3)}, "do not broadcast"),
        ({"anchor_length": torch.ones(5)}, "do not broadcast"),
        ({"side": torch.ones(7)}, "do not broadcast"),
        ({"side": "Right"}, "side must be one of"),
        ({"side": 1}, "side must be one of"),
    ],
)
def test_bad_input_is_refused_with_a_reason(arguments, message):
    good = {"angles": torch.zeros(2, 38), "proportions": torch.ones(2, 20)}
    with pytest.raises(ValueError, match=message):
        forward_kinematics(**(good | arguments))


class NetworkHead(torch.nn.Module):
    """What an exported network ends in: raw outputs to bounds, to a rotation, to joints."""

    def forward(self, raw_angles, raw_proportions, raw_rotation):
        angles = sine_bound(raw_angles, angle_bounds(raw_angles.dtype, raw_angles.device))
        proportions = sine_bound(raw_proportions, proportion_bounds(raw_angles.dtype, raw_angles.device))
        root = orthogonalise(raw_rotation.unflatten(-1, (3, 3)))
        return tuple(forward_kinematics(angles, proportions, root))


def raw_outputs(count, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return tuple(3 * torch.randn(count, size, generator=generator, dtype=dtype) for size in (38, 20, 9))


@pytest.mark.filterwarnings("ignore")  # of the tracer, that the checks of shapes become constants
def test_onnx_export_with_a_dynamic_batch():
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    head, names = NetworkHead(), ["raw_angles", "raw_proportions", "raw_rotation"]
    file = io.BytesIO()
    torch.onnx.export(
        head,
        raw_outputs(2, seed=0),
        file,
        dynamo=False,
        input_names=names,
        output_names=["joints", "rotations"],
        dynamic_axes={name: {0: "batch"} for name in (*names, "joints", "rotations")},
    )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for count in (1, 2, 33):
        inputs = raw_outputs(count, seed=count)
        joints, rotations = session.run(None, {n: v.numpy() for n, v in zip(names, inputs, strict=True)})
        expected = head(*inputs)
        np.testing.assert_allclose(joints, expected[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(rotations, expected[1], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    not any(shutil.which(name) for name in ("c++", "g++", "clang++")),
    reason="torch.compile needs a C++ compiler",
)
@pytest.mark.skipif(" " in torch.__file__, reason="torch.compile cannot link from a path with a space")
def test_compiled_gives_the_same():
    head = NetworkHead()
    compiled = torch.compile(head, fullgraph=True, dynamic=True)
    for count in (3, 8):
        inputs = tuple(x.requires_grad_() for x in raw_outputs(count, seed=count, dtype=torch.float64))
        expected, actual = head(*inputs), compiled(*inputs)
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
        wanted = torch.autograd.grad(expected[0].pow(2).sum(), inputs)
        torch.testing.assert_close(
            torch.autograd.grad(actual[0].pow(2).sum(), inputs), wanted, rtol=1e-6, atol=1e-9
        )


@needs_cuda
def test_cuda_gives_the_same():
    inputs = raw_outputs(64, seed=10)
    expected = NetworkHead()(*inputs)
    actual = NetworkHead()(*(x.cuda() for x in inputs))
    assert all(x.is_cuda for x in actual)
    torch.testing.assert_close(tuple(x.cpu() for x in actual), expected, rtol=0, atol=1e-5)
