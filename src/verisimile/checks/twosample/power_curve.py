"""Power against the size of an effect: where it was looked at, and where it reaches a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.result import Estimate

HALF, NINETY = 0.5, 0.9

_REPLICAS = 200
_FIRST = 4  # five standard errors of a mean difference: near what most tests see half of the time
_NOTHING = 0.1  # share of labelings up to which the largest effect is asked next


def next_look(seen: Mapping[int, float], count: int) -> int | None:
    """Return which of `count` growing effects to look at next, None if nothing more is needed.

    Wanted are two neighbours of which one is seen less often and one as often as each target,
    50 and 90 %.  Effects far from both say nothing about where the power crosses them.

    Parameters
    ----------
    seen
        Shares of labelings that were seen, by the place of their effect.
    count
        Number of effects.
    """
    if not seen:
        return min(_FIRST, count - 1)
    known = sorted(seen)
    smooth = _monotone(np.array([[seen[place] for place in known]]))[0]
    for target in (HALF, NINETY):
        reached = [place for place, power in zip(known, smooth, strict=True) if power >= target]
        if not reached:
            return _beyond(known[-1], float(smooth[-1]), count)
        below = max((place for place in known if place < reached[0]), default=-1)
        if reached[0] - below > 1:
            return reached[0] - 1 if below < 0 else (below + reached[0]) // 2
    return None


def _beyond(last: int, power: float, count: int) -> int | None:
    if last == count - 1:
        return None
    return count - 1 if power <= _NOTHING else min(last + max(1, last - _FIRST), count - 1)


@dataclass(frozen=True, slots=True, eq=False)
class PowerCurve:
    """Detections among so many labelings at each of K growing effects.

    Attributes
    ----------
    effects
        ``(K,)``, ascending, above zero.
    seen
        Detections at each ``(K,)``.
    labelings
        Labelings at each effect.
    level
        The power at effect zero.
    """

    effects: Array
    seen: IntArray
    labelings: int
    level: float

    @property
    def power(self) -> Array:
        """Shares of labelings that were seen ``(K,)``."""
        return np.asarray(self.seen / self.labelings)

    @property
    def smoothed(self) -> Array:
        """The nearest curve that never falls and is nowhere below the level ``(K,)``."""
        return np.asarray(self._curves(self.power[None])[0])

    def crossings(
        self, targets: Sequence[float], rng: np.random.Generator
    ) -> tuple[Estimate | None, ...]:
        """Return the effects at which the power is each target above the level, None if nowhere.

        Between effects the power's normal quantile is linear, as it is for a test of a
        mean.  The error is the spread over binomial replicas of the detections.
        """
        smoothed = self.smoothed
        # A share of 0 or 1 of few labelings is not certain.
        rates = (smoothed * self.labelings + 0.5) / (self.labelings + 1.0)
        draws = rng.binomial(self.labelings, rates, size=(_REPLICAS, rates.size)) / self.labelings
        curves = self._curves(draws)
        return tuple(self._estimate(smoothed, curves, target) for target in targets)

    def _estimate(self, smoothed: Array, curves: Array, target: float) -> Estimate | None:
        (value,) = self._crossed(smoothed[None], target)
        if np.isnan(value):
            return None
        replicas = self._crossed(curves, target)
        ends = np.where(np.isnan(replicas), self.effects[-1], replicas)
        return Estimate(float(value), float(np.std(ends, ddof=1)))

    def _curves(self, power: Array) -> Array:
        return np.maximum(_monotone(power), self.level)

    def _crossed(self, curves: Array, target: float) -> Array:
        """Return where each curve ``(R, K)`` crosses the target, NaN where nowhere ``(R,)``."""
        effects = np.append(0.0, self.effects)
        edge = 0.5 / self.labelings
        whole = np.column_stack([np.full(len(curves), self.level), curves])
        quantiles = stats.norm.ppf(np.clip(whole, edge, 1.0 - edge))
        reached: BoolArray = curves >= target
        above = 1 + np.argmax(reached, axis=1)
        rows = np.arange(len(curves))
        low, high = quantiles[rows, above - 1], quantiles[rows, above]
        known = reached[:, -1]
        rise = np.where(known, high - low, 1.0)
        share = (stats.norm.ppf(target) - low) / rise
        found = effects[above - 1] + share * (effects[above] - effects[above - 1])
        return np.where(known, found, np.nan)


def _monotone(power: Array) -> Array:
    r"""Return the nearest rows that never fall ``(R, K)``.

    .. math:: \max_{a \le k} \min_{b \ge k} \frac1{b - a + 1} \sum_{l=a}^b p_l

    References
    ----------
    R. E. Barlow et al., Statistical Inference under Order Restrictions (1972), sec. 1.2.
    """
    count = power.shape[1]
    sums = np.column_stack([np.zeros(len(power)), np.cumsum(power, axis=1)])
    first, last = np.triu_indices(count)
    means = np.full((len(power), count, count), np.inf)
    means[:, first, last] = (sums[:, last + 1] - sums[:, first]) / (last - first + 1)
    least = np.minimum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    # Row a, column k: ends at k or later.  Starts after k do not count.
    least[:, *np.tril_indices(count, -1)] = -np.inf
    return np.asarray(least.max(axis=1))
