"""The documents: every link, image and file that they name is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

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
