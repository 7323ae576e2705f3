"""Equal-population cells of a feature, and the windows of neighbouring cells that are scanned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, IntArray

__all__ = ["FeatureWindows", "cells_of", "windows_of"]

_FEWEST = 8  # pooled events in a cell, on average
_FEWEST_MASSES = 10.0  # effective events that both samples expect in a window
_FLAT = 1e-12  # of the sum of squared weights: a variance that is rounding


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWindows:
    r"""Windows of one feature, with what no relabeling changes.

    Attributes
    ----------
    low, high
        First cell, and first cell beyond it ``(W,)``; on a circle cell C is the first again.
    share
        Pooled share of the weights, :math:`p = \sum_W w / \sum w`, ``(W,)``.
    per_deviation
        :math:`1 / \sqrt V` with :math:`V = \sum_i w_i^2 (1[i \in W] - p)^2`; zero
        for windows that hold nothing or everything ``(W,)``.
    allowance
        What a window of this share of events is allowed, ``(W,)``.
    around
        Whether the cells lie on a circle.
    """

    low: IntArray
    high: IntArray
    share: Array
    per_deviation: Array
    allowance: Array
    around: bool = False

    def of_masses(self, spread: float) -> FeatureWindows:
        r"""Return the same windows with deviations in units of :math:`\sqrt{p (1 - p) S}`.

        S = `spread` is the sum of squared masses of both samples.  The unit is that of
        the pool: a window's own squares are small just where a sample happens to have
        few events, and a deficit would be measured by what is missing.  Windows, or
        complements, whose share is less than ten times S are too few events to be scanned.
        """
        inside = np.minimum(self.share, 1.0 - self.share)
        enough = inside >= _FEWEST_MASSES * spread
        variance = np.where(enough, self.share * (1.0 - self.share) * spread, 1.0)
        return replace(self, per_deviation=np.where(enough, 1.0 / np.sqrt(variance), 0.0))

    def deviations(self, sums: Array, mass: Array) -> Array:
        """Return D / sqrt(V) of every window ``(W, R)``.

        Sums of weights of the first sample in every cell ``(C, R)``, and in all ``(R,)``.
        """
        running = _running(sums, around=self.around)
        excess = running[self.high] - running[self.low] - self.share[:, None] * mass
        return np.asarray(excess * self.per_deviation[:, None])


def cells_of(values: Array, cells: int) -> IntArray:
    r"""Return the cell of each event ``(N,)``, numbered from zero without gaps.

    The cell is :math:`\lfloor G (r - 1/2) / N \rfloor` with the mid-rank r of the
    value: equal values share a cell, however many they are.
    """
    count = max(2, min(cells, values.size // _FEWEST))
    ranks = stats.rankdata(values, method="average")
    raw = np.floor((ranks - 0.5) * (count / values.size)).astype(np.int64)
    return np.asarray(np.unique(raw, return_inverse=True)[1], dtype=np.int64)


def windows_of(cell: IntArray, weights: Array, *, around: bool = False) -> FeatureWindows:
    """Return the windows of a feature whose events lie in these cells ``(N,)``.

    With `around` the cells lie on a circle, and windows go over its cut.
    """
    count = int(cell.max()) + 1
    low, high = _edges(count, around=around)

    def within(terms: Array) -> Array:
        content = np.bincount(cell, terms, minlength=count).astype(np.float64)
        running = _running(content[:, None], around=around)
        return np.asarray(running[high, 0] - running[low, 0])

    squares = weights**2
    share = within(weights) / weights.sum()
    variance = within(squares) * (1.0 - 2.0 * share) + share**2 * squares.sum()
    varies = variance > _FLAT * squares.sum()
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    return FeatureWindows(
        low, high, share, scale, _allowance(within(np.ones(cell.size)), cell.size), around
    )


def _running(sums: Array, *, around: bool) -> Array:
    """Return sums over the cells ``(C, R)`` before each, on a circle for two turns."""
    terms = np.concatenate([sums, sums]) if around else sums
    return np.concatenate([np.zeros((1, sums.shape[1])), np.cumsum(terms, axis=0)])


def _allowance(events: Array, total: int) -> Array:
    r"""Return :math:`\sqrt{2 \log(e / h(1 - h))}` for the share h of events in each window."""
    share = np.clip(events / total, 1.0 / total, 1.0 - 1.0 / total)
    return np.asarray(np.sqrt(2.0 * (1.0 - np.log(share * (1.0 - share)))))


def _edges(count: int, *, around: bool) -> tuple[IntArray, IntArray]:
    """Return the windows among `count` cells: widths 1, 2, 3, 4, 6, 8, … to half of them."""
    low, high = [], []
    for width in _widths(count // 2):
        step = max(1, width // 4)
        starts = (
            np.arange(0, count, step)
            if around
            else np.append(np.arange(0, count - width, step), count - width)
        )
        low.append(starts)
        high.append(starts + width)
    return np.concatenate(low), np.concatenate(high)


def _widths(most: int) -> list[int]:
    powers = [2**k for k in range(most.bit_length())]
    return sorted({1, *(w for power in powers for w in (power, 3 * power) if w <= most)})
