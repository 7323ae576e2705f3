"""What a two-sample statistic is: prepared once on the pooled events, valued on relabelings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.core.arrays import Array, BoolArray

__all__ = ["Detailed", "Labels", "Prepared", "Statistic", "Tabulated"]

Labels = BoolArray
"""Relabelings ``(R, N)`` of the pooled events: true for the first sample."""


class Prepared(Protocol):
    """A statistic that has seen the pooled events, but not which sample they belong to."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling, ``(R,)``; large means different."""
        ...


@runtime_checkable
class Tabulated(Protocol):
    """A prepared statistic of several columns, which min-p combines on the same relabelings."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the J columns."""
        ...

    def values(self, labels: Labels) -> Array:
        """Return -log of the smallest p-value, ``(R,)``, of each row among the rows given."""
        ...

    def table(self, labels: Labels) -> Array:
        """Return every column of each relabeling, ``(R, J)``."""
        ...


@runtime_checkable
class Detailed(Protocol):
    """A prepared statistic with more to say about the observed labels."""

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling, ``(R,)``."""
        ...

    def details(self, labels: Labels) -> Mapping[str, float]:
        """Return named numbers for one labeling ``(1, N)``."""
        ...


class Statistic(Protocol):
    """A measure of the difference of two samples.

    The engine keeps null values by ``repr``: a frozen dataclass whose ``repr``
    names every setting is what it wants.
    """

    @property
    def name(self) -> str:
        """Short name, the key of its result."""
        ...

    @property
    def weights(self) -> str:
        """The most general event weights that it can take: none, positive or signed."""
        ...

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> Prepared:
        """Do once what no relabeling changes.

        Parameters
        ----------
        pooled
            All events in common coordinates ``(N, d)``.
        weights
            Their weights ``(N,)``, ones if there are none.
        rng
            For choices that do not look at labels, such as directions.
        """
        ...
