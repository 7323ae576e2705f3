"""``verisimile compare`` from files to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from report_page import Page
from verisimile.app.cli import app
from verisimile.app.terminal import ExitCode
from verisimile.checks.precision_recall.variance import variance_parts
from verisimile.core.result import to_dict
from verisimile.data.events import Events
from verisimile.data.files import write_events
from verisimile.report.document import read_report
from verisimile.report.numbers import plain_number

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


@pytest.fixture(scope="module")
def labels(folder: Path) -> Path:
    """Three initialisations and two training samples, the same in every family."""
    rows = ["file,initialisation,training data"]
    rows += [f"{name}/{j}.parquet,{j // 2},{j % 2}" for name in FAMILIES for j in range(5)]
    for name, kept in {"labels": rows, "good": rows[:6]}.items():
        (folder / f"{name}.csv").write_text("\n".join(kept), encoding="utf-8")
    return folder / "labels.csv"


def _compare(folder: Path, *arguments: str) -> Result:
    truth, out = str(folder / "truth.parquet"), str(folder / "out")
    score = () if "--score" in arguments else ("--score", "mixtures")  # a second in place of ten
    rest = ["--truth", truth, "--out", out, "--executor", "serial"]
    return CliRunner().invoke(app, ["compare", *arguments, *score, *rest])


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


@pytest.mark.calibration
def test_equal_families_do_not(folder: Path) -> None:
    pattern = str(folder / "alike" / "*.parquet")
    done = _compare(folder, str(folder / "good"), "--against", pattern)
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert "good and alike: no difference of the curves found" in done.output


@pytest.mark.parametrize(
    ("score", "named", "bound"),
    [("best", "", True), ("linear", "linear", True), ("published", "pooled neighbours", False)],
)
def test_the_score_is_named_and_its_areas_are_bounds(
    folder: Path, score: str, named: str, bound: bool
) -> None:
    done = _compare(folder, str(folder / "wide"), "--score", score)
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    report = read_report(folder / "out" / "result.json")
    (band,) = report.content.families[0].bands
    assert named in band.score
    page = Page((folder / "out" / "report.html").read_text(encoding="utf-8")).words
    assert band.score in page
    assert ("upper bounds of the true ones" in page) == bound
    assert ("area at most" in done.output) == bound


def test_one_family_has_a_band_alone(folder: Path) -> None:
    files = [str(file) for file in sorted((folder / "good").iterdir())]
    done = _compare(folder, *files)
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert "over 5 generators" in done.output


@pytest.mark.usefixtures("labels")
def test_the_variance_is_divided_by_the_labels(folder: Path) -> None:
    done = _compare(folder, str(folder / "good"), "--factors", str(folder / "good.csv"))
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    (study,) = read_report(folder / "out" / "result.json").content.families
    (found,) = study.variances
    labels = {"initialisation": list("00112"), "training data": list("01010")}
    assert to_dict(found) == to_dict(variance_parts(study.bands[0].auc, labels))
    page = Page((folder / "out" / "report.html").read_text(encoding="utf-8")).words
    assert "warning: samples share levels of initialisation, training data" in done.stderr
    assert "samples share levels" in page
    for text in (done.output, page):
        assert "training data" in text
        assert plain_number(found.parts["rest"].value, digits=2) in text
    assert study.panels is not None
    assert study.panels.best[0].source in page


def test_a_table_in_the_folder_is_no_sample(folder: Path, tmp_path: Path) -> None:
    home = shutil.copytree(folder / "good", tmp_path / "good")
    rows = ["file,network", *(f"{j}.parquet,{j // 2}" for j in range(5))]
    (home / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    table = str(home / "labels.csv")
    done = _compare(folder, str(home), "--factors", table, "--dry-run")
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert "5" in done.output


def test_events_that_are_not_finite_are_misses(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for member in range(3):
        x = rng.normal(size=(600, 2))
        x[: 150 * member, 1] = np.nan
        np.savez(tmp_path / f"{member}.npz", x=x[:, 0], y=x[:, 1])
    done = _compare(folder, str(tmp_path))
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert "2.npz: 300 of 600 generated events are not finite" in done.stderr
    report = read_report(folder / "out" / "result.json")
    (band,) = report.content.families[0].bands
    np.testing.assert_array_equal(band.missed, [0.0, 0.25, 0.5])
    # A perfect generator that loses a share f has the area 1 - f.
    np.testing.assert_allclose(band.auc, [1.0, 0.75, 0.5], atol=0.05)
    assert sum("not finite" in note for note in report.warnings) == 2


def test_a_dry_run_writes_no_report(folder: Path, tmp_path: Path) -> None:
    done = _compare(folder, str(folder / "good"), "--dry-run", "--out", str(tmp_path / "none"))
    assert done.exit_code == ExitCode.COMPATIBLE, done.output
    assert not (tmp_path / "none" / "report.html").exists()
    assert "choice of the score" not in done.output
    best = _compare(folder, str(folder / "good"), "--dry-run", "--score", "best")
    assert "choice of the score" in best.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good/0.parquet"], "at least 3 generators"),
        (["good", "--against", "nowhere/*.parquet"], "no file of this pattern"),
        # What a shell makes of an unquoted pattern.
        (["good", "wide/1.parquet", "--against", "wide/0.parquet"], "in quotes"),
        (["good", "--features", "z"], "no column 'z'"),
        (["good", "--factors", "labels.csv"], "files that are not compared: alike/0.parquet"),
        (["good", "--against", "wide", "--factors", "good.csv"], "no row for wide/0.parquet"),
        (["good", "--factors", "good.csv", "--nested", "initialisation"], "--nested: got"),
        (["good", "--nested", "a=b"], "--factors FILE"),
        (["good", "--factors", "truth.parquet"], "a CSV file"),
        (["good", "--score", "nearest"], "one of best, linear, mixtures, trees, knn, parzen"),
    ],
)
@pytest.mark.usefixtures("labels")
def test_bad_input_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    done = _compare(folder, *arguments)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert message in done.output
