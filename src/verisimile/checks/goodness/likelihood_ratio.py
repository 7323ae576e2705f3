"""Kernel-augmented profile likelihood-ratio goodness of fit, calibrated by toys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.protocol import Alternative
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.assemble import Judge, Trial, averaged, check_sample, resolved
from verisimile.checks.goodness.joined import PILOT, Columns, Scale, surprise_fit
from verisimile.checks.goodness.null import Calibration, NullModel, Predictive
from verisimile.checks.goodness.observed import data_log_densities, observed, profiled
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis
from verisimile.checks.goodness.result import Goodness, SurpriseFit
from verisimile.checks.goodness.search import Search, search_of
from verisimile.checks.goodness.surprise import PlacedSurprise
from verisimile.checks.goodness.toys import Contest, Sequential, Thrown, throw_toys
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture
from verisimile.stats.sequential import enough

_KERNELS_UP_TO = 2  # by the power study and the embedded example: docs/measured.md


def goodness_of_fit(
    run: Run,
    mixture: Mixture,
    events: Events,
    *,
    alternative: Alternative | Sequence[Alternative] | Search | None = None,
    hypothesis: str = "ensemble+uncertainty",
    null: Calibration = Predictive(),  # noqa: B008
    toys: int | Sequential = 1000,
) -> Goodness:
    r"""Test whether a mixture describes events that it has not seen.

    .. math:: t = 2 \log \frac{\max_{\eta, a} L(D \mid \hat f + B\eta + \sum_k a_k k_k)}
                              {\max_{\eta} L(D \mid \hat f + B\eta)}

    with :math:`\eta` constrained to N(0, 1) and :math:`\sum_k a_k = 0`.  t is averaged over
    several placements of the kernels and joined, by the smallest p-value recalibrated on
    the same toys, with the sample's :class:`Surprise`: an event that the model calls
    impossible ends in the smallest p-value whatever the alternative.

    Parameters
    ----------
    run
        Random streams, execution and storage of toys.
    mixture
        The model under test.
    events
        Unweighted test sample ``(n, d)``, disjoint from training and weight-fit
        data; features are matched by name.
    alternative
        :class:`GaussianKernels`, :class:`ExponentialTilt`, or several of them:
        the smallest of their p-values is then the statistic, compared with the
        smallest p-values of the same toys.  None takes what has more power:
        kernels up to two features, the tilt beyond.  A :class:`Search` holds them
        together with the number of placements and the surprise, to change or leave these out.
    hypothesis
        ``"single"`` (first member alone), ``"ensemble"`` (weights frozen) or
        ``"ensemble+uncertainty"`` (weights profiled).
    null
        Calibration: :class:`Predictive` (valid, default), :class:`FluctuatedCentre`
        (valid) or :class:`PlugIn` (the published one; too many rejections).
    toys
        B; the smallest reachable p-value is 1 / (B + 1).  :class:`Sequential`
        stops as soon as enough toys are extreme.

    Raises
    ------
    InputError
        For weighted events, unknown hypotheses, other features, or no toys.
    NumericsError
        If a log-density is NaN or plus infinity, or more than a tenth of the toys fail.
    IncompleteError
        If toys could not be thrown for another reason; the same call continues.

    Warns
    -----
    VerisimileWarning
        If events are shared with an earlier sample, or toys failed.

    References
    ----------
    G. Badaracco et al., sec. 2, step 4; R. T. d'Agnolo et al., Eur. Phys. J. C 82 (2022) 275.
    """
    found = compare_hypotheses(
        run,
        mixture,
        events,
        alternative=alternative,
        hypotheses=(hypothesis,),
        null=null,
        toys=toys,
    )
    return found[0]


def compare_hypotheses(
    run: Run,
    mixture: Mixture,
    events: Events,
    *,
    alternative: Alternative | Sequence[Alternative] | Search | None = None,
    hypotheses: Sequence[str] = tuple(HYPOTHESES),
    null: Calibration = Predictive(),  # noqa: B008
    toys: int | Sequential = 1000,
) -> tuple[Goodness, ...]:
    """Run the test of :func:`goodness_of_fit` under several null hypotheses.

    The hypotheses on the mixture share their pseudo-data; ``"single"`` needs
    its own.  Results come in the order of `hypotheses`.
    """
    _refuse_conditional(mixture)
    matched = match_features(events, mixture.features)
    chosen = [resolved(name) for name in hypotheses]
    check_sample(matched, toys)
    notes = warn_overlap(mixture.provenance, matched, "test")
    search = search_of(alternative, default_alternative(mixture.n_features))
    plan = _Plan(_checked(search, toys), null, toys, notes)
    found: dict[str, Goodness] = {}
    alone = [h for h in chosen if h.name == "single"]
    joint = [h for h in chosen if h.name != "single"]
    for model, group in ((single(mixture), alone), (mixture, joint)):
        if group:
            results = _tested(run, model, matched, group, plan)
            found.update({result.hypothesis: result for result in results})
    return tuple(found[h.name] for h in chosen)


def default_alternative(features: int) -> GaussianKernels | ExponentialTilt:
    """Return the alternative with more power for models of so many features.

    Gaussian kernels up to two; beyond, they have to be narrowed at the edges of the
    model, and the exponential tilt sees more.
    """
    return GaussianKernels() if features <= _KERNELS_UP_TO else ExponentialTilt()


def single(mixture: Mixture, index: int = 0) -> Mixture:
    """Return one member of a mixture as a mixture of its own, without uncertainty."""
    return Mixture(
        mixture.members[index : index + 1],
        single_weight(),
        features=mixture.features,
        provenance=mixture.provenance,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The settings that all hypotheses share."""

    search: Search
    null: Calibration
    toys: int | Sequential
    notes: tuple[str, ...]


def _tested(
    run: Run, mixture: Mixture, events: Events, hypotheses: list[Hypothesis], plan: _Plan
) -> list[Goodness]:
    null = NullModel.of(mixture)
    logf = data_log_densities(null, events.x)
    centre = np.zeros(null.variations.shape[1])
    search = plan.search
    placed = search.place(run, null, events=events.n)
    surprise = (
        None if search.surprise is None else search.surprise.place(run, null, events=events.n)
    )
    contest = Contest(
        null,
        tuple(s for each in placed for s in each),
        plan.null,
        tuple(hypotheses),
        events.n,
        surprise,
    )
    fits = [tuple(observed(setup, events.x, logf) for setup in each) for each in placed]
    trials = [
        [
            Trial(
                alternative.name,
                setups,
                seen,
                tuple(
                    profiled(one, h, centre, s.rank) for one, s in zip(seen, setups, strict=True)
                ),
            )
            for alternative, setups, seen in zip(search.alternatives, placed, fits, strict=True)
        ]
        for h in hypotheses
    ]
    tables = _Tables(trials, surprise, logf, centre, plan)
    thrown = tables.thrown(run, contest)
    judge = Judge(plan.null, plan.toys, plan.notes)
    return [
        judge.result(
            trials[h],
            hypothesis,
            tables.columns(thrown, h),
            thrown.statistic[:, :, h],
            events,
            members=len(mixture.members),
        )
        for h, hypothesis in enumerate(hypotheses)
    ]


class _Tables:
    """The statistics of data and toys under every hypothesis, and how many toys are enough."""

    def __init__(
        self,
        trials: list[list[Trial]],
        surprise: PlacedSurprise | None,
        logf: Array,
        centre: Array,
        plan: _Plan,
    ) -> None:
        self.trials, self.surprise, self.plan = trials, surprise, plan
        self.logf, self.centre = logf, centre
        own = np.empty(0) if surprise is None else surprise.statistics(logf, centre)
        self.observed = [
            np.concatenate([[trial.statistic for trial in row], own]) for row in trials
        ]
        self.scales: list[Scale | None] = [None] * len(trials)

    def thrown(self, run: Run, contest: Contest) -> Thrown:
        """Throw the toys; those of a sequential search of several statistics after a pilot."""
        toys = self.plan.toys
        if not isinstance(toys, Sequential):
            return throw_toys(run, contest, toys)
        if self.observed[0].size > 1:
            pilot = throw_toys(run, contest, PILOT, pilot=True)
            self.scales = [Scale.of(self.table(pilot, h)) for h in range(len(self.trials))]
        stop_after = toys.exceedances

        def settled(found: Thrown) -> bool:
            joined = [self.scaled(found, h) for h in range(len(self.trials))]
            return all(enough(value, table, stop_after=stop_after) for value, table in joined)

        return throw_toys(run, contest, toys.most, enough=settled)

    def table(self, found: Thrown, h: int) -> Array:
        """Return the toys' statistics under hypothesis `h`, ``(B, J)``."""
        each = averaged(found.statistic[:, :, h], self.trials[h])
        return np.column_stack([*(toys.mean(axis=1) for toys in each), found.surprise])

    def scaled(self, found: Thrown, h: int) -> tuple[float, Array]:
        """Return the joined statistic of the data and of the toys so far."""
        return self._columns(found, h, None).scaled()

    def columns(self, found: Thrown, h: int) -> Columns:
        """Return all statistics under hypothesis `h`."""
        if self.surprise is None:
            return self._columns(found, h, None)
        fit = surprise_fit(
            self.surprise, self.logf, found.surprise, self.plan.null.name, centre=self.centre
        )
        return self._columns(found, h, fit)

    def _columns(self, found: Thrown, h: int, fit: SurpriseFit | None) -> Columns:
        return Columns(self.observed[h], self.table(found, h), fit, self.scales[h])


def _checked(search: Search, toys: int | Sequential) -> Search:
    if len(search.alternatives) > 1 and isinstance(toys, Sequential):
        raise InputError(
            "toys",
            got=f"{len(search.alternatives)} alternatives and a sequential number of toys",
            expected="a fixed number: the smallest p-value is ranked among all toys",
            remedy="Give toys=1000, or one alternative.",
        )
    return search


def _refuse_conditional(mixture: object) -> None:
    if isinstance(mixture, ConditionalMixture):
        raise InputError(
            "mixture",
            got="a conditional mixture f(x | c)",
            expected="a mixture without context",
            remedy="Use goodness_in_context, which tests it in bins of its context.",
        )
