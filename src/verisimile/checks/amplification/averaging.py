"""Amplification from the scatter of an ensemble: no truth and no holdout are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.checks.amplification.member_counts import (
    Draws,
    Member,
    MemberCounts,
    Pooled,
    Spread,
    count_members,
    pool_regions,
    spread,
)
from verisimile.checks.amplification.regions import Regions
from verisimile.checks.amplification.result import Amplification, check_plan
from verisimile.core.arrays import Array, frozen
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike, as_events, require_samples

CANNOT_SEE = (
    "An ensemble that differs by initialisation only has not seen other training samples: its "
    "spread is too small and its G too large.  What all members have in common, such as a bias "
    "of the architecture, is in no spread."
)

_FEW_MEMBERS = 10
_NOISY = 0.9
_FAR = 0.3
_SURELY = 0.99


@register("region-map", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RegionMap(Result):
    r"""What the members know about each region.

    Attributes
    ----------
    level
        Content of the limits.
    probability
        Mean over members ``(K,)``.
    variance
        Variance between members without the binomial noise, ``(K,)``; negative by fluctuation.
    low, high
        Limits on it ``(K,)``; exact for members that scatter normally.
    gain
        :math:`G_i`, ``(K,)``.  One over a variance from J members is too large on
        average, by :math:`(J-1)/(J-3)`, and this factor is divided out; infinite
        where the variance is not positive, NaN for J = 3 or an empty region.
    gain_low, gain_high
        Limits on it ``(K,)``, which need no correction.
    """

    level: float
    probability: Array
    variance: Array
    low: Array
    high: Array
    gain: Array
    gain_low: Array
    gain_high: Array
    listed: ClassVar[tuple[str, ...]] = (
        "probability",
        "variance",
        "low",
        "high",
        "gain",
        "gain_low",
        "gain_high",
    )


@register("averaging", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Averaging(Result):
    """The averaging measure: pooled, region by region, and against the number of events.

    `cannot_see` is what no ensemble of this kind can tell.
    """

    amplification: Amplification
    regions: RegionMap
    crossing: Crossing
    cannot_see: str = CANNOT_SEE

    def __repr__(self) -> str:
        """Return the line of the pooled amplification."""
        return f"Averaging({self.amplification!r})"


def averaging(
    run: Run,
    member_samples: Sequence[EventsLike | Draws],
    *,
    n_train: int,
    regions: Regions,
    levels: Sequence[float] = (0.68, 0.95),
) -> Averaging:
    r"""Return how many events the generator is worth by the scatter of its members.

    The variance over members of a region's fraction is that of the training,
    plus the binomial one of the generated sample, which is subtracted:

    .. math:: \hat a_i = v_i - \frac{\bar p_i (1 - \bar p_i)}{n_\mathrm{gen} - 1}, \qquad
              \frac1G = n_\mathrm{train}
              \frac{\sum_i \hat a_i}{\sum_i \bar p_i (1 - \bar p_i)}

    The pooled 1/G is linear in variances, and so has no bias at any number J of
    members; G, one over it, has.  Parameters few in number move all regions
    together, so that the regions are no independent witnesses: the error is the
    jackknife over members, the interval Student's t on the logarithm.

    Parameters
    ----------
    run
        Gives the random streams of `Draws`, and the progress.
    member_samples
        Three or more, one per member, trained on bootstrap replicas or drawn from a posterior:
        unweighted `Events`, or `Draws`, which are made in chunks and not kept.
    n_train
        Events that each member was trained on.
    regions
        Object with ``count`` and ``of(x)``: the region of each event.
    levels
        Contents of the intervals; the map has the first.

    References
    ----------
    H. Bahl et al., arXiv:2509.08048; S. Bieringer et al., arXiv:2408.00838.
    """
    require_samples(member_samples, "member_samples")
    counts = count_members(run, _members(member_samples), regions)
    rng = run.seeds.at("averaging", "crossing").numpy()
    return averaging_of_counts(counts, rng, n_train=n_train, levels=levels)


def _members(samples: Sequence[EventsLike | Draws]) -> list[Member]:
    """Return draws as they are, and samples with the columns of the first of them."""
    members: list[Member] = []
    features = None
    for place, each in enumerate(samples):
        if isinstance(each, Draws):
            members.append(each)
            continue
        events = as_events(each, f"member_samples[{place}]")
        features = features or events.features
        members.append(match_features(events, features))
    return members


def averaging_of_counts(
    counts: MemberCounts,
    rng: np.random.Generator,
    *,
    n_train: int,
    levels: Sequence[float] = (0.68, 0.95),
) -> Averaging:
    """Return the measure of counts that are there already; `rng` thins them for the crossing."""
    check_plan(n_train, levels)
    moments = spread(counts)
    found = pool_regions(counts, moments)
    amplification = Amplification(
        measure="averaging",
        resolution=moments.probability.size,
        inverse_gain=Estimate(n_train * found.inverse_size, n_train * found.error / found.scale),
        intervals=tuple(found.limits(level).scaled(n_train) for level in levels),
        n_train=n_train,
        n_generated=int(counts.totals.min()),
        n_holdout=0,
        details={
            "members": float(found.members),
            "effective_degrees": found.effective_degrees,
            "noise_share": found.noise / found.total,
            "farthest_member": float(found.farthest),
            "farthest_share": found.farthest_share,
        },
        warnings=_warnings(moments, found),
    )
    regions = _map(moments, n_train, levels[0])
    return Averaging(amplification, regions, _crossing(counts, moments, rng))


def _map(moments: Spread, n_train: int, level: float) -> RegionMap:
    low, high = moments.limits(level)
    shrink = (moments.members - 3) / (moments.members - 1)
    return RegionMap(
        level=level,
        probability=frozen(moments.probability),
        variance=frozen(moments.between),
        low=frozen(low),
        high=frozen(high),
        gain=frozen(_gain(moments, moments.between, n_train) * (shrink or np.nan)),
        gain_low=frozen(_gain(moments, high, n_train)),
        gain_high=frozen(_gain(moments, low, n_train)),
    )


def _gain(moments: Spread, variance: Array, n_train: int) -> Array:
    positive = np.where(variance > 0.0, variance, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(moments.scale / (n_train * positive))


def _warnings(moments: Spread, found: Pooled) -> tuple[str, ...]:
    empty = int((moments.probability == 0.0).sum())
    said = {
        f"{found.members} members only: the interval is wide, and wider than it need be.": (
            found.members < _FEW_MEMBERS
        ),
        f"{found.noise / found.total:.0%} of the variance is that of finite samples: "
        "generate more events per member.": found.noise > _NOISY * found.total,
        f"Member {found.farthest} alone makes {found.farthest_share:.0%} of the variance: the "
        "interval is for members that are alike.": (
            found.farthest_share > _FAR and found.members >= _FEW_MEMBERS
        ),
        "The members scatter less than independent samples would: do they share random "
        "numbers?": found.limits(_SURELY).high == 0.0,
        f"No member has an event in {empty} of the regions.": empty > 0,
    }
    return tuple(text for text, holds in said.items() if holds)


_SIZES = 8
_DECADES = 3.0


@register("crossing", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Crossing(Result):
    r"""Spread over members of the region fractions, at several numbers of generated events.

    It falls as :math:`\sqrt{p (1 - p) / n}` for few events and flattens at the
    members' own spread; the flat part meets the falling line at :math:`n_\mathrm{equiv}`.

    Attributes
    ----------
    sizes
        Generated events per member ``(S,)``, ascending.
    spread, probability
        Standard deviation over members ``(S, K)``, of samples thinned to that size; their mean
        ``(K,)``.
    """

    sizes: Array
    spread: Array
    probability: Array
    listed: ClassVar[tuple[str, ...]] = ("sizes", "spread")

    @property
    def sampling(self) -> Array:
        r"""Error :math:`\sqrt{p (1 - p) / n}` of as many true events ``(S, K)``."""
        scale = self.probability * (1.0 - self.probability)
        return np.sqrt(scale / self.sizes[:, None])


def _crossing(counts: MemberCounts, moments: Spread, rng: np.random.Generator) -> Crossing:
    """Return the spread at sizes over three decades below the smallest sample.

    Smaller samples are drawn without replacement from the counts themselves, which is what
    dropping events at random does.
    """
    largest = int(counts.totals.min())
    smallest = max(2.0, largest / 10.0**_DECADES)
    sizes = np.unique(np.geomspace(smallest, largest, _SIZES).round().astype(np.int64))
    table = np.column_stack([counts.counts, counts.totals - counts.counts.sum(axis=1)])
    spreads = []
    for size in sizes:
        kept = [rng.multivariate_hypergeometric(row, size, method="marginals") for row in table]
        spreads.append((np.array(kept) / size).std(axis=0, ddof=1)[:-1])
    return Crossing(frozen(sizes), frozen(spreads), frozen(moments.probability))
