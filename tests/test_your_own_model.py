"""The page on own models does what it says: its files, code and commands are run in order."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.files import write_events

PAGE = Path(__file__).parents[1] / "docs" / "your-own-model.md"
_BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(python|console)\n(.*?)```", re.DOTALL)
_FEWER = ("--executor", "serial")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "model", raising=False)
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.normal(91.0, 2.5, 150), rng.exponential(20.0, 150)])
    write_events(Events(x, names=("m", "pt")), "truth.parquet")
    space: dict[str, object] = {}
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [kind for _, kind, _ in blocks].count("console") == 2
    for file, kind, text in blocks:
        if file:
            Path(file).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, str(PAGE), "exec"), space)
        else:
            _console(text)
    monkeypatch.delitem(sys.modules, "model", raising=False)
    for page in ("report", "page"):
        assert (tmp_path / page / "report.html").is_file()


def _console(text: str) -> None:
    for line in text.splitlines():
        name, command, *words = shlex.split(line)
        assert name == "verisimile"
        more = () if command == "sample" else _FEWER
        result = CliRunner().invoke(app, [command, *words, *more])
        assert result.exit_code in (0, 1), result.stderr
