"""The recipes of config/training/papers, on miniature copies of the sets that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_pose_ros.datasets.registry import SETS
from hand_pose_ros.training.config_files import read_yaml
from helpers.miniature_sets import OPTIONS, WRITERS

REPOSITORY = Path(__file__).resolve().parents[2]
PAPERS = REPOSITORY / "config" / "training" / "papers"
_SAME_PARTS = ("freihand", "ho3d")
"""Sets whose miniatures have the training part."""


def recipe_on_miniatures(name: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a recipe; returns it, and its section with ``sets``, whose paths lead to miniatures in ``folder``.

    The options of each set are those of its reader, or the test fails.
    """
    recipe = read_yaml(PAPERS / f"{name}.yaml")
    options = recipe["options"]
    section = options["data"] if "data" in options else options["rendered"]
    for number, one in enumerate(section["sets"]):
        kind = one["set"]
        assert one["path"] == ""
        SETS[kind].options_type.from_flat(one["options"])
        path = folder / kind
        if not path.is_dir():
            WRITERS[kind](path)
        one |= {"path": str(path), "shards": str(folder / "shards" / str(number))}
        if kind not in _SAME_PARTS:
            one["options"] = OPTIONS.get(kind, {})
    return recipe, section
