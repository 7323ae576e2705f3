"""Who is told how far the work has come."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol, Self

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    import rich.console


class Handle(Protocol):
    """The progress of one stage.

    If it has a method ``note(text: str)`` too, that gets a line when nothing has ended for long.
    """

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
    """A bar with the time left on standard error; no more than a line at need in a log file."""

    __slots__ = ("_console",)

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console

    def begin(self, label: str, total: int, done: int) -> Handle:
        """Return the handle of a new bar."""
        from rich.console import Console  # noqa: PLC0415  (only those who look pay for it)

        console = self._console or Console(stderr=True)
        return _Bar(console, label, total, done) if console.is_terminal else _Lines(console)


def resolve_progress(progress: bool | Progress) -> Progress:  # noqa: FBT001  (as Run got it)
    """Return the progress that is meant by True, False, or an object."""
    if isinstance(progress, bool):
        return RichProgress() if progress else Silent()
    if callable(getattr(progress, "begin", None)):
        return progress
    raise InputError(
        "progress", got=f"a {type(progress).__name__}", expected="True, False or a Progress"
    )


PULSE_SECONDS = 60.0
"""How long nothing may end without a line about it."""


class Pulse:
    """Says which task runs, and since when, whenever nothing has ended for long.

    Parameters
    ----------
    shown
        The progress of the stage.
    label, total, done
        Name of the stage, number of its tasks, and how many of them are done.
    seconds
        How long is long.
    """

    def __init__(
        self, shown: Handle, label: str, total: int, done: int, *, seconds: float = PULSE_SECONDS
    ) -> None:
        self._shown, self._label, self._total, self._done = shown, label, total, done
        self._seconds = seconds
        self.remark = ""
        self._running: tuple[int, str, float | None] = (0, "", None)
        self._ended = threading.Event()
        self._last = time.monotonic()
        self._thread: threading.Thread | None = None

    @classmethod
    def none(cls) -> Pulse:
        """Return one that nobody hears."""
        return cls(_SilentHandle(), "", 0, 0)

    def __enter__(self) -> Self:
        """Begin to listen."""
        if not isinstance(self._shown, _SilentHandle):
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def running(self, count: int, first: str, since: float | None) -> None:
        """Note how many calls are in flight, and which of them has run longest."""
        self._running = count, first, since

    def advance(self) -> None:
        """Note that one has ended."""
        self._done += 1
        self._last = time.monotonic()
        self._shown.advance()

    def _listen(self) -> None:
        while not self._ended.wait(self._seconds / 4):
            now = time.monotonic()
            if now - self._last >= self._seconds:
                self._last = now
                note = getattr(self._shown, "note", None)
                if note is not None:
                    note(self._text(now))

    def _text(self, now: float) -> str:
        count, first, since = self._running
        text = f"{self._label}: {self._done} of {self._total} done"
        if self.remark:
            return f"{text}; {self.remark}"
        if not count:
            return f"{text}; none begun yet"
        oldest = f"{first} runs" if count == 1 else f"{count} at work, {first} longest,"
        return f"{text}; {oldest} since {now - (since or now):.0f} s"


class _SilentHandle:
    __slots__ = ()

    def advance(self) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Lines(_SilentHandle):
    __slots__ = ("_console",)

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


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

    def note(self, text: str) -> None:
        self._display.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        self._display.stop()
