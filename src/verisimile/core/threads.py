"""One inner thread per task, so that every executor gives the same bits."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

import threadpoolctl

__all__ = ["single_threaded"]


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
