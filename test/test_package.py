"""The library's face: what ``hand_pose_ros`` itself exports, on first use."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import hand_pose_ros


def test_every_exported_name_is_there():
    for name in hand_pose_ros.__all__:
        assert getattr(hand_pose_ros, name).__name__ == name
    assert set(hand_pose_ros.__all__) <= set(dir(hand_pose_ros))
    with pytest.raises(AttributeError, match="has no attribute 'Camera'"):
        _ = hand_pose_ros.Camera


def test_type_checkers_see_the_same_names_from_the_same_modules(repository):
    tree = ast.parse((repository / "hand_pose_ros" / "__init__.py").read_text())
    (branch,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name: node.module for node in branch.body for alias in node.names}
    assert imported == {name: f"hand_pose_ros.{home}" for name, home in hand_pose_ros._HOMES.items()}
    assert sorted(imported) == sorted(hand_pose_ros.__all__)


def test_importing_the_package_imports_no_library():
    code = "import sys, hand_pose_ros; print({'torch', 'numpy', 'cv2', 'rclpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer == "set()\n"
