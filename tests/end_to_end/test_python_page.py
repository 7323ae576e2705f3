"""The page on Python does what it shows, from a figure in five lines to a folder read back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import verisimile as vs
from verisimile.data.feature import Feature

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
NOISE = "ignore::verisimile.core.errors.VerisimileWarning"


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    features = (Feature("m", unit="GeV"), Feature("pt", unit="GeV"))
    for seed, name in enumerate(("reference", "generated")):
        rng = np.random.default_rng(seed)
        x = np.column_stack([rng.normal(90.0, 5.0, 300), rng.exponential(20.0, 300)])
        vs.write_events(vs.Events(x, features=features), f"{name}.parquet")


@pytest.mark.filterwarnings(NOISE)
@pytest.mark.usefixtures("_files")
def test_all_blocks_run_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    first, *others = BLOCKS
    lines = [line for line in first.splitlines() if line]
    assert len(lines) == 5
    *before, last = lines
    exec("\n".join(before), names)
    axes = eval(last, names)
    assert isinstance(axes, Axes)
    assert axes.get_xlabel() == "p-value"
    for block in others:
        exec(block, names)
    plt.close("all")
    assert Path("first-look.pdf").stat().st_size > 0
    assert names["right"].get_ylabel() == "density"
    assert names["generated"].values(flow=True).sum() == 300.0
    assert len(names["observables"]) == 20
    assert names["report"].verdict in capsys.readouterr().out
    assert [type(one).__name__ for one in names["held"].results] == ["Validation"]
