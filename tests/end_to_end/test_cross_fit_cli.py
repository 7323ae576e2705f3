"""The command line from one file to a mixture, with every event used and none twice in one fit."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from stopping import stop_before
from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.files import read_events, write_events

TINY = ("--epochs", 2, "--layers", 1, "--hidden", 8, "--bins", 4, "--executor", "serial")
FOLDS = ("--members", 5, "--folds", 3)
QUICK = ("--kernels", 10, "--executor", "serial")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def draw(n: int, seed: int) -> Events:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(90.0, 5.0, n), rng.exponential(20.0, n)])
    return Events(x, names=("m", "pt"))


def hashes(folder: Path) -> dict[str, str]:
    found = sorted((folder / "members").glob("*.json"))
    return {path.stem: json.loads(path.read_text())["sha256"] for path in found}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_events(draw(300, 1), folder / "all.parquet")
    write_events(draw(200, 2), folder / "test.parquet")
    return folder


@pytest.fixture(scope="module")
def summary(files: Path) -> Any:  # noqa: ANN401  (JSON of any shape)
    done = call("fit", files / "all.parquet", "--out", files / "run", *FOLDS, *TINY, "--json")
    assert done.exit_code == 0, done.output
    assert "6 flows, and not 5: equally many for 3 folds" in done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def copy(files: Path, summary: Any, tmp_path: Path) -> Path:  # noqa: ANN401
    return Path(shutil.copytree(files / "run", tmp_path / "run"))


def test_one_file_serves_both_ends(files: Path, summary: Any, copy: Path) -> None:  # noqa: ANN401
    assert [(s["role"], s["n"]) for s in summary["study"]["inputs"]] == [
        ("training and weight fit", 300)
    ]
    assert (len(summary["members"]), len(summary["fit"]["weights"])) == (6, 2)
    assert summary["fit"]["record"]["n_events"] == 300
    assert summary["study"]["configuration"]["folds"] == 3
    # Said again in words, without any training: a line for each flow, with its part of a weight.
    again = call("fit", files / "all.parquet", "--out", copy, *FOLDS, *TINY)
    assert again.exit_code == 0, again.output
    assert all(f"members/000{i}" in again.stdout for i in range(6))
    assert "Weights fitted on 300 events" in again.stdout


@pytest.mark.calibration
def test_whatever_reads_a_run_reads_this_one(files: Path, copy: Path, tmp_path: Path) -> None:
    inspected = json.loads(call("inspect", copy, "--json").stdout)
    assert (len(inspected["members"]), len(inspected["fit"]["weights"])) == (6, 2)
    assert "Members and weights are whole" in call("inspect", copy).stdout
    out = tmp_path / "sample.parquet"
    assert call("sample", copy, "-n", 100, "--out", out).exit_code == 0
    assert read_events(out).n == 100
    report = tmp_path / "report"
    tested = call(
        *("gof", copy, files / "test.parquet", "--toys", 2, "--level", 0.4, *QUICK),
        *("--report", report, "--json"),
    )
    assert tested.exit_code in (0, 1), tested.output
    assert json.loads(tested.stdout)["goodness"][0]["n_events"] == 200
    assert "training and weight fit" in (report / "report.html").read_text(encoding="utf-8")
    covered = call("coverage", copy, "--datasets", 4, "--executor", "serial", "--json")
    assert json.loads(covered.stdout)["coverage"][0]["n_events"] == 300
    worth = call(
        *("amplify", copy, "--holdout", files / "test.parquet", "--out", tmp_path / "amplified"),
        *("--regions", "4", "--json"),
    )
    assert worth.exit_code == 0, worth.output


def test_its_own_events_are_noticed_once_in_a_test(files: Path, copy: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen.parquet"
    write_events(read_events(files / "all.parquet").take(np.arange(50)), seen)
    tested = call("gof", copy, seen, "--toys", 2, "--level", 0.4, *QUICK)
    assert tested.exit_code in (0, 1)
    assert tested.stderr.count("50 of 50 test events are also in the training and weight-fit") == 1


def test_the_plan_says_how_the_flows_are_shared_out(files: Path, tmp_path: Path) -> None:
    fit = ("fit", files / "all.parquet", "--out", tmp_path / "none", *TINY, "--dry-run", "--json")
    stage, _ = json.loads(call(*fit, "--members", 5).stdout)["stages"]
    assert stage["name"] == "ensemble training, 2 flows outside of each of 4 folds"
    assert stage["tasks"] == 8
    stage, mixing = json.loads(call(*fit, "--members", 5, "--fit-fraction", 0.3).stdout)["stages"]
    assert (stage["name"], stage["tasks"]) == ("ensemble training", 5)
    assert (mixing["name"], mixing["records"]) == ("weights and discrepancy", 0)
    assert list(tmp_path.iterdir()) == []


def test_wrong_folds_are_refused(files: Path, copy: Path, tmp_path: Path) -> None:
    fit = ("fit", files / "all.parquet", *TINY, "--out")
    wrong: list[tuple[tuple[object, ...], str]] = [
        (("--folds", 3, "--fit-fraction", 0.4), "one of the three"),
        (("--folds", 3, "--fit-events", files / "test.parquet"), "one of the three"),
        (("--folds", 151), "folds"),
    ]
    for other, words in wrong:
        refused = call(*fit, tmp_path / "none", *other)
        assert refused.exit_code == 2, refused.output
        assert words in refused.stderr
    assert not (tmp_path / "none").exists()
    for option, value in (("--folds", 2), ("--fit-fraction", 0.4)):
        refused = call(*fit, copy, "--members", 6, option, value)
        assert refused.exit_code == 2, refused.output
        assert "another configuration" in refused.stderr


def test_a_damaged_flow_is_named_and_mended(files: Path, copy: Path) -> None:
    path = copy / "members" / "0004.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    refused = call("gof", copy, files / "test.parquet")
    assert refused.exit_code == 2
    assert "members/0004" in refused.stderr
    told = call("inspect", copy)
    assert told.exit_code == 3
    assert "Damaged: members/0004" in told.stdout
    assert call("fit", files / "all.parquet", "--out", copy, *FOLDS, *TINY).exit_code == 0
    assert hashes(copy) == hashes(files / "run")


def test_stopped_work_is_resumed_to_the_same_bytes(files: Path, copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    command = ["fit", str(files / "all.parquet"), "--out", str(folder), *map(str, (*FOLDS, *TINY))]
    code, _, _ = stop_before("members/0003", command, signal.SIGKILL, tmp_path / "sign")
    assert code == -signal.SIGKILL
    assert sorted(hashes(folder)) == ["0000", "0001", "0002"]
    assert call(*command).exit_code == 0
    assert hashes(folder) == hashes(copy)
    weights = [path / "mixture" / "weights.safetensors" for path in (folder, copy)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
