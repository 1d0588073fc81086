"""Values of any size take a bounded space in messages."""

from __future__ import annotations

from hand_pose_ros.files.bounded_text import shortened, shown


def test_short_texts_stay_and_long_ones_keep_both_ends():
    assert shortened("as it is") == "as it is"
    text = "begin" + "x" * 1_000_000 + "end"
    short = shortened(text, 100)
    assert len(short) == 100
    assert short.startswith("begin")
    assert short.endswith("end")
    assert " ... " in short


def test_values_are_shown_as_python_writes_them():
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown(["x" * 1000] * 1000)) == 120
    assert shown(10**10_000) == "a value of type int that cannot be shown"
