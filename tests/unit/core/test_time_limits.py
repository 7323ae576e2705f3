"""Tasks without an end, and lines about them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from map_tasks import draw, hashes, tasks
from verisimile.core import progress
from verisimile.core.errors import IncompleteError, InputError
from verisimile.core.progress import Pulse
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.run import Run
from verisimile.core.tasks import Failure


def _hang(seeds: Seeds, shift: float) -> Payload:
    """Never end, where the shift is negative, and keep whoever asks from ending it politely."""
    while shift < 0.0:
        with contextlib.suppress(Exception):  # as careless users write
            time.sleep(0.05)
    return draw(seeds, shift)


@pytest.mark.parametrize("executor", ["serial", pytest.param("loky:2", marks=pytest.mark.fire)])
def test_a_hanging_task_is_a_named_failure_and_the_others_are_done(
    executor: str, tmp_path: Path
) -> None:
    shifts = [0.0, -1.0, 2.0, 3.0, 4.0, 5.0]
    run = Run(Seeds(7), executor=executor, store=tmp_path, task_timeout=3.0)
    try:
        found = run.map(_hang, tasks(shifts), label="stage", max_failed=0.5)
    finally:
        run.executor.abort()
    lost = [outcome for outcome in found if isinstance(outcome, Failure)]
    assert [(one.address, one.kind) for one in lost] == [("members/0001", "TimedOut")]
    assert lost[0].outside
    assert "no end after 3 s" in lost[0].message
    whole = Run(Seeds(7)).map(draw, tasks(shifts), label="stage")
    assert hashes(one for one in found if one not in lost) == hashes(
        [one for index, one in enumerate(whole) if index != 1]
    )


def test_a_hanging_task_ends_the_map_as_incomplete() -> None:
    with pytest.raises(IncompleteError, match="members/0000: TimedOut"):
        Run(Seeds(7), task_timeout=0.2).map(_hang, tasks([-1.0]), label="stage")


def test_no_limit_touches_what_ends_in_time() -> None:
    run = Run(Seeds(7), task_timeout=60.0)
    assert len(hashes(run.map(draw, tasks([1.0, 2.0]), label="stage"))) == 2


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_limit_is_a_time(seconds: float) -> None:
    with pytest.raises(InputError, match=r"Run\.task_timeout"):
        Run(Seeds(1), task_timeout=seconds)


def _leave(seeds: Seeds, shift: float) -> Payload:
    if shift < 0.0:
        raise SystemExit(3)
    return draw(seeds, shift)


@pytest.mark.parametrize("executor", ["serial", "loky:1"])
def test_a_task_that_leaves_the_process_is_a_failure(executor: str) -> None:
    found = Run(Seeds(7), executor=executor).map(
        _leave, tasks([1.0, -1.0, 2.0]), label="stage", max_failed=0.5
    )
    assert isinstance(found[1], Failure)
    assert found[1].kind == "SystemExit"
    assert not isinstance(found[2], Failure)


class _Heard:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, label: str, total: int, done: int) -> _Heard:  # noqa: ARG002
        return self

    def advance(self) -> None: ...

    def close(self) -> None: ...

    def note(self, text: str) -> None:
        self.lines.append(text)


def _sleep(seeds: Seeds, seconds: float) -> Payload:
    time.sleep(seconds)
    return draw(seeds, seconds)


def test_silence_is_broken_by_a_line_that_names_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = _Heard()
    monkeypatch.setattr(Pulse.__init__, "__kwdefaults__", {"seconds": 0.2})
    Run(Seeds(7), progress=heard).map(_sleep, tasks([0.0, 1.5]), label="stage")
    assert heard.lines
    assert heard.lines[0].startswith("stage: 1 of 2 done; members/0001 runs since ")


def test_no_line_where_all_goes_on() -> None:
    heard = _Heard()
    Run(Seeds(7), progress=heard).map(draw, tasks([0.0, 1.5]), label="stage")
    assert heard.lines == []
    assert progress.PULSE_SECONDS >= 30.0
