"""From detections at growing effects to the effect that is seen with a given power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from verisimile.core.arrays import Array, IntArray
from verisimile.core.result import Estimate

__all__ = ["PowerCurve"]

_REPLICAS = 200


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
        return self._monotone(self.power)

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
        curves = [self._monotone(draw) for draw in draws]
        return tuple(self._estimate(smoothed, curves, target) for target in targets)

    def _estimate(self, smoothed: Array, curves: list[Array], target: float) -> Estimate | None:
        value = self._cross(smoothed, target)
        if value is None:
            return None
        replicas = [self._cross(curve, target) for curve in curves]
        ends = [self.effects[-1] if replica is None else replica for replica in replicas]
        return Estimate(value, float(np.std(ends, ddof=1)))

    def _monotone(self, power: Array) -> Array:
        return np.asarray(np.maximum(optimize.isotonic_regression(power).x, self.level))

    def _cross(self, smoothed: Array, target: float) -> float | None:
        if smoothed[-1] < target:
            return None
        effects = np.append(0.0, self.effects)
        edge = 0.5 / self.labelings
        quantiles = stats.norm.ppf(np.clip(np.append(self.level, smoothed), edge, 1.0 - edge))
        wanted = stats.norm.ppf(target)
        above = 1 + int(np.argmax(smoothed >= target))
        low, high = quantiles[above - 1], quantiles[above]
        share = (wanted - low) / (high - low)
        return float(effects[above - 1] + share * (effects[above] - effects[above - 1]))
