r"""What a goodness-of-fit test looks for: alternatives, how often each is placed, and surprise.

Surprise is what no bounded alternative sees:

.. math:: s(x) = -\log \max\big(\hat f(x),\ \epsilon \hat f_+(x)\big), \qquad
          \hat f_+ = \sum_{w_i > 0} w_i f_i, \quad \epsilon = 10^{-3}

Where negative weights cancel the density, a thousandth of its positive part is
what remains: such a place is rare, and no outlier.

A new alternative is a file of `alternatives` with an :class:`Alternative`, its :class:`Setup`
and its :class:`Fits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import Kernels
from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.core.arrays import Array, BoolArray, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError, require
from verisimile.core.run import Run
from verisimile.mixture.objective import blocks

PLACEMENTS = 4
"""How often an alternative is placed unless said otherwise: docs/goodness-of-fit.md."""

SURPRISE_NAMES = ("mean surprise", "surprise beyond the model's 1/n tail")
_KEPT = 1e-3
_PER_EVENT = 4
_FEWEST, _MOST = 2000, 200_000


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


@runtime_checkable
class FitsInStep(Fits, Protocol):
    """Data sets whose fits are cheaper together."""

    @staticmethod
    def profiles(
        fits: Sequence[Any], hypothesis: Hypothesis, centres: Sequence[Array]
    ) -> list[Profile | NumericsError]:
        """Return :meth:`profile` of each, or why it failed."""


class Observer(Protocol):
    """What toys need of a placed alternative."""

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""

    def observe(self, x: Array, logf: Array) -> Fits:
        """Return the fits to events ``(n, d)`` of known log-densities ``(n, M)``."""


@runtime_checkable
class BesideOthers(Protocol):
    """A placement that has something in common with others of its alternative."""

    def observe_beside(self, fits: Fits) -> Fits | None:
        """Return the fits to the events of another placement's fits; None if it shares nothing."""


def observed(setups: Sequence[Observer], x: Array, logf: Array) -> list[Fits]:
    """Return the fits of all placements to events ``(n, d)`` with log-densities ``(n, M)``."""
    found: list[Fits] = []
    for setup in setups:
        beside = None
        if found and isinstance(setup, BesideOthers):
            beside = setup.observe_beside(found[-1])
        found.append(setup.observe(x, logf) if beside is None else beside)
    return found


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


@dataclass(frozen=True, slots=True)
class Surprise:
    r"""Settings of the surprise statistics, which join the alternatives by the smallest p-value.

    .. math:: S_1 = \frac1n \sum_n s(x_n) - \nabla H \cdot \eta, \qquad
              S_2 = \log\Big(1 + \sum_n \max\big(0,\ s(x_n) - q\big)\Big), \qquad
              P_{\hat f}(s > q) = 1/n

    One event in a sample is expected beyond q, so that :math:`S_2` counts the events beyond
    the model's own tail, each by how far beyond it lies: one event at thirty standard
    deviations among ten thousand is seen, and so are ten at five.  Only large values are
    extreme: a sample that is too typical lacks tails, which the alternatives see.

    The data are drawn from weights that the fit has missed, so that their mean surprise
    differs from the model's entropy H to first order.  A toy whose own fit is moved by
    :math:`\eta` instead has the entropy of its truth to first order; what its model
    expects has moved, by :math:`\nabla H \cdot \eta`, and is taken off.

    Attributes
    ----------
    draws
        Events of the model that fix q, or None for four times the test sample within
        2000 and 200 000 and never fewer than the sample.  Its error costs a little power
        and no validity: data and toys meet the same q.
    """

    draws: int | None = None

    def __post_init__(self) -> None:
        good = self.draws is None or self.draws >= 1
        require(good, "Surprise.draws", got=self.draws, expected="at least one draw")

    def place(self, run: Run, null: Null, *, events: int) -> PlacedSurprise:
        """Fix q by events of the model, never by the test sample."""
        wanted = self.draws or min(max(_PER_EVENT * events, _FEWEST), _MOST)
        # Whole samples, because a conditional model draws one event at each context.
        _, logf = null.kept(run, -(-wanted // events) * events)
        s = surprises(logf, null.weights)
        centred = s - s.mean()
        slope = np.zeros(null.variations.shape[1])
        for rows in blocks(s.size):
            relative = np.exp(logf[rows] + s[rows, None]) @ null.variations
            slope += centred[rows] @ relative
        threshold = float(np.quantile(s, 1.0 - 1.0 / max(events, 2)))
        return PlacedSurprise(null, threshold, frozen(slope / s.size))


@dataclass(frozen=True, slots=True)
class Search:
    r"""Settings of what a test looks for.

    The statistic of an alternative is the mean of its likelihood ratios,

    .. math:: t = \frac1P \sum_{j=1}^P t_j ,

    over P independent kernel placements on the model.  Where the kernels happen to fall
    then matters less, for data and toys alike.

    Attributes
    ----------
    alternatives
        :class:`GaussianKernels`, :class:`ExponentialTilt` or several of them; none
        stands for what has more power for the number of features.
    placements
        P.  One is the test with a single draw of the kernels' centres.
    surprise
        Whether, and how, events are noticed that the model calls impossible; None
        leaves it to the alternatives, which need not see them.
    """

    alternatives: tuple[Alternative, ...] = ()
    placements: int = PLACEMENTS
    surprise: Surprise | None = Surprise()

    def __post_init__(self) -> None:
        require(
            self.placements >= 1,
            "Search.placements",
            got=self.placements,
            expected="at least one placement",
        )

    def place(self, run: Run, null: Null, *, events: int) -> tuple[tuple[Setup, ...], ...]:
        """Return, for each alternative, its placements on a null model."""
        # The first has the random path that a single placement has.
        runs = [run, *(run.at("placement", j) for j in range(1, self.placements))]
        return tuple(
            each.prepare_several(run, null, events=events, placements=self.placements)
            if isinstance(each, SeveralPlacements)
            else tuple(each.prepare(at, null, events=events) for at in runs)
            for each in self.alternatives
        )

    def place_surprise(self, run: Run, null: Null, *, events: int) -> PlacedSurprise | None:
        """Return the surprise statistics on a null model, if they are wanted."""
        return None if self.surprise is None else self.surprise.place(run, null, events=events)


def search_of(
    alternative: Alternative | Sequence[Alternative] | Search | None, default: Alternative
) -> Search:
    """Return the search that an argument stands for, `default` where it names no alternative."""
    if alternative is None:
        return Search((default,))
    if isinstance(alternative, Search):
        return replace(alternative, alternatives=alternative.alternatives or (default,))
    several = tuple(alternative) if isinstance(alternative, Sequence) else (alternative,)
    require(several, "alternative", got="none", expected="at least one alternative")
    return Search(several)


@dataclass(frozen=True, slots=True, eq=False)
class PlacedSurprise:
    r"""The surprise statistics of one null model, for samples of one size.

    Attributes
    ----------
    threshold
        q, in nats.
    slope
        :math:`\nabla H = \mathrm{Cov}_{\hat f}(B / \hat f,\ s)` along the variations
        ``(r,)``, B being those of the density.
    """

    null: Null
    threshold: float
    slope: Array

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistics of a toy."""
        known = digest(np.array([self.threshold]), self.slope)
        return {"threshold": known, "kept": _KEPT}

    def of(self, logf: Array, centre: Array) -> Array:
        r"""Return s at events of log-densities ``(n, M)``, for a model fitted at `centre` ``(r,)``.

        Data are compared with the weights that were fitted to others; where the toys' own fit is
        moved from their truth, so is the density here.
        """
        return surprises(logf, self.null.weights + self.null.variations @ centre)

    def statistics(self, logf: Array, centre: Array) -> Array:
        """Return S_1 and S_2 of events with log-densities ``(n, M)``, infinite outside support."""
        seen = self.of(logf, centre)
        beyond = np.clip(seen - self.threshold, 0.0, None).sum()
        return np.array([seen.mean() - float(self.slope @ centre), np.log1p(beyond)])


def surprises(logf: Array, weights: Array) -> Array:
    """Return s ``(n,)`` of log-densities ``(n, M)``; infinite where every member has none."""
    top = logf.max(axis=1)
    bad = np.isnan(top) | (top == np.inf)
    if bad.any():
        raise NumericsError(
            "log-densities",
            got=f"{int(bad.sum())} events with NaN or infinity",
            expected="finite log-densities or minus infinity",
            remedy="Drop that member, or look at the event.",
        )
    out = np.full(top.size, np.inf)
    held = top > -np.inf
    pair = np.column_stack([weights, _KEPT * np.clip(weights, 0.0, None)])
    for rows in blocks(top.size):
        seen = np.flatnonzero(held[rows]) + rows.start
        density = (np.exp(logf[seen] - top[seen, None]) @ pair).max(axis=1)
        positive = seen[density > 0.0]
        out[positive] = -np.log(density[density > 0.0]) - top[positive]
    return out


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


def profiles_of(
    fits: Sequence[Fits], hypothesis: Hypothesis, centres: Sequence[Array]
) -> list[Profile | NumericsError]:
    """Return the fits of several data sets to one placed alternative, or why one failed."""
    if len({type(each) for each in fits}) == 1 and isinstance(fits[0], FitsInStep):
        return fits[0].profiles(fits, hypothesis, centres)
    found: list[Profile | NumericsError] = []
    for each, centre in zip(fits, centres, strict=True):
        try:
            found.append(each.profile(hypothesis, centre))
        except NumericsError as error:
            found.append(error)
    return found


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
