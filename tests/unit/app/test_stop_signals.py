"""A block is stopped once, by what it was told, and leaves the handlers that it found."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from verisimile.app.stopping import (
    Stopped,
    check_seconds,
    stop_reason,
    stoppable,
    time_is_enough,
)
from verisimile.core.errors import InputError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def same_handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)]
    yield
    assert [signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_and_says_which(number: signal.Signals) -> None:
    # In the background, or under nohup, some are ignored, and what is ignored stays so.
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)
    try:
        with pytest.raises(Stopped) as stopped, stoppable():  # noqa: PT012
            os.kill(os.getpid(), number)
            time.sleep(60)
    finally:
        signal.signal(number, before)
    assert str(stopped.value) == ("" if number == signal.SIGINT else f"by {number.name}")


def test_the_time_is_over() -> None:
    with pytest.raises(Stopped, match=r"^after --max-seconds 0\.05$"), stoppable(0.05):
        threading.Event().wait(60)


def test_a_report_is_not_cut() -> None:
    with stoppable(0.05):
        time_is_enough()
        time.sleep(0.2)
        assert stop_reason() is None


def test_time_is_enough_without_a_limit() -> None:
    time_is_enough()
    with stoppable():
        time_is_enough()


def test_a_stop_is_remembered_where_a_library_makes_another_error_of_it() -> None:
    with stoppable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except Stopped:
            assert stop_reason() == "by SIGTERM"
    assert stop_reason() is None


def test_the_same_stop_comes_twice() -> None:
    told = 0
    with stoppable():
        for _ in range(3):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
            except Stopped:
                told += 1
    assert told == 1


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_is_left_alone() -> None:
    seen: list[object] = []

    def inside() -> None:
        with stoppable(0.01):
            time.sleep(0.05)
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_no_time_to_wait_for(seconds: float) -> None:
    with pytest.raises(InputError, match="--max-seconds"):
        check_seconds(seconds)


def test_a_stop_that_meets_a_finaliser_is_not_lost() -> None:
    """Python ignores what is raised in a finaliser: the signal comes again."""

    class Held:
        pass

    held = Held()
    weakref.finalize(held, signal.raise_signal, signal.SIGTERM)

    def work() -> None:
        nonlocal held
        held = Held()  # the first one ends here
        time.sleep(10.0)

    with pytest.raises(Stopped, match="by SIGTERM"), stoppable():
        work()
