"""The bounds of the hand's quantities, and the sine bound of eq. 1."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from hand_pose_ros import hand
from hand_pose_ros.kinematics.limits import (
    Bounds,
    angle_bounds,
    proportion_bounds,
    sine_bound,
    sine_bound_inverse,
)

ALL_BOUNDS = [angle_bounds, proportion_bounds]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounds_are_the_tables(dtype):
    angles, proportions = angle_bounds(dtype), proportion_bounds(dtype)
    for field, expected in zip(angles, hand.limits(), strict=True):
        assert field.dtype == dtype
        torch.testing.assert_close(field, torch.tensor(expected, dtype=dtype), rtol=0, atol=0)
    for field, expected in zip(proportions, zip(*hand.PROPORTIONS, strict=True), strict=True):
        assert field.is_contiguous()
        torch.testing.assert_close(field, torch.tensor(expected, dtype=dtype), rtol=0, atol=0)


@pytest.mark.parametrize("bounds_of", ALL_BOUNDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_finite_output_lands_inside(bounds_of, dtype):
    bounds = bounds_of(dtype)
    count = len(bounds.minimum)
    generator = torch.Generator().manual_seed(0)
    sizes = 10.0 ** torch.linspace(-30, 6, 500, dtype=dtype)[:, None]
    signs = torch.where(torch.rand(500, count, generator=generator) < 0.5, -1.0, 1.0).to(dtype)
    raw = torch.cat(
        (
            sizes * signs * (0.5 + torch.rand(500, count, generator=generator, dtype=dtype)),
            torch.full((1, count), 1e6, dtype=dtype),
            torch.full((1, count), -1e6, dtype=dtype),
            torch.full((1, count), math.pi / 2, dtype=dtype),
            torch.full((1, count), -math.pi / 2, dtype=dtype),
            torch.full((1, count), torch.finfo(dtype).max, dtype=dtype),
        )
    )
    assert bounds.contains(sine_bound(raw, bounds)).all()


@pytest.mark.parametrize("bounds_of", ALL_BOUNDS)
def test_sine_bound_is_equation_1(bounds_of):
    low, _, high = bounds = bounds_of(torch.float64)
    raw = torch.linspace(-10, 10, 101, dtype=torch.float64)[:, None].expand(-1, len(low))
    expected = [
        [(math.sin(x) + 1) / 2 * (b - a) + a for x, a, b in zip(row, low, high, strict=True)] for row in raw
    ]
    torch.testing.assert_close(
        sine_bound(raw, bounds), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("bounds_of", ALL_BOUNDS)
def test_inverse_round_trip(bounds_of):
    low, neutral, high = bounds = bounds_of(torch.float64)
    raw = (
        torch.rand(100, len(low), generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    ) * 3
    values = sine_bound(raw, bounds)
    free = (high > low).expand_as(raw)
    torch.testing.assert_close(sine_bound_inverse(values, bounds)[free], raw[free], rtol=0, atol=1e-9)
    assert (sine_bound_inverse(values, bounds)[~free] == 0).all()
    for values in (low, neutral, high):
        torch.testing.assert_close(sine_bound(sine_bound_inverse(values, bounds), bounds), values)
    outside = sine_bound_inverse(high + 1, bounds)
    torch.testing.assert_close(sine_bound(outside, bounds), high)


def test_nan_stays_nan_and_empty_stays_empty():
    bounds = angle_bounds()
    raw = torch.zeros(2, hand.NUM_ANGLES)
    raw[0, 3] = torch.nan
    bounded = sine_bound(raw, bounds)
    assert bounded.isnan().nonzero().tolist() == [[0, 3]]
    assert bounds.contains(bounded).tolist() == [False, True]
    assert sine_bound_inverse(bounded, bounds).isnan().nonzero().tolist() == [[0, 3]]
    assert sine_bound(torch.zeros(0, hand.NUM_ANGLES), bounds).shape == (0, hand.NUM_ANGLES)


def test_gradients():
    bounds = Bounds(*torch.tensor([[-1.0, 0.0, 2.0], [0.0, 0.5, 2.0], [1.0, 1.0, 2.0]], dtype=torch.float64))
    raw = torch.tensor([[0.3, -1.2, 0.7], [4.0, 30.0, -2.0]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: sine_bound(x, bounds), raw)


def test_clamp_and_contains():
    bounds = proportion_bounds(torch.float64)
    assert bounds.contains(bounds.clamp(torch.full((4, 20), 9.0, dtype=torch.float64))).all()
    assert not bounds.contains(bounds.maximum + 1e-6)
    assert bounds.contains(bounds.maximum + 1e-6, tolerance=1e-5)


def test_bounds_made_in_inference_mode_serve_training():
    with torch.inference_mode():
        bounds = angle_bounds(torch.float64)
    raw = torch.zeros(hand.NUM_ANGLES, dtype=torch.float64, requires_grad=True)
    sine_bound(raw, bounds).sum().backward()
    assert raw.grad.isfinite().all()
