"""How many more training events would help: a learning curve beyond its largest sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from verisimile.checks.amplification.learning_curve import LearningCurve
from verisimile.checks.amplification.result import Interval
from verisimile.core.arrays import Array, require_fraction
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register
from verisimile.stats.intervals import ONE_SIGMA
from verisimile.stats.unified import bounded_normal, tails

_FEW = 0.1  # a gain below this is called none


@register("forecast", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Forecast(Result):
    r"""What a generator would be worth after training with `factor` times as many events.

    Attributes
    ----------
    n_train, factor
        Largest number of training events that was measured, and by what it is multiplied.
    inverse_n_equiv
        1/n_equiv at ``factor * n_train`` events, with its standard error.
    intervals
        On it; it cannot be negative.
    gains
        Intervals on n_equiv there over n_equiv at `n_train`, in [1, factor].
    floor_shares
        Intervals on the part of 1/n_equiv at `n_train` that no training events remove.
    p_value
        Goodness of the two terms at the measured points; NaN for two points.
    """

    n_train: float
    factor: float
    inverse_n_equiv: Estimate
    intervals: tuple[Interval, ...]
    gains: tuple[Interval, ...]
    floor_shares: tuple[Interval, ...]
    p_value: float
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("gains",)

    def __repr__(self) -> str:
        """Return one line: the gain, and what it says."""
        gain = self.gains[-1]
        return (
            f"Forecast({self.factor:g} x {self.n_train:g} training events: n_equiv x "
            f"{gain.low:.3g} to {gain.high:.3g} at {100 * gain.level:.3g} %: {self.verdict})"
        )

    @property
    def verdict(self) -> str:
        """What the widest interval on the gain says, in words."""
        gain = self.gains[-1]
        if gain.high < 1.0 + _FEW:
            return "more events would not help"
        if gain.low > 1.0 + _FEW:
            return "more events would help"
        return "undecided whether more events would help"

    @property
    def n_equiv(self) -> tuple[Interval, ...]:
        """Intervals on n_equiv at the larger sample; without upper end where 1/n_equiv may be 0."""
        return tuple(
            Interval(each.level, *(_over(end) for end in (each.high, each.low)))
            for each in self.intervals
        )


def forecast(
    curve: LearningCurve, factor: float = 10.0, *, levels: tuple[float, ...] = (ONE_SIGMA, 0.95)
) -> Forecast:
    r"""Extrapolate a learning curve to `factor` times its largest number N of training events.

    .. math:: \frac{1}{n_\mathrm{equiv}(kN)} = \frac{a}{kN} + b, \qquad
              \frac{n_\mathrm{equiv}(kN)}{n_\mathrm{equiv}(N)} = \frac{1}{s + (1 - s)/k}, \qquad
              s = \frac{b}{a/N + b}

    The first is linear in (a, b), and its interval Feldman and Cousins's for a number
    that cannot be negative, with the full covariance of a and b.  The gain depends on the
    floor's share s alone.  A value of s is a ray in the quadrant of :math:`a/N` and b; where
    these are whitened, the distance of the estimate from the true ray is standard normal and
    independent of where along the ray it lies.  A ray is accepted if the distance lies
    between quantiles whose tails add up to 1 - level; they are shifted towards the inside at
    the edges s = 0 and s = 1, by what lies along the ray, so that the set is not empty there.
    It covers exactly for normal points of known errors.

    That there are these two terms is a model.  No interval holds what breaks it beyond the
    measured sizes; `p_value` says whether the measured ones do.

    Parameters
    ----------
    curve
        What :func:`.learning_curve` returned.
    factor
        k, larger than one.
    levels
        Contents of the intervals.

    References
    ----------
    VERaiPHY sec. 6.3 (as an open question); E. C. Fieller, J. R. Stat. Soc. B 16 (1954) 175
    (the ratio without edges); G. J. Feldman, R. D. Cousins, Phys. Rev. D 57 (1998) 3873.

    Examples
    --------
    >>> import verisimile as vs
    >>> n = [1000, 2000, 4000, 8000]
    >>> curve = vs.amplification.learning_curve(n, [0.5 / k + 2e-3 for k in n], [5e-5] * 4)
    >>> vs.amplification.forecast(curve)
    Forecast(10 x 8000 training events: n_equiv x 1.02 to 1.04 at 95 %: more events would not help)
    """
    require(1.0 < factor < math.inf, "factor", got=factor, expected="a number above one")
    require(levels, "levels", got=levels, expected="contents in (0, 1)")
    require_fraction(levels, "levels")
    ordered = tuple(sorted(levels))
    largest = float(curve.n_train.max())
    there = curve.at(factor * largest)
    shares = tuple(Interval(level, *_share(curve, largest, level)) for level in ordered)

    def gain(share: float) -> float:
        return 1.0 / (share + (1.0 - share) / factor)

    return Forecast(
        n_train=largest,
        factor=float(factor),
        inverse_n_equiv=there,
        intervals=tuple(
            Interval(level, *bounded_normal(there.value, there.error, level)) for level in ordered
        ),
        gains=tuple(Interval(each.level, gain(each.high), gain(each.low)) for each in shares),
        floor_shares=shares,
        p_value=curve.p_value,
        warnings=curve.warnings,
    )


def _share(curve: LearningCurve, n: float, level: float) -> tuple[float, float]:
    """Return the smallest and the largest accepted part of the floor."""
    scale = np.array([1.0 / n, 1.0])
    a, b = curve.amplitude, curve.floor
    variance = np.array([[a.error**2, curve.covariance], [curve.covariance, b.error**2]])
    factor = np.linalg.cholesky(variance * np.outer(scale, scale))
    estimate = np.linalg.solve(factor, scale * [a.value, b.value])
    # Equal steps of the angle between the whitened edges, not of s: all of s may be a sliver.
    edges = [_unit(np.linalg.solve(factor, edge)) for edge in np.eye(2)]
    opening = _angle(*edges)
    start = math.atan2(edges[0][1], edges[0][0])
    reach = _reach(level)

    def excess(angle: float) -> float:
        """Return how far the estimate lies outside what a ray accepts; negative inside."""
        ray = np.array([math.cos(start + angle), math.sin(start + angle)])
        along, beside = float(ray @ estimate), float(ray[0] * estimate[1] - ray[1] * estimate[0])
        if along <= 0.0:  # not even that there is an error was seen
            return -1.0
        low, high = reach(along * math.sin(angle), along * math.sin(opening - angle))
        return max(low - beside, beside - high)

    # The ray next to the estimate is always accepted: an edge, if the estimate is outside.
    nearest = min(max(_angle(edges[0], _unit(estimate)), 0.0), opening)
    ends = [0.0, 1.0]  # exactly, where the edge itself is accepted
    for place, edge in enumerate((0.0, opening)):
        if excess(edge) > 0.0:
            angle = float(optimize.brentq(excess, *sorted((nearest, edge))))
            both = factor @ [math.cos(start + angle), math.sin(start + angle)]
            ends[place] = float(np.clip(both[1] / both.sum(), 0.0, 1.0))
    return ends[0], ends[1]


def _reach(level: float) -> Callable[[float, float], tuple[float, float]]:
    """Return what gives the accepted range of a standard normal distance between two edges."""

    def between(first: float, second: float) -> tuple[float, float]:
        # Any tails would do that the distance itself does not choose.
        low, high = tails(level, max(first, 0.0))[0], tails(level, max(second, 0.0))[0]
        share = low / (low + high) if low + high > 0.0 else 0.5
        return (
            float(special.ndtri((1.0 - level) * share)),
            float(-special.ndtri((1.0 - level) * (1.0 - share))),
        )

    return between


def _unit(vector: npt.NDArray[np.floating[Any]]) -> Array:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)


def _angle(first: Array, second: Array) -> float:
    return math.atan2(float(first[0] * second[1] - first[1] * second[0]), float(first @ second))


def _over(end: float) -> float:
    return math.inf if end <= 0.0 else 1.0 / end
