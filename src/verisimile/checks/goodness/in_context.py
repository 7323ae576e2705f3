"""The profile test of a conditional mixture in bins of its context."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.goodness.assemble import Trial, averaged
from verisimile.checks.goodness.bin_setup import BinSetup
from verisimile.checks.goodness.calibration import Calibration, Predictive
from verisimile.checks.goodness.conditional_null import AveragedNull, ConditionalNull
from verisimile.checks.goodness.context_bins import ContextBins, PlacedBins
from verisimile.checks.goodness.context_result import ContextGoodness
from verisimile.checks.goodness.joined import Columns, failure_notes, surprise_fit
from verisimile.checks.goodness.observed import data_log_densities, profiled
from verisimile.checks.goodness.parts import check_sample, null_notes, resolved
from verisimile.checks.goodness.profile import Hypothesis
from verisimile.checks.goodness.result import AlternativeFit, SurpriseFit
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.names import require
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import single_weight

__all__ = ["goodness_in_context"]

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
    require([bins.feature], model.context.names, "ContextBins.feature")
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
