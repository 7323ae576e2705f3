"""Who is told how far the work has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    import rich.console


class Handle(Protocol):
    """The progress of one stage."""

    def advance(self) -> None:
        """Note that one more task has finished or failed."""

    def close(self) -> None:
        """Note that the stage has ended, for whatever reason."""


class Progress(Protocol):
    """Anything that wants to be told of the progress."""

    def begin(self, label: str, total: int, done: int) -> Handle:
        """Return the handle of a stage of `total` tasks, `done` of them from before."""


class Silent:
    """Progress that nobody sees."""

    __slots__ = ()

    def begin(self, label: str, total: int, done: int) -> Handle:  # noqa: ARG002
        """Return a handle that does nothing."""
        return _SilentHandle()


class RichProgress:
    """A bar with the time left on standard error, if that is a terminal."""

    __slots__ = ("_console",)

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console

    def begin(self, label: str, total: int, done: int) -> Handle:
        """Return the handle of a new bar."""
        from rich.console import Console  # noqa: PLC0415  (only those who look pay for it)

        console = self._console or Console(stderr=True)
        return _Bar(console, label, total, done) if console.is_terminal else _SilentHandle()


def resolve_progress(progress: bool | Progress) -> Progress:  # noqa: FBT001  (as Run got it)
    """Return the progress that is meant by True, False, or an object."""
    if isinstance(progress, bool):
        return RichProgress() if progress else Silent()
    if callable(getattr(progress, "begin", None)):
        return progress
    raise InputError(
        "progress", got=f"a {type(progress).__name__}", expected="True, False or a Progress"
    )


class _SilentHandle:
    __slots__ = ()

    def advance(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Bar:
    def __init__(self, console: rich.console.Console, label: str, total: int, done: int) -> None:
        from rich import progress  # noqa: PLC0415

        self._display = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            # What a task prints belongs to standard output, not to our console.
            redirect_stdout=False,
        )
        self._task = self._display.add_task(label, total=total, completed=done)
        self._display.start()

    def advance(self) -> None:
        self._display.advance(self._task)

    def close(self) -> None:
        self._display.stop()
