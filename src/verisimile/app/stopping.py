"""Stopping in order, by a signal or after so many seconds: what is finished stays."""

from __future__ import annotations

import _thread
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from verisimile.app.manner import manner
from verisimile.core.errors import require

# What ends a job in a batch system: SIGTERM in Slurm, HTCondor and Kubernetes; SIGUSR2 before
# the kill in Grid Engine (-notify) and LSF, and in Slurm for those who ask (--signal=USR2@60);
# SIGXCPU at the limit of processor time; SIGHUP when the terminal or the login goes away.
# Without a handler each of them ends Python at once and without a word.  Not SIGUSR1, which in
# Grid Engine says that the job will be suspended: it goes on afterwards.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR2")
_ALARM = getattr(signal, "SIGALRM", signal.SIGINT)
# Slurm sends SIGTERM to every process and then by way of the job step: one stop, two signals.
_ECHO_SECONDS = 1.0
_AGAIN_SECONDS = 0.02  # after which a signal that met a finaliser is sent once more
_INCOMPLETE = 4  # exit code


class Stopped(KeyboardInterrupt):
    """The command shall stop, as by Ctrl-C; the text says why: ``by SIGTERM``."""


class _Stopper:
    """Raises `Stopped` in the main thread once, ends the process at the second time."""

    def __init__(self) -> None:
        self.timer: threading.Timer | None = None
        self.reason: str | None = None
        self.again: threading.Timer | None = None
        self._since = math.inf

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        # Ctrl-C needs no explanation: whoever reads the message has pressed it.
        reason = "" if number == signal.SIGINT else f"by {signal.Signals(number).name}"
        self._stop(reason, signal.Signals(number), frame)

    def on_alarm(self, seconds: float, frame: FrameType | None) -> None:
        if self.timer is not None:
            self._stop(f"after --max-seconds {seconds:g}", _ALARM, frame)

    def _stop(self, reason: str, number: signal.Signals, frame: FrameType | None) -> None:
        if _is_swallowed(frame):
            self.again = threading.Timer(_AGAIN_SECONDS, _wake_main_thread, (number,))
            self.again.daemon = True
            self.again.start()
            return
        now = time.monotonic()
        if now - self._since > _ECHO_SECONDS:
            # No clean-up: the first signal began one, and its end was not waited for.
            os._exit(_INCOMPLETE)
        if self._since == math.inf:
            self._since, self.reason = now, reason
            raise Stopped(reason)


def _is_swallowed(frame: FrameType | None) -> bool:
    """Return whether Python ignores what is raised here: in finalisers, and calls of weakref."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


_STOPPER: ContextVar[_Stopper | None] = ContextVar("stopper", default=None)


@contextmanager
def stoppable(max_seconds: float | None = None) -> Iterator[None]:
    """Raise `Stopped` in the block at a signal that ends jobs, or when its time is over.

    A second signal, a second or more after the first, ends the process at once with exit code 4.
    Signals that are ignored stay so: ``nohup`` means it.  Outside of the main thread, where Python
    handles none, nothing is done.  The handlers of before come back at the end of the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopper = _Stopper()
    token = _STOPPER.set(stopper)
    handlers = {number: stopper.on_signal for number in map(_number, _SIGNALS) if number}
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        # None is a handler that Python does not know, and could not put back.
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        with _alarm(stopper, max_seconds):
            yield
    finally:
        if stopper.again is not None:  # its signal shall meet our handlers too
            stopper.again.join()
        for number, known in before.items():
            signal.signal(number, known)
        _STOPPER.reset(token)


@contextmanager
def _alarm(stopper: _Stopper, seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    before = signal.signal(_ALARM, lambda _, frame: stopper.on_alarm(seconds, frame))
    stopper.timer = timer = threading.Timer(seconds, _wake_main_thread)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        time_is_enough()
        # Its signal, if it was sent just now, meets our handler: the default one ends the process.
        timer.join()
        signal.signal(_ALARM, before)


def time_is_enough() -> None:
    """Call off the end after so many seconds: the work is done, its report is being written."""
    stopper = _STOPPER.get()
    if manner().gathered is not None:
        return  # a stage of a chain, whose work goes on
    if stopper is not None and stopper.timer is not None:
        timer, stopper.timer = stopper.timer, None
        timer.cancel()


def stop_reason() -> str | None:
    """Return why the command was told to stop, None if it was not."""
    stopper = _STOPPER.get()
    return None if stopper is None else stopper.reason


def check_seconds(seconds: float | None) -> None:
    """Raise unless `seconds` can be waited for."""
    require(
        seconds is None or 0.0 < seconds <= threading.TIMEOUT_MAX,
        "--max-seconds",
        got=seconds,
        expected=f"a number above 0, at most {threading.TIMEOUT_MAX:.0f}",
    )


def _wake_main_thread(number: signal.Signals = _ALARM) -> None:
    """Send a signal to the main thread: a system call in which it waits ends early."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)
    else:
        _thread.interrupt_main(number)


def _number(name: str) -> signal.Signals | None:
    return getattr(signal, name, None)
