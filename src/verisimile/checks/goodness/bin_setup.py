"""An alternative that sees the events of one bin of context alone."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.checks.goodness.kernels import Kernels
from verisimile.checks.goodness.null_model import Null
from verisimile.checks.goodness.observed import observed
from verisimile.checks.goodness.profile import Profile
from verisimile.checks.goodness.setup import Fits, Setup
from verisimile.core.arrays import Array, IntArray, digest
from verisimile.core.canonical import JSON

__all__ = ["BinSetup"]


@dataclass(frozen=True, slots=True, eq=False)
class BinSetup:
    """A setup for some rows of the sample; data and toys have the same contexts, row by row.

    Attributes
    ----------
    local
        The alternative, placed on the model averaged over the bin.
    rows
        Numbers of the events in the bin.
    """

    local: Setup
    rows: IntArray

    @property
    def null(self) -> Null:
        """The averaged model of the bin."""
        return self.local.null

    @property
    def kernels(self) -> Kernels:
        """Where the alternative can deviate."""
        return self.local.kernels

    @property
    def rank(self) -> int:
        """Independent directions of deviation."""
        return self.local.rank

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""
        return {**self.local.identity(), "rows": digest(self.rows)}

    def observe(self, x: Array, logf: Array) -> Fits:
        """Return the fits to the bin's events, given those of the whole sample."""
        return observed(self.local, x[self.rows], logf[self.rows])

    def coefficients(self, profile: Profile) -> Array:
        """Return how much of each kernel the alternative took, ``(K,)``."""
        return self.local.coefficients(profile)
