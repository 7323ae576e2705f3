"""Every error leaves as one message and the exit code that scripts rely on; output is aligned."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import pytest
import typer

from verisimile.app.terminal import Clock, ExitCode, exit_on_error, print_columns, print_json
from verisimile.core.errors import (
    IncompleteError,
    InputError,
    NumericsError,
    StoreError,
    SupportError,
    VerisimileWarning,
)
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (InputError, 2),
        (SupportError, 2),
        (StoreError, 2),
        (NumericsError, 3),
        (IncompleteError, 4),
    ],
)
def test_known_errors(
    kind: type[InputError | StoreError | NumericsError | IncompleteError],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise kind("events", got="none", expected="some", remedy="Find some.")
    assert stopped.value.exit_code == code
    output = capsys.readouterr()
    assert output.err == "error: events: got none; expected some. Find some.\n"
    assert output.out == ""


def test_a_defect_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise ZeroDivisionError
    assert stopped.value.exit_code == ExitCode.BUG
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_interruption_says_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = DirectoryStore(tmp_path)
    for address in ("members/0000", "members/0001", "toys/ab/000000"):
        store.save(address, "f", "label", Payload())
    with pytest.raises(typer.Exit) as stopped, exit_on_error(tmp_path):
        raise KeyboardInterrupt
    assert stopped.value.exit_code == ExitCode.INCOMPLETE
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "2 members, 1 toys" in message
    assert "Run the same command again" in message


def test_an_early_interruption_has_nothing_to_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit), exit_on_error(tmp_path / "none"):
        raise KeyboardInterrupt
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_exit_codes_of_commands_pass_through() -> None:
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise typer.Exit(ExitCode.INCOMPATIBLE)
    assert stopped.value.exit_code == 1


def test_our_warnings_are_messages(capsys: pytest.CaptureFixture[str]) -> None:
    with exit_on_error():
        warnings.warn("look here", VerisimileWarning, stacklevel=1)
        warnings.warn("look here", VerisimileWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: look here\n" * 2


def test_json_has_its_schema_and_no_bare_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    print_json("verisimile.x/1", {"a": math.inf, "b": [1.0, math.nan]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"schema": "verisimile.x/1", "a": "Infinity", "b": [1.0, "NaN"]}
    assert text.isascii()


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns(("a", "long name"), [("12345", "x"), ("1", "y")])
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
