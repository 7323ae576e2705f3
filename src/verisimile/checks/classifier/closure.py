"""Whether the classifier's weights turn generated marginals into true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.checks.classifier.samples import Pool
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import NumericsError
from verisimile.core.result import register
from verisimile.stats.linalg import solve_spd, whitening

__all__ = ["Closure", "closure_of", "shape_chi2"]

_BINS, _PER_BIN = 20, 20
_NOTHING = 1e-6  # of a difference: rounding


@register("classifier-closure", 1)
@dataclass(frozen=True, slots=True)
class Closure:
    """One feature's marginal of the truth against the generated events, before and after weights.

    Attributes
    ----------
    feature
        Its name.
    before, after
        Chi-squared of the shapes, with the errors of both samples' weights.  The
        first follows its law if the samples agree; the second is descriptive,
        since the weights were learned from these events' neighbours.
    dof
        Bins minus one.
    """

    feature: str
    before: float
    after: float
    dof: int


def closure_of(pool: Pool, ratios: Array) -> tuple[Closure, ...]:
    """Return the closure of each feature; `ratios` ``(N,)`` weight generated events to truth."""
    usable = pool.truth | np.isfinite(ratios)
    generated = ~pool.truth & usable
    reweighted = pool.weights[generated] * ratios[generated]
    bins = max(2, min(_BINS, min(pool.n_truth, pool.n_generated) // _PER_BIN))
    out = []
    for j, name in enumerate(pool.names):
        cell = _cells(pool.x[:, j], bins)
        count = int(cell.max()) + 1
        theirs = (cell[pool.truth], pool.weights[pool.truth])
        before = shape_chi2(theirs, (cell[~pool.truth], pool.weights[~pool.truth]), count)
        after = shape_chi2(theirs, (cell[generated], reweighted), count)
        out.append(Closure(name, before, after, count - 1))
    return tuple(out)


def shape_chi2(first: tuple[IntArray, Array], second: tuple[IntArray, Array], bins: int) -> float:
    r"""Return chi-squared of two normalised histograms of weighted events.

    .. math:: \chi^2 = \Delta^T C^{-1} \Delta, \quad
              C_{ab} = \sum_i \frac{u_i^2}{U^2} ([i \in a] - p_a)([i \in b] - p_b)

    summed over the samples, without the last bin, which the others determine.
    Each argument is (cell numbers, weights).  Infinite if the shapes differ in a direction
    without any error, as those of samples without a common cell do; NaN if weights sum to
    nothing.
    """
    if bins < 2:
        return 0.0
    if not all(weights.sum() > 0.0 for _, weights in (first, second)):
        return math.nan
    apart, covariance = np.zeros(bins - 1), np.zeros((bins - 1, bins - 1))
    for sign, (cell, weights) in ((1.0, first), (-1.0, second)):
        share = np.bincount(cell, weights=weights, minlength=bins) / weights.sum()
        square = np.bincount(cell, weights=weights**2, minlength=bins) / weights.sum() ** 2
        apart += sign * share[:-1]
        covariance += _covariance(share, square)[:-1, :-1]
    try:
        return float(apart @ solve_spd(covariance, apart))
    except NumericsError:
        return _singular(covariance, apart)


def _singular(covariance: Array, apart: Array) -> float:
    """Return chi-squared in the directions that have an error, if there is nothing in others."""
    root = whitening(covariance)
    scaled = np.linalg.lstsq(root, apart, rcond=None)[0]
    left = np.linalg.norm(apart - root @ scaled)
    return math.inf if left > _NOTHING * np.linalg.norm(apart) else float(scaled @ scaled)


def _covariance(share: Array, square: Array) -> Array:
    """Return the covariance of normalised contents, whose sum does not fluctuate."""
    mixed = np.outer(share, square)
    both = np.diag(square) - mixed - mixed.T + square.sum() * np.outer(share, share)
    return np.asarray(both, dtype=np.float64)


def _cells(column: Array, bins: int) -> IntArray:
    """Return bin numbers of equal pooled population; repeated values share a bin."""
    edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    _, group = np.unique(np.searchsorted(edges, column, "right"), return_inverse=True)
    return np.asarray(group, dtype=np.int64)
