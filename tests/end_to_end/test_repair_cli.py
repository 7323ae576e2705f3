"""Commands of what follows a verdict: weights, templates, a monitor of many nights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import verisimile as vs
from verisimile.app.cli import app
from verisimile.data.feature import Feature

TRAINING = ("--members", 3, "--fit-fraction", 0.4, "--epochs", 2, "--layers", 1, "--hidden", 16,
            "--no-discrepancy", "--executor", "serial")  # fmt: skip
MASS = Feature("m", unit="GeV")


def _run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def _content(folder: Path) -> Any:  # noqa: ANN401  (JSON)
    assert (folder / "report.html").is_file()
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))["content"]


def _written(folder: Path, name: str, n: int, *, seed: int, shift: float = 0.0) -> Path:
    x = np.random.default_rng(seed).normal(90.0 + shift, 5.0, (n, 1))
    vs.write_events(vs.Events(x, features=(MASS,)), folder / name)
    return folder / name


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Path, Path]:
    return (
        _written(tmp_path, "truth.parquet", 2000, seed=1),
        _written(tmp_path, "fast.parquet", 2000, seed=2, shift=1.5),
    )


def test_a_shifted_sample_is_reweighted(tmp_path: Path, samples: tuple[Path, Path]) -> None:
    common = ("--executor", "serial", "--permutations", 99, "--axis", "m=60:120:12")
    code, out, err = _run("reweight", *samples, *common, "--out", tmp_path / "out")
    assert code == 0, err + out
    found, made = _content(tmp_path / "out")["results"]
    assert found["p_value"]["value"] > 0.05
    assert len(made["nominal"]) == 12
    weighted = vs.read_events(tmp_path / "out" / "weighted.parquet")
    assert weighted.names[:4] == ("m", "w", "w_error", "w_var0")
    m, w = weighted.x[:, 0], weighted.x[:, 1]
    assert w.mean() == pytest.approx(1.0, abs=0.01)
    assert abs(w @ m / w.sum() - 90.0) < 0.5 < abs(m.mean() - 90.0)
    (tmp_path / "out" / "weighted.parquet").write_text("mine", encoding="utf-8")
    assert _run("reweight", *samples, *common, "--out", tmp_path / "out")[0] == 2


def test_a_plan_of_reweighting_refuses_what_the_command_would(
    tmp_path: Path, samples: tuple[Path, Path]
) -> None:
    small = _written(tmp_path, "small.parquet", 100, seed=3)
    code, _, err = _run("reweight", samples[0], small, "--dry-run", "--out", tmp_path / "o")
    assert code == 2
    assert "30 in the smaller part" in err
    code, out, _ = _run("reweight", *samples, "--dry-run", "--out", tmp_path / "o")
    assert code == 0
    assert "tests" in out
    assert not (tmp_path / "o").exists()


def test_templates_of_a_run_are_what_an_analysis_reads(tmp_path: Path) -> None:
    events = _written(tmp_path, "train.parquet", 900, seed=4)
    code, out, err = _run("fit", events, "--out", tmp_path / "run", *TRAINING)
    assert code == 0, err + out
    signal = _written(tmp_path, "signal.parquet", 300, seed=5, shift=8.0)
    seen = _written(tmp_path, "seen.parquet", 600, seed=6)
    asked = ("templates", tmp_path / "run", "--axis", "m=75:105:6", "--events", 600)
    analysis = ("--signal", signal, "--observed", seen, "--strength", 20)
    code, out, err = _run(*asked, *analysis, "--out", tmp_path / "t")
    assert code == 3, err + out  # a measurement: there is nothing to pass
    workspace = json.loads((tmp_path / "t" / "pyhf.json").read_text(encoding="utf-8"))
    assert sum(workspace["observations"][0]["data"]) == pytest.approx(600, abs=10)
    made = json.loads((tmp_path / "t" / "templates.json").read_text(encoding="utf-8"))
    assert sum(made["nominal"]) == pytest.approx(600, rel=0.05)
    assert (tmp_path / "t" / "cabinetry").is_dir()
    code, _, err = _run(*asked, "--signal", signal, "--out", tmp_path / "other")
    assert code == 2
    assert "--signal, --observed" in err


def _night(folder: Path, k: int, shift: float, *more: object) -> tuple[int, str, str]:
    one = _written(folder, f"t{k}.parquet", 400, seed=10 + k)
    other = _written(folder, f"g{k}.parquet", 400, seed=500 + k, shift=shift)
    return _run("validate", one, other, "--monitor", folder / "s", *more)


def test_a_drift_is_told_after_some_nights(tmp_path: Path) -> None:
    codes = [
        _night(tmp_path, k, 2.5 if k > 2 else 0.0, "--out", tmp_path / f"night{k}")[0]
        for k in range(8)
    ]
    assert codes[:3] == [0, 0, 0]
    assert codes[-1] == 1
    (said,) = _content(tmp_path / "night7")["results"]
    assert len(said["nights"]) == 8


def test_the_page_of_a_night_replaces_no_file_of_another(tmp_path: Path) -> None:
    """The verdict's page is refused before the evidence has counted the night."""
    assert _night(tmp_path, 0, 0.0, "--out", tmp_path / "a")[0] == 0
    state = (tmp_path / "s").read_bytes()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "report.html").write_text("mine", encoding="utf-8")
    code, _, err = _night(tmp_path, 1, 0.0, "--out", tmp_path / "notes")
    assert code == 2
    assert "report.html" in err
    assert (tmp_path / "notes" / "report.html").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "s").read_bytes() == state
