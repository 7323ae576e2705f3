"""What an alternative hypothesis has to offer, and data as it sees them, whatever the events."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import Kernels
from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError
from verisimile.core.run import Run


class Fits(Protocol):
    """One data set as one alternative sees it."""

    @property
    def capped(self) -> int:
        """Events so far outside the model that the statistic is a lower bound."""

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Fit null and alternative, the weights constrained around `centre` ``(r,)``."""

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f` of fitted densities, ``(n,)`` each.

        NaN where :math:`\hat f` is not positive.
        """


class Observer(Protocol):
    """What toys need of a placed alternative."""

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""

    def observe(self, x: Array, logf: Array) -> Fits:
        """Return the fits to events ``(n, d)`` of known log-densities ``(n, M)``."""


class Setup(Observer, Protocol):
    """An alternative placed on a null model: fixed before the test sample is seen."""

    @property
    def null(self) -> Null:
        """The model under test."""

    @property
    def kernels(self) -> Kernels:
        """Where the alternative can deviate."""

    @property
    def rank(self) -> int:
        """Independent directions of deviation."""

    def coefficients(self, profile: Profile) -> Array:
        """Return how much of each kernel the alternative took, ``(K,)``."""


class Alternative(Protocol):
    """Settings of an alternative hypothesis."""

    @property
    def name(self) -> str:
        """Name that is recorded with the statistic."""

    def prepare(self, run: Run, null: Null, *, events: int) -> Setup:
        """Place the alternative on a null model, for test samples of `events` events.

        The rule may look at the model and at random numbers of the run, never
        at the test sample: data and toys must face the same alternative.
        """


@runtime_checkable
class SeveralPlacements(Protocol):
    """An alternative whose placements share what is dear, such as densities of a reference."""

    def prepare_several(
        self, run: Run, null: Null, *, events: int, placements: int
    ) -> tuple[Setup, ...]:
        """Place the alternative several times; the first as :meth:`Alternative.prepare` does."""


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


def fits_of_data(setup: Setup, x: Array, logf: Array) -> Fits:
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


def profile_of_data(fits: Fits, hypothesis: Hypothesis, centre: Array, rank: int) -> Profile:
    """Return both fits of a data set, with a NaN statistic where they fail."""
    try:
        return fits.profile(hypothesis, centre)
    except NumericsError:
        return Profile.without_fit(math.nan, centre, rank)


@dataclass(frozen=True, slots=True, eq=False)
class _WithImpossible:
    """Fits to the possible events of a sample that has others."""

    kept: Fits | None
    possible: BoolArray
    rank: int

    @property
    def capped(self) -> int:
        return 0 if self.kept is None else self.kept.capped

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Return the fits to the possible events, and the infinite statistic of the others."""
        if self.kept is None:
            return Profile.without_fit(math.inf, centre, self.rank)
        found = profile_of_data(self.kept, hypothesis, centre, self.rank)
        return replace(found, statistic=math.inf, gap=math.inf)

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        null, alternative = (np.full(self.possible.size, np.nan) for _ in range(2))
        if self.kept is not None:
            null[self.possible], alternative[self.possible] = self.kept.relative(profile)
        return null, alternative
