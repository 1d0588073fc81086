"""Documents of options for readers: a Markdown table, the body of a YAML file, the text of ``--help``."""

from __future__ import annotations

import textwrap
from typing import Any, Final

import yaml

from hand_pose_ros.common.options import Leaf, Options, Spec, leaves

_WIDTH: Final = 116


def table(kind: type[Options]) -> str:
    """The options as a Markdown table."""
    lines = ["| parameter | default | range | description |", "|---|---|---|---|"]
    for leaf in leaves(kind):
        default = "empty" if leaf.default == "" else f"`{_plain(leaf.default)}`"
        choices = ", ".join(f"`{choice}`" for choice in leaf.spec.choices)
        lines.append(f"| `{leaf.name}` | {default} | {choices or _range(leaf.spec)} | {_sentence(leaf)} |")
    return "\n".join(lines) + "\n"


def help_text(kind: type[Options]) -> str:
    """The essential options as lines of a terminal; all if none is marked as essential."""
    declared = leaves(kind)
    lines: list[str] = []
    for leaf in [leaf for leaf in declared if leaf.spec.essential] or declared:
        allowed = ", ".join(leaf.spec.choices) or _range(leaf.spec)
        default = "empty" if leaf.default == "" else _plain(leaf.default)
        lines.append(f"  {leaf.name} (default {default}{'; ' * bool(allowed)}{allowed})")
        text = _sentence(leaf).replace("`", "")
        lines += [f"      {line}" for line in textwrap.wrap(text, 90)]
    return "\n".join(lines) + "\n"


def yaml_text(kind: type[Options], indent: int) -> str:
    """Every option with its default as YAML; a comment above each has description and range."""
    lines: list[str] = []
    opened: list[str] = []
    for leaf in leaves(kind):
        *groups, name = leaf.name.split(".")
        for depth, group in enumerate(groups):
            if opened[depth : depth + 1] != [group]:
                opened = [*groups[:depth], group]
                lines += ["", f"{' ' * (indent + 2 * depth)}{group}:"]
        if not groups and opened:
            lines.append("")
        opened = groups
        margin = " " * (indent + 2 * len(groups))
        allowed = ", ".join(leaf.spec.choices) or _range(leaf.spec)
        start = " (start)" if leaf.spec.read_only else ""
        comment = leaf.spec.description.replace("`", "") + (f" [{allowed}]" if allowed else "") + start
        lines += [f"{margin}# {line}" for line in textwrap.wrap(comment, _WIDTH - len(margin))]
        lines.append(f"{margin}{name}: {_yaml(leaf.default)}")
    return "\n".join(lines) + "\n"


def _sentence(leaf: Leaf) -> str:
    return leaf.spec.description + (" Only at start." if leaf.spec.read_only else "")


def _range(spec: Spec) -> str:
    if spec.minimum is None and spec.maximum is None:
        return ""
    low, high = ("" if limit is None else f"{limit:g}" for limit in (spec.minimum, spec.maximum))
    text = f"{low} ... {high}".strip()
    unset = spec.unset
    outside = isinstance(unset, int | float) and spec.minimum is not None and unset < spec.minimum
    return f"{unset:g}, or {text}" if outside else text


def _plain(value: Any) -> str:
    return _yaml(value) if isinstance(value, bool | list) else str(value)


def _yaml(value: Any) -> str:
    """One value in YAML, on one line."""
    return (
        '""'
        if value == ""
        else yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
    )
