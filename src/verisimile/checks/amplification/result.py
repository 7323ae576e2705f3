"""The amplification of a generator at one resolution, and over several of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scipy import stats

from verisimile.core.arrays import require_fraction
from verisimile.core.errors import InputError, require
from verisimile.core.result import Estimate, Result, register


@register("interval", 1)
@dataclass(frozen=True, slots=True)
class Interval(Result):
    """A central confidence interval of content `level`; a limit is infinite or zero on one side."""

    level: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Return the interval on `factor` times the number."""
        return Interval(self.level, factor * self.low, factor * self.high)


def normal_interval(estimate: Estimate, level: float) -> Interval:
    """Return the normal interval on a number that cannot be negative, cut at zero."""
    half = normal_reach(level) * estimate.error
    return Interval(level, max(0.0, estimate.value - half), max(0.0, estimate.value + half))


def normal_reach(level: float) -> float:
    """Return the standard deviations to either side that hold `level` of a normal law."""
    require_fraction(level, "level")
    return float(stats.norm.isf(0.5 * (1.0 - level)))


def check_plan(n_train: int, levels: Sequence[float], *, fewest: int = 1) -> None:
    """Raise unless `fewest` events or more were trained with, and the levels are contents."""
    require(n_train >= fewest, "n_train", got=n_train, expected="the number of training events")
    require(levels, "levels", got=tuple(levels), expected="contents in (0, 1)")
    require_fraction(levels, "levels")


@register("amplification", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Amplification(Result):
    r"""How many independent true events a generator is worth, by one measure.

    .. math:: G = n_\mathrm{equiv} / n_\mathrm{train}

    The inverse is what is estimated: it is nearly normal, and zero for a perfect generator,
    whose G has no upper bound.

    Attributes
    ----------
    measure
        ``"quantile"``, ``"averaging"``, ``"energy"`` and so on.
    resolution
        Regions :math:`N_Q`; 0 for a measure without regions.
    inverse_gain
        Estimate of 1/G with its standard error; may be negative by fluctuation.
    intervals
        Confidence intervals on 1/G, cut at zero.
    n_train, n_generated, n_holdout
        Sizes; zero for a sample that the measure does not use.
    details
        What else the measure says, by name.
    """

    measure: str
    resolution: int
    inverse_gain: Estimate
    intervals: tuple[Interval, ...]
    n_train: int
    n_generated: int
    n_holdout: int
    details: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return one line: measure, resolution, 1/G, and G with its widest interval."""
        low, high = self.gain_interval(max(each.level for each in self.intervals))
        upper = "no bound" if math.isinf(high) else f"{high:.3g}"
        # Both ends are infinite if all of the interval lies below zero.
        bounds = "without bound" if math.isinf(low) else f"between {low:.3g} and {upper}"
        return (
            f"Amplification({self.measure}, {self.resolution} regions: 1/G = "
            f"{self.inverse_gain.value:.4g} ± {self.inverse_gain.error:.2g}, G {bounds})"
        )

    def interval(self, level: float) -> Interval:
        """Return the interval on 1/G of content `level`, which is one of those stated."""
        for each in self.intervals:
            if math.isclose(each.level, level):
                return each
        known = ", ".join(f"{each.level:g}" for each in self.intervals)
        raise InputError("level", got=level, expected=f"one of {known}")

    def gain_interval(self, level: float) -> tuple[float, float]:
        """Return the interval on G; the upper end is infinite where 1/G may be zero."""
        inverse = self.interval(level)
        low, high = (
            math.inf if limit <= 0.0 else 1.0 / limit for limit in (inverse.high, inverse.low)
        )
        return low, high

    @property
    def effective_parameters(self) -> Estimate:
        r"""Fitted degrees of freedom :math:`k_\mathrm{eff} = (N_Q - 1) / G`; NaN without regions.

        Of a smooth generator it hardly depends on the resolution, while G grows with it.
        """
        regions = self.resolution - 1 if self.resolution > 1 else math.nan
        return Estimate(regions * self.inverse_gain.value, regions * self.inverse_gain.error)


@register("amplification-curve", 1)
@dataclass(frozen=True, slots=True, eq=False)
class AmplificationCurve(Result):
    """One measure at several resolutions, ascending."""

    measure: str
    points: tuple[Amplification, ...]
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("points",)

    def at(self, resolution: int) -> Amplification:
        """Return the point of this resolution."""
        for point in self.points:
            if point.resolution == resolution:
                return point
        known = ", ".join(str(point.resolution) for point in self.points)
        raise InputError("resolution", got=resolution, expected=f"one of {known}")
