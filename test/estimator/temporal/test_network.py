"""What runs the temporal transformer: both backends give the same hands, and a wrong file or name is refused."""

from __future__ import annotations

import pytest
import torch
from helpers.temporal import TINY, noisy_videos

from hand_pose_ros.estimator.temporal.network import OnnxTemporal, load_temporal_network
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.networks.temporal.window import HandWindow
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.synthetic.motion.video_bank import cut_windows


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(1)
    model = TemporalTransformer(TINY).eval()
    for layer in (model.correction, model.mixing.query):
        torch.nn.init.normal_(layer.weight, std=0.05)
    path = tmp_path_factory.mktemp("temporal") / "temporal.safetensors"
    save_weights(path, model, "temporal", model.config.to_dict())
    return path


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def windows():
    cut = cut_windows(noisy_videos(2), TINY.window)
    valid = cut.window.valid.clone()
    valid[1, :3], valid[2, 1] = False, False
    return cut._replace(window=cut.window._replace(valid=valid))


@pytest.mark.parametrize("frames", range(1, TINY.window + 1))
def test_onnxruntime_gives_what_pytorch_gives_for_any_number_of_frames(weights, windows, frames):
    window = HandWindow(*(value[:, -frames:] for value in windows.window))
    expected = load_temporal_network(weights, "torch", "cpu").newest(window, windows.proportions)
    found = load_temporal_network(weights, "onnxruntime", "cpu").newest(window, windows.proportions)
    for name, value in expected._asdict().items():
        assert getattr(found, name).shape == value.shape
        torch.testing.assert_close(getattr(found, name), value, atol=1e-4, rtol=0)


def test_a_spread_that_is_not_known_is_no_obstacle(weights, windows):
    window = windows.window._replace(sigma=torch.full_like(windows.window.sigma, torch.nan))
    for backend in ("torch", "onnxruntime"):
        hands = load_temporal_network(weights, backend, "cpu").newest(window, windows.proportions)
        assert bool(hands.joints.isfinite().all())


def test_auto_is_onnxruntime_on_a_cpu_and_the_smoother_takes_its_window(weights):
    network = load_temporal_network(weights, "auto", "cpu")
    assert isinstance(network, OnnxTemporal)
    assert network.window == TINY.window
    with pytest.raises(ValueError, match=r"window must lie in \[1, 5\]"):
        TemporalSmoother(network, 6)


def test_the_graph_is_exported_once(weights, tmp_path):
    load_temporal_network(weights, "onnxruntime", "cpu")
    (graph,) = tmp_path.rglob("*.onnx")
    made = graph.stat().st_mtime_ns
    load_temporal_network(weights, "onnxruntime", "cpu")
    assert graph.stat().st_mtime_ns == made


def test_what_is_no_temporal_transformer_is_refused(weights, tmp_path):
    with pytest.raises(ValueError, match="backend must be one of"):
        load_temporal_network(weights, "tensorrt")
    with pytest.raises(ValueError, match="there is no weight file"):
        load_temporal_network(tmp_path / "nothing.safetensors", "onnxruntime", "cpu")
    other = tmp_path / "other.safetensors"
    save_weights(other, torch.nn.Linear(2, 2), "hand_diffusion", {})
    for backend in ("torch", "onnxruntime"):
        with pytest.raises(ValueError, match="hand_diffusion"):
            load_temporal_network(other, backend, "cpu")
