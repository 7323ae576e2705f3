"""Exact intervals on the mean of a normal number that cannot be negative."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize, stats

__all__ = ["bounded_normal"]

_FAR = 12.0  # standard deviations


def bounded_normal(value: float, error: float, level: float) -> tuple[float, float]:
    r"""Return the likelihood-ratio ordered interval on a mean :math:`\mu \ge 0`.

    .. math:: q(x, \mu) = -2 \log \frac{N(x; \mu, 1)}{N(x; \max(x, 0), 1)}, \qquad
              P_\mu(q \le q_{obs}) \le \text{level}

    It covers exactly at every mean, is never empty, and goes from one-sided to
    two-sided by itself.

    Parameters
    ----------
    value, error
        The unbounded estimate, which may be negative, and its standard error.
    level
        Content.

    References
    ----------
    G. J. Feldman, R. D. Cousins, Phys. Rev. D 57 (1998) 3873, sec. IV B.

    Examples
    --------
    >>> [round(limit, 2) for limit in bounded_normal(0.0, 1.0, 0.95)]
    [0.0, 1.96]
    """
    x = max(value / error, -_FAR)
    best = max(x, 0.0)

    def excess(mean: float) -> float:
        return _content(x, mean) - level

    high = _root(excess, best, best + _FAR)
    low = 0.0 if excess(0.0) <= 0.0 else _root(excess, 0.0, best)
    return low * error, high * error


def _content(x: float, mean: float) -> float:
    """Return the probability of numbers that fit a mean better than x does."""
    root = math.sqrt(max(0.0, (x - mean) ** 2 - min(x, 0.0) ** 2))
    above = float(stats.norm.cdf(root))
    if mean == 0.0:
        return above if root > 0.0 else 0.0  # all negative numbers fit a mean of zero perfectly
    below = -root if root <= mean else -(mean**2 + root**2) / (2.0 * mean)
    return above - float(stats.norm.cdf(below))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-10))
