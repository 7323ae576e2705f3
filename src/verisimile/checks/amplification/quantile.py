"""Quantile measure: how far region probabilities are from the truth, in true events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.regions import (
    AnyRegions,
    Regions,
    Resolutions,
    resolutions_of,
)
from verisimile.checks.amplification.result import (
    Amplification,
    AmplificationCurve,
    Interval,
    check_plan,
)
from verisimile.checks.amplification.shares import (
    Difference,
    Shares,
    difference,
    reject_signed,
    shares_of,
)
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events, as_samples
from verisimile.data.provenance import group_notes
from verisimile.samples.columns import comparable
from verisimile.samples.copies import exact_copies
from verisimile.stats.unified import Moments, unified_interval

FINEST = (10, 20, 50, 100)
"""Numbers of regions if none are asked for."""


def require_holdout(holdout: EventsLike | None) -> Events:
    """Return the holdout; where there is none, the error says how to get one."""
    if holdout is None:
        raise InputError(
            "holdout",
            got="none",
            expected="true events that the generator has never seen",
            remedy="Set some aside before training, or use folds: train it again without a part "
            "of the training sample, and that part is the holdout.  Against the training sample "
            "itself a generator that memorises looks perfect.",
        )
    return as_events(holdout, "holdout")


def shared_notes(generated: Events, holdout: Events, train: Events | None) -> list[str]:
    """Return what a reader must know of events shared with the training; an error if all are."""
    if train is None:
        return []
    found = []
    held, copied = exact_copies(train, holdout), exact_copies(train, generated)
    shared = 0 if held is None else held.count
    if shared == holdout.n:
        raise InputError(
            "holdout",
            got="events that are all in the training sample",
            expected="true events that the generator has never seen",
            remedy="Set some aside before training.",
        )
    if shared:
        found.append(
            f"{shared} of {holdout.n} holdout events are training events: G is too large "
            "if the generator remembers them"
        )
    if copied is not None:
        found.append(
            f"{copied.count} of {generated.n} generated events are copies of training events; "
            "1/G holds only if each is an independent draw, not if the sample lists every "
            "copy once"
        )
    return found


def quantile(
    run: Run,
    generated: EventsLike,
    holdout: EventsLike | None,
    *,
    n_train: int,
    regions: AnyRegions = FINEST,
    train: EventsLike | None = None,
    levels: Sequence[float] = (0.68, 0.95),
) -> AmplificationCurve:
    r"""Return how many true events *this* generator is worth, by its region probabilities.

    With :math:`\gamma_j` the generator's own probability of region j and :math:`p_j` the true one,

    .. math:: \frac1G = n_\mathrm{train}
              \frac{\sum_j (\gamma_j - p_j)^2}{\sum_j p_j (1 - p_j)}:

    its probabilities are as far from the truth as those of :math:`G n_\mathrm{train}` true events
    are on average.  The numerator is estimated free of bias by

    .. math:: \sum_j \Big[(g_j - h_j)^2 - \frac{g_j (1 - g_j)}{n_g - 1}
                          - \frac{h_j (1 - h_j)}{n_h - 1}\Big]

    from the shares g of the generated and h of the holdout events, in regions made of other
    generated events.  The interval inverts a test on that sum of squares and is not
    normal: it covers with few regions and for a perfect generator, where it holds zero.

    Parameters
    ----------
    run
        Gives the stream that sets events aside for the edges.
    generated
        Independent draws of the generator; the more, the better.
    holdout
        True events that the generator has never seen; required.
    n_train
        Events it was trained on.
    regions
        Numbers of regions, or regions of the caller's that were made without these events.
    train
        The training events; the same distance to them tells a memorising generator.
    levels
        Contents of the intervals.

    References
    ----------
    A. Butter et al., SciPost Phys. 10 (2021) 139, section 2 (the measure, without noise).
    """
    check_plan(n_train, levels, fewest=2)
    seeds = run.seeds.at("amplification", "quantile")
    found, notes = _counted(seeds, [generated], require_holdout(holdout), n_train, regions, train)
    points = [_of_generator(counts, against, levels) for counts, against in found]
    return AmplificationCurve("quantile", tuple(points), notes)


def quantile_of_trainings(
    run: Run,
    generated: Sequence[EventsLike],
    holdout: EventsLike | None,
    *,
    n_train: int,
    regions: AnyRegions = FINEST,
    directions: float | None = None,
    levels: Sequence[float] = (0.68, 0.95),
) -> AmplificationCurve:
    r"""Return how many true events the *procedure* is worth that trains such generators.

    The numerator of :func:`quantile` is replaced by its expectation over training samples.  That
    is what closed-form results state, and what a published G is meant to be.  How far trainings
    scatter about the expectation depends on the number K of independent directions that a
    training sample moves the generator in,

    .. math:: \mathrm{var} = \frac{2}{J K} \Big[E \sum_j (\gamma_j - p_j)^2\Big]^2,

    and on the error that all trainings have in common, which several generators tell and a
    single one does not: it is then taken to have none.

    Parameters
    ----------
    run, holdout, n_train, regions, levels
        As for :func:`quantile`.
    generated
        Samples of J generators, each trained on events of its own; one is enough.
    directions
        K.  None takes :math:`(N_Q - 1) \min(1, 1/G)`, the parameters that an efficient fit
        of this G spends, or all directions for G below one: right for maximum likelihood
        and for a memoriser, too cautious for a generator that is better than its training
        sample in all directions alike.
    """
    check_plan(n_train, levels, fewest=2)
    samples = as_samples(generated, "generated")
    positive = directions is None or directions > 0.0
    require(positive, "directions", got=directions, expected="a positive number")
    seeds = run.seeds.at("amplification", "trainings")
    found, notes = _counted(seeds, samples, require_holdout(holdout), n_train, regions)
    points = [_of_trainings(counts, levels, directions) for counts, _ in found]
    return AmplificationCurve("quantile-of-trainings", tuple(points), notes)


def _counted(
    seeds: Seeds,
    generated: Sequence[EventsLike],
    holdout: Events,
    n_train: int,
    regions: AnyRegions,
    train: EventsLike | None = None,
) -> tuple[list[tuple[Counts, Counts | None]], tuple[str, ...]]:
    """Return counts at each resolution, with those against the training events, and warnings."""
    require(generated, "generated", got="no sample", expected="one or more")
    pairs = [comparable(holdout=holdout, generated=each) for each in generated]
    samples = [match_features(each, holdout.features) for _, each in pairs]
    if train is not None:
        train = match_features(comparable(holdout=holdout, train=train)[1], holdout.features)
    for each in samples:
        reject_signed(each.weights, "generated")
    reject_signed(holdout.weights, "holdout")
    shared = shared_notes(samples[0], holdout, train)
    plan = resolutions_of(seeds, samples, regions)
    found = [
        (
            Counts.of(each, plan, holdout, n_train),
            None if train is None else Counts.of(each, plan, train, n_train),
        )
        for each in plan.regions
    ]
    notes = group_notes({"generated": samples[0], "holdout": holdout})
    return found, (*plan.warnings, *shared, *notes)


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

    @classmethod
    def of(cls, regions: Regions, plan: Resolutions, holdout: Events, n_train: int) -> Counts:
        """Count the generated events that made no edges, and the holdout."""

        def shares(events: Events, name: str) -> Shares:
            return shares_of(regions.of(events.x), regions.count, events.weights, name)

        return cls(
            generated=tuple(shares(each, "generated") for each in plan.counted),
            holdout=shares(holdout, "holdout"),
            n_train=n_train,
            n_generated=plan.used + sum(each.n for each in plan.counted),
            n_holdout=holdout.n,
            n_edges=plan.used,
        )

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


def _of_generator(counts: Counts, against: Counts | None, levels: Sequence[float]) -> Amplification:
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

    # 1/G as it would be if the training sample were a holdout; it is none.
    known = against and {"1/G against train": against.inverse(against.differences[0].distance)}
    return _point("quantile", counts, found.distance, law, levels, known or {})


def _of_trainings(
    counts: Counts, levels: Sequence[float], directions: float | None
) -> Amplification:
    r"""Return the expectation of 1/G over trainings, of which J were made.

    With f the share of the distance that all trainings have in common and c what a training
    sample's own noise adds to it in one direction, trainings scatter by

    .. math:: \mathrm{var} = \frac1J \Big[\frac{2 (1 - f)^2 \theta^2}{K} + 4 f \theta c\Big].
    """
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
