"""What a command prints and writes arrives, or its exit code says so; what was there stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import write_events

PROGRAM = [sys.executable, "-c", "from verisimile.app.cli import main; main()"]
PLAN = ("demo", "--dry-run", "--executor", "serial", "--json")
TINY = ("--epochs", "2", "--layers", "1", "--hidden", "16", "--bins", "4", "--members", "2")
SPLIT = ("--fit-fraction", "0.4", "--no-discrepancy", "--executor", "serial")
QUICK = ("--permutations", "19", "--tests", "mean-ks", "--executor", "serial")


def call(
    *words: object, shell: str = 'exec "$@"', folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command by a line of a shell, in which it is ``"$@"``."""
    return subprocess.run(
        ["bash", "-c", shell, "bash", *PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def told(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def events() -> Events:
    x = np.random.default_rng(1).normal(size=(400, 2))
    return Events(x, features=(Feature("a"), Feature("b")))


@pytest.fixture(scope="module")
def home(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    write_events(events, folder / "train.parquet")
    done = call("fit", "train.parquet", "--out", "run", *TINY, *SPLIT, folder=folder)
    assert done.returncode == 0, done
    return folder


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        ('"$@" > /dev/full', "No space left on device"),
        pytest.param('"$@" >&-', "it is closed", marks=pytest.mark.fire),
        pytest.param('"$@" | true; exit ${PIPESTATUS[0]}', "Broken pipe", marks=pytest.mark.fire),
    ],
)
def test_what_is_not_delivered_is_no_success(shell: str, reason: str, tmp_path: Path) -> None:
    assert call(*PLAN, folder=tmp_path).returncode == 0
    told(call(*PLAN, shell=shell, folder=tmp_path), 4, "standard output", reason)


@pytest.mark.parametrize("shell", ['"$@" > /dev/full', '"$@" | true; exit ${PIPESTATUS[0]}'])
def test_help_that_is_cut_short_is_no_verdict(shell: str) -> None:
    done = call("--help", shell=shell)
    assert done.returncode in (0, 4)  # a pipe may hold a short text that nobody reads
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ['"$@" 2> /dev/full', '"$@" 2>&-'])
def test_errors_that_nobody_reads_keep_their_code(shell: str, tmp_path: Path) -> None:
    done = call("inspect", tmp_path, shell=shell)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.fire
def test_a_largest_file_is_a_full_disk(home: Path, tmp_path: Path) -> None:
    # As on a disk that fills up: writing fails on the way, here after 1 MiB.
    shell = 'ulimit -f 1024; exec "$@"'
    done = call("sample", home / "run", "-n", 200_000, "--out", tmp_path / "x.npz", shell=shell)
    told(done, 4, "File too large", "Free some space")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.calibration
def test_a_sample_replaces_samples_alone(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    command = ("sample", home / "run", "-n", 50, "--out", file)
    assert call(*command).returncode == 0
    first = file.read_bytes()
    assert call(*command).returncode == 0  # the same command, the same bytes
    assert file.read_bytes() == first
    train = (home / "train.parquet").read_bytes()
    file.write_bytes(train)
    told(call(*command), 2, str(file), "say --force")
    assert file.read_bytes() == train
    assert call(*command, "--force").returncode == 0
    assert file.read_bytes() == first


@pytest.mark.fire
def test_formats_that_do_not_say_by_whom_are_not_replaced(home: Path, tmp_path: Path) -> None:
    command = ("sample", home / "run", "-n", 50, "--out", tmp_path / "x.csv")
    assert call(*command).returncode == 0
    told(call(*command), 2, ".csv does not say by whom", "say --force")
    assert call(*command, "--force").returncode == 0


@pytest.mark.fire
def test_a_report_of_somebody_else_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    page = tmp_path / "out" / "report.html"
    page.write_text("mine")
    samples = (home / "train.parquet", home / "train.parquet")
    command = ("validate", *samples, *QUICK, "--out", "out", "--json")
    for more in ((), ("--dry-run",)):
        told(call(*command, *more, folder=tmp_path), 2, "report.html", "--force")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]
    first = call(*command, "--force", folder=tmp_path)
    again = call(*command, folder=tmp_path)
    assert first.returncode == again.returncode == 3, (first, again)
    assert json.loads(first.stdout)["verdict"] == json.loads(again.stdout)["verdict"]
    assert "mine" not in page.read_text(encoding="utf-8")
