"""``verisimile report``: pages again from what is kept, two side by side, a fit's records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import verisimile as vs
from report_page import Page
from report_values import make_content, make_goodness
from verisimile.app.cli import app
from verisimile.report.content import ReportInput, SampleResult

PASSED, FAILED = 30.0, 1000.0


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def written(folder: Path, statistic: float) -> Path:
    """Write a small report, and return its folder."""
    content = ReportInput(samples=(SampleResult("test", (make_goodness(statistic),)),))
    return vs.write_report(vs.Run(vs.Seeds(7)), content, folder).parent


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}


def test_a_page_is_made_again_in_place_and_elsewhere(tmp_path: Path) -> None:
    folder = vs.write_report(vs.Run(vs.Seeds(7)), make_content(), tmp_path / "r").parent
    before = contents(folder)
    (folder / "report.html").unlink()
    done = call(folder)
    assert done.exit_code == 0, done.output
    assert contents(folder) == before
    assert call(folder / "result.json", "--out", tmp_path / "again").exit_code == 0
    assert contents(tmp_path / "again") == before


def test_the_exit_code_is_the_verdicts(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", FAILED)
    done = call(folder, "--json")
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert (said["schema"], said["verdict"]) == ("verisimile.report-summary/1", "failed")
    assert said["report"] == str(folder / "report.html")


def test_two_reports_are_shown_side_by_side(tmp_path: Path) -> None:
    first, second = written(tmp_path / "mon", PASSED), written(tmp_path / "tue", FAILED)
    done = call(first, second, "--out", tmp_path / "both", "--json")
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert (said["first_verdict"], said["verdict"]) == ("passed", "failed")
    (shown,) = [each for each in said["changed"]["numbers"] if each["column"] == "t"]
    assert (shown["first"], shown["second"]) == ("30", "1000")
    assert said["changed"]["origin"] == []
    words = Page((tmp_path / "both" / "report.html").read_text(encoding="utf-8")).words
    assert "mon and tue" in words
    assert "passed → failed" in words
    # What is written is a report itself, and the other way round the other verdict counts.
    assert call(tmp_path / "both", "--out", tmp_path / "again").exit_code == 1
    back = call(second, first, "--out", tmp_path / "back")
    assert back.exit_code == 0, back.output
    assert "Verdict" in back.stdout


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [written(tmp_path / name / "out", PASSED) for name in ("a", "b")]
    done = call(*folders, "--out", tmp_path / "both")
    assert done.exit_code == 0, done.output
    assert "a/out" in done.stdout
    assert "b/out" in done.stdout


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "result.json").unlink(), "no result.json"),
        (lambda folder: (folder / "result.json").write_text("{"), "result.json"),
        (lambda folder: (folder / "report.html").write_text("mine"), "say --force"),
        (shutil.rmtree, "no result.json"),
    ],
)
def test_what_is_no_report_is_refused(damage: object, words: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "r", PASSED)
    assert callable(damage)
    damage(folder)
    done = call(folder)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_run_folder_needs_another_folder_for_its_page(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "fit.json").write_text("{}", encoding="utf-8")
    done = call(tmp_path / "run")
    assert done.exit_code == 2
    assert f"--out {tmp_path}/run-report" in done.stderr
