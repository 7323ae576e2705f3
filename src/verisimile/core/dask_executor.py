"""Tasks on a dask cluster: one that is there, a local one, or the client of the user."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import re
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verisimile.core.errors import IncompleteError, InputError

if TYPE_CHECKING:
    import distributed

    from verisimile.core.dask_pool import DaskPool

FORMS = (
    '"dask:tcp://HOST:PORT" (or tls://, ucx://), "dask:scheduler-file=PATH",'
    ' "dask:local:N", or a distributed.Client'
)
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 3.0
_ADDRESS = re.compile(r"(?:tcp|tls|ucx)://[^\s/]+:[0-9]{1,5}")


class Dask:
    """Tasks run on a dask cluster, one at a time in each of its worker processes.

    Workers may come and go while a map runs.  A cluster that is lost as a whole ends the map
    in an `IncompleteError`; the next map connects again.

    Parameters
    ----------
    name
        The words that describe it in reports.
    connect
        Returns a client.
    close
        Ends what `connect` began, at the latest at the end of the process; None if that
        belongs to the user.
    """

    __slots__ = ("__weakref__", "_close", "_closing", "_connect", "_lock", "_pool", "name")

    here = False
    renewable = False

    def __init__(
        self,
        name: str,
        connect: Callable[[], distributed.Client],
        close: Callable[[distributed.Client], None] | None = None,
    ) -> None:
        self.name = name
        self._connect, self._close = connect, close
        self._closing: Callable[[], object] | None = None
        self._lock = threading.RLock()
        self._pool: DaskPool | None = None

    @property
    def workers(self) -> int:
        """The worker processes that are there, or one that is awaited."""
        return max(1, len(self._pool.threads) if self._pool else 0)

    @property
    def window(self) -> int:
        """Two for each worker, so that none waits for the driver; more of the smallest tasks."""
        return max(2 * self.workers, self._pool.ahead if self._pool else 0)

    @property
    def remark(self) -> str:
        """What a line of progress should say while no worker is there."""
        return self._pool.remark if self._pool else ""

    def start(self, broken: Executor | None = None) -> DaskPool:  # noqa: ARG002
        """Return the pool, connected and with its workers checked.

        Raises
        ------
        IncompleteError
            If no scheduler answers.
        InputError
            If dask is not installed, or a worker has other versions.
        """
        with self._lock:
            if self._pool is not None and self._pool.ended is not None:
                self.abort()
            if self._pool is None:
                self._pool = self._connected()
            self._pool.look()
            return self._pool

    def check_folder(self, folder: Path) -> None:
        """Raise unless all workers see `folder`; those that come later are asked too."""
        self.start().share(folder)

    def interrupt(self, late: Sequence[Future[Any]]) -> bool:
        """End the workers that are at calls without an end; the cluster repeats the others."""
        if self._pool is not None:
            self._pool.interrupt(late)
        return False

    def abort(self) -> None:
        """Give up all calls, and the connection or the workers if they are ours."""
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None:
                pool.cancel()
            if self._closing is not None:
                self._closing()
                self._closing = None

    def _connected(self) -> DaskPool:
        from verisimile.core.dask_pool import DaskPool  # noqa: PLC0415  (an extra)

        client = self._connect()
        if self._close is not None:
            self._closing = weakref.finalize(self, self._close, client)
        return DaskPool(client)


def resolve_dask(text: str) -> Dask:
    """Return the executor that is meant by ``"dask:..."``."""
    _require_dask()
    target = text.removeprefix("dask:")
    if _ADDRESS.fullmatch(target):
        return Dask(text, lambda: _client(target, time.monotonic() + _CONNECT_SECONDS), _leave)
    if (path := target.removeprefix("scheduler-file=")) not in (target, ""):
        return Dask(text, lambda: _client_of_file(Path(path).expanduser().absolute()), _leave)
    if match := re.fullmatch(r"local:([1-9][0-9]{0,3})", target):
        return Dask(text, lambda: _local(int(match[1])), _leave)
    raise InputError(
        "executor", got=repr(text), expected=FORMS, remedy='For example "dask:local:4".'
    )


def of_client(candidate: object) -> Dask | None:
    """Return the executor of a dask client, None for anything else."""
    # Whoever has a client has imported its module.
    module = sys.modules.get("distributed")
    if module is None or not isinstance(candidate, module.Client):
        return None
    if candidate.asynchronous:
        raise InputError(
            "executor",
            got="an asynchronous dask client",
            expected="one that waits",
            remedy="For example distributed.Client(address).",
        )
    return Dask("dask", lambda: candidate)


def _require_dask() -> None:
    try:
        import distributed  # noqa: F401, PLC0415  (an extra)
    except ImportError as error:
        raise InputError(
            "executor",
            got=f"dask, which cannot be imported ({error})",
            expected="the packages dask and distributed",
            remedy="pip install verisimile[dask]",
        ) from None


def _client(address: str, end: float) -> distributed.Client:
    import distributed  # noqa: PLC0415

    try:
        return distributed.Client(
            address, timeout=max(1.0, end - time.monotonic()), set_as_default=False
        )
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise _unreachable(address, f"{type(error).__name__}: {error}") from error


def _client_of_file(path: Path) -> distributed.Client:
    """Connect to the scheduler that wrote `path`, or is about to."""
    end = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            address = json.loads(path.read_text(encoding="utf-8"))["address"]
            break
        except (OSError, ValueError, LookupError, TypeError) as error:
            if time.monotonic() > end:
                raise _unreachable(str(path), f"{type(error).__name__}: {error}") from error
            time.sleep(0.1)
    return _client(str(address), end + _CONNECT_SECONDS / 2)


def _unreachable(where: str, found: str) -> IncompleteError:
    return IncompleteError(
        f"dask cluster at {where}",
        got=found,
        expected="a scheduler that answers",
        remedy="Start it, or correct the address, and run the same command again.",
    )


def _local(workers: int) -> distributed.Client:
    import dask  # noqa: PLC0415
    import distributed  # noqa: PLC0415

    settings = copy.deepcopy(dask.config.get("distributed"))
    settings["worker"]["profile"]["enabled"] = False  # it samples all the time, and nobody looks
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=None,  # a task that needs more than its share is not killed for it
        silence_logs=logging.CRITICAL,  # what matters is said by the map
        config={"distributed": settings},
    )
    return distributed.Client(cluster, set_as_default=False)


def _leave(client: distributed.Client) -> None:
    """Close a connection of ours, and the cluster behind it if it is ours too."""
    cluster = client.cluster
    if cluster is not None:
        # Closed politely, a cluster waits for what its workers are doing.
        for nanny in cluster.workers.values():
            nanny.auto_restart = False
            if nanny.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(nanny.pid, signal.SIGKILL)
    # Whatever they say, there is nothing left to do.
    with contextlib.suppress(Exception):
        client.close(timeout=_CLOSE_SECONDS)
    if cluster is not None:
        with contextlib.suppress(Exception):
            cluster.close(timeout=_CLOSE_SECONDS)
