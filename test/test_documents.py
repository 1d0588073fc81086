"""The documents: every link, image and file that they name is there."""

from __future__ import annotations

import pydoc
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from hand_pose_ros.rendering.clip import render_clip

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    path for pattern in ("*.md", "docs/**/*.md", "models/*.md") for path in sorted(REPOSITORY.glob(pattern))
]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"```[\s\S]*?```|^    .*$", "", text, flags=re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What can stand behind '#' in a link to this page: its headings, as GitHub and the site name them."""
    headings = re.findall(r"^#+ (.+)$", without_code(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document):
    for target in LINK.findall(document.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(path), f"{target}: no such heading"


def test_every_page_is_linked_from_another():
    linked = {
        (document.parent / target.partition("#")[0]).resolve()
        for document in DOCUMENTS
        for target in LINK.findall(document.read_text())
    }
    assert set((REPOSITORY / "docs").rglob("*.md")) <= linked


def test_the_site_has_every_page_and_its_api_pages_name_what_there_is(repository):
    site = (repository / "mkdocs.yml").read_text()
    for page in (repository / "docs").rglob("*.md"):
        assert f"{page.relative_to(repository / 'docs').as_posix()}\n" in site
    for page in (repository / "docs" / "api").glob("*.md"):
        for name in re.findall(r"^::: (.+)$", page.read_text(), re.MULTILINE):
            assert pydoc.locate(name), f"{page.name} names {name}"


def test_files_that_texts_name_are_there(repository):
    names = subprocess.check_output(
        ["git", "ls-files", "*.md", "*.py", "*.yaml", "*.txt", "Makefile", ":!test"],
        cwd=repository,
        text=True,
    )
    for name in names.split():
        text = (repository / name).read_text()
        paths = re.findall(r"(?<![\w/.-])(?:docs/[\w/]+\.(?:md|py|png|jpg|gif)|config/[\w/]+\.yaml)\b", text)
        if name.endswith(".md"):
            paths += re.findall(
                r"(?<![\w/.-])(?:hand_pose_ros|test|benchmarks|launch)/[\w/]+\.(?:py|npz)\b", text
            )
        for path in paths:
            assert (repository / path).exists(), f"{name} names {path}"


def test_the_quickstart_of_the_readme_gives_joints_in_metres(repository, tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 8
    truth = next(render_clip())  # its camera has the field of view that the quickstart assumes
    cv2.imwrite(str(tmp_path / "hand.jpg"), truth.rendering.image)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert capsys.readouterr().out.startswith("right [[")
    assert names["hand"].joints_m.shape == (21, 3)
    joints = truth.frames.joints.numpy()
    # An unknown size is up to a tenth of the distance.
    error = np.linalg.norm(names["hand"].joints_m - joints, axis=1).mean()
    assert error < 0.1 * joints[0, 2], f"{1000 * error:.0f} mm"
