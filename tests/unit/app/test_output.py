"""Output for machines is strict JSON, for people aligned columns; clocks add up."""

from __future__ import annotations

import json
import math

import pytest

from verisimile.app.terminal import Clock, print_json, print_table


def test_json_has_its_schema_and_no_bare_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    print_json("verisimile.x/1", {"a": math.inf, "b": [1.0, math.nan]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"schema": "verisimile.x/1", "a": "Infinity", "b": [1.0, "NaN"]}
    assert text.isascii()


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "long name"), [("12345", "x"), ("1", "y")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.index(last) for line, last in zip(lines, "lxy", strict=True)] == [7, 7, 7]


def test_stages_keep_their_order_and_add_up() -> None:
    clock = Clock()
    for name in ("b", "a", "b"):
        with clock.stage(name):
            pass
    assert [stage.name for stage in clock.timings.stages] == ["b", "a"]
    assert 0 < clock.timings.total < 1


def test_a_stage_that_fails_is_timed_too() -> None:
    clock = Clock()
    with pytest.raises(ZeroDivisionError), clock.stage("a"):
        raise ZeroDivisionError
    assert len(clock.timings.stages) == 1
