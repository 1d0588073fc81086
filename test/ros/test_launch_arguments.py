"""The arguments of the launch files, read from their source: this needs no ROS 2, unlike test_launch.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

INCLUDED = "estimator.launch.py"
INCLUDING = ("demo.launch.py", "teleop.launch.py")


def declared(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of each argument, and those of its properties that are literals."""
    for call in ast.walk(ast.parse(file.read_text())):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "DeclareLaunchArgument":
            properties = {
                one.arg: ast.literal_eval(one.value)
                for one in call.keywords
                if one.arg and isinstance(one.value, (ast.Constant, ast.List))
            }
            yield ast.literal_eval(call.args[0]), properties


@pytest.mark.parametrize("name", INCLUDING)
def test_a_name_means_the_same_in_the_file_that_is_included(repository, name):
    """One argument has one value in all files, so a default that another file refuses would end the launch."""
    included = dict(declared(repository / "launch" / INCLUDED))
    both = {key: value for key, value in declared(repository / "launch" / name) if key in included}
    assert {"namespace", "rviz"} <= set(both)
    for argument, properties in both.items():
        assert properties.get("choices") == included[argument].get("choices"), argument
