"""Beyond the last toy: fitted tails, how far they agree, and always flagged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from verisimile.core.arrays import Array
from verisimile.core.errors import require, require_one_of
from verisimile.core.result import Result, register
from verisimile.stats.aggregate import min_p
from verisimile.stats.intervals import ONE_SIGMA, clopper_pearson
from verisimile.stats.pvalues import PValue, Significance

_ENOUGH_TOYS: Final = 200
_ACCEPTED: Final = 0.05
_BELOW: Final = 0.5 * (1.0 - ONE_SIGMA)
_SMALLEST: Final = float(np.finfo(np.float64).tiny)  # a p-value is never zero
_AGREEING: Final = 3.0
_SHARES: Final = (0.25, 0.1, 0.05)  # of the toys, above which a Pareto tail is fitted
_EXCEEDANCES: Final = 20
_HEAVIEST: Final = 0.5  # probability-weighted moments need a finite variance
_STEPS: Final = 40  # Newton in log k is quadratic; the start is within 1.5 %


@register("tail", 2)
@dataclass(frozen=True, slots=True)
class Tail(Result):
    """A p-value read off a curve through the toys; no toy lies where it is read.

    Attributes
    ----------
    value, low, high
        Extrapolated p-value, and the 68.27 % interval from the uncertainty of
        the fitted parameters alone: that the family is right is an assumption.
    family
        ``"gamma"`` or ``"chi2"``.
    shape, scale
        Fitted parameters; a chi-square of k degrees of freedom has shape k/2 and scale 2.
    fit
        Goodness of fit of the curve to the toys, by parametric bootstrap.
    range_low, range_high
        Smallest and largest tail of all curves that describe the toys, each with its own
        interval: both families, and generalised Pareto tails above the highest 25, 10 and
        5 % of the toys.  This is what is known, and not the narrower interval of one family.
    n_toys, n_failed
        Toys, and those among them without a finite statistic, which the curve
        does not describe: they count as extreme.
    extrapolated
        Always True: this is never the p-value of the test.
    """

    value: float
    low: float
    high: float
    family: str
    shape: float
    scale: float
    fit: PValue
    n_toys: int
    n_failed: int
    extrapolated: bool = True
    range_low: float = math.nan
    range_high: float = math.nan

    def __repr__(self) -> str:
        """Return one line: range, family, and whether the curves agree."""
        word = "curves agree" if self.agreed else "not verified"
        return (
            f"Tail({self.range_low:.3g} to {self.range_high:.3g}, by {self.family} {self.value:.3g}"
            f" [{self.low:.3g}, {self.high:.3g}], extrapolated from {self.n_toys} toys, "
            f"fit p={self.fit.value:.2g}, {word})"
        )

    @property
    def agreed(self) -> bool:
        """Whether all curves give the same tail within a factor of three.

        The family must describe the toys (fit p above 0.05), of which there are 200 or more
        and none failed, and the whole range must lie within that factor of the value.  Far
        beyond the toys the Pareto tails know nothing, and this is False for every law.
        """
        return (
            self.fit.value > _ACCEPTED
            and self.n_toys >= _ENOUGH_TOYS
            and not self.n_failed
            and self.range_high <= _AGREEING * self.value
            and self.range_low >= self.value / _AGREEING
        )

    @property
    def significance(self) -> Significance:
        """The one-sided Gaussian significance of the value and of its interval."""
        return Significance.of(self.value, self.low, self.high)


def fit_tail(
    toys: Array,
    observed: float,
    rng: np.random.Generator,
    *,
    family: str = "gamma",
    resamples: int = 400,
) -> Tail:
    r"""Fit a curve to all toys by maximum likelihood and read off the observed tail.

    .. math:: t \sim \mathrm{Gamma}(k, \theta): \quad
              \log k - \psi(k) = \log \bar t - \overline{\log t}, \quad \theta = \bar t / k

    or a chi-square of free degrees of freedom, :math:`\theta = 2` and
    :math:`\psi(k) = \overline{\log(t / 2)}`.  Data sets of B toys drawn from
    the fitted curve, each fitted anew, give the null of the goodness of fit, the
    smaller p-value of two :func:`tail_distances`, and the spread of the tail,

    .. math:: p \in [q_{16}(p^*),\ q_{84}(p^*)].

    The fit is judged where the toys are.  Where they end, no number of toys
    far below 1 / p can tell a right family from a wrong one: the same toys are
    therefore also read by the other family, if it describes them, and by generalised Pareto laws

    .. math:: P(t > u + y) = P(t > u)\, (1 + \xi y / \sigma)^{-1/\xi}

    of the toys above three thresholds u, by probability-weighted moments, which
    assume no family of the body.  The range of all, each with the interval of its own
    resamples, is the result to quote.

    Parameters
    ----------
    toys, observed
        Null statistics ``(B,)``, positive or not finite, and that of the data.
    rng, resamples
        Stream and number of the resampled data sets.
    family
        ``"gamma"`` or ``"chi2"``.

    Raises
    ------
    InputError
        If a toy or the observation is not positive, or fewer than ten toys are finite.

    References
    ----------
    A. Luceño, Comput. Stat. Data Anal. 51 (2006) 904 (the distance);
    J. R. M. Hosking, J. R. Wallis, Technometrics 29 (1987) 339 (the Pareto tail).

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> tail = fit_tail(rng.chisquare(5, 1000), 60.0, rng)
    >>> tail.agreed, tail.extrapolated, round(tail.significance.value, 1)
    (False, True, 6.7)
    >>> truth = special.chdtrc(5, 60.0)  # of a chi-square with five degrees of freedom
    >>> bool(tail.range_low < truth < tail.range_high)
    True
    """
    require_one_of(family, FAMILIES, "family")
    finite = _checked(toys, observed)
    read = {name: _read(toys, finite, observed, rng, name, resamples) for name in FAMILIES}
    chosen = read[family]
    bounds = [(one.low, one.high) for one in read.values() if one.fit.value > _ACCEPTED]
    bounds += [(chosen.low, chosen.high)]
    ordered = np.sort(finite)
    for share in _SHARES:
        above = int(share * finite.size)
        if above >= _EXCEEDANCES:
            bounds.append(_pareto_interval(ordered, above, observed, rng, resamples))
    failed = chosen.n_failed / toys.size
    low, high = (
        max(failed + (1.0 - failed) * v, _SMALLEST)
        for v in (min(low for low, _ in bounds), max(high for _, high in bounds))
    )
    return replace(chosen, range_low=min(low, chosen.low), range_high=max(high, chosen.high))


def _read(
    toys: Array,
    finite: Array,
    observed: float,
    rng: np.random.Generator,
    family: str,
    resamples: int,
) -> Tail:
    estimate, size = FAMILIES[family], finite.size
    shape, scale = (float(v) for v in estimate(finite.mean(), np.log(finite).mean()))
    distances = tail_distances(_log_sf(np.sort(finite), shape, scale))
    null, spread = np.empty((resamples, 2)), np.empty(resamples)
    for i in range(resamples):
        sample = np.sort(rng.gamma(shape, scale, size))
        k, theta = estimate(sample.mean(), np.log(sample).mean())
        null[i] = tail_distances(_log_sf(sample, k, theta))
        spread[i] = np.exp(_log_sf(observed, k, theta))
    at = np.exp(_log_sf(observed, shape, scale))
    failed = 1.0 - size / toys.size
    low, value, high = (
        # A failed toy is as extreme as can be, whatever the curve says.
        max(failed + (1.0 - failed) * float(v), _SMALLEST)
        for v in (np.quantile(spread, _BELOW), at, np.quantile(spread, 1.0 - _BELOW))
    )
    return Tail(
        value=value,
        low=low,
        high=high,
        family=family,
        shape=shape,
        scale=scale,
        fit=min_p(distances, null, null="parametric bootstrap").p_value,
        n_toys=int(toys.size),
        n_failed=int(toys.size - size),
    )


def _pareto_interval(
    ordered: Array, above: int, observed: float, rng: np.random.Generator, resamples: int
) -> tuple[float, float]:
    """Return the interval of the tail from the `above` largest toys, of toys in ascending order."""
    size = ordered.size
    start = float(ordered[size - above - 1])
    beyond = ordered[size - above :] - start
    if observed <= start:  # no extrapolation: the toys say it
        return clopper_pearson(int((ordered >= observed).sum()), size)
    shape, scale = (float(v[0]) for v in _pareto(beyond[None, :]))
    u = rng.random((resamples, above))
    drawn = np.sort(_pareto_quantile(u, shape, scale), axis=1)
    shapes, scales = _pareto(drawn)
    counts = rng.binomial(size, above / size, resamples) / size
    tails = counts * np.exp(_pareto_log_sf(observed - start, shapes, scales))
    return float(np.quantile(tails, _BELOW)), float(np.quantile(tails, 1.0 - _BELOW))


def _pareto(beyond: Array) -> tuple[Array, Array]:
    """Return xi and sigma by probability-weighted moments of ascending rows ``(..., n)``."""
    n = beyond.shape[-1]
    first = beyond.mean(axis=-1)
    second = (beyond * (1.0 - (np.arange(1, n + 1) - 0.35) / n)).mean(axis=-1)
    apart = np.maximum(first - 2.0 * second, _SMALLEST)
    shape = np.minimum(2.0 - first / apart, _HEAVIEST)
    return shape, 2.0 * first * second / apart


def _pareto_quantile(u: Array, shape: float, scale: float) -> Array:
    if abs(shape) < 1e-9:
        return np.asarray(-scale * np.log1p(-u))
    return np.asarray(scale * np.expm1(-shape * np.log1p(-u)) / shape)


def _pareto_log_sf(y: float, shape: Array, scale: Array) -> Array:
    steep = np.where(np.abs(shape) < 1e-9, 1e-9, shape)
    inside = steep * y / scale > -1.0  # a negative shape ends the law
    log = np.log1p(np.where(inside, steep * y / scale, 0.0))
    return np.where(inside, -log / steep, -np.inf)


def tail_distances(log_sf: Array) -> Array:
    r"""Return the two upper-tail Anderson–Darling distances of a sorted sample, ``(2,)``.

    .. math:: n \int \frac{(F_n - F)^2}{1 - F}\, dF
              = \frac n2 - 2 \sum_i F_i - \sum_i \Big(2 - \frac{2i - 1}{n}\Big) \log(1 - F_i),

    .. math:: n \int \Big(\frac{F_n - F}{1 - F}\Big)^2 dF
              = 2 \sum_i \log(1 - F_i) + \frac1n \sum_i \frac{2 (n - i) + 1}{1 - F_i} .

    The first sees a wrong body, the second a few toys from a wider law.

    `log_sf` is :math:`\log(1 - F)` at the sample in ascending order ``(n,)``.

    References
    ----------
    A. Luceño, Comput. Stat. Data Anal. 51 (2006) 904, table 1.
    """
    n = log_sf.size
    rank = np.arange(1, n + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        first = 0.5 * n + 2.0 * np.expm1(log_sf).sum() - ((2.0 - (2.0 * rank - 1.0) / n) @ log_sf)
        second = 2.0 * log_sf.sum() + (2.0 * (n - rank) + 1.0) @ np.exp(-log_sf) / n
    distances = np.array([first, second])
    return np.where(np.isfinite(distances), distances, np.inf)


def _gamma(mean: float, mean_log: float) -> tuple[float, float]:
    gap = np.log(mean) - mean_log
    k = (3.0 - gap + np.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(_STEPS):
        slope = 1.0 / k - special.polygamma(1, k)
        step = -(np.log(k) - special.psi(k) - gap) / (k * slope)
        k *= np.exp(step)
        if abs(step) < 1e-12:
            break
    return float(k), float(mean / k)


def _chi2(mean: float, mean_log: float) -> tuple[float, float]:  # noqa: ARG001  (a family's face)
    target = mean_log - np.log(2.0)
    k = np.exp(target) + 0.5 if target > -2.0 else -1.0 / (target - special.psi(1.0))
    for _ in range(_STEPS):
        step = -(special.psi(k) - target) / (k * special.polygamma(1, k))
        k *= np.exp(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-12:
            break
    return float(k), 2.0


FAMILIES: Final[dict[str, Callable[[float, float], tuple[float, float]]]] = {
    "gamma": _gamma,
    "chi2": _chi2,
}
"""Maximum-likelihood shape and scale by family, from the means of t and of log t."""


def _checked(toys: Array, observed: float) -> Array:
    finite = toys[np.isfinite(toys)]
    require(
        toys.ndim == 1 and finite.size >= 10 and finite.min() > 0.0 and np.ptp(finite) > 0.0,
        "toys",
        got=f"{finite.size} finite of {toys.size}, {int((finite <= 0.0).sum())} not positive",
        expected="a vector with ten or more finite statistics, positive and not all equal",
        remedy="Quote the p-value of the toys alone.",
    )
    good = 0.0 < observed < np.inf
    require(good, "observed", got=observed, expected="a positive, finite statistic")
    return finite


def _log_sf(t: npt.ArrayLike, shape: float, scale: float) -> Array:
    with np.errstate(divide="ignore"):  # beyond e^-745 it is -inf
        return np.asarray(np.log(special.gammaincc(shape, np.asarray(t) / scale)))
