"""What a two-sample statistic is: prepared once on the pooled events, evaluated on relabelings."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np

from verisimile.core.arrays import Array, BoolArray

__all__ = ["Labels", "Prepared", "Statistic"]

Labels: TypeAlias = BoolArray
"""``(R, N)``: True marks the first sample; R relabelings at once."""


class Prepared(Protocol):
    """A statistic bound to pooled events."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling ``(R,)``; large means different."""
        ...


class Statistic(Protocol):
    """A two-sample statistic."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        ...

    @property
    def weights(self) -> str:
        """The most general event weights it can take: none, positive or signed."""
        ...

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> Prepared:
        """Return the statistic bound to events ``(N, d)`` with weights ``(N,)``."""
        ...
