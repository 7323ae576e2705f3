"""Two-alternative forced choice: how often a generated item is taken for the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.checks.ratings.clusters import Clusters, rate_of
from verisimile.checks.ratings.table import Ratings
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.stats.intervals import clopper_pearson
from verisimile.stats.pvalues import PValue

_WORDS = {"generated": 1.0, "real": 0.0}
_FEW = 10


@register("forced-choice", 1)
@dataclass(frozen=True, slots=True)
class ForcedChoice(Result):
    """How often raters took one system's item for the real one; one half is a perfect system.

    Attributes
    ----------
    system
        The generator.
    rate
        Share of answers that took the generated item for real.
    interval
        On the rate, for answers that share raters and items (Korn and Graubard).
    p_value
        Against one half, from exact flips of items: real and generated exchangeable.
    binomial_interval, binomial_p_value
        The same for independent answers (Clopper and Pearson; exact binomial): right only
        if every rater answered once, or if `design_effect` is known to be one.
    design_effect
        Estimated variance of the rate over that of independent answers.
    """

    system: str
    rate: float
    interval: tuple[float, float]
    p_value: PValue
    binomial_interval: tuple[float, float]
    binomial_p_value: PValue
    design_effect: float
    n_answers: int
    n_raters: int
    n_items: int
    level: float
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"ForcedChoice({self.system}: {self.rate:.3f} [{low:.3f}, {high:.3f}], "
            f"p={self.p_value.value:.3g}, {self.n_answers} answers)"
        )


def forced_choice(ratings: Ratings, *, level: float = 0.95) -> tuple[ForcedChoice, ...]:
    r"""Return for each system the rate at which its items were taken for real.

    Each item is a pair of a real and a generated thing, shown in random order; the answer
    is what the rater takes for real: ``generated`` or ``real``.

    Examples
    --------
    >>> answers = ("real",) * 14 + ("generated",) * 6
    >>> names = tuple(f"r{i}" for i in range(20))
    >>> forced_choice(Ratings(names, names, ("flow",) * 20, answers))
    (ForcedChoice(flow: 0.300 [0.119, 0.543], p=0.115, 20 answers),)
    """
    return tuple(_of_system(name, ratings.of(name), level) for name in ratings.names)


def _of_system(system: str, ratings: Ratings, level: float) -> ForcedChoice:
    values, clusters = _values(ratings), Clusters.of(ratings)
    rate = rate_of(values, clusters, level=level)
    taken = int(values.sum())
    plain = clopper_pearson(taken, ratings.n, level=level)
    binomial = float(stats.binomtest(taken, ratings.n, 0.5).pvalue)
    raters, items = clusters.sizes
    return ForcedChoice(
        system=system,
        rate=rate.value,
        interval=rate.interval,
        p_value=flip_p_value(item_differences(values, clusters.items)),
        binomial_interval=plain,
        binomial_p_value=PValue.exact(binomial, "exact binomial, answers independent"),
        design_effect=rate.design_effect,
        n_answers=ratings.n,
        n_raters=raters,
        n_items=items,
        level=level,
        warnings=_warnings(rate.interval, plain, ratings.n, clusters),
    )


def _values(ratings: Ratings) -> Array:
    """Return one for each answer that took the generated item for real, zero for others."""
    rows = zip(ratings.answers, ratings.raters, ratings.items, strict=True)
    for answer, rater, item in rows:
        require(
            answer.lower() in _WORDS,
            "answers",
            got=f"{answer!r} by {rater!r} on {item!r}",
            expected="what was taken for real: 'generated' or 'real'",
        )
    return np.array([_WORDS[answer.lower()] for answer in ratings.answers])


def item_differences(values: Array, items: IntArray) -> IntArray:
    """Return answers for one side less those for the other, of each item ``(I,)``."""
    return np.rint(np.bincount(items, weights=2.0 * values - 1.0)).astype(np.int64)


def _warnings(
    interval: tuple[float, float], plain: tuple[float, float], n: int, clusters: Clusters
) -> tuple[str, ...]:
    raters, items = clusters.sizes
    found = []
    if interval[1] - interval[0] > 1.05 * (plain[1] - plain[0]):
        found.append(
            f"{n} answers of {raters} raters on {items} items are not independent: the exact"
            " binomial interval and p-value would be too narrow."
        )
    if raters == 1:
        found.append("One rater: the result says nothing on others.")
    elif clusters.dof + 1 < _FEW and n > clusters.dof + 1:
        found.append(
            f"Only {clusters.dof + 1} clusters ({raters} raters, {items} items): the interval"
            " may cover less than stated."
        )
    return tuple(found)


def flip_p_value(differences: IntArray) -> PValue:
    r"""Return :math:`P(|\sum_i \epsilon_i d_i| \ge |\sum_i d_i|)` over all signs, exactly.

    Of :func:`item_differences`.  If the two sides of an item are exchangeable, exchanging them
    turns *all* answers on that item, whatever raters have in common: the test holds its level
    with any number of raters for each item, and is the exact binomial test if there is one.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    law: Array = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        law = np.convolve(law, steps)
    reach = law.size // 2
    observed = abs(int(differences.sum()))
    distance = np.abs(np.arange(-reach, reach + 1))
    inside = math.fsum(law[distance < observed])
    tail = math.fsum(law[distance >= observed])
    # The direct sum keeps small values; the complement keeps one exactly one.
    return PValue.exact(min(1.0, tail) if inside > 0.0 else 1.0, "exact flips of items")
