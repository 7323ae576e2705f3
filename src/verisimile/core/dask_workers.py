"""What runs inside a dask worker, and whether the workers of a cluster fit the driver."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.executor import ONE_THREAD
from verisimile.core.versions import installed

if TYPE_CHECKING:
    import distributed

P = ParamSpec("P")
T = TypeVar("T")

_DECISIVE = ("python", "verisimile")
_PACKAGES = ("verisimile", "numpy", "torch", "dask", "distributed", "cloudpickle")
_NAMED = 3
_FOLDER_SECONDS = 10.0
_TURN = threading.Lock()

Facts = Mapping[str, str]
Ask = Callable[[Callable[..., object], tuple[object, ...], Collection[str]], Mapping[str, Any]]
"""Calls a function with arguments in the named workers; returns values or exceptions by name."""


def one_at_a_time(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `fn` in a worker, on one inner thread and with no other task beside it.

    The number of BLAS threads, torch's global stream and default type, and the filters of
    warnings belong to the whole process, so two tasks in threads of one worker could change
    each other's numbers.  What is imported later reads the number of threads from the
    environment, which a worker without a nanny does not have from the start.
    """
    with _TURN:
        os.environ.update(ONE_THREAD)
        return fn(*args, **kwargs)


def facts() -> dict[str, str]:
    """Return the versions of this process that can matter."""
    # Minor versions of Python alone: patches change no numbers and no bytes of a message.
    return installed(_PACKAGES) | {"python": ".".join(platform.python_version_tuple()[:2])}


def end_process() -> None:
    """End a worker whose task has no end."""
    os._exit(1)


def end_worker(dask_worker: distributed.Nanny) -> None:
    """End the worker of a nanny, which is told to do so by that parameter's name."""
    if dask_worker.pid is not None:
        os.kill(dask_worker.pid, signal.SIGKILL)


def sees(probe: str) -> bool:
    """Return whether this process finds the file."""
    try:
        return Path(probe).is_file()
    except OSError:  # a folder on the way that it may not read
        return False


def check_threads(threads: Mapping[str, int]) -> None:
    """Warn of workers whose threads, but for one, will have nothing to do."""
    several = sorted(worker for worker, count in threads.items() if count > 1)
    if several:
        warnings.warn(
            f"dask workers: {_named(several)} with {max(threads.values())} threads; a process"
            " does one task at a time. Start them with --nthreads 1 --nworkers N instead.",
            VerisimileWarning,
            stacklevel=2,
        )


def check_versions(ask: Ask, workers: Collection[str]) -> None:
    """Raise where a worker cannot give the same numbers, warn where it might not.

    Raises
    ------
    InputError
        If minor versions of python or versions of verisimile differ; names who has what.
    """
    own = facts()
    theirs = {worker: _told(reply) for worker, reply in ask(facts, (), workers).items()}
    for name in own:
        others = {worker: each[name] for worker, each in theirs.items() if each[name] != own[name]}
        if not others:
            continue
        found = f"{name} {own[name]} here, {_listed(others)}"
        remedy = "Start the workers in the driver's environment, or in a copy of it."
        if name in _DECISIVE:
            raise InputError(
                "dask workers", got=found, expected=f"the same {name} everywhere", remedy=remedy
            )
        warnings.warn(
            f"dask workers: {found}; results may differ in their last bits. {remedy}",
            VerisimileWarning,
            stacklevel=2,
        )


def check_folder(ask: Ask, workers: Collection[str], folder: Path) -> None:
    """Raise unless every worker finds under the same path what the driver writes to `folder`.

    Raises
    ------
    InputError
        If one of them does not, after the delays that network file systems have.
    """
    blind = set(workers)
    with _probe(folder) as probe:
        end = time.monotonic() + _FOLDER_SECONDS
        while blind:
            replies = ask(sees, (str(probe),), blind)
            blind = {worker for worker, reply in replies.items() if reply is not True}
            if blind and time.monotonic() > end:
                raise InputError(
                    f"run folder {folder}",
                    got=f"{_named(sorted(blind))} that cannot see it",
                    expected="a folder that driver and workers share",
                    remedy="Give a path on a file system that is mounted at the same place on"
                    " all machines.",
                )
            if blind:
                time.sleep(0.5)


@contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    # A new name each time: network file systems remember for a while what was not there.
    probe = folder / f".probe.{uuid.uuid4().hex}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise InputError(
            f"run folder {folder}",
            got=f"{type(error).__name__}: {error}",
            expected="a folder in which the driver can write",
        ) from error
    try:
        yield probe
    finally:
        probe.unlink(missing_ok=True)


def _told(reply: object) -> Facts:
    """Return what a worker said; one that cannot import this module has no such version."""
    if isinstance(reply, dict):
        return reply
    if isinstance(reply, ImportError | AttributeError):
        return {**facts(), "verisimile": f"none or another ({reply})"}
    if isinstance(reply, BaseException):
        raise reply
    raise InputError("dask workers", got=f"the answer {reply!r}", expected="their versions")


def _listed(others: Mapping[str, str]) -> str:
    by_version: dict[str, list[str]] = {}
    for worker, value in sorted(others.items()):
        by_version.setdefault(value, []).append(worker)
    return ", ".join(f"{value} on {_named(names)}" for value, names in by_version.items())


def _named(workers: Collection[str]) -> str:
    names = list(workers)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
