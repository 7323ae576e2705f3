"""How the bound falls with the number of events, and the interval of the true area from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.checks.precision_recall.bound import Bounded, Half
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, register

_PARTS = (4, 2)  # one event of so many
_EXPONENT, _SLOWEST, _AT_ONSET, _UNSEEN = 1.0 / 2.0, 1.0 / 4.0, 0.15, 0.1
_ONSET = 1.0 / 3.0
_Z = 1.959963984540054


@register("precision-recall-learning", 1)
@dataclass(frozen=True, slots=True, eq=False)
class LearningCurve:
    r"""The chosen score's area against the number of events, and where it leads.

    Attributes
    ----------
    n
        Events of the reference that score and thresholds are made from: of a quarter, of half and
        of all ``(3,)``.
    area
        Held-out area with so many ``(3,)``.
    onset
        Whether a quarter of the events sees less than a third of the difference that all see: the
        score has only begun to see it, and the curve may fall for long.
    excess
        What is left to fall, for an excess like :math:`n^{-c}` with c = 1/2:
        :math:`(A_{1/4} - A) / (4^c - 1)`, areas above one taken as one.
    limit
        Area without it; two of its errors contain the noise and c down to 1/4, at the onset to
        0.15, and to 0.1 if a quarter of the events sees no difference at all.
    """

    n: Array
    area: Array
    onset: bool
    excess: float
    limit: Estimate


def learning_curve(seeds: Seeds, found: Bounded, theta: Array) -> LearningCurve:
    r"""Return areas of the chosen scores with a quarter, half and all of the events.

    .. math:: A(n) = A + b\, n^{-c}, \quad
              \hat A = A(n) - \frac{A(n/4) - A(n)}{4^c - 1}

    Disjoint parts of the learning halves and of the folds that make the rules; the events that
    count are always the same, so that differences are known much better than areas.  First split.
    """
    halves = found.halves[:2]
    parts = [_Parts.of(seeds.at(i).numpy(), half, theta) for i, half in enumerate(halves)]
    areas = [float(np.mean([part.areas[of] for part in parts])) for of in _PARTS]
    now = float(np.mean([half.best.area for half in halves]))
    few, all_of_them = (min(1.0, areas[0]), min(1.0, now))
    fallen = max(0.0, few - all_of_them)
    onset = 1.0 - few < _ONSET * (1.0 - all_of_them) or all_of_them == 1.0
    excess = fallen / _factor(_EXPONENT)
    # Two errors reach from the exponent's value to the slowest one.
    slow = fallen / _factor((_UNSEEN if few == 1.0 else _AT_ONSET) if onset else _SLOWEST)
    noise = math.sqrt(sum(part.variance for part in parts)) / len(parts)
    size = sum(half.tested.learn_true.n for half in halves) / len(halves)
    return LearningCurve(
        n=size / np.array([*_PARTS, 1]),
        area=np.array([*areas, now]),
        onset=onset,
        excess=excess,
        limit=Estimate(now - excess, math.hypot(noise, 0.5 * (slow - excess))),
    )


def interval(found: Bounded, curve: LearningCurve) -> tuple[float, float]:
    """Return the 95 % interval of the true area: below the bound, above the learning curve's limit.

    The upper end holds for any score: the bound's expectation, given what was learned, and its
    error as a mean over held-out events.  The lower end is an extrapolation: it holds if the excess
    falls at least like the fourth root of the number of events (at the onset: its power 0.15, or
    0.1), and says nothing about a difference that no candidate has begun to see.

    References
    ----------
    P. Bayle et al., NeurIPS 2020 (cross-validated means as means over independent events).
    """
    high = found.area + _Z * math.hypot(*found.traced.errors)
    low = curve.limit.value - _Z * curve.limit.error
    return min(1.0, max(0.0, low)), min(1.0, high)


def _factor(exponent: float) -> float:
    return float(_PARTS[0] ** exponent - 1.0)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Areas of one half with fewer events, and the variance of its limit."""

    areas: dict[int, float]
    variance: float

    @classmethod
    def of(cls, rng: np.random.Generator, half: Half, theta: Array) -> _Parts:
        used, chosen = np.unique(half.chosen, return_inverse=True)
        curves = {
            of: [
                half.tested.curve(
                    [
                        half.tested.turns(half.candidates[i], rng, theta, part=part, of=of)[0]
                        for i in used
                    ],
                    chosen,
                    theta,
                )
                for part in range(of if of == _PARTS[0] else 1)
            ]
            for of in _PARTS
        }
        few, most = curves[_PARTS[0]], 1.0 / _factor(_EXPONENT)
        held = 0.0
        for now, then in (
            (half.best.true, np.mean([curve.true for curve in few], axis=0)),
            (half.best.fake, np.mean([curve.fake for curve in few], axis=0)),
        ):
            held += float((now - most * (then - now)).var()) / now.size
        # Parts share their test events: what they differ by is of learning, and falls like 1 / n.
        learned = float(np.var([curve.area for curve in few], ddof=1)) / _PARTS[0]
        areas = {of: float(np.mean([c.area for c in curves[of]])) for of in _PARTS}
        return cls(areas, held + ((1.0 + most) ** 2 + most**2) * learned)
