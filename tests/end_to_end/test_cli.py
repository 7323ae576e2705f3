"""The command line from a file of events to a verdict, with everything that can go wrong."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from stopping import stop_before
from verisimile.app.cli import app
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import read_events, write_events

FEATURES = (
    Feature("m", unit="GeV", low=60.0, high=120.0),
    Feature("pt", unit="GeV", low=0.0),
)
TINY = ("--epochs", "2", "--layers", "1", "--hidden", "16", "--bins", "4", "--executor", "serial")
MEMBERS = 5
SPLIT = ("--fit-fraction", "0.4")
TOYS = ("--kernels", "15", "--executor", "serial")
RUN = "from verisimile.app.cli import main; main()"


def draw(n: int, seed: int, *, shift: float = 0.0) -> Events:
    rng = np.random.default_rng(seed)
    m = 90.0 + shift + 5.0 * rng.normal(size=n).clip(-4, 4)
    return Events(np.column_stack([m, rng.exponential(20.0, n)]), features=FEATURES)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  (JSON of any shape)
        return json.loads(self.out)


def run(*arguments: object) -> Outcome:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Outcome(result.exit_code, result.stdout, result.stderr)


def refused(outcome: Outcome, *words: str) -> None:
    """Require code 2, one message with the words in it, and nothing else."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.stem: json.loads(path.read_text())["sha256"]
        for path in sorted((folder / "members").glob("*.json"))
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_events(draw(800, 1), folder / "train.parquet")
    write_events(draw(200, 2), folder / "test.parquet")
    write_events(draw(200, 3, shift=8.0), folder / "shifted.parquet")
    return folder


@pytest.fixture(scope="module")
def fitted(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that tests read; one that changes it takes a copy."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    outcome = fit(files, folder)
    assert outcome.code == 0, outcome
    return folder


def fit(files: Path, folder: Path, *more: object) -> Outcome:
    train = files / "train.parquet"
    return run("fit", train, "--out", folder, "--members", MEMBERS, *SPLIT, *TINY, *more)


@pytest.fixture
def honest(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


@pytest.fixture(scope="module")
def published(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run without a discrepancy, whose toys cost less."""
    folder = tmp_path_factory.mktemp("published") / "run"
    outcome = fit(files, folder, "--no-discrepancy")
    assert outcome.code == 0, outcome
    return folder


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "run"))


SMALL = ("--datasets", "20", "--executor", "serial")


def test_a_mixture_covers_itself(files: Path, copy: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    outcome = run("coverage", copy, *SMALL, "--report", report, "--json")
    assert outcome.code == 0, outcome
    assert outcome.err == ""
    data = outcome.json
    assert data["schema"] == "verisimile.coverage-summary/1"
    (study,) = data["coverage"]
    assert [item["name"] for item in study["observables"]] == [
        "mean of m [GeV]",
        "mean of pt [GeV]",
    ]
    assert (study["mode"], study["datasets"], study["n_events"]) == ("conditional", 20, 320)
    assert "Coverage, conditional" in (report / "report.html").read_text()
    # Asked again in words: nothing is refitted, the same numbers come out.
    text = run("coverage", copy, *SMALL).out
    assert f"{study['observables'][0]['rate']:.3f}" in text
    assert "as often as stated" in text


def test_a_wrong_truth_is_not_covered(files: Path, copy: Path) -> None:
    options = ("--truth", files / "shifted.parquet", "--events", 50, "--moment", "m")
    outcome = run("coverage", copy, *SMALL, *options, "--quantile", "m:0.5")
    assert outcome.code == 1, outcome
    assert "share the 200 events" in outcome.out
    assert "0.5 quantile of m" in outcome.out


def test_coverage_plans_and_refuses(files: Path, copy: Path) -> None:
    plan = run("coverage", copy, "--dry-run", "--json").json
    assert [stage["name"] for stage in plan["stages"]] == ["members' expectations", "refits"]
    blind = run("coverage", copy, "--datasets", 5, "--executor", "serial")
    assert blind.code == 3
    assert blind.err.startswith("warning: nothing could pass: 5 data sets")
    refused(run("coverage", copy, "--level", "68.27"), "--level")
    refused(run("coverage", copy, "--moment", "eta", "--dry-run"), "--moment", "'eta'")
    refused(run("coverage", copy, "--moment", "m:400", "--dry-run"), "Moment.order", "400")
    few = ("--truth", files / "test.parquet", "--dry-run")
    refused(run("coverage", copy, *few), "--truth", "200 events")


def test_fit_says_what_it_made(files: Path, tmp_path: Path, fitted: Path) -> None:
    summary = fit(files, tmp_path / "run", "--json").json
    assert summary["schema"] == "verisimile.fit-summary/1"
    assert {m["address"]: m["sha256"] for m in summary["members"]} == {
        f"members/{name}": sha256 for name, sha256 in hashes(fitted).items()
    }
    assert sum(summary["fit"]["weights"]) == pytest.approx(1.0)
    told = summary["discrepancy"]
    assert told["claimed"] > told["claimed_by_weights"] > 0.0
    assert told["summary"]["record"]["n_events"] == 320
    assert summary["study"]["configuration"]["discrepancy"]["draws"] == 250
    assert [sample["n"] for sample in summary["study"]["inputs"]] == [480, 320]


def test_a_second_fit_trains_nothing(files: Path, honest: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (honest / "members").iterdir()}
    assert fit(files, honest).code == 0
    assert {path: path.stat().st_mtime_ns for path in (honest / "members").iterdir()} == before


def test_own_events_are_compatible(files: Path, honest: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    outcome = run(
        "gof", honest, files / "test.parquet", "--toys", 40, "--report", report, *TOYS, "--json"
    )
    assert outcome.code == 0, outcome
    assert outcome.err == ""
    data = outcome.json
    assert data["verdict"] == "passed"
    assert 0.05 < data["goodness"][0]["p_value"]["value"] <= 1.0
    written = json.loads((report / "result.json").read_text())
    assert written["content"]["samples"][0]["goodness"] == data["goodness"]
    names = [m["feature"]["name"] for m in written["content"]["samples"][0]["marginals"]]
    assert names == ["m", "pt"]
    assert {sample["role"] for sample in written["content"]["inputs"]} == {
        "training",
        "weight fit",
        "test",
    }
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "verisimile" in written["content"]["command"]
    assert page.count("<img") == 2 + 2 + 1 + 2 + 1  # those of the first screen come first
    (claims,) = written["content"]["results"]
    assert claims["schema"] == "verisimile.discrepancy-summary/1"
    assert claims["record"]["n_events"] == 320
    assert data["goodness"][0]["learnt_from"] == 320
    assert data["goodness"][0]["supports"] > 0
    assert "What the errors hold" in page


def test_other_events_are_not(files: Path, honest: Path) -> None:
    outcome = run("gof", honest, files / "shifted.parquet", "--toys", 40, *TOYS)
    assert outcome.code == 1, outcome
    assert "Not compatible" in outcome.out
    assert "none of 40" in outcome.out
    # Learnt from 320 events, tested on 200: the rejection stands without reserve.
    assert "has not learnt" not in outcome.out
    assert "support a test of" in outcome.out


def test_a_test_of_more_events_than_were_learnt_from_says_so(
    files: Path, honest: Path, tmp_path: Path
) -> None:
    write_events(draw(330, 5, shift=8.0), tmp_path / "many.parquet")
    outcome = run("gof", honest, tmp_path / "many.parquet", "--toys", 20, *TOYS)
    assert outcome.code == 1, outcome
    assert "learnt from 320 events, fewer than the 330 tested" in outcome.out
    assert "Fit on as many events as are tested, or test 320 at most." in outcome.out


def test_the_published_pipeline_is_called_so(files: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made = fit(files, folder, "--no-discrepancy")
    assert made.code == 0, made
    assert "the pipeline as published" in made.out
    assert "the pipeline as published" in (folder / "fit.json").read_text()
    described = run("inspect", folder, "--json").json
    assert described["discrepancy"] is None
    assert "the pipeline as published" in run("inspect", folder).out
    refused(fit(files, folder), "discrepancy", "as published")
    tested = run(
        *("gof", folder, files / "shifted.parquet", "--toys", 19, *TOYS, "--json"),
        *("--report", tmp_path / "report"),
    )
    assert tested.code == 1, tested
    (found,) = tested.json["goodness"]
    assert (found["n_training"], found["learnt_from"], found["supports"]) == (480, None, None)
    (conclusion,) = tested.json["conclusions"]
    assert "leave out what all members miss alike" in conclusion["sentence"]
    assert any("leave out what all members miss alike" in w for w in tested.json["warnings"])
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "the pipeline as published" in page
    assert "What the errors hold" not in page


def test_too_few_toys_decide_nothing(files: Path, copy: Path) -> None:
    outcome = run("gof", copy, files / "shifted.parquet", "--toys", 3, *TOYS)
    assert outcome.code == 3, outcome
    assert "at least 19" in outcome.err
    assert outcome.out == ""
    # Before any work, and in a dry run too.
    assert not (copy / "toys").exists()
    dry = run("gof", copy, files / "shifted.parquet", "--toys", 3, *TOYS, "--dry-run")
    assert dry.code == 3, dry
    demo = run("demo", "--toys", 5, "--out", files / "demo")
    assert (demo.code, demo.out) == (3, "")
    assert not (files / "demo").exists()


@pytest.mark.calibration
def test_every_hypothesis_and_null_can_be_chosen(files: Path, copy: Path) -> None:
    for hypothesis, null, width in (
        ("single", "plug-in", ("--width", 0.5)),
        ("ensemble", "fluctuated-centre", ("--width", 0.3, "--width", 0.6)),
    ):
        test, report = files / "test.parquet", ("--report", copy / "report")
        outcome = run(
            *("gof", copy, test, "--toys", 2, "--json", *(report if width[2:] == () else ())),
            *("--level", 0.4),
            *("--hypothesis", hypothesis, "--null", null, *width, *TOYS),
        )
        assert outcome.code in {0, 1}, outcome
        found = outcome.json["goodness"][0]
        assert (found["hypothesis"], found["null"]) == (hypothesis, null)


@pytest.mark.calibration
def test_widths_can_be_scanned(files: Path, copy: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    outcome = run(
        *("gof", copy, files / "shifted.parquet", "--toys", 39, "--scan", *TOYS),
        *("--width", 0.3, "--width", 0.8, "--report", report, "--json"),
    )
    assert outcome.code == 1, outcome
    found = outcome.json["goodness"][0]
    assert [part["widths"][2] for part in found["parts"]] == [0.3, 0.8]
    assert found["p_value"]["value"] == 1 / 40
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "p alone, not corrected" in page
    assert "Where the sample deviates most" in page


def test_both_forms_of_deviation_can_be_tested_together(files: Path, copy: Path) -> None:
    outcome = run(
        *("gof", copy, files / "shifted.parquet", "--toys", 39, "--alternative", "both", *TOYS),
        "--json",
    )
    assert outcome.code == 1, outcome
    names = [part["alternative"] for part in outcome.json["goodness"][0]["parts"]]
    assert ["kernels" in names[0], "tilt" in names[1]] == [True, True]


def test_toys_end_when_enough_are_extreme(files: Path, copy: Path) -> None:
    arguments = ("gof", copy, files / "test.parquet", "--toys", 500, "--exceedances", 3, *TOYS)
    outcome = run(*arguments, "--json")
    assert outcome.code == 0, outcome
    found = outcome.json["goodness"][0]
    assert found["p_value"]["n_null"] < found["most_toys"] == 500
    assert found["p_value"]["value"] == 3 / found["p_value"]["n_null"]
    refused(run(*arguments, "--scan"), "a fixed number")


def test_toys_are_reused(files: Path, copy: Path) -> None:
    for name in ("test", "shifted"):
        run("gof", copy, files / f"{name}.parquet", "--toys", 20, *TOYS)
    assert len(DirectoryStore(copy).addresses("toys")) == 2


def test_sample_can_be_read_back(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "sample.parquet"
    outcome = run("sample", fitted, "-n", 500, "--out", out, "--json")
    assert outcome.code == 0, outcome
    events = read_events(out)
    assert (events.n, events.features) == (500, FEATURES)
    assert events.digest == outcome.json["digest"]
    again = run("sample", fitted, "-n", 500, "--out", out, "--json").json["digest"]
    other = run("sample", fitted, "-n", 500, "--out", out, "--seed", 1, "--json").json["digest"]
    assert again == events.digest != other
    audit = outcome.json["audit"]
    assert audit["bound"] > 1.0
    assert 0.0 <= audit["overweight"] < 0.01
    assert "where events repeat" in run("sample", fitted, "-n", 500, "--out", out).out


def test_inspect_describes_the_run(fitted: Path) -> None:
    data = run("inspect", fitted, "--json").json
    assert len(data["members"]) == len(data["fit"]["weights"]) == MEMBERS
    assert data["discrepancy"]["claimed"] > 0.0
    text = run("inspect", fitted).out
    assert "Discrepancy of the members." in text
    assert "Claimed errors of the features' bins are" in text
    assert "train.parquet" in text
    assert "Members and weights are whole" in text


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_dry_runs_do_nothing(
    files: Path, fitted: Path, tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    before = sorted(path for path in fitted.rglob("*"))
    commands: list[tuple[object, ...]] = [
        ("fit", files / "train.parquet", "--out", tmp_path / "none", *TINY),
        ("gof", fitted, files / "test.parquet", "--toys", 55),
        ("sample", fitted, "-n", 3, "--out", tmp_path / "none.csv"),
        ("demo", "--out", tmp_path / "none"),
    ]
    for command in commands:
        outcome = run(*command, "--dry-run", *as_json)
        assert outcome.code == 0, outcome
        assert outcome.out
        if as_json:
            assert outcome.json["schema"].startswith("verisimile.")
    assert list(tmp_path.iterdir()) == []
    assert sorted(path for path in fitted.rglob("*")) == before


def test_weights_are_used_and_noted(files: Path, tmp_path: Path) -> None:
    events = draw(800, 1)
    weighted = Events(events.x, np.linspace(0.5, 1.5, 800), features=FEATURES)
    write_events(weighted, tmp_path / "w.parquet")
    folder = tmp_path / "run"
    outcome = run(
        "fit", tmp_path / "w.parquet", "--weights", "weight", "--out", folder, "--members", 1, *TINY
    )
    assert outcome.code == 0, outcome
    outcome = run(
        *("gof", folder, files / "test.parquet", "--toys", 2, "--level", 0.4, "--json"), *TOYS
    )
    assert "warning: the run was fitted with event weights" in outcome.err
    assert len(outcome.json["warnings"]) == 1


def test_a_csv_with_bounds_and_a_file_for_the_weight_fit(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_events(draw(400, seed), tmp_path / f"{name}.csv")
    folder = tmp_path / "run"
    outcome = run(
        *("fit", tmp_path / "a.csv", "--fit-events", tmp_path / "b.csv", "--out", folder),
        *("--features", "pt,m", "--support", "m=60:120", "--support", "pt=0:", "--members", 1),
        *(*TINY, "--json"),
    )
    assert outcome.code == 0, outcome
    features = outcome.json["study"]["inputs"][1]["features"]
    assert [(f["name"], f["low"], f["high"]) for f in features] == [
        ("pt", 0.0, "Infinity"),
        ("m", 60.0, 120.0),
    ]
    assert [sample["n"] for sample in outcome.json["study"]["inputs"]] == [400, 400]


def test_events_seen_in_training_are_noticed(files: Path, copy: Path, tmp_path: Path) -> None:
    train = read_events(files / "train.parquet").take(np.arange(150))
    write_events(train, tmp_path / "seen.parquet")
    report = tmp_path / "report"
    outcome = run(
        *("gof", copy, tmp_path / "seen.parquet", "--toys", 2, "--level", 0.4),
        *("--report", report, *TOYS),
    )
    assert outcome.code in {0, 1}
    assert "warning: " in outcome.err
    assert "also in the training sample" in outcome.err
    assert "also in the training sample" in (report / "report.html").read_text(encoding="utf-8")
    assert "also in the weight-fit sample" in (report / "summary.md").read_text(encoding="utf-8")


def columns(**changed: Sequence[float]) -> Mapping[str, Sequence[float]]:
    events = draw(300, 5)
    return {"m": list(events.x[:, 0]), "pt": list(events.x[:, 1]), **changed}


def spoilt(value: float) -> list[float]:
    return [*columns()["m"][:-1], value]


def write_csv(path: Path, table: Mapping[str, Sequence[float]]) -> Path:
    rows = zip(*table.values(), strict=True)
    text = "\n".join(",".join(f"{value!r}" for value in row) for row in rows)
    path.write_text(f"{','.join(table)}\n{text}\n".replace("np.float64(", "").replace(")", ""))
    return path


@pytest.mark.parametrize(
    ("table", "more", "words"),
    [
        (columns(m=spoilt(float("nan"))), (), ("'m'", "NaN", "row 299")),
        (columns(m=spoilt(float("inf"))), (), ("'m'", "infinite")),
        (columns(pt=[3.0] * 300), (), ("pt", "constant")),
        ({"m": [91.0], "pt": [3.0]}, (), ("events",)),
        ({name: [1.0, 2.0, 4.0] for name in "abc"}, (), ("folds", "events (3)")),
        ({"m": [], "pt": []}, (), ("x.csv",)),
        (columns(w=[1.0] * 150 + [-1.0] * 150), ("--weights", "w"), ("negative",)),
        (columns(w=[0.0] * 300), ("--weights", "w"), ("zero",)),
        (columns(), ("--weights", "u"), ("'u'",)),
        (columns(), ("--features", "m,eta"), ("'eta'", "'pt'")),
        (columns(), ("--features", "m,m"), ("'m'",)),
        (columns(), ("--support", "mass=0:1"), ("mass", "described features")),
        (columns(), ("--support", "m=89:91"), ("outside", "'m'")),
        (columns(), ("--support", "m=91:89"), ("low < high",)),
        (columns(), ("--support", "m"), ("name=low:high",)),
        (columns(), ("--fit-events", "x.csv", "--fit-fraction", "0.5"), ("one of the two",)),
        (columns(), ("--fit-events", "missing.csv"), ("no such file",)),
        (columns(), ("--fit-fraction", "1.0"), ("fraction",)),
        (columns(), ("--executor", "ray:somewhere"), ("loky:n",)),
        (columns(), ("--learning-rate", "-1"), ("learning_rate",)),
    ],
)
def test_bad_input_is_refused_before_any_training(
    tmp_path: Path,
    table: Mapping[str, Sequence[float]],
    more: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    path = write_csv(tmp_path / "x.csv", table)
    folder = tmp_path / "run"
    refused(run("fit", path, "--out", folder, "--members", 1, *TINY, *more), *words)
    assert not (folder / "members").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.parquet", None, ("no such file",)),
        ("empty.csv", b"", ("empty file",)),
        ("x.txt", b"1", ("unknown file format",)),
        ("x.parquet", b"not parquet", ("cannot be read",)),
        ("x.root", b"not root", ("x.root",)),
        ("words.csv", b"a,b\nx,y\nz,w\n", ("numeric",)),
    ],
)
def test_unreadable_files_are_refused(
    tmp_path: Path, fitted: Path, name: str, content: bytes | None, words: tuple[str, ...]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    refused(run("fit", path, "--out", tmp_path / "run", *TINY), name, *words)
    refused(run("gof", fitted, path, *TOYS), name)


def test_a_test_sample_with_other_columns_is_refused(fitted: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", {"m": [91.0, 92.0], "eta": [0.1, 0.2]})
    refused(run("gof", fitted, path, *TOYS), "'pt'", "'eta'")


def test_an_event_outside_the_support_is_what_the_model_calls_impossible(
    copy: Path, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "x.csv", {"m": [91.0, 400.0], "pt": [0.1, 0.2]})
    outcome = run("gof", copy, path, "--toys", 19, *TOYS, "--json")
    assert outcome.code == 1, outcome
    found = outcome.json["goodness"][0]
    assert found["p_value"]["value"] == 1 / 20
    assert found["surprise"]["impossible"] == 1


@pytest.mark.parametrize("level", ["0", "1", "-1"])
def test_a_level_that_is_none_is_refused(fitted: Path, files: Path, level: str) -> None:
    refused(run("gof", fitted, files / "test.parquet", "--level", level), "--level")


@pytest.mark.parametrize("command", [("gof", "x.csv"), ("sample", "-n", "1", "--out", "x.csv"), ()])
def test_a_folder_without_a_fit_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    name, *rest = command or ("inspect",)
    refused(run(name, tmp_path / "nowhere", *rest), "verisimile fit")
    assert not (tmp_path / "nowhere").exists()


def test_a_store_of_another_configuration_is_refused(
    files: Path, honest: Path, tmp_path: Path
) -> None:
    before = hashes(honest)
    for other in (("--seed", 1), ("--fit-fraction", "0.3"), ("--patience", 1)):
        refused(fit(files, honest, *other), "another configuration", "--out")
    refused(run("fit", files / "test.parquet", "--out", honest, "--members", MEMBERS, *TINY))
    assert hashes(honest) == before
    assert run("inspect", honest).code == 0


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
def test_a_damaged_member_is_named_and_mended(
    files: Path, honest: Path, fitted: Path, suffix: str
) -> None:
    path = honest / "members" / f"0001.{suffix}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for command in (
        ("gof", honest, files / "test.parquet", *TOYS),
        ("sample", honest, "-n", "1", "--out", honest / "x.csv"),
    ):
        refused(run(*command), "members/0001", "corrupt")
    told = run("inspect", honest)
    assert told.code == 3
    reason = "its arrays are" if suffix == "safetensors" else "its text is"
    assert f"Damaged: members/0001: {reason} damaged" in told.out
    assert fit(files, honest).code == 0
    assert hashes(honest) == hashes(fitted)


def test_a_missing_weight_record_is_named(copy: Path) -> None:
    shutil.rmtree(copy / "mixture")
    refused(run("sample", copy, "-n", "1", "--out", copy / "x.csv"), "verisimile fit")
    told = run("inspect", copy)
    assert told.code == 4
    assert "Missing: " in told.out
    assert "a missing record at mixture/weights" in told.out


def test_serial_and_parallel_agree(files: Path, fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert fit(files, folder, "--executor", "loky:2").code == 0
    assert hashes(folder) == hashes(fitted)


@pytest.mark.parametrize(
    "blow", [pytest.param(signal.SIGKILL, marks=pytest.mark.fire), signal.SIGINT]
)
def test_stopped_work_is_resumed(
    files: Path, fitted: Path, tmp_path: Path, blow: signal.Signals
) -> None:
    folder = tmp_path / "run"
    command = ["fit", str(files / "train.parquet"), "--out", str(folder), *SPLIT, *TINY]
    command += ["--members", str(MEMBERS)]
    code, _, err = stop_before("members/0002", command, blow, tmp_path / "sign")
    kept = {path: path.stat().st_mtime_ns for path in (folder / "members").glob("*.json")}
    assert sorted(path.name for path in kept) == ["0000.json", "0001.json"]
    if blow is signal.SIGINT:
        assert code == 4
        assert err.startswith("stopped: finished so far")
        assert err.count("\n") == 1
    else:
        assert code == -signal.SIGKILL
    refused(run("gof", folder, files / "test.parquet"), "it continues where it stopped")
    assert run(*command).code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert hashes(folder) == hashes(fitted)
