"""The outcome of a goodness-of-fit test in bins of context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.result import AlternativeFit, SurpriseFit
from verisimile.core.arrays import Array, IntArray
from verisimile.core.result import register
from verisimile.stats.pvalues import PValue, Significance

__all__ = ["ContextGoodness"]


@register("goodness-in-context", 2)
@dataclass(frozen=True, slots=True, eq=False)
class ContextGoodness:
    """Result of the profile test of a conditional mixture in bins of its context.

    Attributes
    ----------
    p_value, z
        Toy p-value of all bins together and one-sided significance, with
        Monte-Carlo intervals.
    hypothesis, null, combination
        What was left free in the null fits, how the toys were made, and how the
        bins were combined.
    feature
        Name of the binned context column.
    edges, counts
        Bins ``(G + 1,)`` and their numbers of events ``(G,)``.
    parts
        The test of each bin.  Their p-values are not corrected for there being
        several: `p_value` is.
    n_events, n_unused, n_members
        Events in the bins and outside of them, and members of the mixture.
    n_outside
        Events whose context lies outside the trained range.
    variations
        r, independent variations of the weights.
    events_digest
        Content key of the test sample.
    warnings
        What a reader must know.
    surprise
        How surprising the sample is to the model, at its contexts; None if not tested.
    """

    p_value: PValue
    z: Significance
    hypothesis: str
    null: str
    combination: str
    feature: str
    edges: Array
    counts: IntArray
    parts: tuple[AlternativeFit, ...]
    n_events: int
    n_unused: int
    n_members: int
    n_outside: int
    variations: int
    events_digest: str
    warnings: tuple[str, ...] = ()
    surprise: SurpriseFit | None = None

    def __repr__(self) -> str:
        """Return one line: bins, statistic, p-value."""
        return (
            f"ContextGoodness({self.hypothesis}, {len(self.parts)} bins of {self.feature}, "
            f"{self.combination}, p={self.p_value.value:.4g}, {self.z!r}, "
            f"{self.p_value.n_null} {self.null} toys)"
        )

    @property
    def statistics(self) -> Array:
        """Statistic of each bin ``(G,)``."""
        return np.array([part.statistic for part in self.parts])

    @property
    def toys(self) -> Array:
        """Statistics of the null toys ``(B, G)``; NaN marks a failed fit."""
        return np.stack([part.toys for part in self.parts], axis=1)

    @property
    def leading(self) -> int:
        """Number of the bin with the smallest p-value of its own, the first of equals."""
        return min(range(len(self.parts)), key=lambda b: self.parts[b].p_value.value)

    @property
    def n_failed(self) -> int:
        """Toys without a finite statistic; each counts as extreme."""
        return self.p_value.n_failed
