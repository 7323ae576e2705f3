"""Progress is for those who look."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from verisimile.core import progress
from verisimile.core.errors import InputError
from verisimile.core.progress import RichProgress, Silent, resolve_progress


def test_words() -> None:
    assert isinstance(resolve_progress(True), RichProgress)
    assert isinstance(resolve_progress(False), Silent)
    own = Silent()
    assert resolve_progress(own) is own
    with pytest.raises(InputError, match="progress"):
        resolve_progress("yes")  # type: ignore[arg-type]


def test_silent_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    handle = Silent().begin("train", 3, 0)
    handle.advance()
    handle.close()
    assert capfd.readouterr() == ("", "")


def test_rich_is_silent_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    handle = RichProgress().begin("train", 3, 0)
    handle.advance()
    handle.close()
    assert capfd.readouterr() == ("", "")


def test_rich_shows_label_and_count_on_a_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, _environ={})
    handle = RichProgress(console).begin("train", 3, 1)
    handle.advance()
    handle.close()
    assert "train" in screen.getvalue()
    assert "2/3" in screen.getvalue()


def test_rich_leaves_standard_output_alone(capfd: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    handle = RichProgress(Console(file=screen, force_terminal=True, width=80)).begin("x", 1, 0)
    print('{"json": 1}')  # noqa: T201
    handle.close()
    assert capfd.readouterr().out == '{"json": 1}\n'
    assert "json" not in screen.getvalue()


class _Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    found = _Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def test_a_log_file_gets_a_line_a_minute_with_the_time_left(clock: _Clock) -> None:
    log = io.StringIO()
    handle = RichProgress(Console(file=log, width=80)).begin("train", 100, 10)
    for _ in range(60):
        clock.now += 10.0
        handle.advance()
    handle.close()
    lines = log.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "train: 16 of 100 done, 14 min left"
    assert lines[-1] == "train: 70 of 100 done, 5 min left"


def test_a_note_counts_as_the_line_of_its_minute(clock: _Clock) -> None:
    log = io.StringIO()
    handle = RichProgress(Console(file=log, width=80)).begin("toys", 3, 0)
    clock.now += 59.0
    handle.note("toys: 0 of 3 done; member 7 runs since 59 s")  # type: ignore[attr-defined]
    clock.now += 2.0
    handle.advance()
    assert log.getvalue() == "toys: 0 of 3 done; member 7 runs since 59 s\n"


def test_a_notebook_gets_one_line_that_is_written_anew(
    clock: _Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    handle = RichProgress(Console(force_jupyter=True)).begin("train", 3, 0)
    for _ in range(3):
        clock.now += 0.4
        handle.advance()
    handle.close()
    out, shown = capsys.readouterr()
    assert out == ""
    assert shown.count("\n") == 1
    first, *rest = shown.removeprefix("\r").rstrip("\n").split("\r")
    assert first == "train: 0 of 3 done"
    assert [text.rstrip() for text in rest] == [
        "train: 2 of 3 done, 1 s left",
        "train: 3 of 3 done",
    ]
    assert len(rest[-1]) == len(rest[0])
