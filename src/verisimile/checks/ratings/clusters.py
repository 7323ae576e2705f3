"""Answers that share a rater or an item are not independent: errors that know it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from verisimile.checks.ratings.table import Ratings, encode
from verisimile.core.arrays import Array, IntArray, require_fraction
from verisimile.core.errors import require
from verisimile.stats.intervals import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Who gave each answer and on what item.

    Attributes
    ----------
    raters, items
        Numbers ``(n,)``.
    """

    raters: IntArray
    items: IntArray

    @classmethod
    def of(cls, ratings: Ratings) -> Clusters:
        """Return the clusters of these answers."""
        return cls(encode(ratings.raters)[1], encode(ratings.items)[1])

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of raters and of items."""
        return len(np.unique(self.raters)), len(np.unique(self.items))

    @property
    def dof(self) -> int:
        """Degrees of freedom of the variance: clusters minus one, of the rarer kind.

        A kind with one cluster says nothing and does not count.
        """
        return min([size for size in self.sizes if size > 1], default=1) - 1

    def covariance(self, scores: Array) -> Array:
        r"""Return the covariance of the sum of `scores` ``(n, p)``, whose mean is zero.

        .. math:: V = V_\text{raters} + V_\text{items} - V_\text{both}, \qquad
                  V_k = \frac{G_k}{G_k - 1} \sum_{g} s_g s_g^T,

        :math:`s_g` the sum of scores of cluster g.  Where V is smaller than one of its first
        two terms, that term is returned; where it has a negative eigenvalue the last term is
        left out, which overstates the variance.

        References
        ----------
        A. C. Cameron, J. B. Gelbach, D. L. Miller, J. Bus. Econ. Stat. 29 (2011) 238.
        """
        cells = self.raters * (int(self.items.max()) + 1) + self.items
        parts = [_between(scores, kind) for kind in (self.raters, self.items)]
        known = [part for part in parts if part is not None]
        alone = "one rater and one item"
        require(known, "ratings", got=alone, expected="two or more of either")
        both = _between(scores, cells) if len(known) == 2 else None
        if both is None:
            return known[0]
        largest = max(known, key=np.trace)
        total = np.asarray(known[0] + known[1])
        if np.trace(total - both) <= np.trace(largest):
            return largest
        smallest = np.linalg.eigvalsh(total - both)[0]
        return total if smallest < -1e-12 * np.trace(total) else total - both


class Rate(NamedTuple):
    """A rate, its interval in the population of raters and items, and the design effect.

    That is the variance over that of independent answers; NaN if it is unknown.
    """

    value: float
    interval: Interval
    design_effect: float


def rate_of(values: Array, clusters: Clusters, *, level: float) -> Rate:
    r"""Return the mean of `values` ``(n,)`` in [0, 1], with Korn and Graubard's interval.

    Clopper and Pearson's, with the effective number of answers in place of theirs,

    .. math:: n^* = \min\Big(n, \frac{\hat p (1 - \hat p)}{V}
              \Big(\frac{t_{n-1}}{t_{d}}\Big)^2\Big),

    V the variance clustered by rater and by item, d its degrees of freedom.  If all
    answers are equal, or of one rater on one item, V is unknown; then :math:`n^*` is the
    smaller number of clusters.

    References
    ----------
    E. L. Korn, B. I. Graubard, Surv. Methodol. 24 (1998) 193.
    """
    require_fraction(level, "level")
    n, rate = values.size, float(values.mean())
    if rate in (0.0, 1.0) or clusters.dof == 0:
        effective = float(clusters.dof + 1)
        return Rate(rate, _interval(rate, effective, level), math.nan)
    scores = ((values - rate) / n)[:, None]
    variance = float(clusters.covariance(scores)[0, 0])
    independent = rate * (1.0 - rate) / (n - 1)
    half = 0.5 * (1.0 + level)
    shrink = float(stats.t.ppf(half, n - 1) / stats.t.ppf(half, clusters.dof)) ** 2
    ratio = variance / independent
    effective = n * shrink / max(ratio, shrink)
    return Rate(rate, _interval(rate, effective, level), ratio)


def _interval(rate: float, n: float, level: float) -> Interval:
    k, tail = rate * n, 0.5 * (1.0 - level)
    low = float(special.betaincinv(k, n - k + 1.0, tail)) if rate > 0.0 else 0.0
    high = float(special.betaincinv(k + 1.0, n - k, 1.0 - tail)) if rate < 1.0 else 1.0
    return low, high


def _between(scores: Array, cluster: IntArray) -> Array | None:
    _, group = np.unique(cluster, return_inverse=True)
    count = int(group.max()) + 1
    if count < 2:
        return None
    sums = np.stack([np.bincount(group, weights=column) for column in scores.T], axis=1)
    return np.asarray(count / (count - 1) * (sums.T @ sums))
