"""The exact test of paired answers: exchange what was shown on each item."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, IntArray
from verisimile.stats.pvalues import PValue

__all__ = ["binomial_p_value", "exact", "flip_p_value"]


def exact(value: float, null: str) -> PValue:
    """Return a p-value that no toy was thrown for."""
    return PValue(value, value, value, null, 0, 0)


def flip_p_value(differences: IntArray) -> PValue:
    r"""Return :math:`P(|\sum_i \epsilon_i d_i| \ge |\sum_i d_i|)` over all signs, exactly.

    `differences` ``(I,)`` are an item's answers for one side minus those for the other.
    If the two sides of an item are exchangeable, exchanging them turns *all* answers on
    that item, whatever raters have in common: the test holds its level with any number of
    raters for each item, and is the exact binomial test if there is one.
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
    return exact(min(1.0, tail) if inside > 0.0 else 1.0, "exact flips of items")


def binomial_p_value(successes: int, trials: int) -> PValue:
    """Return the exact two-sided binomial p-value against one half: answers independent."""
    found = stats.binomtest(successes, trials, 0.5).pvalue
    return exact(float(found), "exact binomial, answers independent")
