"""The table of faults: whatever dies, the numbers are those of an undisturbed serial run.

Each row is a process that does fit, goodness of fit, validation and coverage of a small study
(``tests/fire``) and meets its fault in every one of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

import verisimile as vs
from fire import study
from fire.scenario import (
    EXECUTORS,
    FAULTS,
    OF_THE_DISK,
    PATIENCE,
    STEPS,
    WAITING,
    sensible,
    stages_of,
)

pytestmark = pytest.mark.slow

_TESTS = Path(__file__).parents[1]
# What one task consists of, and so what each task in flight may cost twice.
_OF_A_TASK = {"fit": 1, "gof": 20, "validate": 1, "coverage": 12}
_IN_FLIGHT = {"serial": 1, "loky:2": 4, "dask": 4, "shards": 2}


@cache
def _undisturbed() -> str:
    return study.perform_stages(vs.Run(vs.Seeds(study.SEED)), study.STAGES)


@cache
def _name_spaces() -> bool:
    if not (shutil.which("unshare") and sys.platform == "linux"):
        return False
    return (
        subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
    )


# Rows with workers start many processes; other tests do on a smaller scale what they do.
_ALWAYS = {
    ("fill-disk", "serial"),
    ("damage", "serial"),
    ("two-writers", "serial"),
}


def _rows() -> list[ParameterSet]:
    rows = [(f, e) for e in EXECUTORS for f in FAULTS if sensible(f, e)]
    return [
        pytest.param(*row, marks=() if row in _ALWAYS else pytest.mark.fire)
        for row in rows
        if row not in WAITING
    ]


@pytest.mark.parametrize(("fault", "executor"), _rows())
def test_numbers_survive(fault: str, executor: str, tmp_path: Path) -> None:
    if executor == "dask":
        pytest.importorskip("distributed", reason="dask is not installed")
    if fault in OF_THE_DISK and not _name_spaces():
        pytest.skip("this machine lets nobody mount a small disk")
    _check(fault, executor, _started(fault, executor, tmp_path))


@pytest.mark.fire
def test_numbers_survive_what_takes_its_time(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="dask is not installed")
    started = [_started(fault, executor, tmp_path) for fault, executor in WAITING]
    for (fault, executor), process in zip(WAITING, started, strict=True):
        _check(fault, executor, process)


def _started(fault: str, executor: str, folder: Path) -> subprocess.Popen[str]:
    words = ["unshare", "-rm"] if fault in OF_THE_DISK else []
    home = folder / f"{fault}-{executor.partition(':')[0]}"
    words += [sys.executable, "-m", "fire.scenario", fault, executor, str(home)]
    path = os.pathsep.join([str(_TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        words,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _check(fault: str, executor: str, process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=4 * PATIENCE)
    assert process.returncode == 0, (fault, executor, err[-3000:])
    found = json.loads(out.splitlines()[-1])
    assert found["digest"] == _undisturbed()
    assert found["ends"][-1] == 0
    assert 70 not in found["ends"], err[-3000:]
    _check_faults(fault, executor, found)
    _check_work(fault, executor, found)


def _check_faults(fault: str, executor: str, found: dict[str, list[str] | list[int]]) -> None:
    """A fault that never happened would prove nothing."""
    ends = found["ends"]
    if fault == "two-writers":
        assert ends == [0, 0, 4, 0]  # the stranger is refused
    elif fault == "damage":
        assert ends == [0, 0]
    else:
        assert found["sprung"] == list(stages_of(fault, executor))
        fatal = {"kill-driver", "fill-disk", "read-only", "kill-scheduler", "poison"}
        if executor != "shards":  # of which each ends with 4 anyway
            fatal.add("terminate")
        if executor in ("serial", "shards"):
            fatal.add("kill-worker")
        if fault in fatal:
            assert len(ends) > 1


def _check_work(fault: str, executor: str, found: dict[str, dict[str, int]]) -> None:
    """No finished task is computed twice, but for those in flight when something died."""
    interruptions = 1
    if fault == "poison":
        interruptions = 4  # three deaths convict a task, and it goes again once it is mended
    if fault in OF_THE_DISK:
        interruptions = 5  # what cannot be written is lost, until three tasks said so, twice
    for stage, steps in found["steps"].items():
        lost = _IN_FLIGHT[executor] * interruptions * _OF_A_TASK[stage]
        if fault == "damage":
            lost = {"fit": 2}.get(stage, _OF_A_TASK[stage])
        if fault == "two-writers":
            continue  # the next test
        assert STEPS[stage] <= steps <= STEPS[stage] + lost, (stage, found["steps"])
