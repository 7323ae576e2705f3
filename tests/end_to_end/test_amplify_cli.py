"""The command that says how many events a generator is worth, from files to an exit code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from surrogates import memoriser, truths
from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.files import read_events, write_events
from verisimile.report.document import read_report

N_TRAIN, N_HOLDOUT, N_GENERATED = 1000, 2000, 6000
COLUMNS = ("m_ll", "pt_ll")
SHORT = ("--regions", "5,10", "--executor", "serial")
SPLIT = ("--fit-fraction", 0.4)
TINY = ("--epochs", "2", "--layers", "1", "--hidden", "16", "--bins", "4", "--executor", "serial")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def json(self) -> Any:  # noqa: ANN401  (JSON of any shape)
        return json.loads(self.out)

    @property
    def study(self) -> Any:  # noqa: ANN401
        result = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
        return result["content"]["amplifications"][0]["study"]


def call(*arguments: object, folder: Path) -> Outcome:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Outcome(result.exit_code, result.stdout, result.stderr, folder)


def refused(outcome: Outcome, *words: str) -> None:
    """Require code 2, one message with the words in it, and nothing else."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err, outcome.err
    assert not (outcome.folder / "report.html").exists()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write true events in disjoint parts, and a generator that repeats one of them."""
    folder = tmp_path_factory.mktemp("files")
    (whole,) = truths(20_000, 1)
    parts = whole.select(COLUMNS)
    sizes = {"train": N_TRAIN, "holdout": N_HOLDOUT}
    sizes |= {f"independent{i}": 5000 for i in range(3)}
    start = 0
    for name, size in sizes.items():
        write_events(parts.take(np.arange(start, start + size)), folder / f"{name}.parquet")
        start += size
    train = read_events(folder / "train.parquet")
    copies = memoriser(train, N_GENERATED, np.random.default_rng(1))
    write_events(copies, folder / "memoriser.parquet")
    return folder


Amplify = Callable[..., Outcome]


@pytest.fixture
def amplify(files: Path, tmp_path: Path) -> Amplify:
    """Return the command with files by their stems, the options given, and a fresh folder."""

    def run(*words: object, holdout: bool = True) -> Outcome:
        known = {path.stem: path for path in files.iterdir()}
        given = [known.get(str(word), word) for word in words]
        needed = ("--holdout", known["holdout"]) if holdout else ()
        out = tmp_path / "out"
        return call("amplify", *given, *needed, *SHORT, "--out", out, folder=out)

    return run


def inverse(study: Any, resolution: int) -> tuple[float, float]:  # noqa: ANN401
    """Return the 95 % interval on 1/G of the quantile measure."""
    for point in study["quantile"]["points"]:
        if point["resolution"] == resolution:
            return point["intervals"][1]["low"], point["intervals"][1]["high"]
    raise AssertionError(resolution)


def test_true_events_are_worth_their_number(amplify: Amplify) -> None:
    outcome = amplify("independent0", "--train", "train")
    assert outcome.code == 0, outcome
    low, high = inverse(outcome.study, 10)
    assert low <= N_TRAIN / 5000 <= high
    assert not outcome.study["memorisation"]["alarm"]
    assert "Worth" in outcome.out
    assert "No alarm" in outcome.out
    assert "KS of m_ll" in outcome.out
    assert f"Report: {outcome.folder / 'report.html'}" in outcome.out
    page = (outcome.folder / "report.html").read_text(encoding="utf-8")
    assert "independent0.parquet: amplification" in page
    report = read_report(outcome.folder / "result.json")
    assert [(s.role, s.n) for s in report.content.inputs] == [
        ("generated 1", 5000),
        ("holdout", N_HOLDOUT),
        ("training", N_TRAIN),
    ]
    assert {"junit.xml", "summary.md"} <= {path.name for path in outcome.folder.iterdir()}


def test_a_memoriser_raises_the_alarm(amplify: Amplify) -> None:
    outcome = amplify("memoriser", "--train", "train", "--json")
    assert outcome.code == 1, outcome
    data = outcome.json
    assert data["schema"] == "verisimile.amplification-summary/1"
    assert data["verdict"] == "failed"
    assert [(c["hypothesis"], c["verdict"]) for c in data["conclusions"]] == [
        ("amplification", "passed"),
        ("memorisation", "failed"),
    ]
    assert any("copies of training events" in note for note in data["warnings"])
    assert data["report"] == str(outcome.folder / "report.html")
    assert outcome.study["memorisation"]["alarm"]
    # Without the training events nobody can tell, but G is no larger for it.
    blind = amplify("memoriser", "--n-train", N_TRAIN)
    assert blind.code == 0, blind
    assert blind.study["memorisation"] is None
    assert inverse(blind.study, 10) == inverse(outcome.study, 10)


def test_a_holdout_is_asked_for(amplify: Amplify) -> None:
    outcome = amplify("independent0", "--train", "train", holdout=False)
    refused(outcome, "--holdout", "Set some aside before training", "memorises looks perfect")
    same = amplify("independent0", "--train", "train", "--holdout", "train", holdout=False)
    refused(same, "all in the training sample")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("independent0",), ("--n-train", "--train")),
        (("independent0", "--n-train", 1000, "--regions", "5;10"), ("--regions", "5;10")),
        (("independent0", "--n-train", 1000, "--regions", "1"), ("--regions",)),
        (("independent0", "--n-train", 1000, "--regions", "-3,10"), ("--regions",)),
        (("none.csv", "--n-train", 1000), ("none.csv", "no such file")),
        (("independent0", "--n-train", 1000, "--features", "m_ll,eta"), ("eta",)),
    ],
)
def test_what_cannot_be_done_is_said(
    files: Path, tmp_path: Path, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    source = files / f"{options[0]}.parquet" if options[0] != "none.csv" else options[0]
    out = tmp_path / "out"
    end = ("--holdout", files / "holdout.parquet", "--executor", "serial", "--out", out)
    refused(call("amplify", source, *options[1:], *end, folder=out), *words)


def test_columns_must_be_in_all_samples(files: Path, tmp_path: Path, amplify: Amplify) -> None:
    holdout = read_events(files / "holdout.parquet")
    write_events(holdout.select(["m_ll"]), tmp_path / "narrow.parquet")
    narrow = ("--n-train", N_TRAIN, "--holdout", tmp_path / "narrow.parquet")
    refused(amplify("independent0", *narrow, holdout=False), "pt_ll")
    # More columns than the generator has are no matter, nor is their order.
    more = Events(
        np.column_stack([holdout.x[:, ::-1], np.zeros(holdout.n)]), names=("pt_ll", "m_ll", "run")
    )
    write_events(more, tmp_path / "more.parquet")
    options = ("--n-train", N_TRAIN, "--holdout", tmp_path / "more.parquet")
    outcome = amplify("independent0", *options, holdout=False)
    assert outcome.code == 0, outcome
    assert inverse(outcome.study, 10) == inverse(
        amplify("independent0", "--n-train", N_TRAIN).study, 10
    )


def test_several_files_are_several_trainings(amplify: Amplify) -> None:
    names = [f"independent{i}" for i in range(3)]
    outcome = amplify(*names, "--n-train", N_TRAIN)
    assert outcome.code == 0, outcome
    assert outcome.study["quantile"]["measure"] == "quantile-of-trainings"
    assert len(outcome.study["averaging"]) == 2
    assert "averaging" in outcome.out
    assert "independent0.parquet and 2 more" in (outcome.folder / "report.html").read_text()
    report = read_report(outcome.folder / "result.json")
    assert [s.role for s in report.content.inputs] == [
        "generated 1",
        "generated 2",
        "generated 3",
        "holdout",
    ]


def test_a_dry_run_plans_and_writes_nothing(amplify: Amplify) -> None:
    outcome = amplify("independent0", "--train", "train", "--dry-run", "--json")
    assert outcome.code == 0, outcome
    assert outcome.json["schema"] == "verisimile.plan/1"
    assert [stage["name"] for stage in outcome.json["stages"]] == ["amplification"]
    assert not outcome.folder.exists()


@pytest.fixture(scope="module")
def fitted(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "run"
    outcome = call(
        *("fit", files / "train.parquet", "--out", folder, "--members", 3, *SPLIT, *TINY),
        folder=folder,
    )
    assert outcome.code == 0, outcome
    return folder


def test_a_run_is_a_generator(fitted: Path, files: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in fitted.rglob("*")}
    options = ("--train", files / "train.parquet", "--n-generated", 4000, *SHORT, "--json")
    holdout, out = files / "holdout.parquet", tmp_path / "out"
    outcome = call("amplify", fitted, "--holdout", holdout, *options, "--out", out, folder=out)
    assert outcome.code == 0, outcome
    assert outcome.err == ""
    study = outcome.study
    assert (study["n_train"], study["n_generated"]) == (N_TRAIN, 4000)
    assert [len(study[part]) for part in ("averaging", "analytic")] == [2, 2]
    assert not study["memorisation"]["alarm"]
    assert {path: path.stat().st_mtime_ns for path in fitted.rglob("*")} == before
    # Ten times its training events by default; a plan draws none of them.
    plan = call(
        *("amplify", fitted, "--holdout", holdout, *SHORT, "--dry-run", "--json"),
        *("--out", tmp_path / "plan"),
        folder=tmp_path / "plan",
    )
    assert plan.code == 0, plan
    assert not plan.folder.exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_regions_are_made_of_events_that_will_be_drawn(
    fitted: Path, files: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    options = ("--n-generated", 100, "--regions", 60, "--out", out, *more)
    tried = call("amplify", fitted, "--holdout", files / "holdout.parquet", *options, folder=out)
    refused(tried, "60 regions to be made of 50 events", "--n-generated 120 or more")


def test_a_folder_that_is_no_run_is_refused(fitted: Path, files: Path, tmp_path: Path) -> None:
    out, holdout = tmp_path / "out", ("--holdout", files / "holdout.parquet")
    (tmp_path / "empty").mkdir()
    refused(call("amplify", tmp_path / "empty", *holdout, "--out", out, folder=out), "empty")
    assert list((tmp_path / "empty").iterdir()) == []
    several = call("amplify", fitted, fitted, *holdout, "--out", out, folder=out)
    refused(several, "GENERATED", "one run")
    unfinished = shutil.copytree(fitted, tmp_path / "unfinished")
    for path in (unfinished / "members").iterdir():
        path.unlink()
    refused(call("amplify", unfinished, *holdout, "--out", out, folder=out))


def test_a_condition_adds_bands_and_a_figure(amplify: Amplify) -> None:
    along = ("independent0", "--train", "train", "--condition", "pt_ll", "--bins", "10,25")
    planned = amplify(*along, "--dry-run")
    assert planned.code == 0, planned
    assert "also in bins of pt_ll" in planned.out
    assert not planned.folder.exists()
    outcome = amplify(*along)
    assert outcome.code == 0, outcome
    found = outcome.study["conditional"]
    assert found["feature"] == "pt_ll"
    assert len(found["points"]) == 3
    assert sum(point["n_train"] for point in found["points"]) == N_TRAIN
    assert "Least worth at pt_ll" in outcome.out
    page = (outcome.folder / "report.html").read_text(encoding="utf-8")
    assert "Amplification in bins of pt_ll" in page
    assert "KS of a classifier" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--condition", "eta"), "'eta'"),
        (("--condition", "pt_ll", "--bins", "1"), "--bins"),
        (("--condition", "pt_ll", "--bins", "many"), "--bins"),
        (("--condition", "pt_ll", "--features", "m_ll"), "--condition"),
        (("--condition", "pt_ll", "--bins", "10,1e6"), "0 events in bin 3"),
    ],
)
def test_a_condition_that_cannot_be_is_refused(
    amplify: Amplify, words: tuple[str, ...], said: str
) -> None:
    refused(amplify("independent0", "--n-train", "1000", *words), said)
