"""Progress is for those who look."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

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
