"""`Run`: the one carrier of randomness, workers, finished work and progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from verisimile.core.dask_executor import Dask
from verisimile.core.dispatch import (
    Call,
    Failure,
    Reply,
    Task,
    Work,
    dispatch,
    failure,
    fingerprint,
)
from verisimile.core.errors import IncompleteError, NumericsError, VerisimileError, require
from verisimile.core.executor import ExecutorSpec, resolve_executor
from verisimile.core.progress import Progress, resolve_progress
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt, Record, check_address
from verisimile.core.store import DirectoryStore, Store, open_store

Outcome = Record | Failure

_NAMED_FAILURES = 5


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

    Examples
    --------
    >>> run = Run(Seeds(2026))
    >>> str(run.at("ensemble").seeds)
    '2026:ensemble'
    """

    __slots__ = ("executor", "progress", "seeds", "store")

    def __init__(
        self,
        seeds: Seeds,
        *,
        executor: str | Executor | ExecutorSpec = "serial",
        store: str | Path | Store | None = None,
        progress: bool | Progress = False,
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

    def __repr__(self) -> str:
        """Return one line with seeds, executor and store."""
        return f"Run(seeds={self.seeds}, executor={self.executor.name}, store={self.store!r})"

    def at(self, *words: str | int) -> Run:
        """Return this run with the subtree of random streams at `words`."""
        seeds = self.seeds.at(*words)
        return Run(seeds, executor=self.executor, store=self.store, progress=self.progress)

    def map(
        self,
        fn: Callable[..., Payload],
        tasks: Sequence[Task],
        *,
        label: str,
        schema: int = 1,
        max_failed: float = 0.0,
        small: bool = False,
    ) -> list[Record | Failure]:
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
        schema
            Number of the stage's format; raise it when old records are no longer right.
        max_failed
            Largest tolerated fraction of failures, in [0, 1].
        small
            Whether the records are many and small, to be kept together in few files.

        Raises
        ------
        InputError
            If an address is unsafe or used twice, or a configuration is not JSON.
        NumericsError
            If more than `max_failed` of the tasks failed; names the first failures.
        IncompleteError
            If they did, and a machine failed for some of them: see :class:`Failure`.
        """
        _check(tasks, max_failed)
        calls = [
            Call(index, task, fingerprint(label, task, schema)) for index, task in enumerate(tasks)
        ]
        store = self.store if self.store.portable else None
        work = Work(fn, label, store, small)
        outcomes: dict[int, Outcome] = {}
        for call in calls:
            if record := self.store.load(call.task.address, call.fingerprint):
                outcomes[call.index] = record
        missing = [call for call in calls if call.index not in outcomes]
        self._do(work, missing, outcomes, total=len(calls))
        again = [call for call in missing if _passing(outcomes[call.index])]
        for call in again:
            del outcomes[call.index]
        self._do(work, again, outcomes, total=len(calls))
        ordered = [outcomes[call.index] for call in calls]
        _judge(ordered, label, max_failed)
        return ordered

    def _do(
        self, work: Work, missing: Sequence[Call], outcomes: dict[int, Outcome], *, total: int
    ) -> None:
        if not missing:
            return
        if isinstance(self.executor, Dask) and isinstance(self.store, DirectoryStore):
            self.executor.check_folder(self.store.path)
        by_index = {call.index: call for call in missing}
        shown = self.progress.begin(work.label, total, len(outcomes))

        def receive(index: int, reply: Reply) -> None:
            outcomes[index] = _settle(self.store, work, by_index[index], reply)
            shown.advance()

        try:
            dispatch(self.executor, work, missing, receive)
        finally:
            shown.close()


def _settle(store: Store, work: Work, call: Call, reply: Reply) -> Outcome:
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
    if record := store.load(address, call.fingerprint):
        return record
    message = f"the record was written, but {store!r} does not give it back"
    return Failure(address, "StoreError", message, 1, outside=True)


def _passing(outcome: Outcome) -> bool:
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


def _judge(outcomes: Sequence[Outcome], label: str, max_failed: float) -> None:
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if len(failures) <= max_failed * len(outcomes):
        return
    named = "; ".join(
        f"{item.address}: {item.kind}: {item.message}" for item in failures[:_NAMED_FAILURES]
    )
    more = len(failures) - _NAMED_FAILURES
    error = IncompleteError if any(item.outside for item in failures) else NumericsError
    raise error(
        label,
        got=f"{len(failures)} of {len(outcomes)} tasks failed"
        f" ({named}{f'; and {more} more' if more > 0 else ''})",
        expected=f"at most {max_failed:.3g} of them to fail",
        remedy="Finished records are kept."
        " Run the same call again: finished items are not repeated.",
    )
