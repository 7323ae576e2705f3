"""Efficiencies of selections in both samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import BoolArray
from verisimile.core.result import Estimate, Result, register
from verisimile.data.derived import ColumnFunction, select
from verisimile.data.events import Events
from verisimile.data.expressions import Condition
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.weighted import by_group, match_columns, pulls, shares, two_sided
from verisimile.stats.intervals import clopper_pearson

_LEAST = 10.0
_SMALLEST = float(np.finfo(np.float64).tiny)


@register("efficiency", 1)
@dataclass(frozen=True, slots=True)
class Efficiency(Result):
    """The fraction of a sample's weight that a selection keeps.

    Attributes
    ----------
    value, low, high
        Fraction and its 68.27 % interval: Clopper–Pearson without weights, the value
        and its delta-method error with weights, not cut at 0 or 1.
    error
        Standard deviation by the delta method.
    """

    value: float
    low: float
    high: float
    error: float
    passed: int
    total: int

    def __repr__(self) -> str:
        return (
            f"Efficiency({self.value:.4g} [{self.low:.4g}, {self.high:.4g}], "
            f"{self.passed} of {self.total})"
        )


@register("efficiency-comparison", 1)
@dataclass(frozen=True, slots=True)
class EfficiencyComparison(Result):
    """One selection's efficiency in the reference and in the generated sample.

    Attributes
    ----------
    name, condition
        The selection, and how it is written.
    reference, generated
        Efficiencies.
    difference
        Generated minus reference.
    z
        Difference over its error; NaN if both efficiencies are 0 or both 1.
    p_value
        Two-sided; NaN where weighted events are too few for a normal law.
    method
        How `p_value` was made.
    """

    name: str
    condition: str
    reference: Efficiency
    generated: Efficiency
    difference: Estimate
    z: float
    p_value: float
    method: str

    def __repr__(self) -> str:
        return (
            f"EfficiencyComparison({self.name}: {self.reference.value:.4g} against "
            f"{self.generated.value:.4g}, z={self.z:+.1f}, p={self.p_value:.3g})"
        )


def efficiencies(
    reference: EventsLike,
    generated: EventsLike,
    selections: Mapping[str, Condition | ColumnFunction],
) -> tuple[EfficiencyComparison, ...]:
    r"""Compare the efficiencies of selections.

    Without weights: Fisher's exact test, conditional on how many events of both samples
    pass; its size is at most the level.  With weights, which may be negative:

    .. math:: \varepsilon = \sum_i v_i b_i, \quad
              \sigma^2 = \sum_i v_i^2 (b_i - \varepsilon)^2

    and a normal law, if at least ten effective events pass and ten fail in both samples.
    Events of one group add up before they are squared,
    :math:`\sigma^2 = \sum_g (\sum_{i \in g} v_i (b_i - \varepsilon))^2`, and it is groups
    of which ten must pass and fail.

    References
    ----------
    R. A. Fisher, J. R. Stat. Soc. 85 (1922) 87.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    samples = (reference, match_columns(reference, generated))
    return tuple(_comparison(name, condition, samples) for name, condition in selections.items())


def _comparison(
    name: str, condition: Condition | ColumnFunction, samples: tuple[Events, Events]
) -> EfficiencyComparison:
    kept = [select(one, condition) for one in samples]
    first, second = both = [_efficiency(one, b) for one, b in zip(samples, kept, strict=True)]
    z, error = _pull(first, second)
    if all(one.n_groups == one.n and one.weights is None for one in samples):
        p = _exact([(one.passed, one.total) for one in both])
        method = "Fisher's exact test"
    elif _enough(samples, kept):
        p, method = float(two_sided(np.asarray(z))), "normal law"
    else:
        p, method = math.nan, "normal law, too few events"
    return EfficiencyComparison(
        name=name,
        condition=condition.text if isinstance(condition, Condition) else condition.name,
        reference=first,
        generated=second,
        difference=Estimate(second.value - first.value, error),
        z=z,
        p_value=p,
        method=method,
    )


def _pull(first: Efficiency, second: Efficiency) -> tuple[float, float]:
    """Return the difference over its error, and that error."""
    error = math.hypot(first.error, second.error)
    return float(pulls(np.asarray(second.value - first.value), np.asarray(error))), error


def _efficiency(events: Events, kept: BoolArray) -> Efficiency:
    v = shares(events)
    number = int(kept.sum())
    value = number / events.n if events.weights is None else float(v[kept].sum())
    error = float(np.sqrt((by_group(v * (kept - value), events.group) ** 2).sum()))
    low, high = value - error, value + error
    if events.weights is None and events.n_groups == events.n:
        low, high = clopper_pearson(number, events.n)
    elif number in (0, events.n):
        # No event on the other side: its weight is unknown, its rate is not.
        low, high = clopper_pearson(_worth(events) if number else 0, _worth(events))
    return Efficiency(value, low, high, error, number, events.n)


def rate_p_value(samples: Sequence[Events], flags: Sequence[BoolArray]) -> tuple[float, str]:
    """Return the p-value of equal rates of flagged events, and how it was made.

    Fisher's exact test of events, or of groups with a flagged event, where there are no
    weights.  With weights the rates are weighted: a normal law where ten effective
    events are flagged and ten are not in both samples, else Fisher's test of effective numbers.
    """
    both = list(zip(samples, flags, strict=True))
    if all(one.weights is None for one in samples):
        counts = [(flagged_groups(one, flag), one.n_groups) for one, flag in both]
        return _exact(counts), "Fisher's exact test"
    rates = [_efficiency(one, flag) for one, flag in both]
    if _enough(samples, flags):
        return float(two_sided(np.asarray(_pull(*rates)[0]))), "normal law"
    effective = [
        (round(min(max(rate.value, 0.0), 1.0) * _worth(one)), _worth(one))
        for one, rate in zip(samples, rates, strict=True)
    ]
    return _exact(effective), "Fisher's exact test of effective numbers"


def flagged_groups(events: Events, flag: BoolArray) -> int:
    """Return the number of groups with a flagged event, of events where they stand alone."""
    return int(flag.sum()) if events.group is None else np.unique(events.group[flag]).size


def _worth(events: Events) -> int:
    return max(1, math.floor(min(events.n_effective, events.n_groups)))


def _exact(counts: Sequence[tuple[int, int]]) -> float:
    table = [[count, total - count] for count, total in counts]
    return max(float(stats.fisher_exact(table).pvalue), _SMALLEST)


def _enough(samples: Sequence[Events], flags: Sequence[BoolArray]) -> bool:
    """Whether ten effective events or groups of each sample are flagged, and ten are not."""
    both = list(zip(samples, flags, strict=True))
    return all(_effective(one, side) >= _LEAST for one, flag in both for side in (flag, ~flag))


def _effective(events: Events, flag: BoolArray) -> float:
    weights = np.ones(events.n) if events.weights is None else events.weights
    sums = by_group(np.where(flag, weights, 0.0), events.group)
    square = float(sums @ sums)
    return float(sums.sum()) ** 2 / square if square > 0.0 else 0.0
