"""Events of every member in every region, counted without holding them all, and their scatter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from verisimile.checks.amplification.regions import Regions, tally
from verisimile.checks.amplification.result import Interval
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.protocol import Sampler

_CHUNK = 1 << 17  # events; fixed, so that the draws do not depend on the memory at hand

Draw = Callable[[int, np.random.Generator], Array]


@dataclass(frozen=True, slots=True)
class Draws:
    """A member that makes its `n` events while they are counted.

    The source is a `Sampler`, or a function of a number and a generator to events ``(n, d)``.
    """

    source: Sampler | Draw
    n: int

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        x = self.source.sample(n, rng) if isinstance(self.source, Sampler) else self.source(n, rng)
        got, expected = f"an array of shape {x.shape}", f"{n} rows of features"
        require(x.ndim == 2 and len(x) == n, "Draws.source", got=got, expected=expected)
        return x


Member = Events | Draws


@dataclass(frozen=True, slots=True, eq=False)
class MemberCounts:
    """Counts ``(J, K)`` of J members in K regions, and all events of each ``(J,)``."""

    counts: IntArray
    totals: IntArray

    @property
    def fractions(self) -> Array:
        """Fraction of each member's events in each region ``(J, K)``."""
        return np.asarray(self.counts / self.totals[:, None])


def member_counts(counts: npt.ArrayLike, totals: npt.ArrayLike | None = None) -> MemberCounts:
    """Return checked counts; every event is in a region unless `totals` say otherwise."""
    table = np.asarray(counts)
    require(
        table.ndim == 2 and table.dtype.kind in "iu" and table.shape[1] and (table >= 0).all(),
        "counts",
        got=f"{table.dtype} of shape {table.shape}",
        expected="whole numbers >= 0, (members, regions)",
    )
    sums = table.sum(axis=1)
    sizes = sums if totals is None else np.asarray(totals)
    require(
        sizes.shape == sums.shape and (sizes >= np.maximum(sums, 2)).all(),
        "totals",
        got=f"{sizes.tolist()[:5]} for counts that add up to {sums.tolist()[:5]}",
        expected="at least as many events, and two, for each member",
    )
    require(
        len(table) >= 3,
        "members",
        got=len(table),
        expected="three or more",
        remedy="The spread over members, with an error, needs more of them; 30 serve well.",
    )
    return MemberCounts(table.astype(np.int64), sizes.astype(np.int64))


def count_members(run: Run, members: Sequence[Member], regions: Regions) -> MemberCounts:
    """Count the events of every member, in chunks; the run's seeds make those to be drawn."""
    shown = run.progress.begin("amplification: members", len(members), 0)
    rows = []
    try:
        for index, member in enumerate(members):
            rows.append(_counted(run.at("averaging", "member", index), member, regions))
            shown.advance()
    finally:
        shown.close()
    totals = [member.n for member in members]
    return member_counts(np.reshape(rows, (len(rows), -1)), totals)


def _counted(run: Run, member: Member, regions: Regions) -> IntArray:
    found = np.zeros(regions.count + 1, dtype=np.int64)
    for x in _chunks(run, member):
        found += tally(regions.of(x), regions.count, x.shape[0])
    return found[1:]


def _chunks(run: Run, member: Member) -> Iterator[Array]:
    starts = range(0, member.n, _CHUNK)
    if isinstance(member, Events):
        require(
            member.weights is None,
            "member_samples",
            got="weighted events",
            expected="unweighted ones, whose noise is binomial",
            remedy="Unweight them by hit-or-miss first.",
        )
        yield from (member.x[start : start + _CHUNK] for start in starts)
        return
    for chunk, start in enumerate(starts):
        yield member.draw(min(_CHUNK, member.n - start), run.seeds.at("chunk", chunk).numpy())


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    r"""Moments of J members in K regions.

    .. math:: \hat a_i = v_i - \frac1J \sum_j \frac{P_{ji} (1 - P_{ji})}{n_j - 1}

    with :math:`v_i` the sample variance over members of the fractions.  Each
    member's term is the unbiased binomial variance of its own fraction, so that
    :math:`\hat a_i` has no bias for any numbers of events :math:`n_j`.

    Attributes
    ----------
    probability
        Mean over members ``(K,)``.
    variance, noise
        :math:`v_i` and the mean binomial variance in it ``(K,)``.
    """

    members: int
    probability: Array
    variance: Array
    noise: Array

    @property
    def between(self) -> Array:
        r"""The members' own variance :math:`\hat a_i`, ``(K,)``; negative by fluctuation."""
        return self.variance - self.noise

    @property
    def scale(self) -> Array:
        r"""Variance :math:`\bar p_i (1 - \bar p_i)` of a single true event ``(K,)``."""
        return self.probability * (1.0 - self.probability)

    def limits(self, level: float) -> tuple[Array, Array]:
        r"""Return limits ``(K,)`` on each region's variance between members, cut at zero.

        .. math:: \frac{(J - 1)\, v_i}{\chi^2_{J-1}} - \text{noise}_i

        Exact for members that scatter normally.
        """
        degrees, tail = self.members - 1, 0.5 * (1.0 - level)
        scaled = degrees * self.variance
        low = scaled / stats.chi2.isf(tail, degrees) - self.noise
        high = scaled / stats.chi2.ppf(tail, degrees) - self.noise
        return np.clip(low, 0.0, None), np.clip(high, 0.0, None)


@dataclass(frozen=True, slots=True)
class Pooled:
    r"""Sum over regions of the variance, with the jackknife over members.

    Attributes
    ----------
    total, noise
        :math:`T = \sum_i v_i`, and the binomial part of it.
    error
        Standard error of T.
    scale
        :math:`\sum_i \bar p_i (1 - \bar p_i)`.
    members
        J.
    farthest, farthest_share
        The member farthest from the mean, and its share of T.
    """

    total: float
    noise: float
    error: float
    scale: float
    members: int
    farthest: int
    farthest_share: float

    @property
    def inverse_size(self) -> float:
        r"""One over the equivalent events, :math:`\sum \hat a_i / \sum \bar p_i (1 - \bar p_i)`."""
        return (self.total - self.noise) / self.scale

    @property
    def effective_degrees(self) -> float:
        r"""Degrees of freedom :math:`2 T^2 / \mathrm{var}(T)` of a chi-square as wide as T."""
        return float(np.inf) if self.error == 0.0 else 2.0 * (self.total / self.error) ** 2

    def limits(self, level: float) -> Interval:
        r"""Return the interval on one over the equivalent number of events, cut at zero.

        .. math:: T\, e^{\pm t_{J-1} s / T} - N

        The logarithm of a variance is nearly symmetric, and Student's t allows
        for an error :math:`s` that comes from J members.  Measured coverage is nominal
        from 7 members on; with 5 it is 0.70 to 0.75 and 0.95 to 0.97, with 3 it is 0.78
        and 0.98.  Members of heavy tails are another matter: no J of this size shows
        how heavy they are, and the coverage is lower.
        """
        half = float(stats.t.isf(0.5 * (1.0 - level), self.members - 1)) * self.error / self.total
        low, high = (self.total * np.exp(sign * half) - self.noise for sign in (-1.0, 1.0))
        return Interval(level, max(0.0, low / self.scale), max(0.0, high / self.scale))


def spread(found: MemberCounts) -> Spread:
    """Return the moments over members of the fractions of their events."""
    fractions = found.fractions
    noise = fractions * (1.0 - fractions) / (found.totals[:, None] - 1)
    return Spread(
        members=len(fractions),
        probability=fractions.mean(axis=0),
        variance=fractions.var(axis=0, ddof=1),
        noise=noise.mean(axis=0),
    )


def pool_regions(found: MemberCounts, moments: Spread) -> Pooled:
    r"""Return the sum over regions, whose error is the jackknife over members.

    Leaving out member j changes :math:`T = \sum_j |P_j - \bar p|^2 / (J - 1)` to

    .. math:: T_{(j)} = \frac{(J - 1) T - |P_j - \bar p|^2 J / (J - 1)}{J - 2},

    whatever the correlations of the regions and the shape of the members' law.  For
    members that scatter normally its mean square is (J - 1)/(J - 2) times the
    variance of T: too much for few members, never too little.
    """
    total, size = float(moments.variance.sum()), moments.members
    scale = float(moments.scale.sum())
    require(
        scale > 0.0 and (found.fractions != found.fractions[0]).any(),
        "member_samples",
        got="the same fraction in every region for all members",
        expected="independent samples, spread over two or more regions",
        remedy="Check that the members do not share a random seed.",
    )
    square = ((found.fractions - moments.probability) ** 2).sum(axis=1)
    left_out = ((size - 1) * total - square * size / (size - 1)) / (size - 2)
    error = np.sqrt((size - 1) / size * ((left_out - left_out.mean()) ** 2).sum())
    return Pooled(
        total=total,
        noise=float(moments.noise.sum()),
        error=float(error),
        scale=scale,
        members=size,
        farthest=int(square.argmax()),
        farthest_share=float(square.max() / square.sum()),
    )
