"""Intervals on a parameter that cannot be negative, by inversion of a test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, special, stats

from verisimile.core.errors import NumericsError

_DOUBLINGS = 200


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and variance of a statistic that cannot be negative."""

    mean: float
    variance: float


def cdf(value: float, law: Moments) -> float:
    r"""Return the probability of a sum of squares at or below `value`.

    The law is the gamma with these moments, exact for a chi-square of any scale and close
    for sums with unequal weights or a centre off zero; like them it starts at zero.

    .. math:: F(t) = P\big(m^2 / v,\ t\, m / v\big)

    References
    ----------
    P. B. Patnaik, Biometrika 36 (1949) 202; F. E. Satterthwaite, Biometrics 2 (1946) 110.
    """
    rate = law.mean / law.variance
    return float(special.gammainc(law.mean * rate, max(value, 0.0) * rate))


def tails(level: float, mean: float) -> tuple[float, float]:
    r"""Return the lower and upper tails that a test of content `level` leaves out.

    They are those of the likelihood-ratio ordering for a normal variable x of unit
    variance and a mean :math:`\mu \ge 0`: equal where :math:`\mu \ge z`, all in the upper tail
    at zero.  With

    .. math:: \Phi(u) - \Phi\Big(-\frac{\mu^2 + u^2}{2 \mu}\Big) = \mathrm{level}

    they are :math:`\Phi(-(\mu^2 + u^2) / 2\mu)` and :math:`1 - \Phi(u)`.

    References
    ----------
    G. J. Feldman, R. D. Cousins, Phys. Rev. D 57 (1998) 3873, section IV B.
    """
    central = float(special.ndtri(0.5 * (1.0 + level)))
    if mean >= central:
        return 0.5 * (1.0 - level), 0.5 * (1.0 - level)
    if mean <= 0.0:
        return 0.0, 1.0 - level

    def lower(u: float) -> float:
        return float(special.ndtr(-(mean * mean + u * u) / (2.0 * mean)))

    def excess(u: float) -> float:
        return float(special.ndtr(u)) - lower(u) - level

    # Near a mean of zero the lower tail is below the rounding of the level, either way.
    least = float(special.ndtri(level))
    if excess(least) >= 0.0:
        u = least
    else:
        u = central if excess(central) <= 0.0 else optimize.brentq(excess, least, central)
    return lower(u), float(special.ndtr(-u))


def unified_interval(
    observed: float, law: Callable[[float], Moments], level: float
) -> tuple[float, float]:
    r"""Return the values of a parameter :math:`\theta \ge 0` that a test of `level` accepts.

    .. math:: \{\theta: F(t; \theta) \ge \alpha_1(\theta),\ 1 - F(t; \theta) \ge \alpha_2(\theta)\}

    with the tails of :func:`tails` at :math:`\mu = \theta / \sigma(\theta = 0)`.  As
    :math:`\alpha_1 + \alpha_2 = 1 - \mathrm{level}` for every :math:`\theta`, it covers where F is
    right.  It passes by itself from an upper limit to a two-sided interval, and is never empty.

    `law` gives the moments of the statistic :math:`t \ge 0`, whose mean grows with
    :math:`\theta`.
    """
    unit = math.sqrt(law(0.0).variance)

    def above(theta: float) -> float:
        return 1.0 - cdf(observed, law(theta)) - tails(level, theta / unit)[1]

    def below(theta: float) -> float:
        return cdf(observed, law(theta)) - tails(level, theta / unit)[0]

    low = 0.0
    if above(0.0) < 0.0:
        low = float(optimize.brentq(above, 0.0, _bracket(above, unit, sign=1.0)))
    # At zero the lower tail is empty, so that its upper end is looked for just above.
    start = max(low, 1e-9 * unit)
    if below(start) <= 0.0:
        return low, start
    return low, float(optimize.brentq(below, start, _bracket(below, 2.0 * start, sign=-1.0)))


def _bracket(function: Callable[[float], float], start: float, *, sign: float) -> float:
    theta = start
    for _ in range(_DOUBLINGS):
        if sign * function(theta) > 0.0:
            return theta
        theta *= 2.0
    raise NumericsError("amplification interval", got="no end", expected="a finite interval")


_FAR = 12.0  # standard deviations


def bounded_normal(value: float, error: float, level: float) -> tuple[float, float]:
    r"""Return the likelihood-ratio ordered interval on a mean :math:`\mu \ge 0`.

    .. math:: q(x, \mu) = -2 \log \frac{N(x; \mu, 1)}{N(x; \max(x, 0), 1)}, \qquad
              P_\mu(q \le q_{obs}) \le \text{level}

    It covers exactly at every mean, is never empty, and goes from one-sided to
    two-sided by itself.

    `value` is the unbounded estimate, which may be negative, `error` its standard error.

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

    high = float(optimize.brentq(excess, best, best + _FAR, xtol=1e-10))
    low = 0.0
    if excess(0.0) > 0.0:
        low = float(optimize.brentq(excess, 0.0, best, xtol=1e-10))
    return low * error, high * error


def _content(x: float, mean: float) -> float:
    """Return the probability of numbers that fit a mean better than x does."""
    root = math.sqrt(max(0.0, (x - mean) ** 2 - min(x, 0.0) ** 2))
    above = float(stats.norm.cdf(root))
    if mean == 0.0:
        return above if root > 0.0 else 0.0  # all negative numbers fit a mean of zero perfectly
    below = -root if root <= mean else -(mean**2 + root**2) / (2.0 * mean)
    return above - float(stats.norm.cdf(below))
