"""From counts in regions to 1/G with its intervals, at one resolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.result import Amplification, Interval
from verisimile.checks.amplification.shares import Difference, Shares, difference
from verisimile.checks.amplification.unified import Moments, unified_interval
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate

__all__ = ["Counts", "of_generator", "of_trainings"]

_FEW = 5.0
_NEXT_TO_NONE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Shares of J generated samples and of the holdout, with the numbers behind them."""

    generated: tuple[Shares, ...]
    holdout: Shares
    n_train: int
    n_generated: int
    n_holdout: int
    n_edges: int

    @property
    def count(self) -> int:
        """Number of regions."""
        return self.holdout.values.size

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Distance of each generated sample from the holdout."""
        return tuple(difference(each, self.holdout) for each in self.generated)

    def inverse(self, distance: float) -> float:
        r"""Return 1/G of a distance, :math:`n_\mathrm{train}` times it over the true spread."""
        spread = self.holdout.spread
        return self.n_train * distance / spread if spread > 0.0 else math.nan


def of_generator(
    counts: Counts, *, levels: Sequence[float], details: Mapping[str, float]
) -> Amplification:
    r"""Return 1/G of one generator as it is.

    With V the covariance of the shares' difference d, its square has

    .. math:: \mathrm{var} = 2\,\mathrm{tr}\,V^2 + 4\,\bar v\,\theta, \qquad
              \bar v = \max\Big(\frac{d^T V d}{d^T d}, \frac{\mathrm{tr}V^3}{\mathrm{tr}V^2}\Big)

    at a true squared distance :math:`\theta`: the noise in the direction of the difference,
    and where that is lost in noise, in that of the noise.
    """
    (found,) = counts.differences

    def law(theta: float) -> Moments:
        return Moments(found.noise + theta, 2.0 * found.trace2 + 4.0 * found.along * theta)

    return _point("quantile", counts, found.distance, law, levels, details)


def of_trainings(
    counts: Counts, *, levels: Sequence[float], directions: float | None
) -> Amplification:
    r"""Return the expectation of 1/G over trainings, of which J were made.

    With f the share of the distance that all trainings have in common and c what a training
    sample's own noise adds to it in one direction, trainings scatter by

    .. math:: \mathrm{var} = \frac1J \Big[\frac{2 (1 - f)^2 \theta^2}{K} + 4 f \theta c\Big].
    """
    if directions is not None and not directions > 0.0:
        raise InputError("directions", got=directions, expected="a positive number")
    found = counts.differences
    size = len(found)
    distance = float(np.mean([each.distance for each in found]))
    noise = float(np.mean([each.noise for each in found]))
    # The holdout's noise is common to all generators, the others' averages out.
    common = difference(counts.holdout, counts.holdout).trace2 / 4.0
    counting = 2.0 * (common + float(np.mean([e.trace2 for e in found]) - common) / size)
    fixed = _fixed_share(counts, distance)
    crossed = 1.0 if size == 1 else fixed + (1.0 - fixed) / size
    along = crossed * float(np.mean([each.along for each in found]))

    def law(theta: float) -> Moments:
        free = (1.0 - fixed) * theta
        spent = _directions(counts, free, directions)
        one = free / directions if directions else 1.0 / counts.inverse(counts.count - 1.0)
        scatter = (2.0 * free**2 / spent + 4.0 * fixed * theta * one) / size
        return Moments(noise + theta, counting + 4.0 * along * theta + scatter)

    spent = _directions(counts, (1.0 - fixed) * max(distance, 0.0), directions)
    details = {"generators": float(size), "directions": spent, "common to trainings": fixed}
    return _point("quantile-of-trainings", counts, distance, law, levels, details)


def _directions(counts: Counts, distance: float, directions: float | None) -> float:
    """Return those that an efficient fit spends to be as far as this, unless they are given."""
    most = counts.count - 1.0
    return directions or most * min(1.0, max(counts.inverse(distance), _NEXT_TO_NONE))


def _fixed_share(counts: Counts, distance: float) -> float:
    """Return the share of the distance that all trainings have; zero if there is one alone."""
    size = len(counts.generated)
    if size == 1 or distance <= 0.0:
        return 0.0
    d = np.stack([each.values - counts.holdout.values for each in counts.generated])
    crossed = float((d.sum(axis=0) ** 2).sum() - (d**2).sum()) / (size * (size - 1))
    return min(max((crossed - float(counts.holdout.diagonal.sum())) / distance, 0.0), 1.0)


def _point(
    measure: str,
    counts: Counts,
    distance: float,
    law: Callable[[float], Moments],
    levels: Sequence[float],
    details: Mapping[str, float],
) -> Amplification:
    error = math.sqrt(law(max(distance, 0.0)).variance)
    observed = law(0.0).mean + distance
    ends = [unified_interval(observed, law, level) for level in levels]
    return Amplification(
        measure=measure,
        resolution=counts.count,
        inverse_gain=Estimate(counts.inverse(distance), counts.inverse(error)),
        intervals=tuple(
            Interval(level, counts.inverse(low), counts.inverse(high))
            for level, (low, high) in zip(levels, ends, strict=True)
        ),
        n_train=counts.n_train,
        n_generated=counts.n_generated,
        n_holdout=counts.n_holdout,
        details={
            "squared distance": distance,
            "counting noise": law(0.0).mean,
            "events for edges": float(counts.n_edges),
            "holdout per region": counts.holdout.n_effective / counts.count,
            **details,
        },
        warnings=_warnings(counts, counts.inverse(ends[-1][0]), counts.inverse(ends[-1][1])),
    )


def _warnings(counts: Counts, low: float, high: float) -> tuple[str, ...]:
    found = []
    per_region = counts.holdout.n_effective / counts.count
    if per_region < _FEW:
        found.append(f"only {per_region:.2g} holdout events per region: intervals are too wide")
    fewest = min(each.n_effective for each in counts.generated)
    if fewest < counts.n_train:
        found.append(
            f"{fewest:.0f} generated events are fewer than the {counts.n_train} of the training: "
            "generate more, their noise dominates"
        )
    if low <= 0.0:
        found.append(
            f"G has no upper bound: {counts.n_holdout} holdout events do not tell this generator "
            f"from a perfect one at {counts.count} regions; it is above {1.0 / high:.3g}"
        )
    return tuple(found)
