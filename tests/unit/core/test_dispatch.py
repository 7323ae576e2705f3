"""The driver's loop, with pools that die on command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, ParamSpec, TypeVar

import pytest

from verisimile.core.dispatch import MAX_REBUILDS, dispatch
from verisimile.core.errors import InputError
from verisimile.core.parcels import Parcels
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.store import MemoryStore
from verisimile.core.tasks import Call, Failure, Reply, Task, Work

PARCELS = Parcels(MemoryStore())

P = ParamSpec("P")
T = TypeVar("T")


def _address(args: tuple[object, ...]) -> str:
    return next(arg.task.address for arg in args if isinstance(arg, Call))


class Batches(Executor):
    """Settles what is in flight all at once; one deadly call kills the whole batch."""

    def __init__(self, spec: Pools) -> None:
        self.spec = spec
        self.lock = threading.Lock()
        self.batch: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.broken = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        with self.lock:
            if self.broken:
                raise BrokenExecutor("dead already")
            if not self.batch:
                threading.Timer(0.1, self.settle).start()
            self.batch.append((future, lambda: fn(*args, **kwargs)))
            self.spec.most = max(self.spec.most, len(self.batch))
            self.spec.attempts.append(_address(args))
        return future

    def settle(self) -> None:
        with self.lock:
            batch, self.batch = self.batch, []
            addresses = self.spec.attempts[-len(batch) :]
            self.broken = bool(self.spec.deadly.intersection(addresses))
        for future, call in batch:
            if not future.set_running_or_notify_cancel():
                continue
            if self.broken:
                future.set_exception(BrokenExecutor("a worker was killed. Really.\nmore"))
            else:
                future.set_result(call())


class Pools:
    """An executor specification that counts what is asked of it."""

    name = "pools"
    window = 4
    workers = 4
    here = True

    def __init__(self, *deadly: str, renewable: bool = True) -> None:
        self.deadly = set(deadly)
        self.renewable = renewable
        self.started = 0
        self.aborted = 0
        self.most = 0
        self.attempts: list[str] = []

    def start(self, broken: Executor | None = None) -> Executor:  # noqa: ARG002
        self.started += 1
        return Batches(self)

    def interrupt(self, late: Sequence[Future[Any]]) -> bool:  # noqa: ARG002
        return False

    def abort(self) -> None:
        self.aborted += 1


def _fine(seeds: Seeds) -> Payload:
    return Payload()


def go(spec: Pools, count: int) -> dict[int, Reply]:
    replies: dict[int, Reply] = {}
    calls = [Call(index, Task(f"t{index}", {}, Seeds(1)), "f") for index in range(count)]
    dispatch(spec, Work(_fine, "stage", None), calls, replies.__setitem__, parcels=PARCELS)
    return replies


def failed(replies: dict[int, Reply]) -> dict[str, int]:
    failures = [reply for reply in replies.values() if isinstance(reply, Failure)]
    assert {failure.kind for failure in failures} <= {"WorkerDied"}
    return {failure.address: failure.attempts for failure in failures}


def test_flight_is_bounded_and_everything_is_done_once() -> None:
    spec = Pools()
    assert len(go(spec, 11)) == 11
    assert spec.most == spec.window
    assert len(spec.attempts) == 11
    assert (spec.started, spec.aborted) == (1, 0)


def test_nothing_to_do_starts_nothing() -> None:
    spec = Pools()
    assert go(spec, 0) == {}
    assert spec.started == 0


@pytest.mark.parametrize("deadly", ["t0", "t5", "t10"])
def test_one_deadly_task_is_convicted_and_no_bystander(deadly: str) -> None:
    spec = Pools(deadly)
    replies = go(spec, 11)
    assert len(replies) == 11
    assert failed(replies) == {deadly: 3}


def test_several_deadly_tasks_among_many() -> None:
    spec = Pools("t1", "t8", "t15")
    assert failed(go(spec, 24)) == {"t1": 3, "t8": 3, "t15": 3}


def test_pools_that_always_die_are_not_replaced_for_ever() -> None:
    spec = Pools(*(f"t{index}" for index in range(50)))
    replies = go(spec, 50)
    assert len(failed(replies)) == 50
    assert spec.started == 1 + MAX_REBUILDS


def test_an_executor_of_the_user_is_not_replaced() -> None:
    spec = Pools("t0", renewable=False)
    replies = go(spec, 11)
    assert spec.started == 1
    assert len(failed(replies)) == 11


def test_the_reason_is_one_sentence() -> None:
    reply = go(Pools("t0", renewable=False), 1)[0]
    assert isinstance(reply, Failure)
    assert reply.message == "a worker was killed"


def test_an_interrupt_in_the_driver_cancels_and_goes_on() -> None:
    spec = Pools()
    calls = [Call(index, Task(f"t{index}", {}, Seeds(1)), "f") for index in range(30)]

    def interrupt(index: int, reply: Reply) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dispatch(spec, Work(_fine, "stage", None), calls, interrupt, parcels=PARCELS)
    assert spec.aborted == 1
    assert len(spec.attempts) == spec.window


def test_a_closed_executor_is_named() -> None:
    class Closed(Pools):
        def start(self, broken: Executor | None = None) -> Executor:  # noqa: ARG002
            from concurrent.futures import ThreadPoolExecutor

            pool = ThreadPoolExecutor(1)
            pool.shutdown()
            return pool

    with pytest.raises(InputError, match="refuses work"):
        go(Closed(), 1)
