"""Tasks on a dask cluster as plain futures: who gives up, when, and in which words."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import dask
import distributed
from dask.utils import parse_timedelta
from distributed.scheduler import KilledWorker, NoValidWorkerError, NoWorkerError

from verisimile.core.dask_workers import (
    check_folder,
    check_threads,
    check_versions,
    end_process,
    end_worker,
    one_at_a_time,
)
from verisimile.core.errors import IncompleteError, VerisimileError
from verisimile.core.executor import TaskLost

P = ParamSpec("P")
T = TypeVar("T")

NO_WORKERS_SECONDS = 600.0
"""How long work waits for the first worker, or for another one, where dask's setting
``distributed.scheduler.no-workers-timeout`` does not say otherwise."""

_SILENT_SECONDS = 120.0
_LOOK_SECONDS = 1.0
_AHEAD_SECONDS = 0.1  # how much work is sent in advance, where tasks take less time than messages
_PAUSES = (0.005, 0.05)  # seconds between two turns of messages, by how fast results come
_RESUME = (
    "Finished records are kept. Start the cluster again, then run the same command:"
    " it continues from there."
)


@dataclass(slots=True, eq=False)
class _Job:
    """One call, and what became of it on the cluster."""

    call: Callable[[], Any]
    local: Future[Any]
    remote: distributed.Future[Any] | None = None
    attempts: int = 0


class DaskPool(Executor):
    """An executor over a client that it does not own.

    Dask repeats the tasks of a dead worker elsewhere, and counts the death against all that
    were queued there.  A task that dask gives up therefore goes once more when nothing else
    is under way, so that the next verdict convicts it and no neighbour; its future then has a
    `TaskLost`.  When the cluster as a whole is gone, or has no workers for too long, all
    futures have an `IncompleteError`.
    """

    def __init__(self, client: distributed.Client) -> None:
        self.client = client
        self.ended: VerisimileError | None = None
        self.threads: Mapping[str, int] = {}
        self.folder: Path | None = None
        self._checked: set[str] = set()
        self._lock = threading.RLock()
        self._pending: dict[Future[Any], _Job] = {}
        self._suspects: deque[_Job] = deque()
        prefix = f"verisimile-{uuid.uuid4().hex}"
        self._keys = (f"{prefix}-{i}" for i in itertools.count())
        self._outbox: list[_Job] = []
        self._serving = False
        self._watcher: threading.Thread | None = None
        self._seen = time.monotonic()
        self.ahead = 0
        self._settled = 0
        self._paced = 0, self._seen

    @property
    def remark(self) -> str:
        """What a line of progress should say when no worker is there."""
        waited = time.monotonic() - self._seen
        if self.threads or self.ended:
            return ""
        return f"no worker has come yet, waiting for {waited:.0f} s of {_patience():.0f} s"

    def look(self) -> None:
        """Note which workers there are, and check those that are new.

        Raises
        ------
        IncompleteError
            If the cluster is gone.
        InputError
            If a new worker does not fit.
        """
        if self.client.status == "connecting":
            return
        if self.client.status != "running":
            raise self._gone("a client that is closed")
        self.threads = self._asked(self.client.scheduler.ncores)
        if self.threads:
            self._seen = time.monotonic()
        new = set(self.threads) - self._checked
        if new:
            check_threads({worker: self.threads[worker] for worker in new})
            check_versions(self._ask, new)
            if self.folder is not None:
                check_folder(self._ask, new, self.folder)
            self._checked |= new

    def _pace(self) -> None:
        now, settled = time.monotonic(), self._settled
        before, then = self._paced
        self._paced = settled, now
        self.ahead = int(_AHEAD_SECONDS * (settled - before) / (now - then))

    def share(self, folder: Path) -> None:
        """Raise unless all workers, and later each new one, see `folder`."""
        if folder == self.folder:
            return
        check_folder(self._ask, set(self.threads), folder)
        self.folder = folder

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Send a call to the cluster."""
        future: Future[T] = Future()
        job = _Job(partial(fn, *args, **kwargs), future)
        with self._lock:
            if self.ended is not None:
                future.set_exception(self.ended)
                return future
            self._pending[future] = job
            self._outbox.append(job)
            if not self._serving:
                self._serving = True
                self.client.loop.add_callback(self._serve)
            if self._watcher is None:
                self._seen = time.monotonic()
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
        future.add_done_callback(self._forget)
        return future

    def interrupt(self, late: Sequence[Future[Any]]) -> None:
        """Drop calls that take too long, and end the workers that are at them."""
        keys = {job.remote.key for f in late if (job := self._pending.get(f)) and job.remote}
        places = self._asked(self.client.scheduler.processing)
        hung = [worker for worker, there in places.items() if keys & set(there)]
        for future in late:
            future.cancel()
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        watched = [worker for worker in hung if known.get(worker, {}).get("nanny")]
        # A process that is stopped or busy answers nobody; its nanny ends it, and starts another.
        if watched:
            self._ask(end_worker, (), watched, nanny=True)
        for worker in set(hung).difference(watched):
            self._ask(end_process, (), [worker], wait=False)

    def cancel(self) -> None:
        """Give up what has not ended."""
        for future in list(self._pending):
            future.cancel()

    async def _serve(self) -> None:
        """Send what waits and fetch what has ended, as long as there is something.

        In turns, each for all calls at once: a message for every call would cost several
        times what the smallest of them costs.  Runs in the client's thread.
        """
        pause = _PAUSES[0]
        while self._busy():
            moved = self._send() + self._look_through()
            pause = max(pause / 1.5, _PAUSES[0]) if moved else min(1.5 * pause, _PAUSES[1])
            await asyncio.sleep(pause)

    def _busy(self) -> bool:
        with self._lock:
            self._serving = bool(self._pending)
            return self._serving

    def _send(self) -> int:
        with self._lock:
            jobs, self._outbox = self._outbox, []
        jobs = [job for job in jobs if job.local in self._pending]
        try:
            self._submit(jobs)
        except Exception as error:
            if self.client.status not in ("running", "connecting"):
                self._end(self._gone(_words(error)))
                return 0
            for job in jobs:  # one of them cannot be sent: not picklable, for instance
                self._send_alone(job)
        return len(jobs)

    def _send_alone(self, job: _Job) -> None:
        try:
            self._submit([job])
        except Exception as error:
            self._settle(job, error=error)

    def _submit(self, jobs: Sequence[_Job]) -> None:
        if jobs:
            calls, keys = [job.call for job in jobs], [next(self._keys) for _ in jobs]
            remotes = self.client.map(one_at_a_time, calls, key=keys, pure=False, retries=0)
            for job, remote in zip(jobs, remotes, strict=True):
                job.remote = remote

    def _look_through(self) -> int:
        """Act on what became of the calls; return how many have ended."""
        with self._lock:
            there = [(job, job.remote) for job in self._pending.values() if job.remote]
        ended = [(job, remote) for job, remote in there if remote.status not in ("pending", "lost")]
        finished = [pair for pair in ended if pair[1].status == "finished"]
        for job, remote in ended:
            if remote.status == "error":
                job.remote = None
                self.client.loop.add_callback(self._failed, job, remote)
            elif remote.status == "cancelled":
                self._end(self._gone("a scheduler that was lost, or has dropped the work"))
        for job, _ in finished:
            job.remote = None
        if finished:
            self.client.loop.add_callback(self._fetch, finished)
        return len(ended)

    async def _fetch(self, finished: Sequence[tuple[_Job, distributed.Future[Any]]]) -> None:
        try:
            replies = await self.client.gather([remote for _, remote in finished])
        except Exception as error:
            if self.client.status != "running":
                self._end(self._gone(_words(error)))
            # One of them was lost with its worker, and has failed when it was repeated.
            for job, remote in finished:
                job.remote = remote
        else:
            for (job, _), reply in zip(finished, replies, strict=True):
                self._settle(job, reply)

    async def _failed(self, job: _Job, remote: distributed.Future[Any]) -> None:
        error = await remote.exception()
        if isinstance(error, KilledWorker):
            self._suspect(job, error)
        elif isinstance(error, NoWorkerError | NoValidWorkerError):
            self._end(self._no_workers())
        else:
            self._settle(job, error=error)

    def _settle(
        self, job: _Job, reply: object = None, *, error: BaseException | None = None
    ) -> None:
        with self._lock:
            wanted = self._pending.pop(job.local, None)
        self._settled += 1
        if wanted and job.local.set_running_or_notify_cancel():
            if error is None:
                job.local.set_result(reply)
            else:
                job.local.set_exception(error)
        self._try_suspect()

    def _suspect(self, job: _Job, error: KilledWorker) -> None:
        again = job.attempts == 0
        job.attempts += error.allowed_failures + 1
        if not again:
            died = f"its worker died in each of {job.attempts} attempts"
            self._settle(job, error=TaskLost(died, job.attempts))
            return
        with self._lock:
            self._suspects.append(job)
        self._try_suspect()

    def _try_suspect(self) -> None:
        with self._lock:
            if not self._suspects or len(self._pending) > len(self._suspects):
                return
            self._outbox.append(self._suspects.popleft())

    def _forget(self, future: Future[Any]) -> None:
        if not future.cancelled():
            return
        with self._lock:
            job = self._pending.pop(future, None)
            if job is not None and job in self._suspects:
                self._suspects.remove(job)
        self._try_suspect()
        if job is not None and job.remote is not None:
            # Not here: it takes an answer of the scheduler, which may be gone.
            self.client.loop.add_callback(job.remote.cancel)

    def _watch(self) -> None:
        """Look after the cluster as long as something is under way."""
        while self._working():
            try:
                self._pace()
                self.look()
                if time.monotonic() - self._seen > _patience():
                    self._end(self._no_workers())
            except VerisimileError as error:
                self._end(error)
            except Exception as error:
                self._end(self._gone(_words(error)))

    def _working(self) -> bool:
        time.sleep(_LOOK_SECONDS)
        with self._lock:
            if not self._pending:
                self._watcher = None
            return bool(self._pending)

    def _end(self, error: VerisimileError) -> None:
        with self._lock:
            self.ended = self.ended or error
            left = list(self._pending)
            self._outbox.clear()
            self._pending.clear()
            self._suspects.clear()
        for future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(self.ended)

    def _ask(
        self,
        fn: Callable[..., object],
        args: tuple[object, ...],
        workers: Collection[str],
        *,
        wait: bool = True,
        nanny: bool = False,
    ) -> Mapping[str, Any]:
        async def ask() -> Mapping[str, Any]:
            found = await self.client.run(
                fn,
                *args,
                workers=list(workers),
                wait=wait,
                nanny=nanny,
                on_error="return",
            )
            return {} if found is None else found

        replies = self._asked(ask)
        # Whoever has left meanwhile is no matter.
        return {w: r for w, r in replies.items() if not isinstance(r, OSError)}

    def _asked(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            found: T = self.client.sync(call, callback_timeout=_SILENT_SECONDS)
        except TimeoutError:
            silent = f"no answer of the scheduler in {_SILENT_SECONDS:.0f} s"
            raise self._gone(silent) from None
        except (OSError, RuntimeError) as error:
            if isinstance(error, VerisimileError):
                raise
            raise self._gone(_words(error)) from error
        return found

    def _gone(self, found: str) -> IncompleteError:
        return IncompleteError(
            "dask cluster", got=found, expected="a scheduler that answers", remedy=_RESUME
        )

    def _no_workers(self) -> IncompleteError:
        return IncompleteError(
            "dask cluster",
            got=f"no worker in {_patience():.0f} s",
            expected="at least one",
            remedy=f"{_RESUME} Where workers wait in a queue for longer, set"
            " DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT=2h.",
        )


def _patience() -> float:
    setting = dask.config.get("distributed.scheduler.no-workers-timeout", None)
    return NO_WORKERS_SECONDS if setting is None else float(parse_timedelta(setting, "s"))


def _words(error: BaseException) -> str:
    told = str(error) or "no message"
    return f"{type(error).__name__}: {told}"
