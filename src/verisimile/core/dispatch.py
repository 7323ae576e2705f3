"""The driver's loop: a bounded number of calls in flight, through the death of workers."""

from __future__ import annotations

import hashlib
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import IncompleteError, InputError, StoreError, VerisimileError
from verisimile.core.executor import ExecutorSpec, TaskLost, quiet_pool, single_threaded
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt
from verisimile.core.store import Store


@dataclass(frozen=True, slots=True)
class Task:
    """One item of a map.

    Parameters
    ----------
    address
        Where its record is kept: ``members/0007``.
    config
        Everything, apart from the seeds, that determines the outcome.
    seeds
        Its random streams.
    args
        What the function gets after the seeds.
    """

    address: str
    config: Mapping[str, JSON]
    seeds: Seeds
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A task without a record: what happened, and in how many attempts.

    `outside` says that the machine failed and not the task: a full disk, no memory, a
    worker that died.  Such a failure says nothing about what was to be computed.
    """

    address: str
    kind: str
    message: str
    attempts: int
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What the tasks of one map have in common; `store` only if a worker may write to it."""

    fn: Callable[..., Payload]
    label: str
    store: Store | None
    small: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A task that has to be done, with its place in the map."""

    index: int
    task: Task
    fingerprint: str


_OUTSIDE = (OSError, MemoryError, EOFError, StoreError, IncompleteError)

Reply: TypeAlias = Receipt | Payload | Failure


def fingerprint(label: str, task: Task, schema: int) -> str:
    """Return the sha256 of all that determines the outcome of `task`."""
    identity = {
        "label": label,
        "config": task.config,
        # The path as a list: joined, at("a/b") would pass for at("a", "b").
        "seeds": [task.seeds.entropy, *task.seeds.path],
        "schema": schema,
    }
    return hashlib.sha256(canonical(identity, f"task {task.address}").encode()).hexdigest()


def perform(work: Work, call: Call, attempt: int) -> Reply:
    """Do one call and return a receipt, the payload, or what went wrong.

    No exception leaves it, because some exceptions cannot be pickled and
    would break the pool.
    """
    task, store = call.task, work.store
    try:
        # A worker may have died after writing and before answering.
        if attempt > 1 and store and (done := store.load(task.address, call.fingerprint)):
            return Receipt(done.address, done.fingerprint, done.sha256)
        with single_threaded():
            payload = work.fn(task.seeds, *task.args)
        if not isinstance(payload, Payload):
            raise InputError(
                f"result of {work.fn!r}", got=f"a {type(payload).__name__}", expected="a Payload"
            )
        if store is None:
            return payload
        seeds = str(task.seeds)
        write = store.append if work.small else store.save
        return write(task.address, call.fingerprint, work.label, payload, seeds=seeds)
    except Exception as error:
        return failure(call, error, attempt)


def failure(call: Call, error: BaseException, attempts: int) -> Failure:
    """Return the failure that `error` means for `call`."""
    return Failure(
        address=call.task.address,
        kind=type(error).__name__,
        message=_message(error),
        attempts=attempts,
        outside=isinstance(error, _OUTSIDE),
    )


def cause_of(error: BaseException) -> list[str]:
    """Return the last telling line of what caused `error`, if anything did."""
    lines = (line.strip() for line in str(error.__cause__ or "").splitlines())
    # A traceback that comes from a worker is wrapped in triple quotes.
    telling = [line for line in lines if line.strip('"')]
    return [line for line in telling[-1:] if str(error) not in line]


def _message(error: BaseException) -> str:
    text = "; ".join([str(error) or "no message", *cause_of(error)])
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, VerisimileError) or not frames:
        return text
    # The traceback stays in the worker, so the place travels with the words.
    place = frames[-1]
    return f"{text} ({place.filename}:{place.lineno} in {place.name})"


MAX_REBUILDS = 3
"""How often in a row, with no task finished in between, a dead pool is replaced."""

_MAX_DEATHS = 3
_GRACE_SECONDS = 10.0

Receive = Callable[[int, Reply], None]


def dispatch(spec: ExecutorSpec, work: Work, calls: Iterable[Call], receive: Receive) -> None:
    """Perform all calls and hand each reply to `receive`, in the order of completion.

    When a pool dies it is replaced and the lost calls go again.  A call that
    saw two pools die runs alone, so that a third death convicts it and no
    bystander.  Whatever interrupts the loop, Ctrl-C above all, cancels what is
    queued, kills the workers that are ours, and goes on to the caller.
    """
    flight = _Flight(spec, work, calls, receive)
    with quiet_pool(), single_threaded():
        try:
            flight.run()
        except BaseException:
            flight.abort()
            raise


@dataclass(slots=True)
class _Item:
    call: Call
    deaths: int = 0

    @property
    def suspect(self) -> bool:
        return self.deaths >= _MAX_DEATHS - 1


class _Flight:
    def __init__(
        self, spec: ExecutorSpec, work: Work, calls: Iterable[Call], receive: Receive
    ) -> None:
        self.spec = spec
        self.work = work
        self.receive = receive
        self.queue = deque(_Item(call) for call in calls)
        self.flying: dict[Future[Reply], _Item] = {}
        self.deaths_in_a_row = 0

    def run(self) -> None:
        if self.queue:
            self.executor = self.spec.start()
        while self.queue or self.flying:
            broken = self._refill()
            done = wait(self.flying, return_when=FIRST_COMPLETED).done
            if not self._land(done) or broken:
                self._recover()

    def abort(self) -> None:
        for future in self.flying:
            future.cancel()
        self.spec.abort()

    def _refill(self) -> bool:
        """Submit what fits; return whether the executor turned out to be broken."""
        while self.queue and self._room():
            item = self.queue.popleft()
            try:
                future = self._submit(item)
            except BrokenExecutor:
                self.queue.appendleft(item)
                return True
            self.flying[future] = item
        return False

    def _submit(self, item: _Item) -> Future[Reply]:
        try:
            return self.executor.submit(perform, self.work, item.call, item.deaths + 1)
        except BrokenExecutor:
            raise
        except RuntimeError as error:
            raise InputError(
                "executor",
                got=f"{self.spec.name}, which refuses work ({error})",
                expected="an executor that is open",
                remedy="Keep it open until the map is done.",
            ) from error

    def _room(self) -> bool:
        alone = self.queue[0].suspect or any(item.suspect for item in self.flying.values())
        return len(self.flying) < (1 if alone else self.spec.window)

    def _land(self, done: Iterable[Future[Reply]]) -> bool:
        """Deliver the finished calls; return False if the pool has died under one."""
        alive = True
        for future in done:
            error = CancelledError() if future.cancelled() else future.exception()
            if isinstance(error, BrokenExecutor):
                alive = False
                continue
            if isinstance(error, VerisimileError):
                raise error  # the executor's own: nobody is there any more who works
            item = self.flying.pop(future)
            self.deaths_in_a_row = 0
            self.receive(item.call.index, _reply(future, error, item))
        return alive

    def _recover(self) -> None:
        """Take stock after a death, then replace the executor or give up."""
        self._land(wait(self.flying, timeout=_GRACE_SECONDS).done)
        reason = _reason(self.flying)
        lost = list(self.flying.values())
        self.flying.clear()
        self.deaths_in_a_row += 1
        for item in lost:
            item.deaths += 1
            if item.deaths >= _MAX_DEATHS:
                self._give_up(item, reason)
            else:
                # At the end, so that a deadly task does not meet the same
                # neighbours again and the others get on meanwhile.
                self.queue.append(item)
        if self.deaths_in_a_row > MAX_REBUILDS or not self.spec.renewable:
            while self.queue:
                self._give_up(self.queue.popleft(), reason)
        elif self.queue:
            self.executor = self.spec.start(self.executor)

    def _give_up(self, item: _Item, reason: str) -> None:
        address = item.call.task.address
        died = Failure(address, "WorkerDied", reason, item.deaths, outside=True)
        self.receive(item.call.index, died)


def _reply(future: Future[Reply], error: BaseException | None, item: _Item) -> Reply:
    """Return what came back; what a task raises is a reply too, an error is the executor's own."""
    if error is None:
        return future.result()
    if isinstance(error, TaskLost):
        address = item.call.task.address
        return Failure(address, "WorkerDied", str(error), error.attempts, outside=True)
    return replace(failure(item.call, error, item.deaths + 1), outside=True)


def _reason(flying: Iterable[Future[Reply]]) -> str:
    """Return in one line why the pool died: killed, or something not picklable."""
    errors = (future.exception() for future in flying if future.done())
    error = next((error for error in errors if error is not None), None)
    if error is None:
        return "the pool of workers broke"
    lines = str(error).strip().splitlines()
    codes = [line.strip() for line in lines if "exit codes" in line]
    return "; ".join([lines[0].partition(". ")[0], *codes[:1], *cause_of(error)])
