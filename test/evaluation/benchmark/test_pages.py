"""The documentation's page of each data set: its tables are those of the code, its commands those of the set."""

import re

import pytest
from helpers.recipes import PAPERS, REPOSITORY

from hand_pose_ros.datasets.protocols import PROTOCOLS
from hand_pose_ros.datasets.published import published_rows
from hand_pose_ros.datasets.registry import SETS
from hand_pose_ros.evaluation.benchmark.pages import with_set_tables
from hand_pose_ros.training.config_files import read_yaml

PAGES = REPOSITORY / "docs" / "use" / "datasets"
GENERIC = "mesh_diffusion.yaml"
"""A recipe on renders, of no set."""


def test_every_set_has_a_page():
    assert {path.stem for path in PAGES.glob("*.md")} == {*SETS, "training"}


@pytest.mark.parametrize("name", SETS)
def test_the_page_says_what_a_user_needs(name):
    text = (PAGES / f"{name}.md").read_text()
    assert with_set_tables(text) == text, f"run hand_pose parameters docs/use/datasets/{name}.md"
    for part in ("**Get it.**", "**Licence.**", "## Layout", "## Commands", "## Options"):
        assert part in text, part
    for verb in (f"hand_pose dataset show {name} /data/", f"hand_pose benchmark {name} /data/"):
        assert verb in text
    for protocol, one in PROTOCOLS[name].items():
        assert f"`--protocol {protocol}`: {one.rule}" in text
        for row in published_rows(name, protocol):
            assert re.search(
                rf"^\| {re.escape(row.method)} \|.*{re.escape(row.source)} \|$", text, re.MULTILINE
            )
            assert row.note in text


def test_marks_of_unknown_sets_are_refused():
    with pytest.raises(ValueError, match="there is no set 'imagenet'"):
        with_set_tables("<!-- options of the set imagenet -->\n<!-- end of options -->\n")


def test_the_costs_of_every_recipe_are_listed_with_its_sizes():
    text = (PAGES / "training.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+\.yaml)` \|(.*)\|$", text, re.MULTILINE))
    recipes = {path.name: read_yaml(path) for path in PAPERS.glob("*.yaml") if path.name != GENERIC}
    assert rows.keys() == recipes.keys()
    for name, recipe in recipes.items():
        options = recipe["options"]
        batch = options.get("data", options)["batch_size"]
        assert f"| {batch} x {recipe['steps']:,} |" in rows[name], name
