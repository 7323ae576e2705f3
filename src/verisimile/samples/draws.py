"""Draws of the null of two samples: relabelings of events, and multiplied masses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.random import Seeds

_FREEDOM = 2.5
_LEAST = 0.01  # of a variance that one unit may leave: where it is all, nothing is left

Labels = BoolArray
"""Relabelings ``(R, N)`` of the pooled events: true for the first sample."""


@dataclass(frozen=True, slots=True, eq=False)
class MassRows:
    r"""Pairs of distributions on the pooled events, each a row that sums to one.

    Attributes
    ----------
    first, second
        Masses a and b of every event ``(R, N)``, of either sign.
    base
        Signed masses of the samples as they are ``(N,)``: of the first sample, less
        those of the second.
    """

    first: Array
    second: Array
    base: Array

    @property
    def signed(self) -> Array:
        """Differences a - b ``(R, N)``, rows that sum to zero."""
        return np.asarray(self.first - self.second)


def relabeled(units: IntArray, first_units: int, seeds: Seeds, start: int, count: int) -> Labels:
    """Return relabelings number `start` and following ``(count, N)``, one stream each.

    Whole units change sides, `first_units` of them on the first at any time.

    Parameters
    ----------
    units
        Unit of each event ``(N,)``, without gaps: of a sample's groups, or the event itself.
    first_units
        Units of the first sample.
    seeds, start, count
        Root of the streams, and which.
    """
    sides = np.zeros((count, int(units.max()) + 1), dtype=np.bool_)
    for row in range(count):
        order = seeds.at(start + row).numpy().permutation(sides.shape[1])
        sides[row, order[:first_units]] = True
    # Where every event stands alone its unit is its place.
    return sides if sides.shape[1] == units.size else sides[:, units]


def units_of_first(units: IntArray, n: int) -> int:
    """Return how many units the first `n` events have, in codes by first appearance ``(N,)``."""
    return int(units[:n].max()) + 1


def multiplied(masses: Array, units: IntArray, multipliers: Array) -> Array:
    r"""Return the fluctuations of one sample's masses ``(R, n)``, rows that sum to zero.

    .. math:: \delta^*_i = a_i \Big(\xi_{g(i)} c_{g(i)} - \sum_j \xi_{g(j)} c_{g(j)} a_j\Big)

    with one multiplier of mean zero and variance one for each unit, so that
    :math:`\sum_i \delta^*_i h_i` has the variance of the weighted mean
    :math:`\sum_i a_i h_i` for every h; c makes good that residuals of heavy events are
    smaller than deviations, see :func:`leverages`.

    Parameters
    ----------
    masses
        a ``(n,)``, with the sum one.
    units
        Unit of each event ``(n,)``.
    multipliers
        :math:`\xi`, ``(R, G)``.
    """
    scaled = (multipliers * leverages(masses, units, multipliers.shape[1]))[:, units]
    return np.asarray((scaled - (scaled @ masses)[:, None]) * masses)


def variance_freedom(signed: Array, units: IntArray) -> float:
    r"""Return the degrees of freedom of a variance that is estimated from these masses.

    .. math:: \nu = \tfrac52 \Big(\sum_g v_g^2\Big)^2 \Big/ \sum_g v_g^4

    for masses v of the first less the second sample ``(n,)``, summed over units, and a function of
    the events whose ranks are uniform: their squares have 4/5 of their squared mean as variance.

    References
    ----------
    B. L. Welch, Biometrika 34 (1947) 28 (degrees of freedom of an estimated variance).
    """
    squares = np.bincount(units, weights=signed) ** 2
    return float(_FREEDOM * squares.sum() ** 2 / (squares @ squares))


def stretched_signs(seeds: Seeds, rows: Sequence[int], count: int, freedom: float) -> Array:
    r"""Return rows of random signs ``(R, count)``, each times :math:`\sqrt{\nu / \chi^2_\nu}`.

    Squares of signs do not vary, so that diagonals of kernels do not.  The variance that
    they give is an estimate, and of few heavy events if weights vary: most samples lack the
    heaviest, and have too small a variance.  Stretched, draws are those of Student's law.
    """
    drawn = np.empty((len(rows), count))
    for k, row in enumerate(rows):
        rng = seeds.at(row).numpy()
        drawn[k] = 2.0 * rng.integers(0, 2, size=count).astype(np.float64) - 1.0
        drawn[k] *= np.sqrt(freedom / rng.chisquare(freedom))
    return drawn


def unit_masses(masses: Array, units: IntArray, count: int) -> Array:
    """Return the sum of the masses of each unit ``(G,)``."""
    return np.asarray(np.bincount(units, weights=masses, minlength=count), dtype=np.float64)


def leverages(masses: Array, units: IntArray, count: int) -> Array:
    r"""Return :math:`c_g = (1 - 2 A_g + \sum_h A_h^2)^{-1/2}` of each unit ``(G,)``.

    The residual of a unit with the mass A about the weighted mean of equally
    distributed units has :math:`1 - 2 A + \sum A^2` of their variance.
    """
    share = unit_masses(masses, units, count)
    kept = 1.0 - 2.0 * share + (share**2).sum()
    return np.asarray(1.0 / np.sqrt(np.maximum(kept, _LEAST)))
