"""Who runs the tasks: this process, loky workers, or the user's executor."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from multiprocessing import resource_tracker
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, runtime_checkable

import loky
import threadpoolctl
from loky.backend import resource_tracker as loky_tracker

from verisimile.core.dask_executor import FORMS, of_client, resolve_dask
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")

_LIBRARIES = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in _LIBRARIES}
"""What libraries read, once they are loaded, for the number of their threads."""

# Long enough to serve the next stage without a new import of torch, short
# enough that the workers of a killed driver are soon gone.
_IDLE_SECONDS = 60.0
_UNKNOWN_WINDOW = 512


@runtime_checkable
class ExecutorSpec(Protocol):
    """A source of `concurrent.futures` executors, replaced when they break."""

    @property
    def name(self) -> str:
        """The words that describe it in reports."""

    @property
    def window(self) -> int:
        """How many tasks to keep in flight."""

    @property
    def workers(self) -> int:
        """How many tasks can run at the same time."""

    @property
    def here(self) -> bool:
        """Whether tasks are called with the very objects of the driver, not with copies."""

    @property
    def renewable(self) -> bool:
        """Whether a broken executor can be replaced by a new one."""

    def start(self, broken: Executor | None = None) -> Executor:
        """Return a working executor, a new one if the last was `broken`."""

    def interrupt(self, late: Sequence[Future[Any]]) -> bool:
        """Stop calls that take too long; return whether all that was in flight is lost."""

    def abort(self) -> None:
        """Stop as much of the running work as this executor allows, at once."""


class TaskLost(Exception):
    """An executor gives up on a call, whose worker died in every attempt."""

    def __init__(self, message: str, attempts: int) -> None:
        super().__init__(message, attempts)
        self.attempts = attempts

    def __str__(self) -> str:
        """Return what happened."""
        return str(self.args[0])


class Serial:
    """Tasks run one after the other in this process."""

    __slots__ = ()

    name = "serial"
    window = 1
    workers = 1
    here = True
    renewable = False

    def start(self, broken: Executor | None = None) -> Executor:  # noqa: ARG002
        """Return an executor that runs each call while it is submitted."""
        return _InProcess()

    def interrupt(self, late: Sequence[Future[Any]]) -> bool:  # noqa: ARG002
        """Do nothing: a call is over once it is submitted."""
        return False

    def abort(self) -> None:
        """Do nothing: nothing runs outside the call itself."""


class Loky:
    """Tasks run in `workers` fresh processes (never forked), one thread each.

    The processes stay for the next map of the same run and leave when idle.
    """

    __slots__ = ("_lock", "_pool", "workers")

    here = False
    renewable = True

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Executor | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """``loky:n``."""
        return f"loky:{self.workers}"

    @property
    def window(self) -> int:
        """Two per worker, so that none waits for the driver."""
        return 2 * self.workers

    def start(self, broken: Executor | None = None) -> Executor:
        """Return the pool, a new one if there is none or the last is `broken`."""
        with self._lock, _interrupts_blocked():
            if self._pool is None or self._pool is broken:
                self._pool = loky.ProcessPoolExecutor(
                    max_workers=self.workers,
                    context=loky.backend.get_context("loky"),
                    timeout=_IDLE_SECONDS,
                    initializer=_begin_worker,
                    initargs=(os.getpid(),),
                    env=ONE_THREAD,
                )
            with contextlib.suppress(loky.BrokenProcessPool):
                self._pool.submit(_nothing)  # makes it start its workers
            return self._pool

    def interrupt(self, late: Sequence[Future[Any]]) -> bool:  # noqa: ARG002
        """Kill the workers: none of them can be told from the one that is late."""
        self.abort()
        return True

    def abort(self) -> None:
        """Kill the workers, whatever they are doing."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]


class Borrowed:
    """Tasks run in an executor of the user, who keeps it and shuts it down."""

    __slots__ = ("_executor",)

    here = True
    renewable = False

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @property
    def name(self) -> str:
        """The class of the executor."""
        return type(self._executor).__name__

    @property
    def workers(self) -> int:
        """What the executor says, or as many as there can be."""
        workers = getattr(self._executor, "_max_workers", None)
        return workers if isinstance(workers, int) and workers > 0 else _UNKNOWN_WINDOW // 2

    @property
    def window(self) -> int:
        """Two per worker."""
        return 2 * self.workers

    def start(self, broken: Executor | None = None) -> Executor:  # noqa: ARG002
        """Return the user's executor."""
        return self._executor

    def interrupt(self, late: Sequence[Future[Any]]) -> bool:
        """Cancel what has not begun; what runs there belongs to the user."""
        for future in late:
            future.cancel()
        return False

    def abort(self) -> None:
        """Do nothing: what runs there belongs to the user."""


def resolve_executor(executor: str | Executor | ExecutorSpec | Client) -> ExecutorSpec:
    """Return the executor that is meant by ``"serial"``, ``"loky:n"``, ``"dask:..."`` or an object.

    A pool of forked processes is refused: a forked copy of a process that has used
    OpenMP threads can hang for ever.
    """
    text = executor if isinstance(executor, str) else ""
    if text == "serial":
        return Serial()
    if match := re.fullmatch(r"loky:([1-9][0-9]{0,3})", text):
        return Loky(int(match[1]))
    if text.startswith("dask:"):
        return resolve_dask(text)
    if spec := of_client(executor):
        return spec
    if isinstance(executor, Executor):
        context = getattr(executor, "_mp_context", None)
        require(
            context is None or context.get_start_method() != "fork",
            "executor",
            got="a pool of forked processes",
            expected="processes that start afresh",
            remedy='Use "loky:n", or mp_context=multiprocessing.get_context("spawn").',
        )
        return Borrowed(executor)
    if isinstance(executor, ExecutorSpec):
        return executor
    raise InputError(
        "executor",
        got=repr(executor) if isinstance(executor, str) else f"a {type(executor).__name__}",
        expected=f'"serial", "loky:n" with n >= 1 workers, a concurrent.futures.Executor, {FORMS}',
        remedy='For example executor="loky:4".',
    )


class _InProcess(Executor):
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # Ctrl-C is no Exception and goes through.
            future.set_exception(error)
        return future


# They reach the whole process group, from a terminal or a batch system; only the driver answers
# them, and kills its workers.
_FOR_THE_DRIVER = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2")
    if hasattr(signal, name)
)
_LOOK_SECONDS = 1.0


def _begin_worker(driver: int) -> None:
    for number in _FOR_THE_DRIVER:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()


def _end_with(driver: int) -> None:
    # A driver that is killed can tell nobody, and its workers would finish their tasks first.
    while os.getppid() == driver:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    # A worker inherits the signal mask, and so is deaf to Ctrl-C and the like from its
    # first instruction on, before its initializer has been imported.
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_DRIVER)
    # So are the processes that clean up after all others; starting them lifts the mask.
    for tracker in (resource_tracker, loky_tracker):
        tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_DRIVER)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def quiet_pool() -> Iterator[None]:
    """Silence loky's remarks on workers that leave and are replaced.

    They are no fault, and where warnings are errors the remark would end the
    thread that manages the pool, and with it the map.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker (stopped|was restarted)", UserWarning)
        yield


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Limit BLAS, OpenMP and (if imported) torch to one thread inside the block.

    A sum over threads depends in its last bits on their number, so each task
    runs on one, in a worker as in the calling process; parallelism is over
    tasks.  The limits that were there come back at the end of the block.

    OpenMP and torch keep their limits per calling thread, BLAS one for the
    process.  The tasks of a thread pool therefore run inside a block that the
    driver holds open around all of them; whichever of them ends first then
    finds one thread and leaves one thread.  A library that is first imported
    inside the block is limited only where the environment says so, as it does
    in the workers.
    """
    with threadpoolctl.threadpool_limits(limits=1), _torch_limited(sys.modules.get("torch")):
        yield


@contextlib.contextmanager
def _torch_limited(torch: ModuleType | None) -> Iterator[None]:
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
