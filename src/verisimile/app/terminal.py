"""What commands say and how they end: messages, tables or one JSON object, times, exit codes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from verisimile.app.manner import manner
from verisimile.app.stopping import stop_reason, time_is_enough
from verisimile.core.errors import (
    IncompleteError,
    NumericsError,
    VerisimileError,
    VerisimileWarning,
)
from verisimile.core.shards import ShardDone

if TYPE_CHECKING:
    from verisimile.core.canonical import JSON
    from verisimile.core.run import Run
    from verisimile.report.content import ReportInput, Timings
    from verisimile.report.document import Document
    from verisimile.report.page import Table


class ExitCode(IntEnum):
    """What a command's exit code says."""

    COMPATIBLE = 0
    INCOMPATIBLE = 1
    BAD_INPUT = 2
    INCONCLUSIVE = 3
    INCOMPLETE = 4
    BUG = 70


def verdict_code(report: Document) -> ExitCode:
    """Return the exit code of a report's verdict."""
    from verisimile.report.verdict import Verdict

    return {
        Verdict.PASSED: ExitCode.COMPATIBLE,
        Verdict.FAILED: ExitCode.INCOMPATIBLE,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }[Verdict(report.verdict)]


def conclude(
    run: Run,
    content: ReportInput,
    folder: Path | None,
    show: Callable[[Document, Path | None], None],
    *,
    force: bool = False,
) -> ExitCode:
    """Write the report of `content` if there is a folder for it, show it, and return its code.

    ``--max-seconds`` no longer counts: the work is done, and a report takes seconds.
    """
    from verisimile.report.document import document
    from verisimile.report.write import write_document

    check_whole(run)
    gathered = manner().gathered
    if gathered is not None:  # a stage of a chain, which writes one report on all of them
        gathered.contents.append((run, content))
        return verdict_code(document(run, content))
    time_is_enough()
    report = document(run, content)
    show(report, None if folder is None else write_document(report, folder, force=force))
    return verdict_code(report)


def check_whole(run: Run) -> None:
    """Raise if `run` is one of several shards, which must not all write the same files.

    Raises
    ------
    ShardDone
        Also where all shards are done: who merges them is then asked to.
    """
    shard = getattr(run, "shard", None)
    if shard is not None:
        raise ShardDone(
            f"shard {shard}",
            got="all work done, that of the other shards too",
            expected="a report or a result by one process",
            remedy="Run the same command without --shard.",
        )


@contextmanager
def exit_on_error(folder: Path | None = None) -> Iterator[None]:
    """Turn errors inside the block into one message on standard error and an exit code.

    Parameters
    ----------
    folder
        Where finished work is kept, for the message after an interruption.

    Raises
    ------
    typer.Exit
        With the code, instead of any error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", VerisimileWarning)
            warnings.showwarning = _show
            yield
    except typer.Exit:
        raise
    except KeyboardInterrupt as stop:
        raise _stopped(str(stop), folder) from None
    except SystemExit as end:
        # Of a user's function: its code would read as a verdict of ours.
        _say("error", f"a function that was called left the program by sys.exit({end.code!r})")
        raise typer.Exit(ExitCode.BAD_INPUT) from None
    except Exception as error:
        if (reason := stop_reason()) is not None:
            # Libraries that are stopped while they are loaded make other errors of it.
            raise _stopped(reason, folder) from None
        code = _code(error)
        if code is ExitCode.BUG or manner().debug:
            traceback.print_exc()
        _say("done" if isinstance(error, ShardDone) else "error", _told(error, code))
        raise typer.Exit(code) from error


def _stopped(reason: str, folder: Path | None) -> typer.Exit:
    _say(f"stopped {reason}".strip(), _resume(folder))
    return typer.Exit(ExitCode.INCOMPLETE)


# The machine and not the input: no room, a damaged disk, a network file system or a connection
# that is gone.  What is finished is kept, and the same command goes on where it stopped.
_OF_THE_MACHINE = {
    number
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "ESTALE", "ENOTCONN", "ENOMEM", "ETIMEDOUT")
    if (number := getattr(errno, name, None)) is not None
}
_SHOWN = 200  # letters of a file's name
# What comparisons of samples do without, so that an installation may too: module, package.
_LEFT_OUT = {"torch": "torch", "nflows": "nflows", "torchmin": "pytorch-minimize"}
_OUT_OF_MEMORY = "can't allocate memory"  # as torch says it


def _code(error: Exception) -> ExitCode:
    if isinstance(error, IncompleteError) or any(map(_of_the_machine, _chain(error))):
        return ExitCode.INCOMPLETE
    if isinstance(error, NumericsError):
        return ExitCode.INCONCLUSIVE
    named = isinstance(error, VerisimileError | OSError | RecursionError | UnicodeError)
    named = named or _left_out(error) is not None
    # Exit code 1 would read as a verdict.
    return ExitCode.BAD_INPUT if named else ExitCode.BUG


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error, what it was raised from, and what that was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _of_the_machine(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _OF_THE_MACHINE or isinstance(error, ConnectionError | TimeoutError)
    return isinstance(error, MemoryError | BrokenExecutor) or _OUT_OF_MEMORY in str(error)


def _left_out(error: BaseException) -> str | None:
    """Return the package that an installation without torch lacks here, if it is that."""
    missing = (each.name for each in _chain(error) if isinstance(each, ModuleNotFoundError))
    packages = (_LEFT_OUT.get((name or "").partition(".")[0]) for name in missing)
    return next(filter(None, packages), None)


def _told(error: Exception, code: ExitCode) -> str:
    """Return an error as a message: what happened, and what to do."""
    if isinstance(error, VerisimileError):
        return str(error)
    if package := _left_out(error):
        return (
            f"{package}: got no such package; expected it to train or load a flow. "
            f"Run: pip install {package}"
        )
    if code is ExitCode.BUG:
        return "this is a defect of verisimile; please report the lines above"
    if isinstance(error, RecursionError):
        return "the input is nested too deeply to be read. Give one with fewer levels."
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, OSError) and error.filename is not None:
        name = str(error.filename)
        text = f"{name if len(name) < _SHOWN else name[:_SHOWN] + '...'}: got {error.strerror}"
    if code is ExitCode.BAD_INPUT:
        return text
    remedy = "Run the same command again: finished work is kept."
    if isinstance(error, OSError):
        return f"{text}. Free some space, or see whether the disk is there. {remedy}"
    return f"{text}. Give it more memory, or fewer workers by --executor. {remedy}"


def _resume(folder: Path | None) -> str:
    if folder is None:
        return "nothing was kept"
    return (
        f"finished so far and kept in {folder}: {_kept(folder)}. "
        "Run the same command again: it continues from there."
    )


def _kept(folder: Path) -> str:
    """Return how many records of each kind there are."""
    try:
        from verisimile.core.store import DirectoryStore

        kept = [address.partition("/")[0] for address in DirectoryStore(folder).addresses()]
    except (ImportError, OSError, VerisimileError):  # stopped amid the imports; a disk that is gone
        return "what was there before"
    counts = ", ".join(f"{kept.count(kind)} {kind}" for kind in dict.fromkeys(kept))
    return counts or "nothing"


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show our own warnings as messages, all others with their place in the code."""
    if issubclass(category, VerisimileWarning):
        if not manner().quiet:
            _say("warning", str(message))
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        with contextlib.suppress(OSError):
            (file or sys.stderr).write(text)


def _say(kind: str, message: str) -> None:
    # Standard error may be closed or full; the exit code says the rest.
    with contextlib.suppress(OSError):
        # Messages of libraries may have several lines; ours are one each.
        typer.echo(f"{kind}: {' '.join(message.split())}", err=True)


def deliver(text: str) -> None:
    """Print on standard output.

    Raises
    ------
    IncompleteError
        If nobody takes it, ``| head`` or a full disk: exit code 0 would say that the result is
        there.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        typer.echo(text)
    except (OSError, ValueError) as error:
        give_up_output()
        raise undelivered(error) from error


def undelivered(error: Exception) -> IncompleteError:
    """Return the error that says that standard output took less than all."""
    return IncompleteError(
        "standard output",
        got=getattr(error, "strerror", None) or error,
        expected="a file or a reader that takes everything",
        remedy="Run the same command again: finished work is kept.",
    )


def give_up_output() -> None:
    """Let standard output go nowhere: what is left in its buffer would fail again at the end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)


def warn(notes: Sequence[str]) -> tuple[str, ...]:
    """Warn of each note, and return them for the report."""
    for note in notes:
        warnings.warn(note, VerisimileWarning, stacklevel=2)
    return tuple(notes)


def print_json(schema: str, values: Mapping[str, JSON]) -> None:
    """Print one strict JSON object, its schema first."""
    from verisimile.core.canonical import plain

    deliver(json.dumps(plain({"schema": schema, **values}), indent=1, allow_nan=False))


def print_summary(
    schema: str,
    report: Document,
    page: Path | None,
    verdict: Mapping[str, JSON],
    details: Mapping[str, JSON] | None = None,
) -> None:
    """Print a report as JSON: its verdict, conclusions, details, and what every summary has."""
    from verisimile.core.result import to_dict

    values = {
        **verdict,
        "conclusions": [to_dict(conclusion) for conclusion in report.conclusions],
        **(details or {}),
        "warnings": list(report.warnings),
        "timings": to_dict(report.content.timings),
        "report": None if page is None else str(page),
    }
    print_json(schema, values)


def print_lines(*lines: str) -> None:
    """Print text for people, unless they asked for quiet or a chain tells of all its stages."""
    if manner().quiet or manner().gathered is not None:
        return
    for line in lines:
        deliver(line)


def announce(text: str) -> None:
    """Say on standard error which stage begins, unless quiet was asked for."""
    if not manner().quiet:
        with contextlib.suppress(OSError):
            typer.echo(text, err=True)


def print_columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns."""
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[j]) for row in cells) for j in range(len(columns))]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_lines("  ".join(padded).rstrip())


def print_table(table: Table, *, columns: int | None = None) -> None:
    """Print a table of a report, or as many of its columns as a slice to `columns` holds."""
    print_columns(table.columns[:columns], [row[:columns] for row in table.rows])


def print_verdicts(report: Document) -> None:
    """Print one row per goodness-of-fit test, and one sentence per decisive test of any kind."""
    from verisimile.report.sections.goodness import SampleTests

    (table,) = SampleTests(report.content.samples, report.content).summaries()
    print_table(table, columns=-1)
    print_lines("", *(f"{c.sample}: {c.sentence}" for c in report.conclusions if c.decisive))


def print_place(report: Document, page: Path | None) -> None:
    """Print where the report lies, and how long it took."""
    from verisimile.report.numbers import duration

    print_lines(f"Report: {page}  ({duration(report.content.timings.total)})")


class Clock:
    """Notes how long each stage took; a stage that comes again is added up."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block under the given name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + passed

    @property
    def timings(self) -> Timings:
        """The times so far, in the order in which the stages first ran."""
        from verisimile.report.content import Stage, Timings

        return Timings(tuple(Stage(name, seconds) for name, seconds in self._seconds.items()))
