"""The profile test of a conditional mixture in bins of its context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import (
    JointStatistic,
    check_sample,
    failure_notes,
    null_notes,
)
from verisimile.checks.goodness.null import (
    AveragedNull,
    Calibration,
    ConditionalNull,
    Predictive,
)
from verisimile.checks.goodness.profile import Hypothesis, hypothesis_of
from verisimile.checks.goodness.result import (
    AlternativeFit,
    ContextGoodness,
    SurpriseFit,
    Trial,
    by_alternative,
    surprise_fit,
)
from verisimile.checks.goodness.search import (
    Alternative,
    Fits,
    Search,
    Setup,
    data_log_densities,
    fits_of_data,
    search_of,
)
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array, IntArray, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import require_columns
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.discrepancy.conditional import CorrectedConditionalMixture
from verisimile.mixture.fit import single_weight
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import Empirical, PValue

_NODES = 8
_WITHOUT = (
    "the mixture is tested without its discrepancy: the null is that of the members and the law of "
    "their weights, and what all members miss alike counts as a deviation."
)


def goodness_in_context(
    run: Run,
    mixture: ConditionalMixture,
    events: EventsLike,
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

    A mixture with a discrepancy is tested without it, and a note in `warnings` says so: the law
    of the weights alone knows nothing of what all members miss alike.

    Parameters
    ----------
    run, mixture, hypothesis, null, toys
        As for :func:`goodness_of_fit`.
    events
        Unweighted test sample with features and context, disjoint from training
        and weight-fit data; columns are matched by name.
    bins
        Bins of one context column, alternative and combination.

    Raises
    ------
    InputError, NumericsError, IncompleteError
        As for :func:`goodness_of_fit`; also for a mixture without context, an unknown
        context column, or bins with too few events.

    Warns
    -----
    VerisimileWarning
        If events are shared with an earlier sample, contexts lie outside of
        the trained range, or toys failed.
    """
    events = as_events(events, "events")
    matched, chosen = _checked(mixture, events, toys), hypothesis_of(hypothesis)
    plain = mixture.uncorrected if isinstance(mixture, CorrectedConditionalMixture) else mixture
    model = _single(plain) if chosen.name == "single" else plain
    require_columns([bins.feature], model.context.names, "ContextBins.feature")
    notes = warn_overlap(model.provenance, matched, "test")
    if isinstance(mixture, CorrectedConditionalMixture):
        notes += (_WITHOUT,)
    placed = bins.place(matched.column(bins.feature))
    used = matched.take(placed.inside)
    contexts = model.contexts(used)
    notes += model.context.warn_outside(contexts, "test")
    if matched.n > used.n:
        outside = f"{matched.n - used.n} events lie outside of the bins of {placed.feature}"
        notes += (f"{outside} and are not tested.",)
    parts, surprise = _ContextTest(model, bins, placed.kept(), chosen, null).outcome(
        run, used, toys
    )
    joint, table = _joint(bins.combination, parts, surprise)
    p_value = joint.joined(table, toys, null.name).p_value
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
        n_outside=int(model.context.outside(contexts).sum()),
        variations=parts[0].null_pulls.size,
        events_digest=matched.digest,
        warnings=(
            *notes,
            *null_notes(null, parts),
            *failure_notes(np.stack([part.toys for part in parts], axis=1)),
        ),
        surprise=surprise,
    )


@dataclass(frozen=True, slots=True)
class _ContextTest:
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
        surprise = self.bins.search.place_surprise(run, whole, events=used.n)
        setups = [self._setups(run, whole, number) for number in range(self.placed.count)]
        trials = [
            Trial.of(
                f"{self.bins.search.alternatives[0].name}, {self.placed.interval(number)}",
                tuple(setup.local for setup in each),
                tuple(setup.observe(x, logf) for setup in each),
                self.hypothesis,
                centre,
            )
            for number, each in enumerate(setups)
        ]
        flat = tuple(setup for each in setups for setup in each)
        contest = Contest(whole, flat, self.null, (self.hypothesis,), used.n, surprise)
        thrown, name = throw_toys(run, contest, toys), self.null.name
        placements = by_alternative(thrown.statistic[:, :, 0], trials)
        parts = tuple(
            trial.part(each, name) for trial, each in zip(trials, placements, strict=True)
        )
        if surprise is None:
            return parts, None
        return parts, surprise_fit(surprise, logf, thrown.surprise, name, centre=centre)

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


def _joint(
    combination: Combination, parts: tuple[AlternativeFit, ...], surprise: SurpriseFit | None
) -> tuple[JointStatistic, Array]:
    """Return the statistics that become one p-value, and those of the toys ``(B, J)``."""
    observed = combination.columns(np.array([part.statistic for part in parts]))
    toys = combination.columns(np.stack([part.toys for part in parts], axis=1))
    if surprise is not None:
        observed = np.concatenate([observed, surprise.statistics])
        toys = np.column_stack([toys, surprise.toys])
    return JointStatistic(observed), toys


def _checked(mixture: ConditionalMixture, events: Events, toys: int) -> Events:
    require(
        isinstance(mixture, ConditionalMixture),
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

    name: ClassVar[str] = "sum"

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

    name: ClassVar[str] = "min-p"

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
        require(
            good and self.fewest >= 1,
            "ContextBins",
            got=f"edges={self.edges!r}, fewest={self.fewest}",
            expected="a positive number of bins or finite rising edges; fewest >= 1",
        )
        count = len(self.search.alternatives)
        require(
            count == 1,
            "ContextBins.alternative",
            got=f"{count} alternatives",
            expected="one for each bin",
        )

    @property
    def search(self) -> Search:
        """What is looked for in each bin, with its placements and surprise."""
        return search_of(self.alternative, GaussianKernels())

    def place(self, values: Array) -> PlacedBins:
        """Return the bins of given contexts ``(n,)``, unless one has too few events."""
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
        poor = np.flatnonzero(counts < self.fewest)
        named = (f"{counts[b]} in [{edges[b]:.6g}, {edges[b + 1]:.6g}]" for b in poor[:5])
        require(
            not poor.size,
            f"bins of {self.feature}",
            got=f"{poor.size} bins with too few events: {', '.join(named)}",
            expected=f"at least {self.fewest} events in each",
            remedy="Use fewer or wider bins, or set ContextBins(fewest=...).",
        )
        return PlacedBins(self.feature, frozen(edges), index.astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBins:
    """Bins of one column with edges ``(G + 1,)``, and that of each event; -1 is outside."""

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
    """The alternative of one bin, for the rows of the sample that lie there.

    It is placed on the model averaged over the bin; data and toys have the same contexts,
    row by row.
    """

    local: Setup
    rows: IntArray

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""
        return {**self.local.identity(), "rows": digest(self.rows)}

    def observe(self, x: Array, logf: Array) -> Fits:
        """Return the fits to the bin's events, given those of the whole sample."""
        return fits_of_data(self.local, x[self.rows], logf[self.rows])
