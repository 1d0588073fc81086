"""The published figures belong to protocols that there are, and to figures that these measure."""

import json

import pytest

from hand_pose_ros.datasets import published
from hand_pose_ros.datasets.protocols import PROTOCOLS
from hand_pose_ros.datasets.published import published_rows

ROWS = json.loads(published._FILE.read_text())["rows"]


def test_every_row_names_a_protocol_and_its_figures():
    for row in ROWS:
        assert row["figures"]
        assert set(row["figures"]) <= set(PROTOCOLS[row["set"]][row["protocol"]].figures), row
        assert "Table" in row["source"] or "section" in row["source"]


def test_rows_are_found_by_protocol():
    assert sum(len(published_rows(name, one)) for name, all_ in PROTOCOLS.items() for one in all_) == len(
        ROWS
    )
    ours = {row.method: row.figures for row in published_rows("rhd", "paper")}
    assert ours["D* (diffusion + IK)"] == {"EPE mean mm": 16.79}
    assert ours["Iqbal et al. with true root depth and scale"]["AUC 20-50 mm"] == 0.94


@pytest.mark.parametrize(
    ("name", "better", "worse", "figure"),
    [
        ("rhd", "D* (diffusion + IK)", "Spurr et al.", "EPE mean mm"),
        ("stb", "D*, temporal", "D* (diffusion + IK)", "EPE mean mm"),
        ("interhand26m", "Yu et al., H+M", "D*, H+M", "MPJPE interacting mm"),
        ("freihand", "DiffHand", "MeshGraphormer", "PA-MPJPE mm"),
        ("ho3d", "HandOccNet", "DiffHand", "PA-MPJPE mm"),
        ("dexycb", "DiffHand", "gSDF", "MPJPE mm"),
    ],
)
def test_rows_say_what_the_papers_say_of_them(name, better, worse, figure):
    figures = {}
    for row in published_rows(name, "paper"):
        figures.setdefault(row.method, row.figures)
    assert figures[better][figure] < figures[worse][figure]
