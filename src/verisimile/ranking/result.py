"""The arena's results: what each metric found, with an interval on every share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from verisimile.core.result import Result, register
from verisimile.stats.intervals import clopper_pearson

_LEVEL = 0.95


@register("arena-found", 1)
@dataclass(frozen=True, slots=True)
class Found(Result):
    """How many pairs a metric called different.

    Attributes
    ----------
    hits, pairs
        Pairs called different, of how many.
    low, high
        Clopper and Pearson's 95 % interval of their share, :math:`[0, 1]` of no pairs.
    """

    hits: int
    pairs: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, pairs: int) -> Found:
        """Return the share with its interval."""
        return cls(
            hits, pairs, *(clopper_pearson(hits, pairs, level=_LEVEL) if pairs else (0.0, 1.0))
        )

    @property
    def share(self) -> float:
        """The share, NaN of no pairs."""
        return self.hits / self.pairs if self.pairs else float("nan")


@register("arena-audit", 1)
@dataclass(frozen=True, slots=True)
class ShownAgain(Result):
    """Null pairs that were shown again, unknown to the metric.

    Attributes
    ----------
    pairs
        How many.
    again, shuffled, swapped
        Whose answer was another: for the same bytes, for rows in another order, for generated
        and reference exchanged.
    moved
        Median change of the answer when rows are shuffled, over the median difference of the
        answers to different null pairs of the same law: 0 if order says nothing, near 1 if
        nothing but the order (or chance) decides.
    ordered, itself
        How many were called different when a sample was in the order of a column, and when the
        reference was compared with its own rows.
    """

    pairs: int
    again: int
    shuffled: int
    swapped: int
    moved: float
    ordered: Found
    itself: Found


@register("arena-standing", 1)
@dataclass(frozen=True, slots=True)
class Standing(Result):
    """What the arena found out about one metric.

    Attributes
    ----------
    metric, by
        Its name, and whose it is.
    returns, direction
        What it gives, and which scores mean different.
    sizes
        Those it was asked about.
    size
        Null pairs called different at the suite's level, by its own p-values; None of a score,
        which null pairs calibrate.
    held
        Whether the size is not above the level (99 % intervals, of all laws and of each); true of
        a score.
    calibrated
        Whether its power is at its own null quantile: of scores, and where the size is not held.
    null_hits
        Null pairs called different by its own p-values, for each law and each of `sizes`; zeros
        of a score.
    defects, strengths
        Names, and the strengths of each.
    hits, pairs
        Pairs called different, of how many, for each defect, strength and each of `sizes`.
    power
        Of all defects and strengths, at the sizes that all metrics had.
    audit
        Null pairs shown again.
    failures
        Answers that were none, by kind; on null pairs they count as differences, on others not.
    order
        Whether it looks at the order of rows: null pairs of which a sample is sorted are called
        different more often than the level (99 % interval).
    marks
        What a reader must know, in sentences: these two, and answers that cannot be repeated, are
        none, or come too rarely on null pairs.
    """

    metric: str
    by: str
    returns: str
    direction: str
    sizes: tuple[int, ...]
    size: Found | None
    held: bool
    calibrated: bool
    null_hits: tuple[tuple[int, ...], ...]
    defects: tuple[str, ...]
    strengths: tuple[tuple[float, ...], ...]
    hits: tuple[tuple[tuple[int, ...], ...], ...]
    pairs: tuple[tuple[tuple[int, ...], ...], ...]
    power: Found
    audit: ShownAgain
    failures: dict[str, int]
    order: bool
    marks: tuple[str, ...]
    listed: ClassVar[tuple[str, ...]] = ("cells",)

    @property
    def honest(self) -> bool:
        """Whether it holds its size and does not look at the order of rows."""
        return self.held and not self.order

    @property
    def cells(self) -> tuple[dict[str, str | float], ...]:
        """Defect, strength, size, pairs called different and all pairs, and the 95 % interval."""
        return tuple(
            {
                "defect": self.defects[d],
                "strength": self.strengths[d][g],
                "n": n,
                "hits": self.hits[d][g][k],
                "pairs": self.pairs[d][g][k],
                "low": found.low,
                "high": found.high,
            }
            for d, g, k, n in self._places()
            for found in (Found.of(self.hits[d][g][k], self.pairs[d][g][k]),)
        )

    def found(
        self, defect: str | None = None, *, grade: int | None = None, n: int | None = None
    ) -> Found:
        """Return the pairs with a defect, a strength (counted from 0), a size, or all, together."""
        kept = [
            (self.hits[d][g][k], self.pairs[d][g][k])
            for d, g, k, size in self._places()
            if defect in (None, self.defects[d]) and grade in (None, g) and n in (None, size)
        ]
        return Found.of(sum(one for one, _ in kept), sum(one for _, one in kept))

    def smallest(self, defect: str) -> float | None:
        """Return the smallest strength found, None if none is.

        It, and every greater one, is found in more than half of pairs of the largest size, with
        97.5 % confidence.
        """
        best = None
        strengths = self.strengths[self.defects.index(defect)]
        for grade in reversed(range(len(strengths))):
            if self.found(defect, grade=grade, n=self.sizes[-1]).low <= 0.5:
                break
            best = strengths[grade]
        return best

    def _places(self) -> Iterator[tuple[int, int, int, int]]:
        for d, strengths in enumerate(self.strengths):
            for g in range(len(strengths)):
                for k, n in enumerate(self.sizes):
                    yield d, g, k, n


@register("arena-costs", 1)
@dataclass(frozen=True, slots=True)
class ArenaCosts(Result):
    """CPU seconds, which differ from run to run: kept beside the table and not in it.

    Attributes
    ----------
    metrics
        Names.
    seconds
        Of all answers of each metric.
    per_answer
        Of one answer at each size, by metric and size; medians.
    """

    metrics: tuple[str, ...]
    seconds: tuple[float, ...]
    per_answer: dict[str, dict[str, float]]
    listed: ClassVar[tuple[str, ...]] = ("metrics", "seconds")

    @property
    def total(self) -> float:
        """Sum over the metrics."""
        return sum(self.seconds)


@register("arena", 1)
@dataclass(frozen=True, slots=True)
class Arena(Result):
    """Metrics ranked by whether they hold their size, and by what they see.

    Attributes
    ----------
    seed
        The public seed, from which all pairs follow.
    suite
        A sha256 of the laws, defects and numbers of pairs.
    laws, abouts
        Names of the laws, and what they are.
    defects, units, strengths
        Names of the defects, what a strength is, and the strengths of each.
    sizes
        Events of each sample.
    null_pairs, level
        Null pairs of each law and size, and the significance level.
    common
        Sizes that all metrics were asked about, at which they are ranked.
    standings
        Honest metrics first, by power.
    costs
        What the answers took; not stored with the rest.
    """

    seed: int
    suite: str
    laws: tuple[str, ...]
    abouts: tuple[str, ...]
    defects: tuple[str, ...]
    units: tuple[str, ...]
    strengths: tuple[tuple[float, ...], ...]
    sizes: tuple[int, ...]
    null_pairs: int
    level: float
    common: tuple[int, ...]
    standings: tuple[Standing, ...]
    costs: ArenaCosts | None = field(default=None, compare=False, metadata={"transient": True})
    listed: ClassVar[tuple[str, ...]] = ("standings",)

    def __getitem__(self, metric: str) -> Standing:
        """Return the standing of a metric, by its name."""
        return next(one for one in self.standings if one.metric == metric)
