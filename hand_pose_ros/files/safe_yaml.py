"""The one reader of YAML: plain values only, with bounds on size, depth and aliases, and no key twice."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from hand_pose_ros.files.bounded_text import shortened, shown
from hand_pose_ros.files.regular_file import read_text

MOST_BYTES: Final = 1 << 20
_MOST_DEPTH: Final = 40
_MOST_VALUES: Final = 200_000
_MOST_NUMBER_DIGITS: Final = 400


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with the bounds, and 1e-3 as a number, as in YAML 1.2 (PyYAML requires 1.0e-3)."""

    plain_tags: Collection[str] = ()

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise ValueError(f"it is nested more than {_MOST_DEPTH} levels deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Node | None:
        node = super().get_single_node()
        if node is not None:
            self._check(node, {}, ())
        return node

    def _check(self, node: Node, sizes: dict[int, int], above: tuple[int, ...]) -> int:
        """The number of values in a node with its aliases written out; checks the keys of its mappings."""
        if id(node) in above:
            raise ValueError(f"the value at line {node.start_mark.line + 1} contains itself")
        if id(node) in sizes:
            return sizes[id(node)]
        if node.tag in self.plain_tags:
            node.tag = self.resolve(type(node), getattr(node, "value", None), (True, False))
        total = 1
        if isinstance(node, CollectionNode):
            if isinstance(node, MappingNode):
                self._check_keys(node)
            for one in node.value:
                for inner in one if isinstance(one, tuple) else (one,):
                    total += self._check(inner, sizes, (*above, id(node)))
            if total > _MOST_VALUES:
                raise ValueError(f"it holds more than {_MOST_VALUES} values, counting aliases")
        elif node.tag.endswith((":int", ":float")) and len(node.value) > _MOST_NUMBER_DIGITS:
            raise ValueError(
                f"line {node.start_mark.line + 1} holds a number of {len(node.value)} characters"
            )
        sizes[id(node)] = total
        return total

    def _check_keys(self, node: MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, ScalarNode) else None
            if name is None:
                raise ValueError(f"line {key.start_mark.line + 1} has a list or a section as a key")
            if name in seen:
                raise ValueError(
                    f"the key {shown(key.value)} is there twice, again at line {key.start_mark.line + 1}"
                )
            seen.add(name)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, plain_tags: Collection[str] = ()) -> Any:
    """The plain values of one YAML document: dict, list, str, int, float, bool, None, date.

    Args:
        plain_tags: tags whose values are read as if they had none, such as 'tag:yaml.org,2002:opencv-matrix'.

    Raises:
        ValueError: not YAML, an unknown tag, a key twice, too large, too deep, or aliases that multiply.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} characters")
    try:
        loader = _Loader(text)
        loader.plain_tags = plain_tags
        return loader.get_single_data()
    except (yaml.YAMLError, RecursionError, OverflowError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(shortened(" ".join(str(error).split()))) from error


def read_yaml(path: str | Path, plain_tags: Collection[str] = ()) -> Any:
    """The plain values of a YAML file, see :func:`parse_yaml`.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: not a regular file, or as for :func:`parse_yaml`; names the file.
    """
    text = read_text(path, MOST_BYTES)
    try:
        return parse_yaml(text, plain_tags)
    except ValueError as error:
        raise ValueError(f"{path} is not a usable YAML file: {error}") from error
