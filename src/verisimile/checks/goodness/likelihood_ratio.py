"""Kernel-augmented profile likelihood-ratio goodness of fit, calibrated by toys."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.null import Calibration, PlugIn, Predictive, null_of
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis, hypothesis_of
from verisimile.checks.goodness.result import (
    AlternativeFit,
    Goodness,
    SurpriseFit,
    Trial,
    by_alternative,
    surprise_fit,
)
from verisimile.checks.goodness.search import (
    Alternative,
    Search,
    data_log_densities,
    fits_of_data,
    search_of,
)
from verisimile.checks.goodness.toys import Contest, Sequential, Thrown, most_toys, throw_toys
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import VerisimileWarning, require
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import TRAINING, warn_overlap
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture
from verisimile.stats.aggregate import smallest_p
from verisimile.stats.pvalues import Empirical, PValue, besag_clifford, enough

if TYPE_CHECKING:
    from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt

PILOT = 20
"""Toys apart that scale the statistics of a sequential search."""
_KERNELS_UP_TO = 2  # by the power study and the embedded example: docs/calibrated.md


def goodness_of_fit(
    run: Run,
    mixture: Mixture,
    events: EventsLike,
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
    run, mixture
        Random streams, execution and storage of toys; the model under test.
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

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> members = [vs.adapt(stats.norm(mean)) for mean in (-0.5, 0.5)]
    >>> x = np.random.default_rng(1).normal(size=(400, 1))
    >>> fit = vs.fit_weights(np.column_stack([each.log_prob(x) for each in members]))
    >>> mixture = vs.Mixture(members, fit)
    >>> test = np.random.default_rng(2).normal(size=(200, 1))
    >>> run = vs.Run(vs.Seeds(1))
    >>> quick = vs.goodness.Search((vs.GaussianKernels(count=5),), placements=1)
    >>> found = vs.goodness_of_fit(run, mixture, test, alternative=quick, toys=19)
    >>> found.p_value.n_null
    19
    """
    return compare_hypotheses(
        run,
        mixture,
        events,
        alternative=alternative,
        hypotheses=(hypothesis,),
        null=null,
        toys=toys,
    )[0]


def compare_hypotheses(
    run: Run,
    mixture: Mixture,
    events: EventsLike,
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
    events = as_events(events, "events")
    check_comparison(mixture, events, alternative=alternative, hypotheses=hypotheses, toys=toys)
    matched = match_features(events, mixture.features)
    chosen = [hypothesis_of(name) for name in hypotheses]
    notes = warn_overlap(mixture.provenance, matched, "test")
    search = search_of(alternative, default_alternative(len(mixture.features)))
    results = partial(_results, run, events=matched, search=search, null=null, toys=toys)
    found: list[Goodness] = []
    if alone := [h for h in chosen if h.name == "single"]:
        found += results(single(mixture), alone)
    if joint := [h for h in chosen if h.name != "single"]:
        found += results(mixture, joint)
    known = [_with_claims(each, mixture) for each in found]
    by_name = {each.hypothesis: replace(each, warnings=(*notes, *each.warnings)) for each in known}
    return tuple(by_name[h.name] for h in chosen)


def check_comparison(
    mixture: Mixture,
    events: Events,
    *,
    alternative: Alternative | Sequence[Alternative] | Search | None = None,
    hypotheses: Sequence[str] = tuple(HYPOTHESES),
    toys: int | Sequential = 1000,
) -> None:
    """Raise what :func:`compare_hypotheses` would before any toy."""
    require(
        not hasattr(mixture, "context"),
        "mixture",
        got="a conditional mixture f(x | c)",
        expected="a mixture without context",
        remedy="Use goodness_in_context, which tests it in bins of its context.",
    )
    matched = match_features(events, mixture.features)
    for name in hypotheses:
        hypothesis_of(name)
    check_sample(matched, toys)
    count = len(search_of(alternative, default_alternative(len(mixture.features))).alternatives)
    require(
        count == 1 or not isinstance(toys, Sequential),
        "toys",
        got=f"{count} alternatives and a sequential number of toys",
        expected="a fixed number: the smallest p-value is ranked among all toys",
        remedy="Give toys=1000, or one alternative.",
    )


def _with_claims(test: Goodness, mixture: Mixture) -> Goodness:
    """Return a test with what its errors were learnt from, and what a reader must know of that."""
    if test.hypothesis == "single":  # claims no error
        return test
    trained = [len(seen.rows) for seen in mixture.provenance if seen.role == TRAINING]
    told = replace(test, n_training=sum(trained) if trained else None)
    if isinstance(mixture, CorrectedMixture):
        found = mixture.discrepancy
        return replace(told, learnt_from=found.record.n_events, supports=found.supports)
    if not told.ignores_common_errors:
        return told
    note = (
        f"the claimed errors leave out what all members miss alike: a test of {test.n_events} "
        f"events may see that where {told.n_training} trained the members. Learn their "
        "discrepancy too, or test a tenth as many at most."
    )
    return replace(told, warnings=(*told.warnings, note))


def default_alternative(features: int) -> GaussianKernels | ExponentialTilt:
    """Return the alternative with more power for models of so many features.

    Gaussian kernels up to two; beyond, they have to be narrowed at the edges of the
    model, and the exponential tilt sees more.
    """
    if features <= _KERNELS_UP_TO:
        return GaussianKernels()
    from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt  # noqa: PLC0415  (few need it)

    return ExponentialTilt()


def single(mixture: Mixture, index: int = 0) -> Mixture:
    """Return one member of a mixture as a mixture of its own, without uncertainty."""
    return Mixture(
        mixture.members[index : index + 1],
        single_weight(),
        features=mixture.features,
        provenance=mixture.provenance,
    )


def check_sample(events: Events, toys: int | Sequential) -> None:
    """Raise unless the test sample is unweighted and there are toys to compare it with."""
    require(
        events.weights is None,
        "events.weights",
        got="a weighted test sample",
        expected="unweighted events: the toys have none",
        remedy="Unweight the sample, or drop the weights if they are all equal.",
    )
    some = isinstance(toys, Sequential) or toys >= 1
    require(some, "toys", got=toys, expected="at least one toy", remedy="Use 200 or more.")


def _results(
    run: Run,
    mixture: Mixture,
    hypotheses: list[Hypothesis],
    *,
    events: Events,
    search: Search,
    null: Calibration,
    toys: int | Sequential,
) -> list[Goodness]:
    """Return the results of hypotheses that share their toys."""
    model = null_of(mixture, events.n)
    logf = data_log_densities(model, events.x)
    centre = np.zeros(model.variations.shape[1])
    placed = search.place(run, model, events=events.n)
    surprise = search.place_surprise(run, model, events=events.n)
    fits = [tuple(fits_of_data(setup, events.x, logf) for setup in each) for each in placed]
    names = [alternative.name for alternative in search.alternatives]
    own = np.empty(0) if surprise is None else surprise.statistics(logf, centre)
    tests = []
    for number, hypothesis in enumerate(hypotheses):
        trials = tuple(
            Trial.of(*alternative, hypothesis, centre)
            for alternative in zip(names, placed, fits, strict=True)
        )
        observed = np.concatenate([[trial.statistic for trial in trials], own])
        tests.append(_HypothesisTest(number, hypothesis, trials, JointStatistic(observed)))
    setups = tuple(setup for each in placed for setup in each)
    contest = Contest(model, setups, null, tuple(hypotheses), events.n, surprise)
    tests, thrown = _throw(run, contest, tests, toys)
    seen = None
    if surprise is not None:
        seen = surprise_fit(surprise, logf, thrown.surprise, null.name, centre=centre)
    members = len(mixture.members)
    return [test.result(thrown, seen, events, members, null=null, toys=toys) for test in tests]


def _throw(
    run: Run, contest: Contest, tests: list[_HypothesisTest], toys: int | Sequential
) -> tuple[list[_HypothesisTest], Thrown]:
    """Throw the toys; those of a sequential search of several statistics after a pilot."""
    if not isinstance(toys, Sequential):
        return tests, throw_toys(run, contest, toys)
    if not tests[0].joint.alone:
        pilot = throw_toys(run, contest, PILOT, pilot=True)
        tests = [test.scaled_by(pilot) for test in tests]

    def settled(found: Thrown) -> bool:
        joined = [test.joint.scaled(test.table(found)) for test in tests]
        return all(enough(value, table, stop_after=toys.exceedances) for value, table in joined)

    return tests, throw_toys(run, contest, toys.most, enough=settled)


@dataclass(frozen=True, slots=True, eq=False)
class _HypothesisTest:
    """One hypothesis: its number among those of the toys, its alternatives, all statistics."""

    number: int
    hypothesis: Hypothesis
    trials: tuple[Trial, ...]
    joint: JointStatistic

    def table(self, found: Thrown) -> Array:
        """Return the toys' statistics ``(B, J)``."""
        each = by_alternative(found.statistic[:, :, self.number], self.trials)
        return np.column_stack([*(toys.mean(axis=1) for toys in each), found.surprise])

    def scaled_by(self, pilot: Thrown) -> _HypothesisTest:
        """Return the test whose statistics are scaled by those of other toys."""
        return replace(self, joint=replace(self.joint, scale=Scale.of(self.table(pilot))))

    def result(
        self,
        thrown: Thrown,
        surprise: SurpriseFit | None,
        events: Events,
        members: int,
        *,
        null: Calibration,
        toys: int | Sequential,
    ) -> Goodness:
        """Return what the toys say."""
        table = self.table(thrown)
        placements = by_alternative(thrown.statistic[:, :, self.number], self.trials)
        parts = tuple(
            trial.part(each, null.name) for trial, each in zip(self.trials, placements, strict=True)
        )
        joined = self.joint.joined(table, toys, null.name)
        used = slice(joined.p_value.n_null)
        if self.joint.alone:  # its p-value is the test's, also of sequential toys
            parts = (replace(parts[0], p_value=joined.p_value, toys=frozen(joined.toys[used])),)
        return Goodness(
            statistic=joined.statistic,
            p_value=joined.p_value,
            z=joined.p_value.significance,
            toys=frozen(joined.toys[used]),
            most_toys=most_toys(toys),
            hypothesis=self.hypothesis.name,
            null=null.name,
            n_events=events.n,
            n_members=members,
            variations=parts[0].null_pulls.size,
            parts=parts,
            events_digest=events.digest,
            warnings=(*null_notes(null, parts), *failure_notes(table[used])),
            surprise=surprise,
            rule=joined.rule,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """One statistic of the data and of the toys ``(B,)``, its p-value, and what it is."""

    statistic: float
    toys: Array
    p_value: PValue
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    r"""The scale of each statistic in a pilot, :math:`z_j = (s_j - \mu_j) / \sigma_j`.

    The smallest p-value is ranked among all toys, whose number a sequential search does
    not know.  It takes :math:`\max_j z_j` instead, with moments of other toys, so that
    each toy's value depends on that toy alone.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, pilot: Array) -> Scale:
        """Return the scale from the statistics of pilot toys ``(B', J)``."""
        kept = np.where(np.isfinite(pilot), pilot, np.nan)
        known = np.isfinite(kept).any(axis=0)
        mean, deviation = np.zeros(pilot.shape[1]), np.ones(pilot.shape[1])
        mean[known] = np.nanmean(kept[:, known], axis=0)
        deviation[known] = np.nanstd(kept[:, known], axis=0)
        return cls(mean, np.where(deviation > 0.0, deviation, 1.0))

    def largest(self, table: Array) -> Array:
        """Return the largest scaled statistic of each row ``(..., J)``; NaN if one is NaN."""
        return np.asarray(((table - self.mean) / self.deviation).max(axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class JointStatistic:
    """The statistics of the data ``(J,)``: those of the alternatives, then surprise.

    `scale` joins several of them in a sequential search.
    """

    observed: Array
    scale: Scale | None = None

    @property
    def alone(self) -> bool:
        """Whether there is a single statistic."""
        return self.observed.size == 1

    def joined(self, table: Array, toys: int | Sequential, null: str) -> Joined:
        """Return the test of all statistics together, from those of the toys ``(B, J)``.

        A statistic that the data do not have, because a fit failed, is no evidence; one that
        a toy does not have is as extreme as can be.
        """
        if self.alone or self.scale is not None:
            value, thrown = self.scaled(table)
            rule = "t" if self.alone else "largest z"
        elif np.isnan(self.observed).all():
            value, thrown, rule = math.nan, np.full(len(table), np.nan), "-log min p"
        else:
            smallest = -np.log(smallest_p(_least(self.observed, table), table))
            value, thrown, rule = float(smallest[0]), smallest[1:], "-log min p"
            thrown[np.isnan(table).any(axis=1)] = np.nan
        return Joined(value, thrown, _p_value(value, thrown, toys, null), rule)

    def scaled(self, table: Array) -> tuple[float, Array]:
        """Return the only statistic, or the largest scaled one, of the data and of the toys."""
        if self.scale is None:
            return float(self.observed[0]), table[:, 0]
        known = self.observed[~np.isnan(self.observed)]
        least = np.where(np.isnan(self.observed), -np.inf, self.observed)
        value = float(self.scale.largest(least)) if known.size else math.nan
        return value, self.scale.largest(table)


def _least(observed: Array, toys: Array) -> Array:
    """Return the statistics of the data, those that failed below all toys' ``(J,)``."""
    lowest = np.where(np.isfinite(toys), toys, np.inf).min(axis=0, initial=0.0)
    return np.where(np.isnan(observed), lowest - 1.0, observed)


def _p_value(value: float, thrown: Array, toys: int | Sequential, null: str) -> PValue:
    if not isinstance(toys, Sequential):
        return Empirical(thrown, null).p_value(value)
    return besag_clifford(value, thrown, stop_after=toys.exceedances, maximum=toys.most, null=null)


def null_notes(null: Calibration, parts: tuple[AlternativeFit, ...]) -> tuple[str, ...]:
    """Return what a reader must know about the calibration and the fits."""
    notes = []
    if isinstance(null, PlugIn) and parts[0].null_pulls.size:
        notes.append(
            "plug-in toys have a perfect constraint that no data set has: true models are "
            "rejected too often. Use Predictive()."
        )
    if any(math.isinf(part.statistic) for part in parts):
        notes.append("some event has no density under the null: the statistic is infinite.")
    if any(math.isnan(part.statistic) for part in parts):
        notes.append("the fit to the test sample did not converge: there is no statistic.")
    return tuple(notes)


def failure_notes(toys: Array) -> tuple[str, ...]:
    """Warn of toys ``(B, J)`` without a finite statistic, and return the warning for the result."""
    failed = int(np.isnan(toys).any(axis=1).sum())
    impossible = int((~np.isfinite(toys)).any(axis=1).sum()) - failed
    if not failed + impossible:
        return ()
    note = (
        f"{failed + impossible} of {len(toys)} toys have no finite statistic ({failed} failed, "
        f"{impossible} hold an event to which the null gives no density); each counts as extreme."
    )
    warnings.warn(note, VerisimileWarning, stacklevel=2)
    return (note,)
