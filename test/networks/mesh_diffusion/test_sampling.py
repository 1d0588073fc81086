"""Sampling is a function of the seed, and hypotheses are chosen by evidence."""

from __future__ import annotations

import pytest
import torch
from helpers.mesh_networks import small_mesh_network

from hand_pose_ros.networks.mesh_diffusion.sampling import (
    average_views,
    choose,
    log_likelihood,
    mesh_noise,
    project_to_crop,
    sample_meshes,
)
from hand_pose_ros.rotations import rotation_from_vector


def drawn(network, seed=4, samples=3, **arguments):
    crops = torch.randn(2, 192, 7, 7, generator=torch.Generator().manual_seed(0))
    encoded = network.encode(crops, torch.tensor([1.0, -1.0]))
    noise = mesh_noise(samples, network.config.points, torch.Generator().manual_seed(seed))
    return sample_meshes(network, encoded, noise, **arguments)


def test_sampling_is_deterministic_by_seed():
    network = small_mesh_network()
    first = drawn(network)
    assert first.shape == (2, 3, 2270, 3)
    assert torch.equal(first, drawn(network))
    assert not torch.equal(first, drawn(network, seed=5))
    assert (first[:, 0] - first[:, 1]).abs().max() > 1e-4


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_any_number_of_steps(steps):
    assert drawn(small_mesh_network(), steps=steps).isfinite().all()


def test_ancestral_sampling_needs_a_generator():
    network = small_mesh_network()
    with pytest.raises(ValueError, match="need a generator"):
        drawn(network, steps=None)
    made = [drawn(network, steps=None, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*made)


def test_one_step_is_the_prediction_itself():
    network = small_mesh_network()
    crops = torch.randn(2, 192, 7, 7)
    encoded = network.encode(crops, torch.ones(2))
    noise = mesh_noise(1, network.config.points, torch.Generator().manual_seed(0))
    expected = network.mesh(network.denoise(noise.expand(2, -1, -1), torch.full((2,), 19), encoded))
    torch.testing.assert_close(
        sample_meshes(network, encoded, noise, 1)[:, 0], expected, atol=1e-5, rtol=1e-4
    )


def test_direct_regression_has_one_hypothesis():
    network = small_mesh_network(diffusion=False)
    meshes = drawn(network)
    assert torch.equal(meshes[:, 0], meshes[:, 2])


def test_bad_noise_and_inputs_are_refused():
    network = small_mesh_network()
    encoded = network.encode(torch.zeros(1, 192, 7, 7), torch.ones(1))
    with pytest.raises(ValueError, match=r"noise must have shape \(\.\.\., 64, 3\)"):
        sample_meshes(network, encoded, torch.zeros(1, 63, 3))
    with pytest.raises(ValueError, match="noise must be finite"):
        sample_meshes(network, encoded, torch.full((1, 64, 3), torch.nan))
    broken = torch.zeros(2, 192, 7, 7)
    broken[1, 3] = torch.nan
    with pytest.raises(ValueError, match="inputs of crop 1 are not finite"):
        sample_meshes(network, network.encode(broken, torch.ones(2)), torch.zeros(1, 64, 3))
    with pytest.raises(ValueError, match="samples must be at least 1"):
        mesh_noise(0, 64, torch.Generator())
    with pytest.raises(ValueError, match="between 1 and 20"):
        sample_meshes(network, encoded, torch.zeros(1, 64, 3), 21)


def test_the_most_likely_mesh_is_chosen():
    generator = torch.Generator().manual_seed(0)
    joints = torch.randn(2, 4, 21, 3, generator=generator)
    wrist, extent = torch.tensor([[0.1, 0.2, 8.0], [0.0, -0.3, 6.0]]), torch.tensor([0.2, 0.3])
    points = project_to_crop(joints, wrist, extent)
    for row in range(2):
        placed = joints[row, 1] + wrist[row]
        torch.testing.assert_close(points[row, 1], placed[:, :2] / placed[:, 2:] / extent[row])
    keypoints = torch.stack((points[0, 2], points[1, 3])).clone()
    keypoints[:, 5] = torch.nan
    likelihood = log_likelihood(points, keypoints, torch.full((2, 21), 0.05))
    assert likelihood.argmax(1).tolist() == [2, 3]
    chosen = choose(joints, likelihood)
    assert torch.equal(chosen, torch.stack((joints[0, 2], joints[1, 3])))
    torch.testing.assert_close(choose(joints), joints.mean(1))
    with pytest.raises(ValueError, match="likelihood must have shape"):
        choose(joints, likelihood[:, :2])


def test_views_are_averaged_in_the_axes_of_the_first():
    generator = torch.Generator().manual_seed(0)
    rotations = rotation_from_vector(torch.randn(3, 2, 3, generator=generator, dtype=torch.float64))
    meshes = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    seen = meshes @ rotations.mT
    torch.testing.assert_close(average_views(seen, rotations), seen[0])
    seen[1, 0, 7] += 0.3
    assert 0 < (average_views(seen, rotations) - seen[0])[0, 7].norm() < 0.3
    with pytest.raises(ValueError, match="the same views and hands"):
        average_views(seen, rotations[:2])
