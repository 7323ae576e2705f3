"""Confidence intervals for rates and counts, each with its stated coverage."""

from __future__ import annotations

import math

from scipy import special, stats

from verisimile.core.errors import require

ONE_SIGMA = 0.6826894921370859
"""Probability content of ±1 standard deviation of a normal distribution."""

Interval = tuple[float, float]


def clopper_pearson(successes: int, trials: int, *, level: float = ONE_SIGMA) -> Interval:
    r"""Return the exact central interval on a binomial rate.

    .. math:: \sum_{j \ge k} \mathrm{Bin}(j; n, p_{low}) = \sum_{j \le k}
              \mathrm{Bin}(j; n, p_{high}) = (1 - \mathrm{level}) / 2

    Coverage is at least `level` for every rate and every `trials`.

    References
    ----------
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.

    Examples
    --------
    >>> clopper_pearson(0, 10, level=0.95)
    (0.0, 0.3084971078187607)
    """
    _check(successes, trials, level)
    tail = 0.5 * (1.0 - level)
    low, high, failures = 0.0, 1.0, trials - successes
    if successes:
        low = float(special.betaincinv(successes, failures + 1, tail))
    if failures:
        high = float(special.betaincinv(successes + 1, failures, 1.0 - tail))
    return low, high


def wilson(successes: int, trials: int, *, level: float = ONE_SIGMA) -> Interval:
    r"""Return the score interval on a binomial rate.

    .. math:: |\hat p - p| \le z \sqrt{p (1 - p) / n}

    Coverage is close to `level` on average over rates, not for each of them.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    _check(successes, trials, level)
    z = float(stats.norm.isf(0.5 * (1.0 - level)))
    rate = successes / trials
    shrink = 1.0 + z * z / trials
    centre = (rate + 0.5 * z * z / trials) / shrink
    half = z / shrink * math.sqrt(rate * (1.0 - rate) / trials + 0.25 * (z / trials) ** 2)
    return max(0.0, centre - half), min(1.0, centre + half)


def garwood(count: int, *, level: float = ONE_SIGMA) -> Interval:
    r"""Return the exact central interval on the mean of a Poisson count.

    .. math:: \tfrac12 \chi^2_{2k}(\alpha/2) \le \mu \le \tfrac12 \chi^2_{2k+2}(1-\alpha/2)

    Valid for unweighted counts only.

    References
    ----------
    F. Garwood, Biometrika 28 (1936) 437.
    """
    require(count >= 0, "count", got=count, expected="a non-negative integer")
    tail = 0.5 * (1.0 - level)
    low = float(special.gammaincinv(count, tail)) if count else 0.0
    return low, float(special.gammaincinv(count + 1, 1.0 - tail))


def _check(successes: int, trials: int, level: float) -> None:
    require(
        trials >= 1 and 0 <= successes <= trials,
        "binomial counts",
        got=f"{successes} of {trials}",
        expected="at least one trial and 0 <= successes <= trials",
    )
    require(0.0 < level < 1.0, "level", got=level, expected="a probability content in (0, 1)")
