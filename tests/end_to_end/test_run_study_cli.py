"""From data to a verdict in two commands, and a chain of stages of which one fails."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from surrogates import truths
from verisimile.app.cli import app
from verisimile.app.commands.amplify import AmplifyCommand
from verisimile.app.commands.coverage import CoverageCommand
from verisimile.app.commands.gof import GofCommand
from verisimile.app.commands.sample import SampleCommand
from verisimile.app.terminal import ExitCode
from verisimile.core.errors import NumericsError
from verisimile.data.events import Events
from verisimile.data.files import write_events
from verisimile.report.document import read_report

QUICK = """\
[validate.battery]
sensitivity = false
support = false
physics = false
"""
TINY = """\
layers = 1
hidden = 16
bins = 4
epochs = 2
members = 4
discrepancy = false
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  (JSON of any shape)
        return json.loads(self.out)


def call(*words: object) -> Outcome:
    result = CliRunner().invoke(app, [str(each) for each in words])
    return Outcome(result.exit_code, result.stdout, result.stderr)


def run(file: Path, *words: object) -> Outcome:
    return call("run", file, "--executor", "serial", *words)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Truth, a sample of the same law and one that is shifted, in a folder of their own."""
    names = ("m_ll", "pt_ll")
    for name, events in zip(("truth", "same", "train"), truths(1200, 3), strict=True):
        write_events(events.select(list(names)), tmp_path / f"{name}.parquet")
    moved = events.select(list(names)).x + [3.0, 0.0]
    write_events(Events(moved, names=names), tmp_path / "shifted.parquet")
    return tmp_path


def comparison(folder: Path, generated: str, *more: str) -> Path:
    file = folder / "study.toml"
    done = call("init", folder / "truth.parquet", folder / generated, "--out", file, *more)
    assert done.code == 0, done
    # Fewer relabelings, and without what takes its time.
    text = re.sub(
        "permutations = [0-9]+", "permutations = 99\ntests = ['energy', 'max-ks']", file.read_text()
    )
    file.write_text(text + QUICK)
    return file


@pytest.mark.parametrize(("generated", "code"), [("same.parquet", 0), ("shifted.parquet", 1)])
def test_two_commands_to_a_verdict(files: Path, generated: str, code: int) -> None:
    file = comparison(files, generated)
    done = run(file)
    assert done.code == code, done
    assert re.search(rf"validate +{'not ' * code}compatible", done.out)
    report = read_report(files / "study-report" / "result.json")
    assert len(report.content.validations) == 1
    assert report.content.title == generated


def test_a_study_with_amplification_ends_in_one_report(files: Path) -> None:
    file = comparison(files, "shifted.parquet", "--train", str(files / "train.parquet"))
    text = file.read_text().replace("[amplify]", "[amplify]\nregions = [5, 10]")
    file.write_text(text)
    done = run(file, "--json")
    assert done.code == 1
    assert [each["stage"] for each in done.json["stages"]] == ["validate", "amplify"]
    assert [each["exit_code"] for each in done.json["stages"]] == [1, 0]
    content = read_report(files / "study-report" / "result.json").content
    assert (len(content.validations), len(content.amplifications)) == (1, 1)
    quiet = run(file, "--dry-run", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_stage_that_can_say_nothing_leaves_the_report_of_the_others(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = comparison(files, "same.parquet", "--train", str(files / "train.parquet"))
    original = AmplifyCommand.execute

    def fails(command: AmplifyCommand) -> ExitCode:
        if command.dry_run:
            return original(command)
        raise NumericsError("gain", got="no number", expected="one")

    monkeypatch.setattr(AmplifyCommand, "execute", fails)
    done = run(file)
    assert done.code == 3
    assert "warning: the stage amplify can say nothing: [amplify]: gain: got no number" in done.err
    report = read_report(files / "study-report" / "result.json")
    assert report.verdict == "inconclusive"
    assert len(report.content.validations) == 1


def test_faults_of_later_stages_are_told_before_the_first(files: Path) -> None:
    file = comparison(files, "same.parquet", "--train", str(files / "train.parquet"))
    file.write_text(file.read_text().replace("[amplify]", "[amplify]\nregions = [5000]"))
    done = run(file)
    assert done.code == 2
    assert done.err.startswith("error: [amplify]: ")
    assert not (files / "study-report" / "validate").exists()


def density(folder: Path) -> Path:
    """Return a whole chain, as init writes it but for what would take its time."""
    file = folder / "z.toml"
    done = call("init", folder / "truth.parquet", "--out", file)
    assert done.code == 0, done
    text = re.sub(r"\[fit\]\nmembers = [0-9]+\n", f"[fit]\n{TINY}", file.read_text())
    text = re.sub("toys = [0-9]+", "toys = 19\nkernels = 10", text)
    text = re.sub("datasets = [0-9]+", "datasets = 20", text)
    text = re.sub("permutations = [0-9]+", "permutations = 99\ntests = ['energy']", text)
    text = text.replace(
        "[amplify]\nn_generated = 9600", f"{QUICK}\n[amplify]\nn_generated = 2000\nregions = [5]"
    )
    file.write_text(text)
    return file


@pytest.mark.slow
def test_the_whole_chain_and_its_plan(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = density(files)
    before = sorted(files.iterdir())
    plan = run(file, "--dry-run", "--json")
    assert plan.code == 0, plan
    assert sorted(files.iterdir()) == before
    named = [each["name"].split(":")[0] for each in plan.json["stages"]]
    assert list(dict.fromkeys(named)) == [
        "fit", "gof", "coverage", "sample", "validate", "amplify",
    ]  # fmt: skip
    assert all(each["seconds"] > 0.0 for each in plan.json["stages"])
    stopped = run(file, "--max-seconds", 1e-3)
    assert stopped.code == 4
    done = run(file, "--json")
    assert done.code in (0, 1), done
    content = read_report(files / "z-report" / "result.json").content
    assert content.fit is not None
    assert (len(content.samples), len(content.coverage)) == (1, 1)
    assert (len(content.validations), len(content.amplifications)) == (1, 1)
    # What is finished is there for the next time, and every stage can now be planned by itself.
    plan = run(file, "--dry-run", "--json")
    records = {each["name"]: each["records"] for each in plan.json["stages"]}
    assert records["gof: toys"] == 2
    assert records["validate: energy"] == 1
    _the_fit_alone_has_a_page(file, monkeypatch)


def _the_fit_alone_has_a_page(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no later stage can say anything, the page shows what was learned, and says why."""

    def fails(command: object) -> ExitCode:
        if not getattr(command, "dry_run", False):
            raise NumericsError("the corrected mixture", got="large weights", expected="few")
        return ExitCode.COMPATIBLE

    for command in (GofCommand, CoverageCommand, SampleCommand, AmplifyCommand):
        monkeypatch.setattr(command, "execute", fails)
    (file.parent / "z-report" / "samples" / "generated.parquet").unlink()
    lost = run(file, "--json")
    assert lost.code == 3, lost
    codes = {each["stage"]: each["exit_code"] for each in lost.json["stages"]}
    assert codes == {"fit": 0, "gof": 3, "coverage": 3, "sample": 3, "validate": 3, "amplify": 3}
    report = read_report(file.parent / "z-report" / "result.json")
    assert report.content.fit is not None
    assert report.verdict == "inconclusive"
    assert "the stage validate can say nothing: the stage that makes its input failed" in lost.err


def test_init_replaces_nothing_and_asks_for_what_it_needs(files: Path) -> None:
    out = files / "study.toml"
    out.write_text("mine")
    there = call("init", files / "truth.parquet", "--out", out)
    assert (there.code, out.read_text()) == (2, "mine")
    assert "say --force" in there.err
    few = files / "few.npz"
    np.savez(few, x=np.arange(30.0))
    assert "expected 500 or more" in call("init", few, "--out", files / "few.toml").err
    assert (
        call("init", files / "truth.parquet", "--train", few, "--out", files / "n.toml").code == 2
    )
