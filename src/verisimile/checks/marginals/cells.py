"""Counts and expectations in bins and beyond them, with their joint covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.stats.linalg import solve_spd

__all__ = ["CHI2_EXPECTED", "Cells", "bin_means", "cell_edges"]

_BEYOND = 1e300
CHI2_EXPECTED = 5.0
"""Expected events from which a cell's count is nearly normal."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Counts, expectations ``(G + 2,)`` and their covariance, under- and overflow included."""

    counts: Array
    expected: Array
    covariance: Array

    def pulls(self) -> Array:
        r"""Return :math:`(n_b - nP_b) / \sqrt{nP_b + V_{bb}}`; NaN where nothing is expected."""
        variance = self.expected + np.diag(self.covariance)
        out = np.full(self.counts.size, np.nan)
        possible = variance > 0.0
        out[possible] = (self.counts - self.expected)[possible] / np.sqrt(variance[possible])
        return out

    def chi2(self) -> tuple[float, int]:
        r"""Return :math:`r^T D^{-1} r` with :math:`D = \mathrm{diag}(nP) + V` and cells - 1.

        D^-1 is a generalised inverse of the multinomial covariance D - nPP^T
        because the residuals, and the rows of V, sum to zero.
        """
        groups = _merged(self.expected)
        sums = (groups[:, None] == np.arange(groups[-1] + 1)).astype(np.float64).T
        residual = sums @ (self.counts - self.expected)
        covariance = np.diag(sums @ self.expected) + sums @ self.covariance @ sums.T
        return float(residual @ solve_spd(covariance, residual)), int(groups[-1])


def cell_edges(edges: Array) -> Array:
    """Return the edges with an outer cell on either side; the last bin holds its upper edge."""
    inner = edges.copy()
    # A selection cut is often the outer edge, and events may lie on it.
    inner[-1] = np.nextafter(inner[-1], math.inf)
    return np.concatenate([[-_BEYOND], inner, [_BEYOND]])


def bin_means(column: Array, weights: Array, edges: Array) -> Array:
    """Return the mean weight of the draws in each bin ``(G,)``; NaN where there are none."""
    drawn = np.histogram(column, edges)[0]
    total = np.histogram(column, edges, weights=weights)[0]
    means = np.full(drawn.size, math.nan)
    np.divide(total, drawn, out=means, where=drawn > 0)
    return means


def _merged(expected: Array) -> IntArray:
    """Return group numbers ``(cells,)`` of neighbours that hold five expected events together."""
    groups = np.zeros(expected.size, dtype=np.int64)
    current, content = 0, 0.0
    for cell, value in enumerate(expected):
        if content >= CHI2_EXPECTED and expected[cell:].sum() >= CHI2_EXPECTED:
            current, content = current + 1, 0.0
        content += float(value)
        groups[cell] = current
    return groups
