"""Every error leaves as one message and the exit code that scripts rely on; output is aligned."""

from __future__ import annotations

import errno
import json
import math
import os
import warnings
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import typer

from verisimile.app.stopping import Stopped
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
from verisimile.core.shards import ShardDone
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


def _of(error: OSError, *, through: bool) -> Exception:
    """An error, or the named one that is made of it."""
    if not through:
        return error
    named = StoreError("x.json", got="an error", expected="a writable place")
    named.__cause__ = error
    return named


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EIO", "ESTALE", "ENOTCONN", "EFBIG"])
@pytest.mark.parametrize("through", [False, True])
def test_what_fails_in_the_machine_can_be_done_again(
    name: str, through: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    number = getattr(errno, name)
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise _of(OSError(number, os.strerror(number), "x"), through=through)
    assert stopped.value.exit_code == ExitCode.INCOMPLETE
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert through or "Free some space" in message


@pytest.mark.parametrize(
    "error",
    [MemoryError(), BrokenProcessPool("died"), ConnectionResetError(), TimeoutError("late")],
)
def test_so_can_what_a_lost_worker_or_scheduler_was_doing(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise error
    assert stopped.value.exit_code == ExitCode.INCOMPLETE
    assert "Run the same command again: finished work is kept.\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "x.csv"), "x.csv: got Permission den"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x.csv"), "x.csv: got Is a directory"),
        (OSError(errno.ELOOP, "Too many levels", "x.csv"), "x.csv: got Too many levels"),
        (OSError(errno.ENAMETOOLONG, "too long", "x" * 5000), "xxx...: got too long"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "x"), "x: got Not a directory"),
        (OSError("of a library"), "OSError: of a library"),
        (RecursionError("deep"), "nested too deeply"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
        (SystemExit(0), r"left the program by sys.exit(0)"),
    ],
)
def test_what_is_wrong_with_the_input_has_a_name(
    error: BaseException, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise error
    assert stopped.value.exit_code == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert len(told) < 400


def test_a_shard_is_done_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, exit_on_error():
        raise ShardDone("shard 1/2", got="its part", expected="all", remedy="Run without --shard.")
    assert stopped.value.exit_code == ExitCode.INCOMPLETE
    assert capsys.readouterr().err.startswith("done: shard 1/2")


def test_the_reason_of_a_stop_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), exit_on_error(tmp_path):
        raise Stopped("by SIGTERM")
    assert capsys.readouterr().err.startswith("stopped by SIGTERM: finished so far")
