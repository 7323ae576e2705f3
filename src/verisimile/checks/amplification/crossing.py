"""Scatter of the members against the size of their samples: where it stops to fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.member_counts import MemberCounts
from verisimile.checks.amplification.spread import Spread
from verisimile.core.arrays import Array, IntArray, frozen
from verisimile.core.result import register

__all__ = ["Crossing", "crossing"]

_SIZES = 8
_DECADES = 3.0


@register("crossing", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    r"""Spread over members of the region fractions, at several numbers of generated events.

    It falls as :math:`\sqrt{p (1 - p) / n}` for few events and flattens at the
    members' own spread; the flat part meets the falling line at :math:`n_\mathrm{equiv}`.

    Attributes
    ----------
    sizes
        Generated events per member ``(S,)``, ascending.
    spread
        Standard deviation over members ``(S, K)``, from samples thinned to that size.
    probability
        Mean over members ``(K,)``.
    """

    sizes: Array
    spread: Array
    probability: Array

    @property
    def sampling(self) -> Array:
        r"""Error :math:`\sqrt{p (1 - p) / n}` of as many true events ``(S, K)``."""
        scale = self.probability * (1.0 - self.probability)
        return np.sqrt(scale / self.sizes[:, None])


def crossing(counts: MemberCounts, moments: Spread, rng: np.random.Generator) -> Crossing:
    """Return the spread at sizes over three decades below the smallest sample.

    Thinning draws without replacement from the counts themselves, which is what
    dropping events at random does.
    """
    largest = int(counts.totals.min())
    smallest = max(2.0, largest / 10.0**_DECADES)
    sizes = np.unique(np.geomspace(smallest, largest, _SIZES).round().astype(np.int64))
    table = np.column_stack([counts.counts, counts.totals - counts.counts.sum(axis=1)])
    spreads = [_thinned(table, int(size), rng).std(axis=0, ddof=1)[:-1] for size in sizes]
    return Crossing(frozen(sizes), frozen(spreads), frozen(moments.probability))


def _thinned(table: IntArray, size: int, rng: np.random.Generator) -> Array:
    kept = [rng.multivariate_hypergeometric(row, size, method="marginals") for row in table]
    return np.asarray(np.array(kept) / size)
