"""Exit codes, and the one place where errors become messages."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TextIO

import typer

from verisimile.core.errors import (
    IncompleteError,
    NumericsError,
    VerisimileError,
    VerisimileWarning,
)


class ExitCode(IntEnum):
    """What a command's exit code says."""

    COMPATIBLE = 0
    INCOMPATIBLE = 1
    BAD_INPUT = 2
    INCONCLUSIVE = 3
    INCOMPLETE = 4
    BUG = 70


@contextmanager
def told(folder: Path | None = None) -> Iterator[None]:
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
    except KeyboardInterrupt:
        _say("stopped", _resume(folder))
        raise typer.Exit(ExitCode.INCOMPLETE) from None
    except VerisimileError as error:
        _say("error", str(error))
        raise typer.Exit(_code(error)) from None
    except Exception as error:
        # Exit code 1 would read as a verdict.
        traceback.print_exc()
        _say("error", "this is a defect of verisimile; please report the lines above")
        raise typer.Exit(ExitCode.BUG) from error


def _code(error: VerisimileError) -> ExitCode:
    if isinstance(error, IncompleteError):
        return ExitCode.INCOMPLETE
    return ExitCode.INCONCLUSIVE if isinstance(error, NumericsError) else ExitCode.BAD_INPUT


def _resume(folder: Path | None) -> str:
    if folder is None:
        return "nothing was kept"
    from verisimile.core.store import DirectoryStore

    kept = [address.partition("/")[0] for address in DirectoryStore(folder).addresses()]
    counts = ", ".join(f"{kept.count(kind)} {kind}" for kind in dict.fromkeys(kept))
    return (
        f"finished so far and kept in {folder}: {counts or 'nothing'}. "
        "Run the same command again: it continues from there."
    )


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
        _say("warning", str(message))
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(text)


def _say(kind: str, message: str) -> None:
    # Messages of libraries may have several lines; ours are one each.
    typer.echo(f"{kind}: {' '.join(message.split())}", err=True)
