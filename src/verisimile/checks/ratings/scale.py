"""Ratings on an ordered scale (Likert): distributions, means, and whether systems differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from verisimile.checks.ratings.clusters import Clusters
from verisimile.checks.ratings.table import Ratings, encode
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require, require_at_least
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.stats.pvalues import Empirical, PValue

_BLOCK = 4_000_000  # labels at a time


@register("scale-rating", 1)
@dataclass(frozen=True, slots=True)
class ScaleRating(Result):
    """The ratings of one system.

    Attributes
    ----------
    counts
        Answers at each level of the scale.
    mean
        With an error that respects raters and items.
    interval
        On the mean, Student's t with clusters minus one degrees of freedom.
    """

    system: str
    counts: tuple[int, ...]
    mean: Estimate
    interval: tuple[float, float]


@register("scale-comparison", 1)
@dataclass(frozen=True, slots=True)
class ScaleComparison(Result):
    """Ratings of several systems on one scale.

    Attributes
    ----------
    levels
        The scale, ascending.
    p_value
        That systems do not differ, from permutations of the systems' names over items;
        None for one system.
    rank_test
        Mann and Whitney's p-value for two systems, Kruskal and Wallis's for more, with
        ties: right only for independent answers.  NaN for one system.
    statistic
        Kruskal and Wallis's sum of squared rank sums, tie-corrected: H.
    permuted_within
        ``items`` if items were rated for several systems, else ``all``.
    """

    levels: tuple[float, ...]
    systems: tuple[ScaleRating, ...]
    p_value: PValue | None
    rank_test: float
    statistic: float
    permuted_within: str
    n_answers: int
    n_raters: int
    n_items: int
    level: float
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("systems",)


def scale_ratings(
    run: Run,
    ratings: Ratings,
    *,
    levels: Sequence[float] | None = None,
    permutations: int = 4999,
    level: float = 0.95,
) -> ScaleComparison:
    r"""Compare systems by ratings on an ordered scale.

    The statistic is :math:`H \propto \sum_s R_s^2 / n_s`, with rank sums R and ties at
    mid-ranks.  What is permuted is the system of each rated *thing* (an item of a system):
    all answers about a thing move together, so that answers which share it, or a rater, cost
    no validity.  If items were rated for several systems, names are permuted within items.

    Answers are numbers, `levels` all of the scale; by default those that occur.  Random streams
    are ``"scale"``.

    References
    ----------
    W. H. Kruskal, W. A. Wallis, J. Am. Stat. Assoc. 47 (1952) 583.
    """
    values = _numbers(ratings)
    scale = _scale(values, levels)
    names, system = encode(ratings.systems)
    things, strata = _things(ratings)
    several = len(names) > 1
    ranks = _Ranks(values, system, things)
    rng = run.seeds.at("scale").numpy()
    clusters = Clusters.of(ratings)
    return ScaleComparison(
        levels=scale,
        systems=tuple(_rated(name, ratings, scale, level) for name in names),
        p_value=ranks.p_value(strata, permutations, rng) if several else None,
        rank_test=_rank_test(values, system) if several else math.nan,
        statistic=ranks.statistic(ranks.systems[None])[0] if several else math.nan,
        permuted_within="items" if len(np.unique(strata)) > 1 else "all",
        n_answers=ratings.n,
        n_raters=clusters.sizes[0],
        n_items=clusters.sizes[1],
        level=level,
        warnings=_warnings(ratings),
    )


class _Ranks:
    """Rank sums and numbers of answers of each thing, and the system of each."""

    def __init__(self, values: Array, system: IntArray, things: IntArray) -> None:
        ranks: Array = np.asarray(stats.rankdata(values), dtype=np.float64)
        _, first = np.unique(things, return_index=True)
        self.sums = np.zeros(first.size)
        np.add.at(self.sums, things, ranks - ranks.mean())
        self.counts = np.bincount(things).astype(np.float64)
        self.systems, self.variance = system[first], float(ranks.var(ddof=1))

    def statistic(self, labels: IntArray) -> Array:
        """Return H of each labeling ``(B,)`` from systems of the things ``(B, U)``."""
        out = np.zeros(len(labels))
        for system in np.unique(self.systems):
            mine = (labels == system).astype(np.float64)
            out += (mine @ self.sums) ** 2 / (mine @ self.counts)
        return out / self.variance if self.variance > 0.0 else np.zeros(len(labels))

    def p_value(self, strata: IntArray, permutations: int, rng: np.random.Generator) -> PValue:
        """Return the add-one p-value of permutations within strata."""
        require_at_least(1, permutations, "permutations")
        rows = max(1, _BLOCK // self.sums.size)
        sizes = [min(rows, permutations - k) for k in range(0, permutations, rows)]
        labels = (_permuted(self.systems, strata, size, rng) for size in sizes)
        toys = np.concatenate([self.statistic(each) for each in labels])
        observed = float(self.statistic(self.systems[None])[0])
        # Rounding must not break a tie in the data's favour.
        tied = np.isclose(toys, observed, rtol=1e-10, atol=1e-10)
        return Empirical(np.where(tied, observed, toys), "permuted systems").p_value(observed)


def _permuted(
    systems: IntArray, strata: IntArray, count: int, rng: np.random.Generator
) -> IntArray:
    """Return shuffled systems ``(count, U)``; each stratum keeps its own."""
    order = np.argsort(strata, kind="stable")
    keys = rng.random((count, systems.size)) + strata[order]
    out = np.empty((count, systems.size), dtype=np.int64)
    out[:, order] = systems[order][np.argsort(keys, axis=1)]
    return out


def _things(ratings: Ratings) -> tuple[IntArray, IntArray]:
    """Return the thing of each answer, and the stratum of each thing."""
    _, item = encode(ratings.items)
    names, system = encode(ratings.systems)
    key = item * len(names) + system
    found, things = np.unique(key, return_inverse=True)
    own = found // len(names)
    shared = len(np.unique(own)) < len(own)
    return np.asarray(things, dtype=np.int64), own if shared else np.zeros_like(own)


def _rated(system: str, ratings: Ratings, scale: tuple[float, ...], level: float) -> ScaleRating:
    mine = ratings.of(system)
    values, clusters = _numbers(mine), Clusters.of(mine)
    mean = float(values.mean())
    variance = clusters.covariance(((values - mean) / mine.n)[:, None])[0, 0]
    error = math.sqrt(max(0.0, float(variance)))
    half = float(stats.t.ppf(0.5 * (1.0 + level), clusters.dof)) * error
    counts = tuple(int((values == one).sum()) for one in scale)
    return ScaleRating(system, counts, Estimate(mean, error), (mean - half, mean + half))


def _rank_test(values: Array, system: IntArray) -> float:
    groups = [values[system == s] for s in np.unique(system)]
    if np.ptp(values) == 0.0:
        return 1.0
    if len(groups) == 2:
        return float(stats.mannwhitneyu(*groups).pvalue)
    return float(stats.kruskal(*groups).pvalue)


def _numbers(ratings: Ratings) -> Array:
    out = []
    for row, answer in enumerate(ratings.answers):
        try:
            value = float(answer)
        except ValueError:
            value = math.nan
        got = f"{answer!r} in row {row + 1}"
        require(math.isfinite(value), "answers", got=got, expected="a number on the scale")
        out.append(value)
    return np.array(out)


def _scale(values: Array, levels: Sequence[float] | None) -> tuple[float, ...]:
    found = sorted(set(values.tolist()))
    if levels is None:
        return tuple(found)
    stray = [value for value in found if value not in levels]
    expected = f"one of the levels {list(levels)}"
    require(not stray, "answers", got=f"{stray}", expected=expected)
    return tuple(sorted(map(float, levels)))


def _warnings(ratings: Ratings) -> tuple[str, ...]:
    pairs = set(zip(ratings.raters, ratings.systems, strict=True))
    missing = len(set(ratings.raters)) * len(ratings.names) - len(pairs)
    if not missing:
        return ()
    return (
        f"Not every rater rated every system ({missing} combinations missing): a difference of"
        " raters can look like one of systems.",
    )
