"""Rotations against slow and obvious versions: Euler angles, quaternions, SVD orthogonalisation."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from hand_pose_ros.rotations import (
    angles_from_rotation,
    orthogonalise,
    quaternion_from_rotation,
    rotation_from_angles,
    rotation_from_quaternion,
    rotation_from_vector,
    skew,
)

DTYPES = [torch.float32, torch.float64]


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def svd_orthogonalise(matrix):
    """The textbook version, one matrix at a time: U diag(1, 1, det(U V^T)) V^T."""
    rotations = []
    for single in matrix.reshape(-1, 3, 3):
        left, _, right = torch.linalg.svd(single)
        sign = torch.linalg.det(left @ right)
        rotations.append(left @ torch.diag(torch.stack((sign / sign, sign / sign, sign))) @ right)
    return torch.stack(rotations).reshape(matrix.shape)


def assert_proper(rotation, tolerance=1e-12):
    identity = torch.eye(3, dtype=rotation.dtype).expand_as(rotation)
    torch.testing.assert_close(rotation @ rotation.mT, identity, rtol=0, atol=tolerance)
    ones = torch.ones(rotation.shape[:-2], dtype=rotation.dtype)
    torch.testing.assert_close(torch.linalg.det(rotation), ones, rtol=0, atol=tolerance)


def reflections():
    """Matrices of determinant -1, among them -I and a mirror, whose nearest rotation is not unique."""
    improper = svd_orthogonalise(randn(50, 3, 3, seed=3))
    improper[:, :, 0] = -improper[:, :, 0]
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    return torch.cat((improper, -torch.eye(3, dtype=torch.float64)[None], mirror[None]))


def rank_one():
    columns = randn(50, 3, 1, seed=4)
    return torch.cat((columns @ randn(50, 1, 3, seed=5), columns @ columns.mT))


def test_euler_angles_are_flexion_abduction_twist():
    angles = randn(20, 3)
    for twist, flexion, abduction in angles:
        st, ct, sf, cf, sa, ca = (f(x) for x in (twist, flexion, abduction) for f in (math.sin, math.cos))
        about_y = torch.tensor([[cf, 0, sf], [0, 1, 0], [-sf, 0, cf]], dtype=torch.float64)
        about_z = torch.tensor([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]], dtype=torch.float64)
        about_x = torch.tensor([[1, 0, 0], [0, ct, -st], [0, st, ct]], dtype=torch.float64)
        torch.testing.assert_close(
            rotation_from_angles(twist, flexion, abduction), about_y @ about_z @ about_x, rtol=0, atol=1e-15
        )


def test_euler_angles_round_trip():
    angles = (
        torch.rand(2, 500, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    ) * 6
    angles[..., 2] /= 2  # abduction within 90 degrees, where the decomposition is unique
    rotation = rotation_from_angles(*angles.unbind(-1))
    assert_proper(rotation)
    torch.testing.assert_close(angles_from_rotation(rotation), angles, rtol=0, atol=1e-11)


def test_euler_angles_at_the_singularity_still_give_the_rotation():
    rotation = rotation_from_angles(*torch.tensor([0.4, -0.3, math.pi / 2], dtype=torch.float64))
    again = rotation_from_angles(*angles_from_rotation(rotation))
    torch.testing.assert_close(again, rotation, rtol=0, atol=1e-7)


def test_skew_is_the_cross_product():
    a, b = randn(2, 10, 3)
    torch.testing.assert_close((skew(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))


def test_rotation_vector_is_the_matrix_exponential():
    directions = randn(8, 3, seed=2)
    for size in (0.0, 1e-12, 1e-5, 0.99e-4, 1.01e-4, 1.0, math.pi, 10.0):
        vectors = size * directions / directions.norm(dim=-1, keepdim=True)
        expected = torch.linalg.matrix_exp(skew(vectors))
        torch.testing.assert_close(rotation_from_vector(vectors), expected, rtol=0, atol=1e-12)
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(rotation_from_vector, zero)
    assert gradcheck(rotation_from_vector, directions.requires_grad_())


def test_quaternion_round_trips():
    quaternions = torch.nn.functional.normalize(randn(1000, 4, seed=6), dim=-1)
    # Half turns about every axis have w = 0, where the textbook formula divides by zero.
    quaternions = torch.cat((quaternions, torch.eye(4, dtype=torch.float64)))
    rotation = rotation_from_quaternion(quaternions)
    assert_proper(rotation)
    again = quaternion_from_rotation(rotation)
    assert (again[:, 3] >= 0).all()
    torch.testing.assert_close((again * quaternions).sum(-1).abs(), torch.ones(1004, dtype=torch.float64))
    torch.testing.assert_close(rotation_from_quaternion(again), rotation, rtol=0, atol=1e-14)
    torch.testing.assert_close(rotation_from_quaternion(7 * quaternions), rotation, rtol=0, atol=1e-14)


def test_quaternions_are_xyzw():
    quarter_turn = rotation_from_vector(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    half = math.sqrt(0.5)
    torch.testing.assert_close(
        quaternion_from_rotation(quarter_turn), torch.tensor([0, 0, half, half], dtype=torch.float64)
    )


def test_orthogonalise_equals_the_svd():
    matrix = randn(4, 500, 3, 3, seed=7)
    torch.testing.assert_close(orthogonalise(matrix), svd_orthogonalise(matrix), rtol=0, atol=1e-10)
    rotation = svd_orthogonalise(matrix)
    torch.testing.assert_close(orthogonalise(rotation), rotation, rtol=0, atol=1e-14)
    # In float32 to within the rounding of the input, divided by what separates the nearest rotation from the next.
    single = matrix.float()
    left, values, right = torch.linalg.svd(single.double())
    separation = (values[..., 1] + torch.linalg.det(left @ right) * values[..., 2]) / values[..., 0]
    error = (orthogonalise(single) - svd_orthogonalise(single.double())).abs().amax((-1, -2))
    assert (error * separation < 2e-6).all()


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(size, dtype) for dtype in DTYPES for size in (1e-30, 1e-4, 1e4, 1e30)]
    + [(1e-300, torch.float64), (1e300, torch.float64)],
)
def test_orthogonalise_does_not_depend_on_the_size(size, dtype):
    matrix = svd_orthogonalise(randn(100, 3, 3, seed=8)) @ torch.diag(torch.tensor([3.0, 2.0, 1.0])).double()
    expected = svd_orthogonalise(matrix)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    actual = orthogonalise((size * matrix).to(dtype))
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "matrix",
    [
        torch.zeros(2, 3, 3, dtype=torch.float64),
        reflections(),
        rank_one(),
        1e-30 * rank_one(),
        1e30 * reflections(),
        1e-42 * randn(5, 3, 3),
        torch.ones(1, 3, 3, dtype=torch.float64),
    ],
    ids=["zero", "reflected", "rank one", "tiny", "huge", "subnormal", "ones"],
)
def test_degenerate_matrices_give_a_proper_rotation_and_finite_gradients(matrix, dtype):
    matrix = matrix.to(dtype).requires_grad_()
    rotation = orthogonalise(matrix)
    assert_proper(rotation.detach(), 1e-12 if dtype == torch.float64 else 1e-5)
    (rotation * randn(3, 3, dtype=dtype)).sum().backward()
    assert matrix.grad.isfinite().all()


@pytest.mark.parametrize("matrix", [reflections(), rank_one()], ids=["reflected", "rank one"])
def test_degenerate_matrices_give_one_of_the_nearest_rotations(matrix):
    def distance(rotation):
        return torch.linalg.matrix_norm(rotation - matrix)

    torch.testing.assert_close(distance(orthogonalise(matrix)), distance(svd_orthogonalise(matrix)))


def test_orthogonalise_zero_is_the_identity():
    for dtype in DTYPES:
        assert torch.equal(orthogonalise(torch.zeros(3, 3, dtype=dtype)), torch.eye(3, dtype=dtype))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_gives_nan_and_leaves_the_others_alone(bad, dtype):
    matrix = randn(10, 3, 3, dtype=dtype)
    expected = orthogonalise(matrix)
    for element in range(9):
        matrix[element].view(-1)[element] = bad
    rotation = orthogonalise(matrix)
    assert rotation[:9].isnan().all()
    assert torch.equal(rotation[9], expected[9])


def test_gradient_of_orthogonalise():
    matrix = (randn(6, 3, 3, seed=9) + 2 * svd_orthogonalise(randn(6, 3, 3, seed=10))).requires_grad_()
    assert gradcheck(orthogonalise, matrix)
    assert gradcheck(orthogonalise, svd_orthogonalise(randn(3, 3, 3, seed=11)).requires_grad_())
    assert gradcheck(lambda x: orthogonalise(1e-4 * x), matrix)


def test_gradients_of_the_others():
    assert gradcheck(lambda x: rotation_from_angles(*x.unbind(-1)), randn(5, 3).requires_grad_())
    assert gradcheck(rotation_from_quaternion, randn(5, 4).requires_grad_())


def test_empty_batches():
    assert orthogonalise(torch.zeros(0, 3, 3)).shape == (0, 3, 3)
    assert quaternion_from_rotation(torch.zeros(2, 0, 3, 3)).shape == (2, 0, 4)
    assert rotation_from_quaternion(torch.zeros(0, 4)).shape == (0, 3, 3)
    assert rotation_from_angles(*torch.zeros(3, 0)).shape == (0, 3, 3)
    assert angles_from_rotation(torch.zeros(0, 3, 3)).shape == (0, 3)
