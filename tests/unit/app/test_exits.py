"""Every error leaves as one message and the exit code that scripts rely on."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import typer

from verisimile.app.exits import ExitCode, told
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
    with pytest.raises(typer.Exit) as stopped, told():
        raise kind("events", got="none", expected="some", remedy="Find some.")
    assert stopped.value.exit_code == code
    output = capsys.readouterr()
    assert output.err == "error: events: got none; expected some. Find some.\n"
    assert output.out == ""


def test_a_defect_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, told():
        raise ZeroDivisionError
    assert stopped.value.exit_code == ExitCode.BUG
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_interruption_says_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = DirectoryStore(tmp_path)
    for address in ("members/0000", "members/0001", "toys/ab/000000"):
        store.save(address, "f", "label", Payload())
    with pytest.raises(typer.Exit) as stopped, told(tmp_path):
        raise KeyboardInterrupt
    assert stopped.value.exit_code == ExitCode.INCOMPLETE
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "2 members, 1 toys" in message
    assert "Run the same command again" in message


def test_an_early_interruption_has_nothing_to_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit), told(tmp_path / "none"):
        raise KeyboardInterrupt
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_exit_codes_of_commands_pass_through() -> None:
    with pytest.raises(typer.Exit) as stopped, told():
        raise typer.Exit(ExitCode.INCOMPATIBLE)
    assert stopped.value.exit_code == 1


def test_our_warnings_are_messages(capsys: pytest.CaptureFixture[str]) -> None:
    with told():
        warnings.warn("look here", VerisimileWarning, stacklevel=1)
        warnings.warn("look here", VerisimileWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: look here\n" * 2
