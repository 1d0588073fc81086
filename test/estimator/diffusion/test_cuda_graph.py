"""The graph sampler's logic, with a stand-in for the CUDA graph: replaying runs the recorded work once more."""

from __future__ import annotations

import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_condition, random_network
from helpers.frames import blank_frame, poses
from helpers.reference_samplers import sample_ddim, sample_ddpm, sample_dpm_solver

from hand_pose_ros.estimator.diffusion.cuda_graph import GraphSampler
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.networks.condition import Encoded
from hand_pose_ros.networks.denoising.samplers import sampling_steps, spaced_steps
from hand_pose_ros.networks.denoising.schedule import cosine_schedule
from hand_pose_ros.networks.diffusion.sampling import sample_joints

SAMPLES = 4


class FakeGraph:
    """Counts captures and replays. As a graph's, its work is recorded once, with the tensors of that time."""

    def __init__(self):
        self.captures = self.replays = 0

    def __call__(self, work):
        self.captures += 1
        work()

        def replay():
            self.replays += 1
            work()

        return replay


def generator(seed=5):
    return torch.Generator().manual_seed(seed)


def noise(samples=SAMPLES):
    return torch.randn(samples, 21, 3, generator=generator(1))


@pytest.fixture(params=["x0", "epsilon"])
def model(request):
    return random_network(parametrisation=request.param)


@pytest.mark.parametrize("steps", [None, 1, 4])
def test_linear_steps_are_the_samplers(model, steps):
    encoded = model.encode(random_condition(2))
    actual = sample_joints(model, encoded, noise(), steps, generator())
    every, schedule = encoded.repeat(SAMPLES), model.schedule

    def denoise(x, t):
        return model.denoise(x, t, every)

    start = noise().repeat(2, 1, 1)
    if steps is None:
        expected = sample_ddpm(denoise, start, schedule, generator(), model.parametrisation)
    else:
        walk = spaced_steps(schedule.steps, steps)
        if model.parametrisation == "x0":
            expected = sample_dpm_solver(denoise, start, schedule, walk)
        else:
            expected = sample_ddim(denoise, start, schedule, walk, model.parametrisation)
    torch.testing.assert_close(actual.flatten(0, 1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("hands", [1, 2])
def test_a_replay_gives_what_sampling_step_by_step_gives(model, steps, hands):
    graph = FakeGraph()
    sampler = GraphSampler(model, hands=2, samples=SAMPLES, steps=steps, capture=graph)
    for seed in range(3):
        encoded = model.encode(random_condition(hands, seed))
        actual = sampler(model, encoded, noise(), steps, generator())
        expected = sample_joints(model, encoded, noise(), steps, generator())
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert (graph.captures, graph.replays) == (1, 3)


def test_a_result_outlives_the_next_replay(model):
    sampler = GraphSampler(model, hands=1, samples=SAMPLES, steps=2, capture=FakeGraph())
    first = sampler(model, model.encode(random_condition(1, 0)), noise(), 2)
    kept = first.clone()
    second = sampler(model, model.encode(random_condition(1, 9)), noise(), 2)
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)


def test_what_one_hand_leaves_behind_does_not_reach_the_next(model):
    sampler = GraphSampler(model, hands=2, samples=SAMPLES, steps=2, capture=FakeGraph())
    two, one = model.encode(random_condition(2, 0)), model.encode(random_condition(1, 3))
    sampler(model, two, noise(), 2)
    actual = sampler(model, one, noise(), 2)
    assert actual.shape == (1, SAMPLES, 21, 3)
    torch.testing.assert_close(actual, sample_joints(model, one, noise(), 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("hands", "samples", "steps"), [(3, SAMPLES, 2), (1, 5, 2), (1, SAMPLES, 3)])
def test_another_shape_is_sampled_step_by_step(model, hands, samples, steps):
    graph = FakeGraph()
    sampler = GraphSampler(model, hands=2, samples=SAMPLES, steps=2, capture=graph)
    encoded = model.encode(random_condition(hands))
    actual = sampler(model, encoded, noise(samples), steps)
    assert torch.equal(actual, sample_joints(model, encoded, noise(samples), steps))
    assert graph.captures == 0


def test_another_denoiser_is_sampled_step_by_step(model):
    graph, other = FakeGraph(), random_network(seed=1)
    sampler = GraphSampler(model, hands=2, samples=SAMPLES, steps=2, capture=graph)
    encoded = other.encode(random_condition(1))
    assert torch.equal(sampler(other, encoded, noise(), 2), sample_joints(other, encoded, noise(), 2))
    assert graph.captures == 0


class Vertices:
    """A denoiser of something else than joints: (n, 7, 4)."""

    parametrisation, mean, schedule = "x0", torch.zeros(7, 4), cosine_schedule(10)

    def denoise(self, noisy, t, encoded):
        return (noisy * encoded.features[:, None] + t[:, None, None]).sin()


@pytest.mark.parametrize("steps", [None, 4])
def test_other_data_than_joints_are_sampled_as_well(steps):
    denoiser, encoded = Vertices(), Encoded(torch.tensor([[0.5], [0.7]]), *[torch.zeros(2, 1)] * 3)
    start = torch.randn(SAMPLES, 7, 4, generator=generator(1))
    sampler = GraphSampler(denoiser, hands=2, samples=SAMPLES, steps=steps, capture=FakeGraph())
    expected = sample_joints(denoiser, encoded, start, steps, generator())
    assert expected.shape == (2, SAMPLES, 7, 4)
    torch.testing.assert_close(sampler(denoiser, encoded, start, steps, generator()), expected)


def test_ancestral_sampling_needs_a_generator(model):
    sampler = GraphSampler(model, hands=2, samples=SAMPLES, capture=FakeGraph())
    with pytest.raises(ValueError, match="generator"):
        sampler(model, model.encode(random_condition(1)), noise(), None)


def test_bad_sizes_are_refused(model):
    with pytest.raises(ValueError, match="at least 1"):
        GraphSampler(model, hands=0)
    with pytest.raises(ValueError, match="number of steps"):
        GraphSampler(model, steps=21)


def test_the_work_only_touches_tensors_that_stay(model):
    """Whatever a graph reads and writes keeps its address: replaying with stale inputs gives stale results."""
    recorded = []

    def capture(work):
        recorded.append(work)
        return lambda: None

    sampler = GraphSampler(model, hands=1, samples=SAMPLES, steps=2, capture=capture)
    encoded = model.encode(random_condition(1))
    assert not sampler(model, encoded, noise(), 2).any()
    recorded[0]()
    actual = sampler(model, encoded, noise(), 2)
    torch.testing.assert_close(actual, sample_joints(model, encoded, noise(), 2), rtol=1e-4, atol=1e-4)


def test_the_last_ancestral_step_adds_nothing(model):
    steps = sampling_steps(model.schedule, None, model.parametrisation)
    assert [step.of_noise > 0 for step in steps] == [True] * (model.schedule.steps - 1) + [False]


def test_the_estimator_samples_through_it(model):
    config = DiffusionEstimatorConfig(samples=SAMPLES, steps=None)
    graph = FakeGraph()
    sampler = GraphSampler(model, hands=2, samples=SAMPLES, capture=graph)
    found = detections(2)
    plain = poses(DiffusionEstimator(model, config=config), blank_frame(CAMERA), found)
    through = poses(DiffusionEstimator(model, config=config, sampler=sampler), blank_frame(CAMERA), found)
    assert graph.replays == 1
    for one, other in zip(plain, through, strict=True):
        assert one.valid
        assert abs(one.joints_m - other.joints_m).max() < 1e-4
