"""Who is told how far the work has come."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol, Self, TextIO

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
    """A bar on a terminal, a line written anew in a notebook, a line a minute in a log file.

    All of them go to standard error, with the time left.
    """

    __slots__ = ("_console",)

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console

    def begin(self, label: str, total: int, done: int) -> Handle:
        """Return the handle of a new bar."""
        from rich.console import Console  # noqa: PLC0415  (only those who look pay for it)

        console = self._console or Console(stderr=True)
        if console.is_terminal and not console.is_jupyter:
            return _Bar(console, label, total, done)
        count = _Count(label, total, done)
        return _Rewritten(sys.stderr, count) if console.is_jupyter else _Lines(console, count)


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

_REWRITTEN_SECONDS = 0.5


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


class _Count:
    """How many tasks are done, and in words how long the rest takes if it goes on like this."""

    def __init__(self, label: str, total: int, done: int) -> None:
        self.label, self.total, self.done = label, total, done
        self._before, self._since = done, time.monotonic()

    def __str__(self) -> str:
        made, left = self.done - self._before, self.total - self.done
        text = f"{self.label}: {self.done} of {self.total} done"
        if not made or not left:
            return text
        return f"{text}, {_in_words((time.monotonic() - self._since) / made * left)} left"


def _in_words(seconds: float) -> str:
    minutes, hours = seconds / 60.0, seconds / 3600.0
    if minutes < 1.0:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{minutes:.0f} min" if hours < 2.0 else f"{hours:.1f} h"


class _Lines:
    """A line when none has been written for a minute: a log of hours has no more of them."""

    __slots__ = ("_console", "_count", "_last")

    def __init__(self, console: rich.console.Console, count: _Count) -> None:
        self._console, self._count = console, count
        self._last = time.monotonic()

    def advance(self) -> None:
        self._count.done += 1
        if time.monotonic() - self._last >= PULSE_SECONDS:
            self.note(str(self._count))

    def note(self, text: str) -> None:
        self._last = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        pass


class _Rewritten:
    """One line of plain text below a cell: a carriage return is all that a notebook needs."""

    __slots__ = ("_count", "_last", "_stream", "_width")

    def __init__(self, stream: TextIO, count: _Count) -> None:
        self._stream, self._count = stream, count
        self._last, self._width = 0.0, 0
        self.note(str(count))

    def advance(self) -> None:
        self._count.done += 1
        if time.monotonic() - self._last >= _REWRITTEN_SECONDS:
            self.note(str(self._count))

    def note(self, text: str) -> None:
        self._last = time.monotonic()
        # Blanks cover what is left of a longer line before.
        self._stream.write(f"\r{text:<{self._width}}")
        self._stream.flush()
        self._width = len(text)

    def close(self) -> None:
        self.note(str(self._count))
        self._stream.write("\n")
        self._stream.flush()


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
