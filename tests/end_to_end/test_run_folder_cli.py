"""``inspect`` and ``gc`` on the folder of a fit: whole, damaged, unfinished, in use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from store_processes import CLAIMER, NO_PRIVILEGE, Process
from verisimile.app.cli import app
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.files import write_events

TINY = ("--epochs", "2", "--layers", "1", "--hidden", "16", "--bins", "4", "--executor", "serial")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def described(home: Path, code: int) -> Any:  # noqa: ANN401  (JSON of any shape)
    result = call("inspect", home, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def fit(folder: Path, home: Path) -> Result:
    split = ("--fit-fraction", "0.4", "--no-discrepancy")
    return call("fit", folder / "train.csv", "--out", home, "--members", 3, *split, *TINY)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    x = np.random.default_rng(5).normal(size=(400, 2))
    write_events(Events(x, names=("a", "b")), folder / "train.csv")
    made = fit(folder, folder / "run")
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def home(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted / "run", tmp_path / "run"))


def contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_whole_run_is_described_and_nothing_is_written(home: Path) -> None:
    before = contents(home)
    data = described(home, 0)
    assert data["schema"] == "verisimile.inspect/1"
    assert data["state"]["whole"] is True
    assert data["state"]["stages"]["members"]["records"] == data["records"]["members"] == 3
    assert data["state"]["stages"]["members"]["versions"]["numpy"] == [np.__version__]
    assert len(data["members"]) == 3
    text = call("inspect", home).stdout
    assert "All records are whole." in text
    assert f"numpy {np.__version__}" in text
    assert contents(home) == before


def test_a_page_of_the_records_is_made_and_nothing_is_written_there(
    home: Path, tmp_path: Path
) -> None:
    before = contents(home)
    made = call("report", home, "--out", tmp_path / "page")
    assert made.exit_code == 3, made.output  # nothing was compared
    assert contents(home) == before
    kept = json.loads((tmp_path / "page" / "result.json").read_text(encoding="utf-8"))
    assert len(kept["content"]["training"]) == 3
    assert len(kept["content"]["fit"]["weights"]) == 3


def test_what_is_missing_is_named_and_made_again(fitted: Path, home: Path) -> None:
    for suffix in ("json", "safetensors"):
        (home / f"members/0001.{suffix}").unlink()
    (home / "fit.json").unlink()
    DirectoryStore(home).save("unfinished/members-0001", "f", "x", Payload())
    data = described(home, 4)
    assert data["state"]["missing"] == [
        "members/0001, a member of the ensemble.",
        "fit.json: the fit is not finished.",
    ]
    assert data["state"]["unfinished"] == ["unfinished/members-0001"]
    assert data["study"] is None
    text = call("inspect", home).stdout
    assert "Missing: members/0001, a member of the ensemble." in text
    assert "Unfinished: unfinished/members-0001: the same command goes on from there." in text
    assert fit(fitted, home).exit_code == 0
    assert described(home, 0)["study"] is not None


def test_damage_is_named_and_removed(fitted: Path, home: Path) -> None:
    path = home / "members/0002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    (damaged,) = described(home, 3)["state"]["damaged"]
    assert damaged["address"] == "members/0002"
    before = contents(home)
    size = sum(map(len, before.values()))
    dry = call("gc", home, "--dry-run")
    assert dry.exit_code == 0
    assert "Would remove damaged records, 2 (" in dry.stdout
    assert contents(home) == before
    removed = json.loads(call("gc", home, "--json").stdout)
    assert removed["removed"][0]["names"] == ["members/0002.json", "members/0002.safetensors"]
    assert removed["bytes"] == size - sum(map(len, contents(home).values()))
    assert described(home, 4)["state"]["missing"] == ["members/0002, a member of the ensemble."]
    assert fit(fitted, home).exit_code == 0
    assert described(home, 0)
    assert "Nothing to remove." in call("gc", home).stdout


@pytest.mark.parametrize("name", ["fit.json", "manifest.json"])
def test_a_damaged_document_is_named(home: Path, name: str) -> None:
    (home / name).write_text("{")
    data = described(home, 3)
    assert name in data["state"]["unreadable"][0]
    assert f"{name}: got text that is not JSON" in call("inspect", home).stdout


def test_a_run_of_another_command_is_told_too(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "run")
    store.append("relabel/0", "f", "relabel", Payload({"x": np.ones(3)}))
    data = described(store.path, 0)
    assert (data["records"], data["study"]) == ({"relabel": 1}, None)
    (segment,) = (store.path / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1] + b"\x7f" + b"damage")
    assert described(store.path, 3)["state"]["damaged"][0]["address"] == "relabel/0"


def test_leases_are_told_and_respected(home: Path) -> None:
    holder = Process(CLAIMER, "f", home)
    holder.line()
    holder.go_on()
    assert holder.line() == "holds"
    (live,) = described(home, 0)["state"]["leases"]["live"]
    assert f"process {holder.pid} on " in live
    before = contents(home)
    for more in ((), ("--dry-run",)):
        refused = call("gc", home, *more)
        assert refused.exit_code == 2
        assert f"process {holder.pid} on " in refused.stderr
        assert "nobody uses" in refused.stderr
    assert contents(home) == before
    holder.kill()
    assert len(described(home, 0)["state"]["leases"]["stale"]) == 1
    assert "Removed leases of processes that have ended, 1 (" in call("gc", home).stdout
    assert described(home, 0)["state"]["leases"] == {"live": [], "stale": []}


def test_checkpoints_go_when_they_are_asked_for(home: Path) -> None:
    checkpoint = Checkpoint(DirectoryStore(home), "stacks-0000", "g", 0.0)
    checkpoint.offer(Payload)
    checkpoint.offer(Payload)
    assert "Nothing to remove." in call("gc", home).stdout
    assert "Removed checkpoints, 1 (" in call("gc", home, "--unfinished").stdout
    assert "unfinished" not in described(home, 0)["records"]


@pytest.mark.fire
def test_finished_work_is_read_where_nothing_can_be_written(
    fitted: Path, home: Path, tmp_path: Path
) -> None:
    x = np.random.default_rng(6).normal(size=(200, 2))
    write_events(Events(x, names=("a", "b")), tmp_path / "test.csv")
    test = ("--toys", "19", "--kernels", "10", "--executor", "serial", "--json")
    gof = ["gof", str(home), str(tmp_path / "test.csv"), *test]
    first = call(*gof)
    assert first.exit_code in (0, 1, 3), first.output
    before = contents(home)
    split = ["--fit-fraction", "0.4", "--no-discrepancy"]
    fits = ["fit", str(fitted / "train.csv"), "--out", str(home), "--members", "3", *split, *TINY]
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        (again, second), (refit, _), (other, refused) = (
            powerless(*command) for command in (gof, ["inspect", str(home)], [*gof, "--seed", "3"])
        )
        fitted_again, text = powerless(*fits)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert again == first.exit_code
    assert json.loads(second)["goodness"] == json.loads(first.stdout)["goodness"]
    assert refit == 0
    assert fitted_again == 0, text
    assert other != 0, refused
    assert contents(home) == before


def powerless(*arguments: str) -> tuple[int, str]:
    code = NO_PRIVILEGE + "from verisimile.app.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout or done.stderr


@pytest.mark.parametrize("command", ["inspect", "gc"])
def test_what_is_no_run_is_refused(tmp_path: Path, command: str) -> None:
    (tmp_path / "x.json").write_text("{}")
    for place in (tmp_path, tmp_path / "nowhere"):
        refused = call(command, place)
        assert refused.exit_code == 2
        assert "no finished fit" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_help_says_the_exit_codes() -> None:
    text = " ".join(call("inspect", "--help").stdout.split())
    assert "0 whole, 3 something is damaged, 4 something is missing" in text
