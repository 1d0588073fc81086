"""One reader of YAML: plain values come through, and files that are made to harm are refused with the reason."""

from __future__ import annotations

import datetime
import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hand_pose_ros.files.safe_yaml import parse_yaml, read_yaml


def test_plain_values_are_read():
    text = "a: [1, 2.5, 1e-3, true, null, text]\nb: &one {c: 2026-01-02}\nd: *one\ne: {<<: *one, f: -2E+3}\n"
    day = {"c": datetime.date(2026, 1, 2)}
    assert parse_yaml(text) == {
        "a": [1, 2.5, 0.001, True, None, "text"], "b": day, "d": day, "e": {**day, "f": -2000.0},
    }  # fmt: skip
    assert parse_yaml("") is None


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12)
)
HOSTILE = {
    "aliases that multiply": (LAUGHS, "more than 200000 values"),
    "a value in itself": ("a: &a [*a]", "line 1 contains itself"),
    "a mapping in itself": ("a: &a {b: *a}", "line 1 contains itself"),
    "depth of lists": ("[" * 500, "nested more than 40 levels"),
    "depth of sections": ("".join(f"{' ' * i}a:\n" for i in range(60)) + " " * 61 + "b", "nested more than 40"),
    "length": ("a: " + "x" * (1 << 20), "more than 1048576 characters"),
    "objects": ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
    "an unknown tag": ("a: !other 1", "could not determine a constructor"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", "'a' is there twice, again at line 3"),
    "a key twice inside": ("c: {a: 1, a: 1}", "'a' is there twice"),
    "a list as key": ("? [1, 2]\n: 3", "line 1 has a list or a section as a key"),
    "a number without end": ("a: " + "1" * 5000, "number of 5000 characters"),
    "a date that is none": ("a: 2026-13-45", "month"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
    "an unknown alias": ("a: *b", "undefined alias"),
    "control characters": ("a: \x07", "special characters"),
    "a chain of aliases": (
        "a0: &a0 [1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(3000)), "recursion|values",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_with_the_reason(name, tmp_path):
    text, reason = HOSTILE[name]
    with pytest.raises(ValueError, match=reason) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) < 700
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=rf"file\.yaml (is not a usable YAML file: .*({reason})|has more than)"
    ):
        read_yaml(path)


def test_tags_can_be_read_as_plain_values():
    tag = "tag:yaml.org,2002:opencv-matrix"
    assert parse_yaml("K: !!opencv-matrix {rows: 1, data: [1.5]}", [tag]) == {"K": {"rows": 1, "data": [1.5]}}
    assert parse_yaml("K: !!opencv-matrix 3", [tag]) == {"K": 3}


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer that quotes the texts that YAML 1.2 reads as numbers, such as '0E0'."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=20,
    )
)
@example({"0E0": "1e-3"})
def test_what_is_written_is_read(value):
    assert parse_yaml(yaml.dump(value, Dumper=_Dumper)) == value


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab01:-[]{}&*!<|>?#,.'\"\n \t%~éx"), max_size=80))
def test_any_text_is_read_or_refused_with_one_exception(text):
    try:
        parse_yaml(text)
    except ValueError as error:
        assert re.search(r"\w", str(error))  # noqa: PT017 - most texts raise nothing
