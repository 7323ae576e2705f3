"""Signals and time limits stop a command in order: nothing lost, nobody left, code 4."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import map_tasks
import napping
from verisimile.core.random import Seeds
from verisimile.core.run import Run

PATIENCE = 240.0  # seconds: far beyond any machine's need, far below a task's hour
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2")
RESUME = "Run the same command again: it continues from there.\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def at_work(driver: subprocess.Popen[str], log: Path, sleepers: int) -> None:
    """Wait until the short tasks are kept and the long ones run."""
    kept = log.parent / "run" / "members"

    def ready() -> bool:
        assert driver.poll() is None, driver.communicate()
        running = len(map_tasks.executions(log)) >= napping.SHORT + sleepers
        return running and len(list(kept.glob("*.json"))) == napping.SHORT

    until(ready)


def ended(driver: subprocess.Popen[str], reason: str) -> None:
    """Require code 4, one line that says why and what is kept, and nobody left."""
    out, err = driver.communicate(timeout=PATIENCE)
    assert (driver.returncode, out) == (4, ""), err
    assert err.startswith(f"stopped{reason}: finished so far and kept in ")
    assert err.endswith(f": 4 members. {RESUME}")
    assert err.count("\n") == 1
    until(lambda: not napping.alive(driver.pid))


def resumed(log: Path) -> None:
    """Require that the same command does the rest, to the bytes of an undisturbed run."""
    before = map_tasks.executions(log)
    again = napping.start(log.parent / "run", "--log", log, "--executor", "serial", "--long", "0")
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    done = map_tasks.executions(log)
    assert done == sorted([*before, *range(napping.SHORT, napping.TASKS)])
    tasks = map_tasks.tasks([(str(log), index, 0.0) for index in range(napping.TASKS)])
    quiet = Run(Seeds(7)).map(map_tasks.nap, tasks, label="nap")
    assert json.loads(out)["hashes"] == map_tasks.hashes(quiet)


@pytest.mark.parametrize(
    ("executor", "name"),
    [
        *(("serial", name) for name in SIGNALS),
        ("loky:2", "SIGINT"),
        *(pytest.param("loky:2", name, marks=pytest.mark.fire) for name in SIGNALS[1:]),
    ],
)
def test_a_signal_to_the_group_stops_in_order(log: Path, executor: str, name: str) -> None:
    driver = napping.start(log.parent / "run", "--log", log, "--executor", executor)
    at_work(driver, log, 2 if executor == "loky:2" else 1)
    os.killpg(driver.pid, getattr(signal, name))
    ended(driver, "" if name == "SIGINT" else f" by {name}")
    resumed(log)


def test_the_limit_of_processor_time_stops_in_order(log: Path) -> None:
    driver = napping.start(log.parent / "run", "--log", log, "--executor", "loky:2")
    at_work(driver, log, 2)
    driver.send_signal(signal.SIGXCPU)  # each process has a limit of its own
    ended(driver, " by SIGXCPU")


def test_one_stop_may_come_as_two_signals(log: Path) -> None:
    driver = napping.start(log.parent / "run", "--log", log, "--executor", "loky:2")
    at_work(driver, log, 2)
    driver.send_signal(signal.SIGTERM)
    os.killpg(driver.pid, signal.SIGTERM)
    ended(driver, " by SIGTERM")


def test_workers_of_a_killed_driver_end_too(log: Path) -> None:
    driver = napping.start(log.parent / "run", "--log", log, "--executor", "loky:2")
    at_work(driver, log, 2)
    driver.kill()
    _, err = driver.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    until(lambda: not napping.alive(driver.pid))
    resumed(log)


def test_a_second_signal_ends_at_once(log: Path) -> None:
    driver = napping.start(log.parent / "run", "--log", log, "--executor", "serial", "--stubborn")
    until(lambda: len(map_tasks.executions(log)) == 1)
    driver.send_signal(signal.SIGTERM)
    until(lambda: (log / "refused").exists())
    time.sleep(1.1)  # what comes sooner is the same stop
    driver.send_signal(signal.SIGTERM)
    assert driver.communicate(timeout=PATIENCE) == ("", "")
    assert driver.returncode == 4


def test_nohup_means_it(log: Path) -> None:
    driver = napping.start(
        log.parent / "run", "--log", log, "--executor", "serial", before="trap '' HUP"
    )
    at_work(driver, log, 1)
    driver.send_signal(signal.SIGHUP)
    driver.send_signal(signal.SIGTERM)
    ended(driver, " by SIGTERM")


@pytest.mark.fire
@pytest.mark.parametrize("executor", ["serial", "loky:2"])
def test_the_time_is_over(log: Path, executor: str) -> None:
    words = ("--log", log, "--executor", executor, "--max-seconds", 15)
    driver = napping.start(log.parent / "run", *words)
    ended(driver, " after --max-seconds 15")
    resumed(log)
