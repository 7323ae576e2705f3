"""What an alternative hypothesis has to offer, so that one test serves all of them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from verisimile.checks.goodness.alternatives.kernels import Kernels
from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
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


class Setup(Protocol):
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

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""

    def observe(self, x: Array, logf: Array) -> Fits:
        """Return the fits to events ``(n, d)`` of known log-densities ``(n, M)``."""

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
