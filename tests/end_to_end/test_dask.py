"""Real schedulers and workers, really killed: the results are those of a quiet serial run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import map_tasks
from dask_cluster import PATIENCE, DaskProcesses, alive, until
from verisimile.core import dask_executor
from verisimile.core.dask_executor import Dask
from verisimile.core.errors import IncompleteError, InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.records import Record
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore

dask = pytest.importorskip("dask", reason="the extra dask is not installed")
distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

SEEDS = Seeds(7)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """Two workers that no test kills."""
    with DaskProcesses(tmp_path_factory.mktemp("cluster")) as processes:
        processes.worker()
        processes.worker()
        yield processes


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """What a plain loop gives."""
    plain = Run(SEEDS).map(map_tasks.draw, map_tasks.tasks(range(12)), label="draw")
    return map_tasks.hashes(plain)


def _drawn(run: Run) -> list[str]:
    return map_tasks.hashes(run.map(map_tasks.draw, map_tasks.tasks(range(12)), label="draw"))


@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_the_same_bytes_as_in_one_process(
    cluster: DaskProcesses, expected: list[str], tmp_path: Path, kind: str
) -> None:
    store = None if kind == "memory" else tmp_path / "store"
    run = Run(SEEDS, executor=cluster.executor, store=store)
    assert _drawn(run) == expected
    run.executor.abort()


def test_every_task_sees_one_inner_thread(cluster: DaskProcesses) -> None:
    """Also in workers without a nanny, to whom nobody has said so."""
    run = Run(SEEDS, executor=cluster.executor)
    outcomes = run.map(map_tasks.threads, map_tasks.tasks(range(4)), label="threads")
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    assert len(records) == 4
    assert {int(number) for record in records for number in record.arrays["threads"]} == {1}
    run.executor.abort()


def test_an_address_and_failures_of_tasks(cluster: DaskProcesses) -> None:
    run = Run(SEEDS, executor=f"dask:{cluster.address}")
    kinds = ["", "support", "unpicklable", "division", ""]
    outcomes = run.map(map_tasks.fail, map_tasks.tasks(kinds), label="fail", max_failed=0.6)
    assert [isinstance(outcome, Record) for outcome in outcomes] == [not kind for kind in kinds]
    run.executor.abort()


def test_a_client_stays_the_users(cluster: DaskProcesses, expected: list[str]) -> None:
    with distributed.Client(cluster.address, set_as_default=False) as client:
        run = Run(SEEDS, executor=client)
        assert _drawn(run) == expected
        run.executor.abort()
        assert client.status == "running"
        assert client.submit(int, "3", pure=False).result() == 3
        del run
    with pytest.raises(IncompleteError, match="a client that is closed"):
        _drawn(Run(SEEDS, executor=client))


def test_an_asynchronous_client_is_refused(cluster: DaskProcesses) -> None:
    async def use() -> None:
        address = cluster.address
        async with distributed.Client(address, asynchronous=True, set_as_default=False) as client:
            with pytest.raises(InputError, match="asynchronous"):
                Run(SEEDS, executor=client)

    asyncio.run(use())


def test_workers_may_come_late_and_have_several_threads(
    expected: list[str], tmp_path: Path
) -> None:
    """The inner threads of BLAS belong to the process, and last bits depend on them."""
    with DaskProcesses(tmp_path / "cluster") as processes:
        run = Run(SEEDS, executor=processes.executor, store=tmp_path / "store")
        assert isinstance(run.executor, Dask)
        run.executor.start()
        assert run.executor.window == 2
        assert "no worker has come yet" in run.executor.remark
        late = threading.Timer(0.0, lambda: processes.worker(threads=4))
        late.start()
        got = []
        with pytest.warns(VerisimileWarning, match="4 threads; a process does one task at a time"):
            got += [*_drawn(run), run.executor.start()]
        late.join()
        assert got[:-1] == expected
        assert run.executor.remark == ""
        futures = [run.executor.start().submit(map_tasks.alone) for _ in range(8)]
        assert all(future.result() for future in futures)
        run.executor.abort()


def test_a_late_worker_that_does_not_fit_ends_the_map_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*_: object) -> None:
        raise InputError("dask workers", got="python 3.9 on w", expected="the same everywhere")

    monkeypatch.setattr("verisimile.core.dask_pool.check_versions", other)
    log = tmp_path / "log"
    log.mkdir()
    with DaskProcesses(tmp_path / "cluster") as processes:
        run = Run(SEEDS, executor=processes.executor, store=tmp_path / "store")
        assert isinstance(run.executor, Dask)
        run.executor.start()
        processes.worker()
        items = map_tasks.tasks([(str(log), index, 1.0) for index in range(200)])
        with pytest.raises(InputError, match=r"python 3\.9 on w"):
            run.map(map_tasks.nap, items, label="nap")
        run.executor.abort()


def test_a_killed_worker_costs_only_what_was_in_flight(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    with DaskProcesses(tmp_path / "cluster") as processes:
        for _ in range(3):
            processes.worker()
        run = Run(SEEDS, executor=processes.executor, store=tmp_path / "store")
        items = map_tasks.tasks([(str(log), index, index in (3, 9)) for index in range(14)])
        outcomes = run.map(map_tasks.die_once, items, label="die")
        run.executor.abort()
    extra = len(map_tasks.executions(log)) - 14
    quiet = map_tasks.tasks([(str(log), index, False) for index in range(14)])
    plain = Run(SEEDS).map(map_tasks.die_once, quiet, label="die")
    assert map_tasks.hashes(outcomes) == map_tasks.hashes(plain)
    assert 2 <= extra <= 8


@pytest.mark.fire
def test_a_killed_scheduler_ends_the_map_which_goes_on_with_another(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    store = DirectoryStore(tmp_path / "store")
    items = map_tasks.tasks([(str(log), index, 0.1) for index in range(16)])
    with DaskProcesses(tmp_path / "first") as processes:
        processes.worker()
        processes.worker()

        def assassin() -> None:
            until(lambda: len(store.addresses()) >= 4)
            processes.kill(processes.scheduler)

        thread = threading.Thread(target=assassin)
        thread.start()
        run = Run(SEEDS, executor=processes.executor, store=store)
        with pytest.raises(IncompleteError, match=r"dask cluster: got .*continues from there"):
            run.map(map_tasks.nap, items, label="nap")
        thread.join()
        run.executor.abort()
    kept = len(store.addresses())
    begun = len(map_tasks.executions(log))
    assert 4 <= kept <= begun < 16
    with DaskProcesses(tmp_path / "second") as processes:
        processes.worker()
        run = Run(SEEDS, executor=processes.executor, store=store)
        outcomes = run.map(map_tasks.nap, items, label="nap")
        run.executor.abort()
    assert len(map_tasks.executions(log)) == begun + 16 - kept
    plain = Run(SEEDS).map(map_tasks.nap, items, label="nap")
    assert map_tasks.hashes(outcomes) == map_tasks.hashes(plain)


@pytest.mark.fire
def test_a_scheduler_that_stops_ends_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verisimile.core.dask_pool._SILENT_SECONDS", 2.0)
    log = tmp_path / "log"
    log.mkdir()
    with DaskProcesses(tmp_path / "cluster") as processes:
        processes.worker()

        def stopper() -> None:
            until(lambda: map_tasks.executions(log))
            processes.scheduler.send_signal(signal.SIGSTOP)

        thread = threading.Thread(target=stopper)
        thread.start()
        run = Run(SEEDS, executor=processes.executor, store=tmp_path / "store")
        items = map_tasks.tasks([(str(log), index, 0.5) for index in range(50)])
        with pytest.raises(IncompleteError, match=r"no answer of the scheduler in 2 s"):
            run.map(map_tasks.nap, items, label="nap")
        thread.join()
        run.executor.abort()


def test_a_deadly_task_fails_and_its_neighbours_do_not(tmp_path: Path) -> None:
    with DaskProcesses(tmp_path / "cluster", allowed_failures=0) as processes:
        processes.worker(nanny=True)
        processes.worker(nanny=True)
        run = Run(SEEDS, executor=processes.executor, store=tmp_path / "store")
        items = map_tasks.tasks([index == 2 for index in range(8)])
        outcomes = run.map(map_tasks.die_always, items, label="poison", max_failed=0.2)
        run.executor.abort()
    (failure,) = [outcome for outcome in outcomes if not isinstance(outcome, Record)]
    assert (failure.address, failure.kind, failure.outside) == ("members/0002", "WorkerDied", True)
    assert "its worker died in each of 2 attempts" in failure.message


@pytest.mark.fire
def test_without_workers_the_map_ends_and_keeps_what_there_is(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    with (
        DaskProcesses(tmp_path / "cluster") as processes,
        dask.config.set({"distributed.scheduler.no-workers-timeout": "3s"}),
    ):
        processes.worker()
        run = Run(SEEDS, executor=processes.executor, store=store)
        assert isinstance(run.executor, Dask)
        spec = run.executor
        until(lambda: spec.start().threads)
        items = map_tasks.tasks([index == 3 for index in range(4)])
        with pytest.raises(IncompleteError, match=r"no worker in 3 s.*NO_WORKERS_TIMEOUT=2h"):
            run.map(map_tasks.die_always, items, label="poison")
        run.executor.abort()
    assert store.addresses() == ["members/0000", "members/0001", "members/0002"]


def test_a_local_cluster_ends_hanging_tasks_and_itself(expected: list[str], tmp_path: Path) -> None:
    run = Run(SEEDS, executor="dask:local:2", store=tmp_path / "store")
    spec = run.executor
    assert isinstance(spec, Dask)
    assert _drawn(run) == expected
    assert (spec.workers, spec.window) == (2, 4)
    pool = spec.start()
    pids = [pool.submit(os.getpid).result() for _ in range(4)]
    hanging = pool.submit(map_tasks.hang)
    until(lambda: any(pool.client.processing().values()))
    spec.interrupt([hanging])
    assert hanging.cancelled()
    assert pool.submit(int, "3").result() == 3
    spec.abort()
    until(lambda: not any(alive(pid) for pid in pids))


DRIVER = """
import os, sys
import map_tasks
from verisimile.core.executor import resolve_executor

if __name__ == "__main__":
    spec = resolve_executor("dask:local:2")
    pool = spec.start()
    pids = set()
    while len(pids) < 2:
        pids |= {future.result() for future in [pool.submit(os.getpid) for _ in range(8)]}
    print(*pids, flush=True)
    if sys.argv[1] == "killed":
        pool.submit(map_tasks.hang).result()
"""


@pytest.mark.parametrize("how", ["killed", "done"])
def test_local_workers_do_not_outlive_the_driver(how: str) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, how],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with driver:
        assert driver.stdout is not None
        pids = [int(word) for word in driver.stdout.readline().split()]
        if how == "killed":
            assert all(map(alive, pids))
            driver.kill()
        assert driver.wait(PATIENCE) == (-signal.SIGKILL if how == "killed" else 0)
    assert len(pids) == 2
    until(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize("form", ["tcp://127.0.0.1:1", "scheduler-file=/nowhere/scheduler.json"])
def test_nobody_answers(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(IncompleteError, match=r"dask cluster at .*Start it, or correct"):
        _drawn(Run(SEEDS, executor=f"dask:{form}"))
