"""Parts of a job: together they are the job, and a wrong one is refused."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.common.parts import Part, add_part_argument, parse_part


@given(st.integers(0, 200), st.integers(1, 50))
def test_the_parts_are_the_items_and_alike_in_size(length, count):
    parts = [Part(number, count).of(range(length)) for number in range(1, count + 1)]
    assert [item for part in parts for item in part] == list(range(length))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_part_is_read_and_written_alike():
    assert parse_part("3/8") == Part(3, 8)
    assert str(parse_part("3/8")) == "3/8"
    assert Part().whole
    assert not parse_part("1/2").whole
    assert Part().of("abc") == "abc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/4", "the parts of 4 are numbered from 1 to 4, got 0"),
        ("5/4", "the parts of 4 are numbered from 1 to 4, got 5"),
        ("1/0", "a job has 1 to 1000000 parts, got 0"),
        ("1/9999999", "a job has 1 to 1000000 parts"),
        ("3", "must be i/n"),
        ("-1/4", "must be i/n"),
        ("1/4/2", "must be i/n"),
        ("1.5/4", "must be i/n"),
        ("a/b", "must be i/n"),
        ("\u0661/4", "must be i/n"),
        ("", "must be i/n"),
        ("1" * 5000 + "/4", "must be i/n"),
    ],
)
def test_a_wrong_part_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_part(text)


def test_a_command_says_what_is_wrong(capsys):
    parser = argparse.ArgumentParser()
    add_part_argument(parser, "hands")
    assert parser.parse_args([]).part == Part()
    assert parser.parse_args(["--part", "2/3"]).part == Part(2, 3)
    with pytest.raises(SystemExit):
        parser.parse_args(["--part", "4/3"])
    assert "argument --part: the parts of 3 are numbered from 1 to 3, got 4" in capsys.readouterr().err
