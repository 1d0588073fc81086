"""Memory does not grow with input: every cache of a function is bounded, or keyed by a few constants only."""

from __future__ import annotations

import ast

import pytest

FEW = {"dtype", "device", "kind", "cls"}
"""Arguments with few values: types of numbers, devices, and names that the code itself passes."""
NOT_YET = {"distortion.py"}


def unbounded(tree: ast.AST) -> list[tuple[str, set[str]]]:
    """The functions with a cache without a bound, and their arguments."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                text = ast.unparse(decorator)
                if text.endswith("cache") or (
                    text.split("(")[0].endswith("cache") and "maxsize=None" in text
                ):
                    arguments = {
                        one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                    }
                    found.append((node.name, arguments if not text.endswith("lru_cache") else set()))
    return found


def test_the_finder_finds_unbounded_caches():
    code = "@cache\ndef a(x): ...\n@lru_cache(maxsize=None)\ndef b(y): ...\n@lru_cache(maxsize=3)\ndef c(z): ...\n"
    assert unbounded(ast.parse(code)) == [("a", {"x"}), ("b", {"y"})]


def test_no_cache_grows_with_what_comes_in(repository):
    for path in (repository / "hand_pose_ros").rglob("*.py"):
        for name, arguments in unbounded(ast.parse(path.read_text())):
            if arguments - FEW and path.name not in NOT_YET:
                pytest.fail(
                    f"{path.name}: {name} keeps a result for every {sorted(arguments)}: lru_cache(maxsize=...)"
                )
