"""Nearest events in the union of two paired samples, and what exchanging pairs makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.run import Run

__all__ = ["Neighbours", "Statistics"]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest events of a union to each query, the nearest first.

    Attributes
    ----------
    rows
        Rows of the union ``(n, k)``; row i of the first sample is i, and row i of
        the second is i + pairs.
    distances
        ``(n, k)``.
    pairs
        Events of each of the two samples.
    """

    rows: IntArray
    distances: Array
    pairs: int

    @classmethod
    def of(cls, queries: Array, first: Array, second: Array, run: Run, *, k: int = 8) -> Neighbours:
        """Return the k nearest of two samples ``(N, d)`` each to the queries ``(n, d)``."""
        # In random order: the search may return equally near events by their row.
        order = run.seeds.numpy().permutation(2 * len(first))
        union = np.concatenate([first, second])[order]
        distances, rows = cKDTree(union).query(queries, k=min(k, len(union)))
        return cls(order[rows], distances, len(first))

    def head(self, most: int) -> Neighbours:
        """Return those of the first queries."""
        return Neighbours(self.rows[:most], self.distances[:most], self.pairs)

    def counts(self, *, copies: bool = False) -> Array:
        """Return of how many queries each event is the nearest: ``(2, pairs)``.

        Events at the same distance share a query.  With `copies`, of how many queries
        it is an exact copy.
        """
        tied = self.distances == self.distances[:, :1]
        if copies:
            tied &= self.distances[:, :1] == 0.0
        weights = tied / np.maximum(tied.sum(axis=1, keepdims=True), 1)
        found = np.bincount(self.rows.ravel(), weights.ravel(), minlength=2 * self.pairs)
        return found.reshape(2, self.pairs).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What is computed of the neighbours with some pairs exchanged.

    Attributes
    ----------
    nearest, copies
        Sums with no pair exchanged, and what exchanging each adds ``(pairs,)``.
    first, pair
        Whether a neighbour is of the first sample, and its pair, ``(n, k)``.
    logs
        Logarithm of distance plus a floor ``(n, k)``: a thousandth of the median
        distance to the nearest, so that copies stay finite.
    """

    nearest: tuple[float, Array]
    copies: tuple[float, Array]
    first: BoolArray
    pair: IntArray
    logs: Array

    @classmethod
    def of(cls, near: Neighbours, ratios: int) -> Statistics:
        """Return them, with distance ratios of the first queries only."""
        few = near.head(ratios)
        floor = 1e-3 * float(np.median(few.distances)) + float(np.finfo(float).tiny)
        return cls(
            nearest=_sums(near.counts() / len(near.rows)),
            copies=_sums(near.counts(copies=True) / len(near.rows)),
            first=few.rows < near.pairs,
            pair=few.rows % near.pairs,
            logs=np.log(few.distances + floor),
        )

    def values(self, exchanged: BoolArray) -> tuple[float, float, float]:
        """Return share nearest to the first sample, -mean log of the ratio, share of copies."""
        moved = exchanged.astype(np.float64)
        return (
            self.nearest[0] + float(self.nearest[1] @ moved),
            -self._log_ratio(self.first ^ exchanged[self.pair]),
            self.copies[0] + float(self.copies[1] @ moved),
        )

    def _log_ratio(self, first: BoolArray) -> float:
        # A label missing among the neighbours is taken to be as far as the last of them.
        return float((self._nearest(first) - self._nearest(~first)).mean())

    def _nearest(self, labels: BoolArray) -> Array:
        place = labels.argmax(axis=1)
        place[~labels[np.arange(len(labels)), place]] = labels.shape[1] - 1
        return np.asarray(self.logs[np.arange(len(labels)), place])


def _sums(counts: Array) -> tuple[float, Array]:
    return float(counts[0].sum()), counts[1] - counts[0]
