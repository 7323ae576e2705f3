"""The outcome of a goodness-of-fit test, also in bins of context, and what makes its parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np

from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.checks.goodness.search import (
    SURPRISE_NAMES,
    Fits,
    PlacedSurprise,
    Setup,
    data_log_densities,
    fits_of_data,
    profile_of_data,
)
from verisimile.core.arrays import Array, IntArray, as_matrix, frozen
from verisimile.core.errors import InputError
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.stats.pvalues import Empirical, PValue, Significance

F = TypeVar("F")

_HARMLESS = 0.1  # of the training events: so small a test does not see what members miss alike


def _nothing() -> Array:
    return frozen(np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class FittedRatio:
    """The two fitted densities of one test sample, to be evaluated anywhere."""

    setup: Setup
    profile: Profile

    def __call__(self, x: Array, logf: Array | None = None) -> Array:
        r"""Return :math:`p_1(x) / p_0(x)`, ``(n,)``; NaN where the null density is not positive."""
        null, alternative = self.relative(x, logf)
        out = np.full(null.size, np.nan)
        np.divide(alternative, null, out=out, where=null > 0.0)
        return out

    def relative(self, x: Array, logf: Array | None = None) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f` at events ``(n, d)``.

        `logf` are the null model's log-densities there, if they are known.
        """
        null = self.setup.null
        events = as_matrix(x, "x", columns=len(null.features))
        known = data_log_densities(null, events) if logf is None else logf
        return fits_of_data(self.setup, events, known).relative(self.profile)

    def reference(self, run: Run, n: int) -> tuple[Array, Array, Array]:
        """Return events of the null model ``(n, d)``, and both ratios of :meth:`relative`."""
        x, logf = self.setup.null.kept(run, n)
        return x, *self.relative(x, logf)


@register("alternative-fit", 2)
@dataclass(frozen=True, slots=True, eq=False)
class AlternativeFit(Result):
    r"""One alternative hypothesis against the null, on one data set.

    Attributes
    ----------
    alternative
        Its name.
    statistic
        :math:`t = 2(\ell_1 - \ell_0) \ge 0`, its mean over the placements of the kernels.
    p_value
        Toy p-value of this statistic alone.
    toys
        Statistics of the null toys ``(B,)``; NaN marks a failed toy.
    n_kernels, rank, widths
        Kernels of the alternative, their independent directions, and the
        narrowest, median and widest width in normal scores.
    gap
        Bound on the numerical error of `statistic`.
    capped
        Events so far outside the model that `statistic` is a lower bound.
    null_pulls, alternative_pulls
        Fitted variations of the weights in units of their uncertainty ``(r,)``.
    coefficients
        Fitted kernel coefficients ``(K,)``.
    placement_statistics, placement_p_values
        Statistic of each placement of the kernels, and its p-value among the same toys
        ``(P,)``: how much hangs on where the kernels fall.  Kernels, pulls, coefficients and
        the fitted ratio are those of the first.
    """

    alternative: str
    statistic: float
    p_value: PValue
    toys: Array
    n_kernels: int
    rank: int
    widths: tuple[float, float, float]
    gap: float
    capped: int
    null_pulls: Array
    alternative_pulls: Array
    coefficients: Array
    placement_statistics: Array = field(default_factory=_nothing)
    placement_p_values: Array = field(default_factory=_nothing)
    fitted: FittedRatio | None = field(default=None, metadata={"transient": True})


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One alternative fitted to the data under one hypothesis, at each of its P placements."""

    name: str
    setups: tuple[Setup, ...]
    fits: tuple[Fits, ...]
    profiles: tuple[Profile, ...]

    @classmethod
    def of(
        cls,
        name: str,
        setups: tuple[Setup, ...],
        fits: tuple[Fits, ...],
        hypothesis: Hypothesis,
        centre: Array,
    ) -> Trial:
        """Return the profiles of data that the placed alternative sees as `fits`."""
        pairs = zip(setups, fits, strict=True)
        profiles = (profile_of_data(one, hypothesis, centre, setup.rank) for setup, one in pairs)
        return cls(name, setups, fits, tuple(profiles))

    @property
    def statistic(self) -> float:
        """The mean likelihood ratio."""
        return float(np.mean([profile.statistic for profile in self.profiles]))

    def part(self, toys: Array, null: str) -> AlternativeFit:
        """Return the outcome from toys ``(B, P)``: the p-value is that of the mean over P."""
        column = toys.mean(axis=1)
        p_value = Empirical(column, null).p_value(self.statistic)
        setup, profile = self.setups[0], self.profiles[0]
        own = [profile.statistic for profile in self.profiles]
        each = [
            Empirical(thrown, null).p_value(t).value for t, thrown in zip(own, toys.T, strict=True)
        ]
        return AlternativeFit(
            alternative=self.name,
            statistic=self.statistic,
            p_value=p_value,
            toys=frozen(column[: p_value.n_null]),
            n_kernels=setup.kernels.widths.size,
            rank=setup.rank,
            widths=_range(setup.kernels.widths),
            gap=float(np.mean([profile.gap for profile in self.profiles])),
            capped=max(fits.capped for fits in self.fits),
            null_pulls=frozen(profile.null),
            alternative_pulls=frozen(profile.alternative),
            coefficients=frozen(setup.coefficients(profile)),
            placement_statistics=frozen(own),
            placement_p_values=frozen(each),
            fitted=FittedRatio(setup, profile),
        )


def by_alternative(toys: Array, trials: Sequence[Trial]) -> list[Array]:
    """Return the toys ``(B, P)`` of each alternative from those of all placements ``(B, A)``."""
    ends = np.cumsum([len(trial.profiles) for trial in trials])
    return np.split(toys, ends[:-1], axis=1)


def _range(widths: Array) -> tuple[float, float, float]:
    if not widths.size:  # an alternative without kernels is the null
        return math.nan, math.nan, math.nan
    return float(widths.min()), float(np.median(widths)), float(widths.max())


@register("surprise", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SurpriseFit(Result):
    """How surprising the test sample is to the model, beside its toys.

    Attributes
    ----------
    names, statistics, p_values
        The two statistics of :class:`Surprise`, and the p-value of each alone.
    toys
        The statistics of the toys ``(B, 2)``.
    threshold
        q, minus the log-density [nats] that the model expects one event of the sample to exceed.
    largest
        Largest minus log-density of an event; infinite if one lies outside the support.
    beyond, impossible
        Events beyond the threshold, and those to which every member gives no density.
    """

    names: tuple[str, ...]
    statistics: Array
    toys: Array
    p_values: tuple[PValue, ...]
    threshold: float
    largest: float
    beyond: int
    impossible: int
    listed: ClassVar[tuple[str, ...]] = ("names", "statistics", "p_values")

    def __repr__(self) -> str:
        """Return one line: the p-values and the most surprising event."""
        each = ", ".join(
            f"{name} p={p.value:.4g}" for name, p in zip(self.names, self.p_values, strict=True)
        )
        return (
            f"SurpriseFit({each}; {self.beyond} events beyond {self.threshold:.1f} nats, "
            f"largest {self.largest:.4g})"
        )


def surprise_fit(
    placed: PlacedSurprise, logf: Array, toys: Array, null: str, *, centre: Array
) -> SurpriseFit:
    """Return the surprise of data with log-densities ``(n, M)`` beside its toys ``(B, 2)``."""
    seen, values = placed.of(logf, centre), placed.statistics(logf, centre)
    p_values = tuple(
        Empirical(column, null).p_value(float(value))
        for value, column in zip(values, toys.T, strict=True)
    )
    return SurpriseFit(
        names=SURPRISE_NAMES,
        statistics=frozen(values),
        toys=frozen(toys),
        p_values=p_values,
        threshold=placed.threshold,
        largest=float(seen.max()),
        beyond=int((seen > placed.threshold).sum()),
        impossible=int(np.isposinf(seen).sum()),
    )


@register("goodness", 4)
@dataclass(frozen=True, slots=True, eq=False)
class Goodness(Result):
    r"""Result of the profile likelihood-ratio test on one data set.

    Attributes
    ----------
    statistic
        What is compared with the toys: :math:`-\log \min_j p_j` over the alternatives and
        the surprise statistics; :math:`t = 2(\ell_1 - \ell_0)` of a single alternative
        without surprise; the largest scaled statistic in a sequential search.
    p_value, z
        Toy p-value and one-sided significance, with Monte-Carlo intervals.
    toys
        The same statistic of the null toys ``(B,)``; NaN marks a failed toy.
    most_toys
        Toys that were allowed; fewer were thrown if a sequential search ended early.
    hypothesis, null
        What was left free in the null fit, and how the toys were made.
    n_events, n_members
        Size of the test sample, and of the mixture.
    variations
        r, independent variations of the weights.
    parts
        Each alternative on its own.  Their p-values are not corrected for there
        being several: `p_value` is.
    events_digest
        Content key of the test sample.
    warnings
        What a reader must know, such as events shared with the training sample.
    surprise
        How surprising the sample is to the model; None if that was not tested.
    rule
        What `statistic` is: ``"t"``, ``"-log min p"`` or ``"largest z"``.
    n_training
        Events that trained the members; None if that is unknown, or of a single member.
    learnt_from, supports
        Effective events that the discrepancy of the members was learnt from, and the size of a
        test whose own counting error equals the claimed one; None of a mixture without.
    """

    statistic: float
    p_value: PValue
    z: Significance
    toys: Array
    most_toys: int
    hypothesis: str
    null: str
    n_events: int
    n_members: int
    variations: int
    parts: tuple[AlternativeFit, ...]
    events_digest: str
    warnings: tuple[str, ...] = ()
    surprise: SurpriseFit | None = None
    rule: str = ""
    n_training: int | None = None
    learnt_from: float | None = None
    supports: float | None = None

    def __repr__(self) -> str:
        """Return one line: hypothesis, statistic, p-value."""
        return (
            f"Goodness({self.hypothesis}, {self.symbol}={self.statistic:.2f}, "
            f"p={self.p_value.value:.4g}, {self.z!r}, {self.toys.size} {self.null} toys)"
        )

    @property
    def symbol(self) -> str:
        """Short name of `statistic`."""
        return self.rule or ("t" if len(self.parts) == 1 else "-log min p")

    @property
    def leading(self) -> AlternativeFit:
        """The alternative with the smallest p-value of its own, the first of equals."""
        return min(self.parts, key=lambda part: part.p_value.value)

    @property
    def learns_too_little(self) -> bool:
        """Whether the discrepancy was learnt from fewer events than are tested."""
        return self.learnt_from is not None and self.n_events > round(self.learnt_from)

    @property
    def ignores_common_errors(self) -> bool:
        """Whether what all members miss alike is in no error, and may show in such a test."""
        known = self.learnt_from is None and self.n_training is not None
        return known and self.n_events > _HARMLESS * (self.n_training or 0)

    @property
    def n_failed(self) -> int:
        """Toys without a finite statistic; each counts as extreme."""
        return self.p_value.n_failed

    @property
    def gap(self) -> float:
        """Largest bound on the numerical error of a likelihood ratio."""
        return max(part.gap for part in self.parts)

    @property
    def capped(self) -> int:
        """Events so far outside the model that a likelihood ratio is a lower bound."""
        return max(part.capped for part in self.parts)

    def ratio(self, x: Array) -> Array:
        """Return the density ratio :math:`p_1/p_0` that the leading alternative fitted, ``(n,)``.

        Raises
        ------
        InputError
            If the result was loaded from disk: the fitted densities stay with
            the mixture.
        """
        return fitted_here(self.fitted, "Goodness.ratio")(x)

    @property
    def fitted(self) -> FittedRatio | None:
        """The fitted densities of the leading alternative; None if loaded from disk."""
        return self.leading.fitted


def fitted_here(fitted: F | None, name: str = "goodness") -> F:
    """Return the fitted densities of a result, unless it was read back from a file."""
    if fitted is None:
        raise InputError(
            name,
            got="a result read back from a file",
            expected="a result of goodness_of_fit in this process",
            remedy="Call goodness_of_fit again with the same run: the toys are reused.",
        )
    return fitted


@register("goodness-in-context", 2)
@dataclass(frozen=True, slots=True, eq=False)
class ContextGoodness(Result):
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
    listed: ClassVar[tuple[str, ...]] = ("edges", "counts")

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
