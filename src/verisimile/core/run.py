"""`Run`: the one carrier of randomness, workers, finished work and progress."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from copy import copy
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from verisimile.core.dask_executor import Dask
from verisimile.core.dispatch import dispatch
from verisimile.core.errors import (
    IncompleteError,
    NumericsError,
    VerisimileError,
    VerisimileWarning,
    require,
)
from verisimile.core.executor import ExecutorSpec, resolve_executor
from verisimile.core.lease import Lease
from verisimile.core.parcels import Parcels
from verisimile.core.progress import Progress, Pulse, resolve_progress
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt, Record, check_address, mixed_versions
from verisimile.core.shards import Shard, ShardDone
from verisimile.core.store import DirectoryStore, Store, open_store
from verisimile.core.tasks import Call, Failure, Reply, Task, Work, failure, fingerprint

Kept = TypeVar("Kept")

_NAMED_FAILURES = 5
_REFUSALS = 3  # by the store in a row, after which the map ends
_ALONE_SECONDS = 2.0  # since a look at the records, for which it needs no second one


class Run:
    """What every stage needs and no stage should ask for by its own parameters.

    Parameters
    ----------
    seeds
        Root of all random streams.
    executor
        ``"serial"``, ``"loky:n"``, or a `concurrent.futures.Executor`.
    store
        A folder in which finished work survives, a `Store`, or None for memory.
    progress
        Whether to show progress on the terminal, or a `Progress`.
    shard
        Which part of every map is done here, ``"3/40"`` for the third of forty, where other
        processes do the rest into the same store; None for all of it.
    task_timeout
        Seconds that one task may take before it is interrupted and counts as failed; None for
        any time.  Half a minute later a worker that did not react is ended.  In the driver's own
        process only its main thread can be interrupted, and only while Python runs.

    Examples
    --------
    >>> run = Run(Seeds(2026))
    >>> str(run.at("ensemble").seeds)
    '2026:ensemble'
    """

    __slots__ = ("_parcels", "executor", "progress", "seeds", "shard", "store", "task_timeout")

    def __init__(
        self,
        seeds: Seeds,
        *,
        executor: str | Executor | ExecutorSpec = "serial",
        store: str | Path | Store | None = None,
        progress: bool | Progress = False,
        shard: str | Shard | None = None,
        task_timeout: float | None = None,
    ) -> None:
        require(
            isinstance(seeds, Seeds),
            "Run.seeds",
            got=f"a {type(seeds).__name__}",
            expected="Seeds",
            remedy="For example vs.Run(vs.Seeds(2026)).",
        )
        self.seeds = seeds
        self.executor: ExecutorSpec = resolve_executor(executor)
        self.store: Store = open_store(store)
        self.progress: Progress = resolve_progress(progress)
        require(
            shard is None or self.store.portable,
            "Run.shard",
            got=f"{shard} without a folder",
            expected="a store in which the shards meet",
            remedy='For example Run(seeds, store="runs/z", shard="3/40").',
        )
        require(
            task_timeout is None or task_timeout > 0.0,
            "Run.task_timeout",
            got=task_timeout,
            expected="a number of seconds above 0, or None",
        )
        self.shard = Shard.parse(shard) if isinstance(shard, str) else shard
        self.task_timeout = task_timeout
        self._parcels = Parcels(self.store)

    def __repr__(self) -> str:
        """Return one line with seeds, executor and store."""
        return f"Run(seeds={self.seeds}, executor={self.executor.name}, store={self.store!r})"

    def at(self, *words: str | int) -> Run:
        """Return this run with the subtree of random streams at `words`."""
        below = copy(self)
        below.seeds = self.seeds.at(*words)
        return below

    @overload
    def map(
        self,
        fn: Callable[..., Payload],
        tasks: Sequence[Task],
        *,
        label: str,
        schema: int = 1,
        max_failed: float = 0.0,
        small: bool = False,
        everywhere: bool = False,
    ) -> list[Record | Failure]: ...

    @overload
    def map(
        self,
        fn: Callable[..., Payload],
        tasks: Sequence[Task],
        *,
        label: str,
        keep: Callable[[Record], Kept],
        schema: int = 1,
        max_failed: float = 0.0,
        small: bool = False,
        everywhere: bool = False,
    ) -> list[Kept | Failure]: ...

    def map(  # noqa: PLR0913  (what to do, and what a stage may want otherwise)
        self,
        fn: Callable[..., Payload],
        tasks: Sequence[Task],
        *,
        label: str,
        keep: Callable[[Record], object] = lambda record: record,
        schema: int = 1,
        max_failed: float = 0.0,
        small: bool = False,
        everywhere: bool = False,
    ) -> list[Any]:
        """Return the records of all tasks, in their order, doing only what is not done yet.

        ``fn(task.seeds, *task.args)`` must be a function of a module that the
        workers can import, depend on its arguments alone, and be told apart by
        ``task.config``: a record counts as the task's own if

        ``fingerprint = sha256(label, config, seeds, schema)``

        agrees.  Each task runs on one inner thread, so the arrays are the same
        bit for bit with every executor.  A task that raises does not stop the
        others; one that ends in an error of the machine (disk, memory) is done once
        more.  Finished records are kept whatever happens, and the same call
        again does the rest.

        Parameters
        ----------
        fn
            What to do.
        tasks
            Items with different addresses.
        label
            Name of the stage.
        keep
            What is kept of each record in memory and returned in its place, so that ten thousand
            records need not be held at once.
        schema
            Number of the stage's format; raise it when old records are no longer right.
        max_failed
            Largest tolerated fraction of failures, in [0, 1].
        small
            Whether the records are many and small, to be kept together in few files.
        everywhere
            Whether every shard does all tasks: what is cheap, and needed before its part of
            the next map.

        Raises
        ------
        InputError
            If an address is unsafe or used twice, or a configuration is not JSON.
        NumericsError
            If more than `max_failed` of the tasks failed; names the first failures.
        IncompleteError
            If they did, and a machine failed for some of them: see :class:`Failure`; or if
            tasks of other shards are missing.
        """
        _check(tasks, max_failed)
        calls = [
            Call(index, task, fingerprint(label, task, schema)) for index, task in enumerate(tasks)
        ]
        outcomes = _Outcomes(keep)
        self._find(calls, outcomes)
        missing = [call for call in calls if call.index not in outcomes]
        own = missing if everywhere or self.shard is None else self._own(missing)
        work = Work(
            fn,
            label,
            self.store if self.store.portable else None,
            small,
            self.executor.here,
            self.task_timeout,
        )
        with self._claimed(calls, own, label) as shared, self._parcels.map():
            if shared:
                # Others began at the beginning, or will; each looks before it does a task.
                own = [own[k] for k in np.random.default_rng(os.getpid()).permutation(len(own))]
            self._do(work, own, outcomes, total=len(calls))
            again = [call for call in own if _passing(outcomes.kept[call.index])]
            for call in again:
                del outcomes.kept[call.index]
            self._do(work, again, outcomes, total=len(calls))
        if len(outcomes) < len(calls):
            self._find((call for call in missing if call.index not in outcomes), outcomes)
        outcomes.judge(label, max_failed)
        if len(outcomes) < len(calls):
            raise self._unfinished(label, len(outcomes), len(calls))
        if note := mixed_versions(outcomes.versions.values()):
            warnings.warn(f"{label}: {note}", VerisimileWarning, stacklevel=2)
        return [outcomes.kept[call.index] for call in calls]

    @contextlib.contextmanager
    def _claimed(self, calls: Sequence[Call], own: Sequence[Call], label: str) -> Iterator[bool]:
        """Keep writers of other settings out of the folder; yield whether others do the same."""
        if not own or not isinstance(self.store, DirectoryStore):
            yield False
            return
        first = calls[0]
        lease = Lease.of(self.store.path)
        with lease.claim(first.task.address, first.fingerprint, label) as claim:
            for note in claim.notes:
                warnings.warn(note, VerisimileWarning, stacklevel=2)
            yield claim.shared

    def _find(self, calls: Iterable[Call], outcomes: _Outcomes) -> None:
        """Take the records that are there."""
        for call in calls:
            if record := self.store.load(call.task.address, call.fingerprint):
                outcomes.take(call.index, record)

    def _own(self, missing: Sequence[Call]) -> list[Call]:
        shard = self.shard
        return [call for call in missing if shard is None or shard.owns(call.index)]

    def _unfinished(self, label: str, there: int, total: int) -> ShardDone:
        return ShardDone(
            label,
            got=f"{there} of {total} tasks, with all those of shard {self.shard}",
            expected="the tasks of the other shards too",
            remedy="Run the other shards, then the same command without a shard: it does what"
            " is missing and goes on.",
        )

    def _do(self, work: Work, missing: Sequence[Call], outcomes: _Outcomes, *, total: int) -> None:
        if not missing:
            return
        if isinstance(self.executor, Dask) and isinstance(self.store, DirectoryStore):
            self.executor.check_folder(self.store.path)
        by_index = {call.index: call for call in missing}
        begun = time.monotonic()
        shown = self.progress.begin(work.label, total, len(outcomes))
        pulse = Pulse(shown, work.label, total, len(outcomes))

        refused = 0

        def receive(index: int, reply: Reply) -> None:
            nonlocal refused
            outcome = _settle(self.store, work, by_index[index], reply)
            outcomes.take(index, outcome)
            pulse.advance()
            refused = refused + 1 if _unwritten(outcome) else 0
            if refused >= _REFUSALS:
                outcomes.judge(work.label, 0.0)  # what cannot be kept need not be computed

        def done(call: Call) -> bool:
            # Another process may write to the same folder.
            if not self.store.portable or time.monotonic() - begun < _ALONE_SECONDS:
                return False
            record = self.store.load(call.task.address, call.fingerprint)
            if record is None:
                return False
            outcomes.take(call.index, record)
            pulse.advance()
            return True

        try:
            with pulse:
                dispatch(
                    self.executor,
                    work,
                    missing,
                    receive,
                    parcels=self._parcels,
                    done=done,
                    pulse=pulse,
                )
        finally:
            shown.close()


class _Outcomes:
    """What became of tasks, by their places: what is kept of their records, or failures."""

    __slots__ = ("_keep", "kept", "versions")

    def __init__(self, keep: Callable[[Record], object]) -> None:
        self._keep = keep
        self.kept: dict[int, object] = {}
        # By identity: records that note the same share one mapping.
        self.versions: dict[int, Mapping[str, str]] = {}

    def __contains__(self, index: int) -> bool:
        return index in self.kept

    def __len__(self) -> int:
        return len(self.kept)

    def take(self, index: int, outcome: Record | Failure) -> None:
        if isinstance(outcome, Record):
            self.versions[id(outcome.versions)] = outcome.versions
            self.kept[index] = self._keep(outcome)
        else:
            self.kept[index] = outcome

    def judge(self, label: str, max_failed: float) -> None:
        """Raise if more than a fraction failed."""
        failures = [outcome for outcome in self.kept.values() if isinstance(outcome, Failure)]
        if len(failures) > max_failed * len(self.kept):
            raise _too_many(failures, len(self.kept), label, max_failed)


def _settle(store: Store, work: Work, call: Call, reply: Reply) -> Record | Failure:
    """Turn a worker's reply into the record as the store holds it."""
    if isinstance(reply, Failure):
        return reply
    address = call.task.address
    if not isinstance(reply, Receipt):
        try:
            write = store.append if work.small else store.save
            write(address, call.fingerprint, work.label, reply, seeds=str(call.task.seeds))
        except (VerisimileError, OSError) as error:
            return failure(call, error, 1)
    if record := store.load(address, call.fingerprint, written=True):
        return record
    message = f"the record was written, but {store!r} does not give it back"
    return Failure(address, "StoreError", message, 1, outside=True)


def _unwritten(outcome: Record | Failure) -> bool:
    return isinstance(outcome, Failure) and outcome.kind == "StoreError"


def _passing(outcome: object) -> bool:
    """Return whether it may be otherwise the next time; a worker that died had three tries."""
    return isinstance(outcome, Failure) and outcome.outside and outcome.kind != "WorkerDied"


def _check(tasks: Sequence[Task], max_failed: float) -> None:
    require(0.0 <= max_failed <= 1.0, "max_failed", got=max_failed, expected="a fraction in [0, 1]")
    seen: set[str] = set()
    for task in tasks:
        require(
            check_address(task.address) not in seen,
            "tasks",
            got=f"the address {task.address!r} twice",
            expected="one address for each task",
            remedy="Put the index of the task into its address.",
        )
        seen.add(task.address)


def _too_many(
    failures: Sequence[Failure], total: int, label: str, max_failed: float
) -> VerisimileError:
    named = "; ".join(
        f"{item.address}: {item.kind}: {item.message}" for item in failures[:_NAMED_FAILURES]
    )
    more = len(failures) - _NAMED_FAILURES
    error = IncompleteError if any(item.outside for item in failures) else NumericsError
    return error(
        label,
        got=f"{len(failures)} of {total} tasks failed"
        f" ({named}{f'; and {more} more' if more > 0 else ''})",
        expected=f"at most {max_failed:.3g} of them to fail",
        remedy="Finished records are kept."
        " Run the same call again: finished items are not repeated.",
    )
