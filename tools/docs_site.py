"""mkdocs hook: pages from outside docs/, and links between all of them, as they are in the repository.

Links in the Markdown files work where the repository is browsed. Here they become links between pages of the site;
links to other files, such as sources, become plain text.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = "README.md"
_LINK = re.compile(r"\[((?:`[^`]*`|[^\]`])*)\]\(([^)\s#]+)((?:#[^)\s]*)?)\)")


def pages_outside_docs() -> dict[str, str]:
    """Path in the repository -> path in the site."""
    paths = [HOME, "CHANGELOG.md", "CONTRIBUTING.md"]
    paths += [path.relative_to(REPOSITORY).as_posix() for path in sorted(REPOSITORY.glob("models/*.md"))]
    return {path: "index.md" if path == HOME else path for path in paths}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    from mkdocs.structure.files import File

    for path, uri in pages_outside_docs().items():
        files.append(File.generated(config, uri, abs_src_path=os.fspath(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 (mkdocs names the arguments)
    """Turn links between files of the repository into links between pages of the site."""
    outside = pages_outside_docs()
    uri = page.file.src_uri
    path = next((path for path, of_site in outside.items() if of_site == uri), f"docs/{uri}")

    def to_site(match: re.Match[str]) -> str:
        text, link, anchor = match.groups()
        if ":" in link:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        if not target.startswith("docs/") and target not in outside:
            return text
        of_site = outside.get(target, target.removeprefix("docs/"))
        return f"[{text}]({posixpath.relpath(of_site, posixpath.dirname(uri) or '.')}{anchor})"

    return _LINK.sub(to_site, markdown)
