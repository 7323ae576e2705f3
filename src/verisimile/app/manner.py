"""How a command behaves towards who calls it: silent or not, with tracebacks or not, in a chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from verisimile.app.plans import Planned
    from verisimile.core.run import Run
    from verisimile.report.content import ReportInput

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print errors only, and the object of --json: the exit code says the verdict.",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the code an error was raised.")]


@dataclass(slots=True)
class Gathered:
    """What the stages of a chain would have shown, each by itself.

    Attributes
    ----------
    contents
        The reports that were not written, with their runs.
    plans
        What stages would do.
    doubts
        Why what was planned could not pass, whatever the events are.
    """

    contents: list[tuple[Run, ReportInput]] = field(default_factory=list)
    plans: list[Planned] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command behaves.

    Attributes
    ----------
    quiet
        Whether it prints errors only.
    debug
        Whether errors come with their traceback.
    gathered
        Where a stage of a chain leaves its report and its plan, for the chain to show them; None
        if the command shows them itself.
    """

    quiet: bool = False
    debug: bool = False
    gathered: Gathered | None = None


# Not an argument of each function between the options and the last line that is printed.
_MANNER: ContextVar[Manner] = ContextVar("manner", default=Manner())  # noqa: B039  (frozen)


def manner() -> Manner:
    """Return how the command that runs shall behave."""
    return _MANNER.get()


@contextmanager
def behaving(wanted: Manner) -> Iterator[Manner]:
    """Let commands in the block behave so."""
    token = _MANNER.set(wanted)
    try:
        yield wanted
    finally:
        _MANNER.reset(token)
