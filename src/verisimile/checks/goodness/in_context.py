"""The profile test of a conditional mixture in bins of its context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels, Kernels
from verisimile.checks.goodness.alternatives.protocol import Alternative, Fits, Setup
from verisimile.checks.goodness.assemble import Trial, averaged, check_sample, null_notes, resolved
from verisimile.checks.goodness.joined import Columns, failure_notes, surprise_fit
from verisimile.checks.goodness.null import (
    AveragedNull,
    Calibration,
    ConditionalNull,
    Null,
    Predictive,
)
from verisimile.checks.goodness.observed import data_log_densities, observed, profiled
from verisimile.checks.goodness.profile import Hypothesis, Profile
from verisimile.checks.goodness.result import AlternativeFit, ContextGoodness, SurpriseFit
from verisimile.checks.goodness.search import Search, search_of
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array, IntArray, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import require_columns
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import single_weight
from verisimile.stats.aggregate import min_p
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue

_NODES = 8


def goodness_in_context(
    run: Run,
    mixture: ConditionalMixture,
    events: Events,
    *,
    bins: ContextBins,
    hypothesis: str = "ensemble+uncertainty",
    null: Calibration = Predictive(),  # noqa: B008  (a frozen value)
    toys: int = 1000,
) -> ContextGoodness:
    r"""Test whether a conditional mixture describes events, bin by bin of their context.

    .. math:: p_b(x \mid c) = \hat f(x \mid c) + (B\eta)(x \mid c) + \sum_k a_k k_{bk}(x),
              \qquad T = \sum_b t_b,

    with :math:`t_b` the profile likelihood ratio of :func:`goodness_of_fit` in bin b, averaged
    over placements of its kernels.  The combination of the bins is joined, by the smallest
    p-value on the same toys, with the :class:`Surprise` of all events at their contexts.

    In each bin of one context column kernels in x are placed by the model alone,
    averaged over the bin.  Toys keep the test sample's own contexts, row by row, and
    draw the uncertain weights once for all bins, so that the dependence between
    bins is in the null distribution of T.

    Parameters
    ----------
    run
        Random streams, execution and storage of toys.
    mixture
        The model under test.
    events
        Unweighted test sample with features and context, disjoint from training
        and weight-fit data; columns are matched by name.
    bins
        Bins of one context column, alternative and combination.
    hypothesis, null, toys
        As for :func:`goodness_of_fit`.

    Raises
    ------
    InputError
        For a mixture without context, weighted events, an unknown context
        column, or bins with too few events.
    NumericsError, IncompleteError
        As for :func:`goodness_of_fit`.

    Warns
    -----
    VerisimileWarning
        If events are shared with an earlier sample, contexts lie outside of
        the trained range, or toys failed.
    """
    matched, chosen = _checked(mixture, events, toys), resolved(hypothesis)
    model = _single(mixture) if chosen.name == "single" else mixture
    require_columns([bins.feature], model.context.names, "ContextBins.feature")
    notes = warn_overlap(model.provenance, matched, "test")
    placed = bins.place(matched.column(bins.feature))
    used = matched.take(placed.inside)
    notes += model.context.warn_outside(model.contexts(used), "test")
    trial = _Trial(model, bins, placed.kept(), chosen, null)
    parts, surprise = trial.outcome(run, used, toys)
    joined = _columns(bins, parts, surprise).joined(toys, null.name)
    p_value = joined.p_value
    variations = parts[0].null_pulls.size
    return ContextGoodness(
        p_value=p_value,
        z=p_value.significance,
        hypothesis=chosen.name,
        null=null.name,
        combination=bins.combination.name,
        feature=placed.feature,
        edges=placed.edges,
        counts=placed.counts,
        parts=parts,
        n_events=used.n,
        n_unused=matched.n - used.n,
        n_members=len(model.members),
        n_outside=int(model.context.outside(model.contexts(used)).sum()),
        variations=variations,
        events_digest=matched.digest,
        warnings=(
            *notes,
            *_unused(placed),
            *null_notes(null, variations, parts),
            *failure_notes(np.stack([part.toys for part in parts], axis=1)),
        ),
        surprise=surprise,
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """The settings of one test."""

    mixture: ConditionalMixture
    bins: ContextBins
    placed: PlacedBins
    hypothesis: Hypothesis
    null: Calibration

    def outcome(
        self, run: Run, used: Events, toys: int
    ) -> tuple[tuple[AlternativeFit, ...], SurpriseFit | None]:
        """Return the test of each bin, and the surprise of all events."""
        x, context = self.mixture.divide(used)
        whole = ConditionalNull.of(self.mixture, context)
        logf = data_log_densities(whole, x)
        centre = np.zeros(whole.variations.shape[1])
        search = self.bins.search
        surprise = (
            None if search.surprise is None else search.surprise.place(run, whole, events=used.n)
        )
        setups = [self._setups(run, whole, number) for number in range(self.placed.count)]
        trials = [self._trial(b, each, x, logf, centre) for b, each in enumerate(setups)]
        flat = tuple(setup for each in setups for setup in each)
        contest = Contest(whole, flat, self.null, (self.hypothesis,), used.n, surprise)
        thrown = throw_toys(run, contest, toys)
        name = self.null.name
        parts = tuple(
            trial.part(each, name)
            for trial, each in zip(trials, averaged(thrown.statistic[:, :, 0], trials), strict=True)
        )
        if surprise is None:
            return parts, None
        return parts, surprise_fit(surprise, logf, thrown.surprise, name, centre=centre)

    def _trial(
        self, number: int, setups: tuple[BinSetup, ...], x: Array, logf: Array, centre: Array
    ) -> Trial:
        seen = tuple(setup.observe(x, logf) for setup in setups)
        return Trial(
            f"{self.bins.search.alternatives[0].name}, {self.placed.interval(number)}",
            tuple(setup.local for setup in setups),
            seen,
            tuple(
                profiled(fits, self.hypothesis, centre, setup.rank)
                for fits, setup in zip(seen, setups, strict=True)
            ),
        )

    def _setups(self, run: Run, whole: ConditionalNull, number: int) -> tuple[BinSetup, ...]:
        """Place the alternative on the model in one bin."""
        rows = self.placed.rows(number)
        context = whole.context[rows]
        column = self.mixture.context.names.index(self.placed.feature)
        order = np.argsort(context[:, column], kind="stable")
        # The middles of equal shares of the bin's contexts stand for all of them.
        nodes = order[((np.arange(_NODES) + 0.5) * len(rows) / _NODES).astype(np.int64)]
        local = AveragedNull(replace(whole, context=context), context[nodes])
        (placed,) = self.bins.search.place(run.at("bin", number), local, events=len(rows))
        return tuple(BinSetup(setup, rows) for setup in placed)


def _columns(
    bins: ContextBins, parts: tuple[AlternativeFit, ...], surprise: SurpriseFit | None
) -> Columns:
    observed = bins.combination.columns(np.array([part.statistic for part in parts]))
    toys = bins.combination.columns(np.stack([part.toys for part in parts], axis=1))
    if surprise is not None:
        observed = np.concatenate([observed, surprise.statistics])
        toys = np.column_stack([toys, surprise.toys])
    return Columns(observed, toys, surprise, None)


def _checked(mixture: ConditionalMixture, events: Events, toys: int) -> Events:
    if not isinstance(mixture, ConditionalMixture):
        raise InputError(
            "mixture",
            got=f"a {type(mixture).__name__}",
            expected="a ConditionalMixture",
            remedy="Use goodness_of_fit for a mixture without context.",
        )
    matched = match_features(events, mixture.columns)
    check_sample(matched, toys)
    return matched


def _single(mixture: ConditionalMixture) -> ConditionalMixture:
    return ConditionalMixture(
        mixture.members[:1],
        single_weight(),
        features=mixture.features,
        context=mixture.context,
        provenance=mixture.provenance,
    )


def _unused(placed: PlacedBins) -> tuple[str, ...]:
    count = placed.index.size - placed.inside.size
    if not count:
        return ()
    return (f"{count} events lie outside of the bins of {placed.feature} and are not tested.",)


class Combination(Protocol):
    """Compares the statistics of all bins with those of the toys at once.

    Data and toys are treated alike, so that the p-value is valid whatever the
    dependence between the bins.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""

    def columns(self, table: Array) -> Array:
        """Return, from the bins' statistics ``(..., G)``, those whose smallest p is the test."""

    def p_value(self, observed: Array, toys: Array, null: str) -> PValue:
        """Return the p-value of statistics ``(G,)`` among those of toys ``(B, G)``."""


@dataclass(frozen=True, slots=True)
class SumOfBins:
    r"""The sum, :math:`T = \sum_b t_b`: as if all bins were one fit."""

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "sum"

    def columns(self, table: Array) -> Array:
        """Return the sum, ``(..., 1)``."""
        return np.asarray(table.sum(axis=-1, keepdims=True))

    def p_value(self, observed: Array, toys: Array, null: str) -> PValue:
        """Return the p-value of the sum."""
        return Empirical(toys.sum(axis=1), null).p_value(float(observed.sum()))


@dataclass(frozen=True, slots=True)
class SmallestP:
    """The smallest of the bins' p-values: for a deviation in one bin among many.

    G bins have G largest toys, so that the p-value of the clearest deviation is
    only about G / (B + 1): throw more toys.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "min-p"

    def columns(self, table: Array) -> Array:
        """Return the bins as they are, ``(..., G)``."""
        return table

    def p_value(self, observed: Array, toys: Array, null: str) -> PValue:
        """Return the p-value of the smallest p-value."""
        return min_p(observed, toys, null=null).p_value


@dataclass(frozen=True, slots=True)
class ContextBins:
    """How a test in bins of context is laid out.

    Attributes
    ----------
    feature
        Name of the context column that is binned.
    edges
        Increasing bin edges ``(G + 1,)``, or a number of bins with about equal
        numbers of events.  The last bin contains its upper edge.
    alternative
        What is looked for in each bin: kernels in x, or a :class:`Search` with one
        alternative, its number of placements, and the surprise of the whole sample.
    combination
        How the bins become one p-value: :class:`SumOfBins` or :class:`SmallestP`.
    fewest
        A bin with fewer events is refused: no fit could see anything there.
    """

    feature: str
    edges: int | Sequence[float] = 5
    alternative: Alternative | Search = GaussianKernels(count=40)
    combination: Combination = SumOfBins()
    fewest: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.edges, int):
            good = self.edges >= 1
        else:
            array = np.asarray(self.edges, dtype=np.float64)
            rising = array.ndim == 1 and array.size >= 2 and bool((np.diff(array) > 0).all())
            good = rising and bool(np.isfinite(array).all())
        if not good or self.fewest < 1:
            raise InputError(
                "ContextBins",
                got=f"edges={self.edges!r}, fewest={self.fewest}",
                expected="a positive number of bins or finite rising edges; fewest >= 1",
            )
        if len(self.search.alternatives) > 1:
            raise InputError(
                "ContextBins.alternative",
                got=f"{len(self.search.alternatives)} alternatives",
                expected="one for each bin",
            )

    @property
    def search(self) -> Search:
        """What is looked for in each bin, with its placements and surprise."""
        return search_of(self.alternative, GaussianKernels())

    def place(self, values: Array) -> PlacedBins:
        """Return the bins of given contexts ``(n,)``.

        Raises
        ------
        InputError
            If a bin has fewer than `fewest` events.
        """
        if isinstance(self.edges, int):
            # Ties can make quantiles coincide; the bins are then fewer.
            edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, self.edges + 1)))
            edges = np.array([edges[0], edges[0]]) if edges.size == 1 else edges
        else:
            edges = np.asarray(self.edges, dtype=np.float64)
        index = np.searchsorted(edges, values, side="right") - 1
        index[values == edges[-1]] = edges.size - 2
        index[(values < edges[0]) | (values > edges[-1])] = -1
        counts = np.bincount(index[index >= 0], minlength=edges.size - 1)
        self._enough(edges, counts)
        return PlacedBins(self.feature, frozen(edges), index.astype(np.int64))

    def _enough(self, edges: Array, counts: IntArray) -> None:
        poor = np.flatnonzero(counts < self.fewest)
        if poor.size:
            named = ", ".join(
                f"{counts[b]} in [{edges[b]:.6g}, {edges[b + 1]:.6g}]" for b in poor[:5]
            )
            raise InputError(
                f"bins of {self.feature}",
                got=f"{poor.size} bins with too few events: {named}",
                expected=f"at least {self.fewest} events in each",
                remedy="Use fewer or wider bins, or set ContextBins(fewest=...).",
            )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBins:
    """Bins and the events in them.

    Attributes
    ----------
    feature
        Name of the binned column.
    edges
        ``(G + 1,)``.
    index
        Bin of each event ``(n,)``; -1 outside of the edges.
    """

    feature: str
    edges: Array
    index: IntArray

    @property
    def count(self) -> int:
        """Number of bins G."""
        return self.edges.size - 1

    @property
    def counts(self) -> IntArray:
        """Events in each bin ``(G,)``."""
        return np.bincount(self.index[self.inside], minlength=self.count).astype(np.int64)

    @property
    def inside(self) -> IntArray:
        """Numbers of the events that lie in some bin."""
        return np.flatnonzero(self.index >= 0).astype(np.int64)

    def interval(self, number: int) -> str:
        """Return a bin in words."""
        low, high = self.edges[number], self.edges[number + 1]
        return f"{self.feature} from {low:.4g} to {high:.4g}"

    def rows(self, number: int) -> IntArray:
        """Return the numbers of the events in one bin."""
        return np.flatnonzero(self.index == number).astype(np.int64)

    def kept(self) -> PlacedBins:
        """Return the same bins for the events inside alone."""
        return PlacedBins(self.feature, self.edges, self.index[self.inside])


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
