"""The profile test of a conditional mixture in bins of its context."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.goodness.bin_setup import BinSetup
from verisimile.checks.goodness.calibration import Calibration, Predictive
from verisimile.checks.goodness.conditional_null import AveragedNull, ConditionalNull
from verisimile.checks.goodness.context_bins import ContextBins, PlacedBins
from verisimile.checks.goodness.context_result import ContextGoodness
from verisimile.checks.goodness.parts import alternative_fit, check_sample, null_notes, resolved
from verisimile.checks.goodness.profile import Hypothesis
from verisimile.checks.goodness.result import AlternativeFit
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.names import require
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import single_weight
from verisimile.stats.nulls import Empirical

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

    with :math:`t_b` the profile likelihood ratio of :func:`goodness_of_fit` in bin b.

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
    SupportError
        If an event has zero density under every member.

    Warns
    -----
    VerisimileWarning
        If events are shared with an earlier sample, or contexts lie outside of
        the trained range.
    """
    matched, chosen = _checked(mixture, events, toys), resolved(hypothesis)
    model = _single(mixture) if chosen.name == "single" else mixture
    require([bins.feature], model.context.names, "ContextBins.feature")
    notes = warn_overlap(model.provenance, matched, "test")
    placed = bins.place(matched.column(bins.feature))
    used = matched.take(placed.inside)
    notes += model.context.warn_outside(model.contexts(used), "test")
    trial = _Trial(model, bins, placed.kept(), chosen, null)
    parts = trial.parts(run, used, toys)
    p_value = bins.combination.p_value(
        np.array([part.statistic for part in parts]),
        np.stack([part.toys for part in parts], axis=1),
        null.name,
    )
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
        warnings=(*notes, *_unused(placed), *null_notes(null, variations, parts)),
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """The settings of one test."""

    mixture: ConditionalMixture
    bins: ContextBins
    placed: PlacedBins
    hypothesis: Hypothesis
    null: Calibration

    def parts(self, run: Run, used: Events, toys: int) -> tuple[AlternativeFit, ...]:
        """Return the test of each bin."""
        x, context = self.mixture.divide(used)
        whole = ConditionalNull.of(self.mixture, context)
        logf = whole.log_densities(x)
        setups = tuple(self._setup(run, whole, number) for number in range(self.placed.count))
        seen = [setup.observe(x, logf) for setup in setups]
        centre = np.zeros(whole.variations.shape[1])
        profiles = [fits.profile(self.hypothesis, centre) for fits in seen]
        contest = Contest(whole, setups, self.null, (self.hypothesis,), used.n)
        thrown = throw_toys(run, contest, toys)
        return tuple(
            alternative_fit(
                f"{self.bins.alternative.name}, {self.placed.interval(b)}",
                setups[b].local,
                seen[b],
                profiles[b],
                thrown[:, b, 0],
                Empirical(thrown[:, b, 0], self.null.name).p_value(profiles[b].statistic),
            )
            for b in range(self.placed.count)
        )

    def _setup(self, run: Run, whole: ConditionalNull, number: int) -> BinSetup:
        """Place the alternative on the model in one bin."""
        rows = self.placed.rows(number)
        context = whole.context[rows]
        column = self.mixture.context.names.index(self.placed.feature)
        order = np.argsort(context[:, column], kind="stable")
        # The middles of equal shares of the bin's contexts stand for all of them.
        nodes = order[((np.arange(_NODES) + 0.5) * len(rows) / _NODES).astype(np.int64)]
        local = AveragedNull(replace(whole, context=context), context[nodes])
        placed = self.bins.alternative.prepare(run.at("bin", number), local, events=len(rows))
        return BinSetup(placed, rows)


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
