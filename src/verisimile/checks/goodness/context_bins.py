"""Bins of one context column, and what is looked for in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.combination import Combination, SumOfBins
from verisimile.checks.goodness.gaussian import GaussianKernels
from verisimile.checks.goodness.search import Search, search_of
from verisimile.checks.goodness.setup import Alternative
from verisimile.core.arrays import Array, IntArray, frozen
from verisimile.core.errors import InputError

__all__ = ["ContextBins", "PlacedBins"]


@dataclass(frozen=True, slots=True)
class ContextBins:
    """How a test in bins of context is laid out.

    Attributes
    ----------
    feature
        Name of the context column that is binned.
    edges
        Increasing bin edges ``(G + 1,)``, or a number of bins with about equal
        numbers of events.  The last bin contains its upper edge.
    alternative
        What is looked for in each bin: kernels in x, or a :class:`Search` with one
        alternative, its number of placements, and the surprise of the whole sample.
    combination
        How the bins become one p-value: :class:`SumOfBins` or :class:`SmallestP`.
    fewest
        A bin with fewer events is refused: no fit could see anything there.
    """

    feature: str
    edges: int | Sequence[float] = 5
    alternative: Alternative | Search = GaussianKernels(count=40)
    combination: Combination = SumOfBins()
    fewest: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.edges, int):
            good = self.edges >= 1
        else:
            array = np.asarray(self.edges, dtype=np.float64)
            rising = array.ndim == 1 and array.size >= 2 and bool((np.diff(array) > 0).all())
            good = rising and bool(np.isfinite(array).all())
        if not good or self.fewest < 1:
            raise InputError(
                "ContextBins",
                got=f"edges={self.edges!r}, fewest={self.fewest}",
                expected="a positive number of bins or finite rising edges; fewest >= 1",
            )
        if len(self.search.alternatives) > 1:
            raise InputError(
                "ContextBins.alternative",
                got=f"{len(self.search.alternatives)} alternatives",
                expected="one for each bin",
            )

    @property
    def search(self) -> Search:
        """What is looked for in each bin, with its placements and surprise."""
        return search_of(self.alternative, GaussianKernels())

    def place(self, values: Array) -> PlacedBins:
        """Return the bins of given contexts ``(n,)``.

        Raises
        ------
        InputError
            If a bin has fewer than `fewest` events.
        """
        if isinstance(self.edges, int):
            # Ties can make quantiles coincide; the bins are then fewer.
            edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, self.edges + 1)))
            edges = np.array([edges[0], edges[0]]) if edges.size == 1 else edges
        else:
            edges = np.asarray(self.edges, dtype=np.float64)
        index = np.searchsorted(edges, values, side="right") - 1
        index[values == edges[-1]] = edges.size - 2
        index[(values < edges[0]) | (values > edges[-1])] = -1
        counts = np.bincount(index[index >= 0], minlength=edges.size - 1)
        self._enough(edges, counts)
        return PlacedBins(self.feature, frozen(edges), index.astype(np.int64))

    def _enough(self, edges: Array, counts: IntArray) -> None:
        poor = np.flatnonzero(counts < self.fewest)
        if poor.size:
            named = ", ".join(
                f"{counts[b]} in [{edges[b]:.6g}, {edges[b + 1]:.6g}]" for b in poor[:5]
            )
            raise InputError(
                f"bins of {self.feature}",
                got=f"{poor.size} bins with too few events: {named}",
                expected=f"at least {self.fewest} events in each",
                remedy="Use fewer or wider bins, or set ContextBins(fewest=...).",
            )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBins:
    """Bins and the events in them.

    Attributes
    ----------
    feature
        Name of the binned column.
    edges
        ``(G + 1,)``.
    index
        Bin of each event ``(n,)``; -1 outside of the edges.
    """

    feature: str
    edges: Array
    index: IntArray

    @property
    def count(self) -> int:
        """Number of bins G."""
        return self.edges.size - 1

    @property
    def counts(self) -> IntArray:
        """Events in each bin ``(G,)``."""
        return np.bincount(self.index[self.inside], minlength=self.count).astype(np.int64)

    @property
    def inside(self) -> IntArray:
        """Numbers of the events that lie in some bin."""
        return np.flatnonzero(self.index >= 0).astype(np.int64)

    def interval(self, number: int) -> str:
        """Return a bin in words."""
        low, high = self.edges[number], self.edges[number + 1]
        return f"{self.feature} from {low:.4g} to {high:.4g}"

    def rows(self, number: int) -> IntArray:
        """Return the numbers of the events in one bin."""
        return np.flatnonzero(self.index == number).astype(np.int64)

    def kept(self) -> PlacedBins:
        """Return the same bins for the events inside alone."""
        return PlacedBins(self.feature, self.edges, self.index[self.inside])
