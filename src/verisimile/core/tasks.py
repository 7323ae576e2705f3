"""One task of a map: what it is, how a worker does it, and what can become of it."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, TypeAlias

from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import IncompleteError, InputError, StoreError, VerisimileError
from verisimile.core.executor import single_threaded
from verisimile.core.parcels import opened
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
        What the function gets after the seeds.  What many tasks share should be one object.
    """

    address: str
    config: Mapping[str, JSON]
    seeds: Seeds
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A task without a record: what happened, and in how many attempts.

    `outside` says that the machine failed and not the task: a full disk, no memory, a
    worker that died, no end in time.  Such a failure says nothing about what was to be computed.
    """

    address: str
    kind: str
    message: str
    attempts: int
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What the tasks of one map have in common.

    Parameters
    ----------
    fn
        What is done.
    label
        Name of the stage.
    store
        Where a worker writes; None if it may not.
    small
        Whether the records are many and small.
    here
        Whether the tasks run in the process of the driver.
    timeout
        Seconds that a task may take.
    """

    fn: Callable[..., Payload]
    label: str
    store: Store | None
    small: bool = False
    here: bool = True
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A task that has to be done, with its place in the map."""

    index: int
    task: Task
    fingerprint: str

    def message(self, args: tuple[Any, ...]) -> Call:
        """Return what a worker needs of it: no configuration, and other arguments."""
        return replace(self, task=replace(self.task, config={}, args=args))


_OUTSIDE = (OSError, MemoryError, EOFError, StoreError, IncompleteError)

Reply: TypeAlias = Receipt | Payload | Failure


class TimedOut(BaseException):
    """A task took longer than it may; no Exception, which a user's function might swallow."""


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
    would break the pool; but for Ctrl-C in the process of the driver.
    """
    try:
        return _done(work, call, attempt)
    except KeyboardInterrupt as error:
        if work.here:
            raise
        return failure(call, error, attempt)
    except TimedOut:
        return overdue(call, work.timeout, attempt)
    except (Exception, SystemExit) as error:
        return failure(call, error, attempt)


def _done(work: Work, call: Call, attempt: int) -> Reply:
    task, store = call.task, work.store
    # A worker may have died after writing and before answering.
    if attempt > 1 and store and (done := store.load(task.address, call.fingerprint)):
        return Receipt(done.address, done.fingerprint, done.sha256)
    args = opened(task.args)
    with single_threaded(), _alarm(work.timeout):
        payload = work.fn(task.seeds, *args)
    if not isinstance(payload, Payload):
        raise InputError(
            f"result of {work.fn!r}", got=f"a {type(payload).__name__}", expected="a Payload"
        )
    if store is None:
        return payload
    write = store.append if work.small else store.save
    return write(task.address, call.fingerprint, work.label, payload, seeds=str(task.seeds))


def failure(call: Call, error: BaseException, attempts: int) -> Failure:
    """Return the failure that `error` means for `call`."""
    return Failure(
        address=call.task.address,
        kind=type(error).__name__,
        message=_message(error),
        attempts=attempts,
        outside=isinstance(error, _OUTSIDE),
    )


def overdue(call: Call, seconds: float | None, attempts: int) -> Failure:
    """Return the failure of a call that did not end in time."""
    message = f"no end after {seconds:g} s, the time limit of a task"
    return Failure(call.task.address, "TimedOut", message, attempts, outside=True)


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


@contextlib.contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise TimedOut inside the block after that time; only a main thread has alarms."""
    here = threading.current_thread() is threading.main_thread()
    if seconds is None or not here or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
