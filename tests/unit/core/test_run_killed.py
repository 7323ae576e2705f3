"""Real processes, really killed: the results are those of a quiet serial run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import map_tasks
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore, MemoryStore, Store
from verisimile.core.tasks import Failure

SEEDS = Seeds(7)
PATIENCE = 240.0  # seconds: far beyond any machine's need, far below a task's hour


@pytest.fixture(scope="module")
def pool() -> Iterator[Run]:
    run = Run(SEEDS, executor="loky:2")
    yield run
    run.executor.abort()


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else DirectoryStore(tmp_path / "store")


def test_killed_workers_cost_only_what_was_in_flight(
    pool: Run, store: Store, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    items = map_tasks.tasks([(str(log), index, index in (3, 9)) for index in range(14)])
    run = Run(SEEDS, executor=pool.executor, store=store)
    outcomes = run.map(map_tasks.die_once, items, label="die")
    quiet = map_tasks.tasks([(str(log), index, False) for index in range(14)])
    expected = Run(SEEDS).map(map_tasks.die_once, quiet, label="die")
    assert map_tasks.hashes(outcomes) == map_tasks.hashes(expected)
    # 14 here, 14 in the quiet run, and at most a full window for each death.
    extra = len(map_tasks.executions(log)) - 28
    assert 2 <= extra <= 2 * run.executor.window


def test_a_deadly_task_fails_and_its_neighbours_do_not(pool: Run, store: Store) -> None:
    run = Run(SEEDS, executor=pool.executor, store=store)
    items = map_tasks.tasks([index == 2 for index in range(8)])
    outcomes = run.map(map_tasks.die_always, items, label="poison", max_failed=0.2)
    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert (failure.address, failure.kind, failure.attempts) == ("members/0002", "WorkerDied", 3)
    assert "SIGKILL" in failure.message
    assert len(store.addresses()) == 7


DRIVER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
import map_tasks
from verisimile.core.random import Seeds
from verisimile.core.run import Run

log, store, executor = sys.argv[1:]
items = map_tasks.tasks([(log, index, 0.0 if index < 4 else 3600.0) for index in range(12)])
print("begin", flush=True)
Run(Seeds(7), executor=executor, store=store).map(map_tasks.nap, items, label="nap")
"""


def _drive(log: Path, store: DirectoryStore, executor: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(log), str(store.path), executor],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _assert_interrupted(driver: subprocess.Popen[bytes]) -> None:
    """The driver ends without its tasks, with its own traceback last and nobody left behind."""
    _, stderr = driver.communicate(timeout=PATIENCE)
    assert driver.returncode in (-signal.SIGINT, 130)
    # The tracker of semaphores may find one gone that the interrupted pool has removed itself.
    lines = stderr.decode().strip().splitlines()
    text = "\n".join(line for line in lines if "resource_tracker" not in line)
    # Of workers there is none; the thread that watches them may have one of its own.
    assert text.count("Traceback") - text.count("Exception in executor manager thread") == 1
    assert text.endswith("KeyboardInterrupt")
    _until(lambda: not _alive_in_group(driver.pid))


@pytest.mark.fire
@pytest.mark.parametrize("delay", [0.06, 0.15])
def test_workers_are_deaf_to_ctrl_c_while_they_start(tmp_path: Path, delay: float) -> None:
    driver = _drive(tmp_path, DirectoryStore(tmp_path / "store"), "loky:2")
    assert driver.stdout is not None
    driver.stdout.readline()
    time.sleep(delay)
    os.killpg(driver.pid, signal.SIGINT)
    _assert_interrupted(driver)


@pytest.mark.parametrize("executor", ["serial", "loky:2"])
@pytest.mark.filterwarnings("ignore:taken over from what has ended")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_driver_is_resumed(
    tmp_path: Path, executor: str, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    store = DirectoryStore(tmp_path / "store")
    driver = _drive(log, store, executor)
    sleepers = 2 if executor == "loky:2" else 1
    _until(lambda: len(store.addresses()) == 4)
    _until(lambda: len(map_tasks.executions(log)) == 4 + sleepers)
    # Like Ctrl-C in a terminal, which reaches the whole process group.
    os.killpg(driver.pid, number)
    if number == signal.SIGINT:
        _assert_interrupted(driver)
    else:
        driver.communicate(timeout=PATIENCE)
    assert store.addresses() == [f"members/{index:04d}" for index in range(4)]

    items = map_tasks.tasks([(str(log), index, 0.0) for index in range(12)])
    before = map_tasks.executions(log)
    resumed = Run(SEEDS, store=store).map(map_tasks.nap, items, label="nap")
    assert map_tasks.executions(log) == sorted([*before, *range(4, 12)])
    expected = Run(SEEDS).map(map_tasks.nap, items, label="nap")
    assert map_tasks.hashes(resumed) == map_tasks.hashes(expected)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain for {PATIENCE:g} s")
        time.sleep(0.02)


def _alive_in_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
