"""The configurations of the ablation differ in what their names say, and train on as many images."""

from __future__ import annotations

from hand_pose_ros.training.config import read_config
from hand_pose_ros.training.config_files import differences

DIFFERENCES = {
    "direct": {"options.network.variant": "direct", "options.losses.depth": 1.0},
    "holistic": {
        "options.losses.depth": 1.0,
        "optimiser.learning_rate": 1e-3,
        "options.network.variant": "holistic",
    }
    | {"options.network.width": None, "options.network.levels": None, "options.network.resnet_depth": 18},
    "two_stages": {"options.network.stages": 2},
    "with_2d": {"options.data.share_real": 0.5},
    "other_bone": {"options.network.bone": 9},
}


def test_configurations_differ_in_what_their_names_say(repository):
    folder = repository / "config" / "training" / "heatmap" / "ablation"
    assert {path.stem for path in folder.iterdir()} == {"latent", *DIFFERENCES}
    first = read_config(folder / "latent.yaml").to_dict()
    for name, expected in DIFFERENCES.items():
        other = read_config(folder / f"{name}.yaml").to_dict()
        found = {key: value for key, (_, value) in differences(first, other).items()}
        assert found == expected, name
