"""What a task costs beside its own work, by executor, and what limits a cluster.

10 000 tasks that draw nothing, each with its record in a run folder: CPU time of all processes
together, and how the driver's memory grows from a fifth of them to the end.  Then one scheduler
with 1, 2 and 4 worker processes, and with as many tasks in flight as 1 000 workers would have:
CPU time per task of driver and scheduler, fitted as a + b w with w the tasks in flight, and of a
scheduler whose workers do nothing, from their heartbeats.

Everything beyond 4 workers is an EXTRAPOLATION of that fit on one machine: load = rate x CPU per
task, with rate = workers / seconds per task, plus heartbeats as often as dask's own rule has
them.  A process breaks at a load of 1.  The file server is taken to be as fast as this disk.
Written as ``docs/figures/overhead.png``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import distributed
import numpy as np
import psutil
from distributed.scheduler import heartbeat_interval
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import map_tasks
import verisimile as vs
from dask_cluster import DaskProcesses, until
from verisimile.core.dask_executor import Dask
from verisimile.core.records import Payload
from verisimile.core.store import DirectoryStore
from verisimile.core.tasks import Task

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "figures" / "overhead.png"
EXECUTORS = ("serial", "loky:2", "dask:local:2")
WORKERS = (1, 2, 4)
WINDOWS = (200, 2000)
DURATIONS = (1.0, 10.0, 60.0)
MOST = 1000


def tasks(count: int, stage: str) -> list[Task]:
    """Return tasks that do next to nothing."""
    seeds = vs.Seeds(1).at(stage)
    return [Task(f"{stage}/{i:06d}", {"stage": stage}, seeds.at(i), (i,)) for i in range(count)]


def cpu(processes: Sequence[psutil.Process]) -> float:
    """Return CPU seconds of processes."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


class Memory:
    """A progress that notes the driver's memory whenever a task ends."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def begin(self, label: str, total: int, done: int) -> Memory:  # noqa: ARG002
        """Begin anew."""
        self.seen = []
        return self

    def advance(self) -> None:
        """Note it, now and then."""
        self.seen.append(0 if len(self.seen) % 100 else psutil.Process().memory_info().rss)

    def close(self) -> None:
        """Do nothing."""

    @property
    def growth(self) -> float:
        """Relative growth of the largest of the last fifth over the largest of the second."""
        fifth = len(self.seen) // 5
        return max(self.seen[-fifth:]) / max(self.seen[fifth : 2 * fifth]) - 1.0


def by_executor(count: int) -> None:
    """Print what a task costs with each executor."""
    print(f"{count} tasks     CPU ms / task   of it driver   wall ms / task   memory")
    for word in EXECUTORS:
        with tempfile.TemporaryDirectory() as folder:
            memory = Memory()
            run = vs.Run(vs.Seeds(1), executor=word, store=folder, progress=memory)
            run.map(map_tasks.tiny, tasks(64, "first"), label="first", small=True)
            own = psutil.Process()
            everybody = [own, *own.children(recursive=True)]
            before, mine, started = cpu(everybody), cpu([own]), time.perf_counter()
            work = tasks(count, "tiny")
            run.map(map_tasks.tiny, work, label="tiny", keep=lambda _: None, small=True)
            wall = time.perf_counter() - started
            total, driver = (1e3 * x / count for x in (cpu(everybody) - before, cpu([own]) - mine))
            run.executor.abort()
        print(
            f"{word:14} {total:14.2f} {driver:14.2f} {1e3 * wall / count:16.2f}"
            f" {memory.growth:+8.1%}",
            flush=True,
        )


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one task, with so many worker processes and tasks in flight."""

    workers: int
    window: int
    driver: float
    scheduler: float
    worker: float


class Wide(Dask):
    """A cluster with a stated number of tasks in flight."""

    __slots__ = ("stated",)

    @property
    def window(self) -> int:
        """What was stated."""
        return self.stated


@contextmanager
def cluster(workers: int) -> Iterator[tuple[DaskProcesses, Wide]]:
    """Run a scheduler and workers, until the end of the block."""
    with tempfile.TemporaryDirectory() as folder, DaskProcesses(Path(folder)) as processes:
        for _ in range(workers):
            processes.worker()
        spec = Wide("dask", lambda: distributed.Client(processes.address), lambda c: c.close())
        spec.stated = 2 * workers
        until(lambda: len(spec.start().threads) == workers)
        try:
            yield processes, spec
        finally:
            spec.abort()


def cost(workers: int, window: int, count: int) -> Cost:
    """Measure CPU seconds per task."""
    with cluster(workers) as (processes, spec):
        run = vs.Run(vs.Seeds(1), executor=spec)
        run.map(map_tasks.tiny, tasks(64, "first"), label="first")
        spec.stated = window
        scheduler, *hands = (psutil.Process(each.pid) for each in processes.processes)
        groups = [[psutil.Process()], [scheduler], hands]
        before = [cpu(group) for group in groups]
        run.map(map_tasks.tiny, tasks(count, "tiny"), label="tiny")
        spent = [cpu(group) - b for group, b in zip(groups, before, strict=True)]
    driver, scheduling, working = (seconds / count for seconds in spent)
    return Cost(workers, window, driver, scheduling, working)


def heartbeat(seconds: float) -> float:
    """Return the scheduler's CPU seconds for one heartbeat of a worker."""
    with cluster(4) as (processes, _):
        scheduler = [psutil.Process(processes.scheduler.pid)]
        before = cpu(scheduler)
        time.sleep(seconds)
        return (cpu(scheduler) - before) / (seconds * 4 / heartbeat_interval(4))


def record_seconds(count: int = 200) -> float:
    """Return the time that one writer needs for one small record here."""
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(folder)
        started = time.perf_counter()
        for i in range(count):
            store.append(f"t/{i:06d}", "0" * 64, "t", Payload({"x": np.array([1.0])}))
        return (time.perf_counter() - started) / count


@dataclass(frozen=True)
class Model:
    """Loads of the processes there is one of, in cores, fitted to costs."""

    costs: Sequence[Cost]
    beat: float

    def of_task(self, role: str, workers: float) -> float:
        """Return fitted CPU seconds per task: a + b w."""
        windows = [each.window for each in self.costs]
        found = [getattr(each, role) for each in self.costs]
        slope, constant = np.polyfit(windows, found, 1, w=1.0 / np.array(found))
        return float(constant + max(slope, 0.0) * 2 * workers)

    def load(self, role: str, workers: float, duration: float) -> float:
        """Return cores in use, which is at most 1."""
        idle = workers / heartbeat_interval(int(workers)) * self.beat
        rate = workers / duration
        return rate * self.of_task(role, workers) + (idle if role == "scheduler" else 0.0)

    def limit(self, role: str, duration: float) -> int:
        """Return the largest number of workers with a load of at most 1, up to 100 000."""
        sizes = np.unique(np.geomspace(1, 1e5, 400).astype(int))
        fits = [n for n in sizes if self.load(role, n, duration) <= 1.0]
        return int(max(fits, default=0))


def tell(model: Model, record: float) -> None:
    """Print the costs, and what they mean for many workers."""
    print("\nworkers  in flight   CPU ms / task: driver  scheduler  worker")
    for each in model.costs:
        parts = (1e3 * x for x in (each.driver, each.scheduler, each.worker))
        print(f"{each.workers:7} {each.window:10}  {'':15}" + "".join(f"{x:9.2f}" for x in parts))
    print(f"a heartbeat costs the scheduler {1e3 * model.beat:.2f} ms, a record {1e3 * record:.2f}")
    print(f"\nEXTRAPOLATED to {MOST} workers from at most {max(WORKERS)}; loads in cores")
    print("task lasts   tasks / s   driver  scheduler   most workers: driver  scheduler  disk")
    for duration in DURATIONS:
        loads = [model.load(role, MOST, duration) for role in ("driver", "scheduler")]
        limits = [model.limit(role, duration) for role in ("driver", "scheduler")]
        limits.append(int(duration / record))
        print(
            f"{duration:8.0f} s {MOST / duration:11.0f} {loads[0]:8.2f} {loads[1]:10.2f} {'':14}"
            + "".join(f"{'> 100000' if n >= 100_000 else n:>10}" for n in limits)
        )


def draw(model: Model) -> None:
    """Write the figure."""
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    windows = np.geomspace(2, 2 * MOST, 60)
    for role, colour in {"driver": "C0", "scheduler": "C1"}.items():
        found = [1e3 * getattr(each, role) for each in model.costs]
        left.plot([each.window for each in model.costs], found, "o", color=colour)
        fitted = [1e3 * model.of_task(role, w / 2) for w in windows]
        left.plot(windows, fitted, color=colour, label=f"{role}, fitted")
        for duration, style in zip(DURATIONS, (":", "--", "-"), strict=True):
            sizes = np.geomspace(1, 10 * MOST, 80)
            loads = [model.load(role, n, duration) for n in sizes]
            label = f"{role}, tasks of {duration:.0f} s"
            right.loglog(sizes, loads, style, color=colour, label=label)
    left.set(xscale="log", ylim=(0.0, None), xlabel="tasks in flight", ylabel="CPU ms / task")
    right.axhline(1.0, color="black", lw=0.8)
    right.axvspan(1, max(WORKERS), color="0.9", label="measured")
    right.set(xlabel="workers (extrapolated)", ylabel="load in cores", ylim=(1e-4, 30.0))
    left.legend(fontsize=7)
    right.legend(fontsize=6)
    figure.savefig(FIGURE, dpi=110)


def main() -> None:
    """Print both tables and draw the second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    count = parser.parse_args().tasks
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # for the workers
    by_executor(count)
    few = max(count // 5, 200)
    costs = [cost(n, 2 * n, few) for n in WORKERS]
    costs += [cost(max(WORKERS), window, 2 * few) for window in WINDOWS]
    model = Model(costs, heartbeat(20.0 if count >= 10_000 else 5.0))
    tell(model, record_seconds())
    draw(model)


if __name__ == "__main__":
    main()
