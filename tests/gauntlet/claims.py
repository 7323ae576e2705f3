"""What one pseudo-experiment claims: a p-value, an interval, or nothing, with the reason.

A claim *misses* at 5 % (or 32 %) if a true null is rejected at that level, or if the interval of
content 95 % (or 68 %) does not hold the truth.  A right claim misses at most that often.  Each
claim knows its defective twin too: half the p-value, an interval half as wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

LEVELS = (0.05, 0.32)

_ROUNDING = 1e-9  # 5 of 100 is 5 %, whatever the last bit says

Misses: TypeAlias = tuple[bool | None, bool | None]
"""At 5 and at 32 %; None where nothing is claimed at this level."""


@dataclass(frozen=True, slots=True)
class P:
    """A p-value of a true null hypothesis."""

    value: float

    def misses(self) -> Misses:
        """Return whether the null is rejected."""
        return self.value <= LEVELS[0] + _ROUNDING, self.value <= LEVELS[1] + _ROUNDING

    def twin_misses(self) -> Misses:
        """Return the same of half the value: one tail reported for two."""
        return P(0.5 * self.value).misses()


@dataclass(frozen=True, slots=True)
class Interval:
    """Intervals by their miss probability (0.05 or 0.32), and the value that they should hold."""

    truth: float
    ends: Mapping[float, tuple[float, float]]

    @classmethod
    def normal(cls, value: float, error: float, truth: float) -> Interval:
        """Return the intervals of a value with a standard error."""
        ends = {0.05: 1.959964 * error, 0.32: error}
        return cls(truth, {miss: (value - half, value + half) for miss, half in ends.items()})

    def misses(self) -> Misses:
        """Return whether the truth is outside."""
        return self._misses(1.0)

    def twin_misses(self) -> Misses:
        """Return the same of intervals of half the width about the same centre."""
        return self._misses(0.5)

    def _misses(self, factor: float) -> Misses:
        first, second = (self._outside(level, factor) for level in LEVELS)
        return first, second

    def _outside(self, level: float, factor: float) -> bool | None:
        if level not in self.ends:
            return None
        low, high = self.ends[level]
        if factor == 1.0 or not math.isfinite(high - low):
            return not low <= self.truth <= high  # NaN holds nothing
        centre, half = 0.5 * (low + high), 0.5 * factor * (high - low)
        return not centre - half <= self.truth <= centre + half


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is claimed, and why."""

    reason: str


Claim: TypeAlias = P | Interval | Refused


def known(value: float, error: float, truth: float, *, reason: str = "no finite error") -> Claim:
    """Return the claim of a value with its standard error; refused if that is not finite."""
    if not (math.isfinite(value) and math.isfinite(error)):
        return Refused(reason)
    return Interval.normal(value, error, truth)


def p_or_refused(value: float | None, reason: str = "no p-value") -> Claim:
    """Return the claim of a p-value; NaN and None are refusals."""
    return Refused(reason) if value is None or math.isnan(value) else P(float(value))
