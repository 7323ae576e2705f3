"""What a map promises, whoever runs its tasks and wherever the records are kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import loky
import numpy as np
import pytest

import map_tasks
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.core.records import Record
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore, MemoryStore, Store
from verisimile.core.tasks import Failure

SEEDS = Seeds(7)


@pytest.fixture(scope="module")
def loky_run() -> Run:
    """One pool for the whole module: `Run.at` shares it."""
    return Run(SEEDS, executor="loky:2")


@pytest.fixture(scope="module")
def own_processes() -> Iterator[Executor]:
    """A process pool as a user may bring it."""
    pool: Executor = loky.ProcessPoolExecutor(1, timeout=60)
    yield pool
    pool.shutdown()


@pytest.fixture(scope="module")
def dask_run() -> Iterator[Run]:
    """One local cluster for the whole module."""
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    run = Run(SEEDS, executor="dask:local:2")
    yield run
    run.executor.abort()


@pytest.fixture(params=["serial", "loky", "threads", "own-processes", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[object]:
    if request.param == "serial":
        yield "serial"
    elif request.param == "loky":
        yield request.getfixturevalue("loky_run").executor
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "dask":
        yield request.getfixturevalue("dask_run").executor
    else:
        yield request.getfixturevalue("own_processes")


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else DirectoryStore(tmp_path / "store")


@pytest.fixture
def run(executor: Executor, store: Store) -> Run:
    return Run(SEEDS, executor=executor, store=store)


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """What a plain loop gives."""
    plain = Run(SEEDS).map(map_tasks.draw, map_tasks.tasks(range(6)), label="draw")
    return map_tasks.hashes(plain)


def test_results_are_the_same_bits_in_the_order_of_the_tasks(run: Run, expected: list[str]) -> None:
    outcomes = run.map(map_tasks.draw, map_tasks.tasks(range(6)), label="draw")
    assert map_tasks.hashes(outcomes) == expected
    assert [outcome.address for outcome in outcomes] == [f"members/{i:04d}" for i in range(6)]


def test_done_is_done(run: Run, tmp_path: Path) -> None:
    items = map_tasks.tasks([(str(tmp_path), index) for index in range(5)])
    first = run.map(map_tasks.logged, items[:3], label="log")
    everything = run.map(map_tasks.logged, items, label="log")
    assert map_tasks.hashes(everything[:3]) == map_tasks.hashes(first)
    assert map_tasks.executions(tmp_path) == [0, 1, 2, 3, 4]


def test_failures_do_not_stop_the_others(run: Run) -> None:
    kinds = ["", "support", "", "unpicklable", "division", ""]
    outcomes = run.map(map_tasks.fail, map_tasks.tasks(kinds), label="fail", max_failed=0.5)
    assert [isinstance(outcome, Record) for outcome in outcomes] == [not kind for kind in kinds]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [failure.kind for failure in failures] == [
        "SupportError",
        "_NotToBePickledError",
        "ZeroDivisionError",
    ]
    assert failures[0].message == "events: got a mass of -1; expected m > 0. Cut it away."
    assert failures[1].message.startswith("1 and 2 (")
    assert "map_tasks.py:" in failures[2].message
    assert {failure.attempts for failure in failures} == {1}


def test_too_many_failures_end_in_an_error_that_keeps_the_rest(run: Run) -> None:
    items = map_tasks.tasks(["", "division", ""])
    with pytest.raises(NumericsError, match=r"1 of 3 tasks failed \(members/0001: ZeroDivision"):
        run.map(map_tasks.fail, items, label="fail")
    assert run.store.addresses() == ["members/0000", "members/0002"]


def test_wrong_results_are_failures(run: Run) -> None:
    (outcome,) = run.map(map_tasks.no_payload, map_tasks.tasks([3]), label="wrong", max_failed=1.0)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "InputError"
    assert "expected a Payload" in outcome.message


def test_every_task_sees_one_inner_thread(run: Run) -> None:
    outcomes = run.map(map_tasks.threads, map_tasks.tasks(range(4)), label="threads")
    for outcome in outcomes:
        assert isinstance(outcome, Record)
        assert outcome.arrays["threads"].size > 0
        assert set(outcome.arrays["threads"].tolist()) == {1}


def test_no_tasks_no_results(run: Run) -> None:
    assert run.map(map_tasks.draw, [], label="nothing") == []


def test_records_know_their_stage(run: Run) -> None:
    (outcome,) = run.map(map_tasks.draw, map_tasks.tasks([0]), label="draw")
    assert isinstance(outcome, Record)
    assert outcome.label == "draw"
    assert not outcome.arrays["product"].flags.writeable
    assert np.isfinite(outcome.arrays["product"]).all()
