"""The only place that touches torch's global state, and puts it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from verisimile.core.errors import InputError, require_at_least
from verisimile.core.random import Seeds


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a batched training runs: a torch device, and on a CPU how many threads."""

    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        require_at_least(1, self.threads, "Placement.threads")
        try:
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                "Placement.device",
                got=repr(self.device),
                expected="a torch device of this machine",
                remedy="Without a GPU: Placement(threads=2).",
            ) from error


CPU = Placement()
"""One thread of the CPU."""


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run torch on `count` threads inside the block."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[None]:
    """Run torch on one thread inside the block: sums then have one order, whatever the machine."""
    return threads(1)


@contextmanager
def seed_scope(seeds: Seeds) -> Iterator[None]:
    """Seed torch's global stream, with float32 as default, inside the block.

    Modules that initialise themselves know no other stream.
    """
    dtype = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer())
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextmanager
def borrowed_streams(seed: int) -> Iterator[None]:
    """Seed torch's global streams, of the CPU and of CUDA devices in use, inside the block.

    For models that know no other stream; all of them are put back.
    """
    used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if used else []):
        # torch.manual_seed would also seed, for good, devices that are first used later.
        torch.default_generator.manual_seed(seed)
        if used:
            torch.cuda.manual_seed_all(seed)
        yield
