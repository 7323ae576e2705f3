"""``verisimile compare`` from files to the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from verisimile.app.cli import app
from verisimile.app.exits import ExitCode
from verisimile.data.events import Events
from verisimile.data.files import write_events

FAMILIES = {"good": (1.0, 0.02), "alike": (1.0, 0.02), "wide": (1.5, 0.05)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generators of each family, Gaussians of a scattering width, and the truth."""
    home, rng = tmp_path_factory.mktemp("families"), np.random.default_rng(1)
    for name, (scale, scatter) in FAMILIES.items():
        (home / name).mkdir()
        for member in range(5):
            width = scale + scatter * rng.normal()
            x = width * rng.normal(size=(600, 2))
            write_events(Events(x, names=("x", "y")), home / name / f"{member}.parquet")
    write_events(Events(rng.normal(size=(600, 2)), names=("x", "y")), home / "truth.parquet")
    return home


def _compare(folder: Path, *arguments: str) -> Result:
    truth, out = str(folder / "truth.parquet"), str(folder / "out")
    return CliRunner().invoke(
        app, ["compare", *arguments, "--truth", truth, "--out", out, "--executor", "serial"]
    )


def test_different_families_differ(folder: Path) -> None:
    done = _compare(folder, str(folder / "good"), "--against", str(folder / "wide"), "--json")
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    found = json.loads(done.stdout)
    assert [c["sample"] for c in found["conclusions"]] == ["good", "wide", "good and wide"]
    assert "The curves differ" in found["conclusions"][-1]["sentence"]
    result = json.loads((folder / "out" / "result.json").read_text(encoding="utf-8"))
    (study,) = result["content"]["families"]
    assert study["names"] == ["good", "wide"]
    assert (folder / "out" / "figures" / "bands-1.pdf").exists()


def test_equal_families_do_not(folder: Path) -> None:
    pattern = str(folder / "alike" / "*.parquet")
    done = _compare(folder, str(folder / "good"), "--against", pattern)
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert "No difference of the curves found" in done.output


def test_one_family_has_a_band_alone(folder: Path) -> None:
    files = [str(file) for file in sorted((folder / "good").iterdir())]
    done = _compare(folder, *files)
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert "over 5 generators" in done.output


def test_a_dry_run_writes_no_report(folder: Path, tmp_path: Path) -> None:
    done = _compare(folder, str(folder / "good"), "--dry-run", "--out", str(tmp_path / "none"))
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert not (tmp_path / "none" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good/0.parquet"], "at least 3 generators"),
        (["good", "--against", "nowhere/*.parquet"], "no file of this pattern"),
        # What a shell makes of an unquoted pattern.
        (["good", "wide/1.parquet", "--against", "wide/0.parquet"], "in quotes"),
        (["good", "--features", "z"], "no column 'z'"),
    ],
)
def test_bad_input_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    done = _compare(folder, *arguments)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert message in done.output
