"""One item of work, and how it is done in whatever process it arrives."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import IncompleteError, InputError, StoreError, VerisimileError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt
from verisimile.core.store import Store
from verisimile.core.threads import single_threaded

__all__ = [
    "Call",
    "Failure",
    "Reply",
    "Task",
    "Work",
    "cause_of",
    "failure",
    "fingerprint",
    "perform",
]


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


@dataclass(frozen=True, slots=True)
class Call:
    """A task that has to be done, with its place in the map."""

    index: int
    task: Task
    fingerprint: str


_OUTSIDE = (OSError, MemoryError, EOFError, StoreError, IncompleteError)

Reply: TypeAlias = Receipt | Payload | Failure


def fingerprint(label: str, task: Task, schema: int) -> str:
    """Return the sha256 of all that determines the outcome of `task`.

    Raises
    ------
    InputError
        If the configuration is not JSON.
    """
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
    try:
        # A worker may have died after writing and before answering.
        done = _written(work, call) if attempt > 1 else None
        return done or _fresh(work, call)
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


def _written(work: Work, call: Call) -> Receipt | None:
    if work.store is None:
        return None
    record = work.store.load(call.task.address, call.fingerprint)
    if record is None:
        return None
    return Receipt(record.address, record.fingerprint, record.sha256)


def _fresh(work: Work, call: Call) -> Receipt | Payload:
    task = call.task
    with single_threaded():
        payload = work.fn(task.seeds, *task.args)
    if not isinstance(payload, Payload):
        raise InputError(
            f"result of {work.fn!r}", got=f"a {type(payload).__name__}", expected="a Payload"
        )
    if work.store is None:
        return payload
    return work.store.save(
        task.address, call.fingerprint, work.label, payload, seeds=str(task.seeds)
    )


def _message(error: BaseException) -> str:
    text = "; ".join([str(error) or "no message", *cause_of(error)])
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, VerisimileError) or not frames:
        return text
    # The traceback stays in the worker, so the place travels with the words.
    place = frames[-1]
    return f"{text} ({place.filename}:{place.lineno} in {place.name})"
