"""The driver's loop: a bounded number of calls in flight, through the death of workers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from verisimile.core.errors import InputError, VerisimileError
from verisimile.core.executor import ExecutorSpec, TaskLost, quiet_pool, single_threaded
from verisimile.core.parcels import Parcels
from verisimile.core.progress import Pulse
from verisimile.core.tasks import Call, Failure, Reply, Work, cause_of, failure, overdue, perform

MAX_REBUILDS = 3
"""How often in a row, with no task finished in between, a dead pool is replaced."""

_MAX_DEATHS = 3
_GRACE_SECONDS = 10.0

_LOOK_SECONDS = 0.5  # between two looks at calls that may have no end
LATE_SECONDS = 30.0
"""How long after its time limit a call that did not end itself is ended with its worker."""

Receive: TypeAlias = Callable[[int, Reply], None]


def dispatch(
    spec: ExecutorSpec,
    work: Work,
    calls: Iterable[Call],
    receive: Receive,
    *,
    parcels: Parcels,
    done: Callable[[Call], bool] = lambda _: False,
    pulse: Pulse | None = None,
) -> None:
    """Perform all calls and hand each reply to `receive`, in the order of completion.

    When a pool dies it is replaced and the lost calls go again.  A call that
    saw two pools die runs alone, so that a third death convicts it and no
    bystander.  Whatever interrupts the loop, Ctrl-C above all, cancels what is
    queued, kills the workers that are ours, and goes on to the caller.

    A call that takes longer than ``work.timeout`` is interrupted and counts as failed; those
    that were lost with its worker go again.

    Parameters
    ----------
    spec, work, calls, receive
        Who does what to which calls, and who is told.
    parcels
        How large arguments reach the workers.
    done
        Whether another writer has done a call meanwhile and it can be left out; asked when
        its turn comes.
    pulse
        What is told which calls run, for a line when nothing ends for long.
    """
    flight = _Flight(spec, work, calls, receive, parcels, done, pulse or Pulse.none())
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
    since: float | None = None
    """When it began to run, as far as the driver can know: calls begin in their order."""

    @property
    def suspect(self) -> bool:
        return self.deaths >= _MAX_DEATHS - 1


@dataclass(slots=True, eq=False)
class _Flight:
    spec: ExecutorSpec
    work: Work
    calls: Iterable[Call]
    receive: Receive
    parcels: Parcels
    done: Callable[[Call], bool]
    pulse: Pulse
    queue: deque[_Item] = field(init=False)
    flying: dict[Future[Reply], _Item] = field(init=False, default_factory=dict)
    executor: Executor = field(init=False)
    deaths_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.queue = deque(_Item(call) for call in self.calls)

    def run(self) -> None:
        if self.queue:
            self.executor = self.spec.start()
        while self.queue or self.flying:
            broken = self._refill()
            if not self.flying and not broken:
                continue  # others have done what was left
            done = wait(self.flying, self._patience(), return_when=FIRST_COMPLETED).done
            if not self._land(done) or broken:
                self._recover()
            elif not done:
                self._interrupt(self._overdue())

    def _patience(self) -> float | None:
        """Note which calls run by now; return how long to wait for one to end."""
        now = time.monotonic()
        running = list(self.flying.values())[: self.spec.workers]
        for item in running:
            item.since = item.since or now
        if running:
            self.pulse.running(len(self.flying), running[0].call.task.address, running[0].since)
        # An executor may know better why nothing ends: that no worker has come yet.
        self.pulse.remark = getattr(self.spec, "remark", "")
        return None if self.work.timeout is None else _LOOK_SECONDS

    def _overdue(self) -> list[Future[Reply]]:
        if self.work.timeout is None:
            return []
        # A worker may have to be started first, and imports take their time.
        begun = time.monotonic() - self.work.timeout - LATE_SECONDS
        return [f for f, item in self.flying.items() if item.since and item.since < begun]

    def _interrupt(self, late: Sequence[Future[Reply]]) -> None:
        """End calls that take too long; what was lost with their worker goes again."""
        if not late:
            return
        everything = self.spec.interrupt(late)
        for future in late:
            item = self.flying.pop(future)
            self.receive(item.call.index, overdue(item.call, self.work.timeout, item.deaths + 1))
        if everything:
            self._land(wait(self.flying, timeout=0).done)
            lost = [_Item(item.call, item.deaths) for item in self.flying.values()]
            self.flying.clear()
            self.queue.extendleft(reversed(lost))
            self.executor = self.spec.start(self.executor)

    def abort(self) -> None:
        for future in self.flying:
            future.cancel()
        self.spec.abort()

    def _refill(self) -> bool:
        """Submit what fits; return whether the executor turned out to be broken."""
        while self.queue and self._room():
            item = self.queue.popleft()
            if self.done(item.call):
                continue
            if not self.flying:  # in this process it runs while it is submitted
                self.pulse.running(1, item.call.task.address, time.monotonic())
            try:
                future = self._submit(item)
            except BrokenExecutor:
                self.queue.appendleft(item)
                return True
            self.flying[future] = item
        return False

    def _submit(self, item: _Item) -> Future[Reply]:
        try:
            return self.executor.submit(perform, self.work, self._message(item), item.deaths + 1)
        except BrokenExecutor:
            raise
        except RuntimeError as error:
            raise InputError(
                "executor",
                got=f"{self.spec.name}, which refuses work ({error})",
                expected="an executor that is open",
                remedy="Keep it open until the map is done.",
            ) from error

    def _message(self, item: _Item) -> Call:
        """Return the call as it is sent: small, if it goes to another process."""
        call = item.call
        return call if self.work.here else call.message(self.parcels.sealed(call.task.args))

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
