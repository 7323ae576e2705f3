"""Task functions that worker processes can import, and the tasks that use them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from verisimile.core.errors import SupportError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.tasks import Task


def tasks(arguments: Iterable[Any], *, config: object = "same") -> list[Task]:
    """One task for each argument, at members/0000 and following."""
    return [
        Task(f"members/{index:04d}", {"config": str(config)}, Seeds(7).at("member", index), (arg,))
        for index, arg in enumerate(arguments)
    ]


def hashes(outcomes: Iterable[object]) -> list[str]:
    """The payload hashes; an outcome that is no record fails the test."""
    found = []
    for outcome in outcomes:
        if not isinstance(outcome, Record):
            raise AssertionError(f"no record: {outcome}")
        found.append(outcome.sha256)
    return found


def executions(log: str | Path) -> list[int]:
    """Sorted arguments of all `logged` and `nap` calls that finished or died on the way."""
    return sorted(int(path.name.split(".")[0]) for path in Path(log).glob("*.ran"))


def draw(seeds: Seeds, shift: float) -> Payload:
    """Random numbers that go through BLAS, whose last bits may depend on the threads."""
    x = seeds.numpy().normal(loc=shift, size=(150, 150))
    return Payload({"product": x @ x.T, "sum": np.array(x.sum())}, {"pid": os.getpid()})


def logged(seeds: Seeds, argument: tuple[str, int]) -> Payload:
    """Draw, and leave a file that says so."""
    log, index = argument
    _note(log, index)
    return draw(seeds, float(index))


def nap(seeds: Seeds, argument: tuple[str, int, float]) -> Payload:
    """Sleep before drawing."""
    log, index, duration = argument
    _note(log, index)
    time.sleep(duration)
    return draw(seeds, float(index))


def die_once(seeds: Seeds, argument: tuple[str, int, bool]) -> Payload:
    """Kill the worker at the first attempt, if told so."""
    log, index, deadly = argument
    marker = Path(log) / f"{index}.died"
    _note(log, index)
    if deadly and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(seeds, float(index))


def die_always(seeds: Seeds, deadly: bool) -> Payload:
    """Kill the worker at every attempt, if told so, while a neighbour is at work."""
    time.sleep(0.05)
    if deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return draw(seeds, 0.0)


class _NotToBePickledError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def fail(seeds: Seeds, kind: str) -> Payload:
    """Raise an error of the kind, or draw."""
    if kind == "support":
        raise SupportError("events", got="a mass of -1", expected="m > 0", remedy="Cut it away.")
    if kind == "unpicklable":
        raise _NotToBePickledError(1, 2)
    if kind == "division":
        return Payload({"x": np.array(1 // int(kind == "never"))})
    return draw(seeds, 0.0)


def no_payload(seeds: Seeds, argument: object) -> Payload:
    """Return something else than was promised."""
    return {"value": argument}  # type: ignore[return-value]


def threads(seeds: Seeds, argument: object) -> Payload:
    """Report the inner threads that the task sees."""
    np.ones((2, 2)) @ np.ones((2, 2))
    seen = [int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]
    return Payload({"threads": np.array(seen, dtype=np.int64)}, {"pid": os.getpid()})


def hang() -> None:
    """Never end."""
    threading.Event().wait()


_INSIDE = threading.Lock()


def alone() -> bool:
    """Whether no other call ran in this process meanwhile."""
    first = _INSIDE.acquire(blocking=False)
    time.sleep(0.02)
    if first:
        _INSIDE.release()
    return first


def _note(log: str, index: int) -> None:
    (Path(log) / f"{index}.{os.getpid()}.{time.monotonic_ns()}.ran").touch()


def tiny(seeds: Seeds, argument: int) -> Payload:
    """Next to nothing."""
    return Payload({"x": np.array([float(argument)])})
