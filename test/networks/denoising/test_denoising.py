"""Schedules and samplers against closed forms: for Gaussian data the best denoiser is known."""

import pytest
import torch
from helpers.reference_samplers import sample_ddim, sample_ddpm, sample_dpm_solver

from hand_pose_ros.networks.denoising.samplers import (
    ancestral_steps,
    ddim_steps,
    sample,
    sampling_steps,
    spaced_steps,
)
from hand_pose_ros.networks.denoising.schedule import NoiseSchedule, cosine_schedule, linear_schedule

MEAN = torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64)
FACTOR = torch.tensor([[0.6, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.5]], dtype=torch.float64)
COVARIANCE = FACTOR @ FACTOR.T
SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}


def best_denoiser(schedule, parametrisation):
    """The mean of x0 (or of the noise) given x_t, for data that are Gaussian."""

    def denoise(x_t, t):
        alpha_bar = schedule.alpha_bars[t[0]]
        gain = (
            alpha_bar.sqrt()
            * COVARIANCE
            @ torch.linalg.inv(alpha_bar * COVARIANCE + (1 - alpha_bar) * torch.eye(3, dtype=torch.float64))
        )
        x0 = MEAN + (x_t - alpha_bar.sqrt() * MEAN) @ gain.T
        return x0 if parametrisation == "x0" else schedule.epsilon_from_x0(x_t, x0, t)

    return denoise


def normal(count, seed):
    return torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_schedules_lose_the_sample_by_the_end(make, steps):
    schedule = make(steps)
    alpha_bars = schedule.alpha_bars
    assert schedule.steps == steps
    assert (alpha_bars.diff() < 0).all()
    assert alpha_bars[-1] < 1e-2
    if steps >= 50:
        assert alpha_bars[0] > 0.9


def test_forward_process_has_the_stated_mean_and_variance():
    schedule = cosine_schedule(50)
    x0 = torch.full((200_000, 1), 2.0, dtype=torch.float64)
    noise = torch.randn(x0.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for step in (0, 20, 49):
        t = torch.full((len(x0),), step)
        x_t = schedule.add_noise(x0, noise, t)
        assert x_t.mean() == pytest.approx(2 * schedule.alpha_bars[step].sqrt().item(), abs=0.01)
        assert x_t.var() == pytest.approx(1 - schedule.alpha_bars[step].item(), rel=0.02)


def test_forward_process_equals_its_single_steps():
    """Eq. 2 applied t times has the coefficients of eq. 3."""
    schedule = linear_schedule(50)
    signal, variance = 1.0, 0.0
    for step, beta in enumerate(schedule.betas.tolist()):
        signal, variance = signal * (1 - beta) ** 0.5, variance * (1 - beta) + beta
        assert signal == pytest.approx(schedule.alpha_bars[step].sqrt().item())
        assert variance == pytest.approx(1 - schedule.alpha_bars[step].item())


def test_both_parametrisations_say_the_same():
    schedule = cosine_schedule(20)
    x0, noise, t = normal(20, 1), normal(20, 2), torch.arange(20)
    x_t = schedule.add_noise(x0, noise, t)
    torch.testing.assert_close(schedule.x0_from_epsilon(x_t, noise, t), x0)
    torch.testing.assert_close(schedule.epsilon_from_x0(x_t, x0, t), noise)
    for parametrisation, prediction in (("x0", x0), ("epsilon", noise)):
        both = schedule.x0_and_epsilon(x_t, prediction, t, parametrisation)
        torch.testing.assert_close(both, (x0, noise))
    with pytest.raises(ValueError, match="parametrisation must be one of"):
        schedule.x0_and_epsilon(x_t, x0, t, "v")


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("parametrisation", ["epsilon", "x0"])
def test_ancestral_sampling_gives_the_data_distribution(make, parametrisation):
    schedule = make(400)
    generator = torch.Generator().manual_seed(3)
    denoise, steps = best_denoiser(schedule, parametrisation), ancestral_steps(schedule, parametrisation)
    samples = sample(denoise, normal(40_000, 0), steps, generator)
    torch.testing.assert_close(samples.mean(0), MEAN, atol=0.015, rtol=0)
    torch.testing.assert_close(samples.T.cov(), COVARIANCE, atol=0.025, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim_gives_the_data_distribution(eta):
    schedule = cosine_schedule(400)
    steps = ddim_steps(schedule, spaced_steps(400, 100), "epsilon", eta)
    generator = torch.Generator().manual_seed(3)
    samples = sample(best_denoiser(schedule, "epsilon"), normal(40_000, 0), steps, generator)
    torch.testing.assert_close(samples.mean(0), MEAN, atol=0.015, rtol=0)
    torch.testing.assert_close(samples.T.cov(), COVARIANCE, atol=0.025, rtol=0)


def test_ddim_of_one_point_lands_on_it_in_any_number_of_steps():
    schedule = cosine_schedule(50)
    for count in (1, 2, 7, 50):
        steps = sampling_steps(schedule, count, "x0")
        samples = sample(lambda x, t: MEAN.expand_as(x), normal(8, 0), steps)
        torch.testing.assert_close(samples, MEAN.expand(8, 3))


def test_the_second_order_solver_keeps_the_spread_of_the_data_in_few_steps():
    schedule, denoise = cosine_schedule(50), best_denoiser(cosine_schedule(50), "x0")
    noise = normal(40_000, 0)
    drawn = {order: sample(denoise, noise, sampling_steps(schedule, 4, "x0", order)) for order in (1, 2)}
    deviation = {
        order: (samples.T.cov().diagonal() / COVARIANCE.diagonal()).sqrt() for order, samples in drawn.items()
    }
    assert (deviation[1] < 0.7).all()
    assert ((deviation[2] > 0.85) & (deviation[2] < 1.05)).all()
    torch.testing.assert_close(drawn[2].mean(0), MEAN, atol=0.015, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_second_order_solver_is_the_papers(count):
    schedule = cosine_schedule(30)
    noise = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def denoise(x, t):
        return (x + t[:, None, None] / 30).sin()

    steps = sampling_steps(schedule, count, "x0", 2)
    expected = sample_dpm_solver(denoise, noise, schedule, spaced_steps(30, count))
    torch.testing.assert_close(sample(denoise, noise, steps), expected)
    assert sampling_steps(schedule, count, "epsilon", 2) == sampling_steps(schedule, count, "epsilon")


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 7, 3)])
@pytest.mark.parametrize("parametrisation", ["epsilon", "x0"])
@pytest.mark.parametrize("eta", [None, 0.0, 0.7])
def test_linear_steps_are_the_papers_samplers(shape, parametrisation, eta):
    schedule, generators = cosine_schedule(30), [torch.Generator().manual_seed(3) for _ in range(2)]
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def denoise(x, t):
        return (x + t.reshape(-1, *[1] * (x.ndim - 1)) / 30).sin()

    if eta is None:
        steps = ancestral_steps(schedule, parametrisation)
        expected = sample_ddpm(denoise, noise, schedule, generators[0], parametrisation)
    else:
        steps = ddim_steps(schedule, (29, 20, 5, 0), parametrisation, eta)
        expected = sample_ddim(denoise, noise, schedule, (29, 20, 5, 0), parametrisation, eta, generators[0])
    torch.testing.assert_close(sample(denoise, noise, steps, generators[1]), expected)
    draws = torch.Generator().manual_seed(5)
    added = [torch.randn(shape, generator=draws, dtype=noise.dtype) for step in steps if step.of_noise]
    drawn = sample(denoise, noise, steps, torch.Generator().manual_seed(5))
    assert torch.equal(sample(denoise, noise, steps, added=added), drawn)


def test_the_generator_decides_every_random_number():
    schedule = cosine_schedule(20)
    denoise = best_denoiser(schedule, "x0")

    def ancestral(seed):
        steps = sampling_steps(schedule, None, "x0")
        return sample(denoise, normal(4, 0), steps, torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    first = ancestral(1)
    torch.manual_seed(99)
    torch.testing.assert_close(ancestral(1), first, rtol=0, atol=0)
    assert not torch.allclose(ancestral(2), first)


def test_steps_are_spaced_from_the_last_to_the_first():
    assert spaced_steps(50, 5) == (49, 37, 24, 12, 0)
    assert spaced_steps(50, 1) == (49,)
    assert spaced_steps(50, 50) == tuple(range(49, -1, -1))
    for count in range(1, 51):
        steps = spaced_steps(50, count)
        assert len(set(steps)) == count
        assert steps[0] == 49


@pytest.mark.parametrize("count", [0, 51])
def test_impossible_numbers_of_steps_are_refused(count):
    with pytest.raises(ValueError, match="between 1 and 50"):
        spaced_steps(50, count)


def test_bad_schedules_and_steps_are_refused():
    schedule = cosine_schedule(10)
    with pytest.raises(ValueError, match="at least one step"):
        linear_schedule(0)
    with pytest.raises(ValueError, match="lie in"):
        NoiseSchedule(torch.tensor([0.1, 1.5]))
    with pytest.raises(ValueError, match="shape"):
        NoiseSchedule(torch.zeros(0))
    for steps in ((), (5, 0), (9, 9)):
        with pytest.raises(ValueError, match="must descend from 9"):
            ddim_steps(schedule, steps, "x0")
    with pytest.raises(ValueError, match="need a generator"):
        sample(lambda x, t: x, normal(1, 0), ddim_steps(schedule, (9, 0), "x0", eta=1.0))
