r"""Where the generator has no events and the reference has: there no ratio can be learnt.

Between neighbouring generated values of a feature lies a run of reference values.  If the
generator's density is nowhere less than the fifth part of the reference's, a run of L or more
begins after a given generated event with probability

.. math:: P \le \rho^L, \qquad \rho = \frac{n_r}{n_r + n_g / 5} ,

and one of the runs is so long with their number times that, at most: two at the ends of each
feature, and :math:`n_g - 1` between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.result import Result, register
from verisimile.data.feature import Feature

_LEVEL = 1e-3  # of a gap where there is none: at all ends, and between, in all features together
_LEAST = 0.2  # of the reference's density, which weights of five make good


@register("generator-gap", 1)
@dataclass(frozen=True, slots=True)
class Gap(Result):
    """An interval of one feature with reference events and no generated one.

    Attributes
    ----------
    feature, unit
        Its name and unit.
    low, high
        Ends: the nearest generated values, infinite beyond the last.
    events
        Reference events inside.
    share
        Their share of the reference.
    p_value
        Bound on the probability of so long a run, had the generator a fifth of the reference's
        density there.
    """

    feature: str
    unit: str
    low: float
    high: float
    events: int
    share: float
    p_value: float

    def __str__(self) -> str:
        """Return what a reader is told."""
        unit = f" {self.unit}" if self.unit else ""
        where = (
            f"above {self.low:.4g}{unit}"
            if math.isinf(self.high)
            else f"below {self.high:.4g}{unit}"
            if math.isinf(self.low)
            else f"between {self.low:.4g} and {self.high:.4g}{unit}"
        )
        return f"{self.feature} {where}: no generated event, {self.events} of the reference"


def gaps(features: Sequence[Feature], reference: Array, generated: Array) -> tuple[Gap, ...]:
    """Return the gaps of generated events ``(m, d)`` that reference events ``(n, d)`` fill.

    Longest first.  Values that both samples have, as of counts, are in no gap.
    """
    found = [
        gap
        for j, feature in enumerate(features)
        for gap in _gaps_of(feature, reference[:, j], generated[:, j], len(features))
    ]
    return tuple(sorted(found, key=lambda gap: -gap.events))


def _gaps_of(feature: Feature, theirs: Array, ours: Array, d: int) -> list[Gap]:
    values = np.sort(ours)
    place, beyond = (np.searchsorted(values, theirs, side=side) for side in ("left", "right"))
    runs = np.bincount(place[place == beyond], minlength=values.size + 1)
    ratio = math.log(theirs.size / (theirs.size + _LEAST * ours.size))
    starts = np.full(values.size + 1, math.log(d * max(1.0, values.size - 1.0)))
    starts[[0, -1]] = math.log(2.0 * d)
    ends = np.concatenate([[-np.inf], values, [np.inf]])
    return [
        Gap(
            feature.name,
            feature.unit,
            float(ends[k]),
            float(ends[k + 1]),
            int(runs[k]),
            float(runs[k] / theirs.size),
            math.exp(min(0.0, starts[k] + ratio * runs[k])),
        )
        for k in np.flatnonzero(starts + ratio * runs < math.log(_LEVEL))
    ]


def in_gaps(found: Sequence[Gap], features: Sequence[Feature], x: Array) -> BoolArray:
    """Return which events ``(n, d)`` lie in a gap ``(n,)``."""
    inside = np.zeros(len(x), dtype=np.bool_)
    place = {feature.name: j for j, feature in enumerate(features)}
    for gap in found:
        column = x[:, place[gap.feature]]
        inside |= (column > gap.low) & (column < gap.high)
    return inside
