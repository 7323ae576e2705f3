"""Features described on the command line and in study files, from option to figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import write_events

SHORT = ("--tests", "interval-scan", "--permutations", 19, "--executor", "serial")
STUDY = """\
[battery]
sensitivity = false
support = false
[observables]
log_pt = "log(pt)"
[features.pt]
unit = "MeV"
label = "$p_T$"
[features.phi]
kind = "periodic"
[features.log_pt]
label = "$\\\\log p_T$"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    for name in ("truth", "fast", "more"):
        x = np.column_stack([rng.exponential(20.0, 400) + 1.0, rng.uniform(-3.0, 3.0, 400)])
        features = [Feature("pt", low=1.0 if name == "truth" else 0.0), Feature("phi")]
        write_events(Events(x, features=features), tmp_path / f"{name}.parquet")
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(outcome: Result, *words: str) -> None:
    assert outcome.exit_code == 2, outcome.output
    for word in words:
        assert word in outcome.stderr


def pair(folder: Path) -> tuple[Path, Path]:
    return folder / "truth.parquet", folder / "fast.parquet"


def test_option_goes_before_study_and_study_before_file(folder: Path) -> None:
    outcome = run(
        *("validate", *pair(folder), "--study", folder / "study.toml", *SHORT),
        *("--feature", "pt:unit=GeV,high=1e4", "--feature", r"phi:label=$\phi(a, b)$"),
        *("--out", folder / "out"),
    )
    assert outcome.exit_code in (0, 1), outcome.output
    assert outcome.stderr == ""
    content = json.loads((folder / "out" / "result.json").read_text())["content"]
    first, second = content["inputs"][0]["features"]
    said = {"unit": "GeV", "label": "$p_T$", "kind": "continuous", "low": 1.0, "high": 1e4}
    assert {key: first[key] for key in said} == said
    assert (second["kind"], second["label"]) == ("periodic", r"$\phi(a, b)$")
    (validation,) = content["validations"]
    compared = [each["feature"] for each in validation["validation"]["physics"]["marginals"]]
    assert [each["label"] for each in compared] == ["$p_T$", r"$\phi(a, b)$", r"$\log p_T$"]
    page = (folder / "out" / "report.html").read_text()
    assert "pt [GeV]" in page
    assert "$p_T$" not in page.partition("<main")[2].replace("verisimile validate", "")


def test_a_label_that_cannot_be_set_is_a_warning_before_the_work(folder: Path) -> None:
    label = r"pt:label=$\bad{p}$"
    outcome = run("validate", *pair(folder), *SHORT, "--feature", label, "--out", folder / "out")
    assert outcome.exit_code in (0, 1), outcome.output
    assert r"warning: the label '$\bad{p}$' of feature 'pt'" in outcome.stderr
    report = json.loads((folder / "out" / "result.json").read_text())
    assert any("'pt'" in warning for warning in report["content"]["warnings"])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--feature", "pt"), ("--feature", "NAME:KEY=VALUE", "For instance")),
        (("--feature", "p_t:unit=GeV"), ("truth.parquet", "'p_t'", "Did you mean 'pt'?")),
        (("--feature", "pt:low=2"), ("truth.parquet", "'pt'", "values outside", "in row")),
        (("--feature", "phi:kind=continuous", "--periodic", "phi"), ("phi", "contradiction")),
        (("--features", "phi", "--feature", "pd:unit=GeV"), ("'pd'", "described features")),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_faults_are_told_before_the_work(
    folder: Path, option: tuple[str, ...], words: tuple[str, ...], dry: tuple[str, ...]
) -> None:
    outcome = run("validate", *pair(folder), *SHORT, *option, *dry, "--out", folder / "out")
    refused(outcome, *words)
    assert not (folder / "out" / "report.html").exists()


def test_a_column_that_is_not_compared_may_be_described(folder: Path) -> None:
    options = ("--features", "phi", "--feature", "pt:unit=GeV", "--dry-run")
    outcome = run("validate", *pair(folder), *SHORT, *options, "--out", folder / "out")
    assert outcome.exit_code == 0, outcome.output


def test_other_commands_read_the_same_option(folder: Path) -> None:
    truth, fast = pair(folder)
    tiny = ("--epochs", 1, "--layers", 1, "--hidden", 8, "--bins", 4, "--executor", "serial")
    home = folder / "run"
    said = ("--feature", "pt:unit=GeV,low=0,label=$p_T$")
    fit = ("fit", truth, "--out", home, "--members", 1, *tiny, *said)
    refused(run(*fit, "--support", "pt=1:"), "--feature pt", "--support")
    done = run(*fit, "--fit-events", fast, "--json")
    assert done.exit_code == 0, done.output
    (training, weighting) = json.loads(done.stdout)["study"]["inputs"]
    assert training["features"] == weighting["features"]
    assert training["features"][0]["unit"] == "GeV"

    refused(run("gof", home, fast, "--toys", 19, "--feature", "pt:low=2", "--dry-run"), "fitted")
    refused(run("gof", home, fast, "--toys", 19, "--feature", "m:unit=GeV", "--dry-run"), "'m'")
    counted = run(
        *("coverage", home, "--datasets", 2, "--events", 50, "--executor", "serial", "--json"),
        *("--feature", "phi:unit=rad"),
    )
    names = [each["name"] for each in json.loads(counted.stdout)["coverage"][0]["observables"]]
    assert names == ["mean of pt [GeV]", "mean of phi [rad]"]

    inspected = run("inspect", home).stdout
    assert "p_T" in inspected
    assert "GeV" in inspected

    plan = ("--dry-run", "--feature", "pt:unit=GeV")
    holdout = ("--holdout", truth, "--n-train", 100)
    assert run("amplify", fast, *holdout, *plan).exit_code == 0
    refused(run("amplify", fast, *holdout, "--dry-run", "--feature", "pt:low=50"), "fast.parquet")
    family = (fast, folder / "more.parquet", truth)
    assert run("compare", *family, "--truth", truth, *plan).exit_code == 0
    refused(run("compare", *family, "--truth", truth, *plan[:1], "--feature", "q:low=0"), "'q'")
