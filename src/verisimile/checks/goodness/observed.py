"""Data as an alternative sees them, whatever the events: also outside the model's support."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.goodness.alternatives.protocol import Fits, Setup
from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import NumericsError


def data_log_densities(null: Null, x: Array) -> Array:
    """Return the members' log-densities ``(n, M)`` at data, none outside the features' bounds."""
    logf = null.log_densities(x)
    outside = np.zeros(len(x), dtype=bool)
    for column, feature in zip(x.T, null.features, strict=True):
        outside |= (column < feature.low) | (column > feature.high)
    if outside.any():
        logf = logf.copy()
        logf[outside] = -np.inf
    return logf


def observed(setup: Setup, x: Array, logf: Array) -> Fits:
    """Return the fits of one alternative to events ``(n, d)`` with log-densities ``(n, M)``.

    Events that every member calls impossible are left to the infinite statistic
    that they make; the others are fitted, so that the fitted ratio says where else
    the data deviate.
    """
    possible = ~np.isneginf(logf.max(axis=1))
    if possible.all():
        return setup.observe(x, logf)
    kept = setup.observe(x[possible], logf[possible]) if possible.any() else None
    return _WithImpossible(kept, possible, setup.rank)


def profiled(fits: Fits, hypothesis: Hypothesis, centre: Array, rank: int) -> Profile:
    """Return both fits of a data set, with a NaN statistic where they fail."""
    try:
        return fits.profile(hypothesis, centre)
    except NumericsError:
        return Profile(math.nan, math.inf, centre, centre, np.zeros(rank), 0)


@dataclass(frozen=True, slots=True, eq=False)
class _WithImpossible:
    """Fits to the possible events of a sample that has others."""

    kept: Fits | None
    possible: BoolArray
    rank: int

    @property
    def capped(self) -> int:
        """Events so far outside the model that the statistic is a lower bound."""
        return 0 if self.kept is None else self.kept.capped

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Return the fits to the possible events, and the infinite statistic of the others."""
        if self.kept is None:
            return Profile(math.inf, math.inf, centre, centre, np.zeros(self.rank), 0)
        found = profiled(self.kept, hypothesis, centre, self.rank)
        return replace(found, statistic=math.inf, gap=math.inf)

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f`, NaN at impossible events."""
        null, alternative = (np.full(self.possible.size, np.nan) for _ in range(2))
        if self.kept is not None:
            null[self.possible], alternative[self.possible] = self.kept.relative(profile)
        return null, alternative
