"""The only place that touches torch's global state, and puts it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from verisimile.core.random import Seeds

__all__ = ["one_thread", "seeded"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread inside the block: sums then have one order, whatever the machine."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seeds: Seeds) -> Iterator[None]:
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
