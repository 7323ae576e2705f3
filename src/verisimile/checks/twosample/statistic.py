"""What the permutation engine asks of a two-sample statistic."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array, BoolArray

__all__ = ["Labels", "Prepared", "Statistic"]

Labels = BoolArray


class Prepared(Protocol):
    """A statistic of one pooled sample, ready for many relabelings."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic ``(R,)`` of relabelings ``(R, N)``; True marks the first sample."""
        ...


class Statistic(Protocol):
    """A measure of the difference between two samples; large is different."""

    @property
    def name(self) -> str:
        """Name in results."""
        ...

    @property
    def weights(self) -> str:
        """The most general event weights it takes: ``none``, ``positive`` or ``signed``."""
        ...

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> Prepared:
        """Return the statistic of a pooled sample ``(N, d)`` with weights ``(N,)``."""
        ...
