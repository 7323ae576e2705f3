"""One small result of every kind that public functions return, made by these functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from scipy import stats

import verisimile as vs
from amplification_values import (
    make_averaging,
    make_conditional,
    make_memorisation,
    make_point,
    make_study,
)
from analytic import draw, family, log_densities
from conditional_analytic import conditional_events, conditional_family, draw_at
from human_ratings import choices, preferences, scaled
from posterior_study import Posterior, conjugate
from report_values import make_goodness, make_marginal, make_summary
from template_values import SIGNAL, falling
from verisimile.checks.amplification.analytic import analytic_observables
from verisimile.checks.amplification.calibrated_errors import calibrate_errors
from verisimile.checks.amplification.forecast import forecast
from verisimile.checks.amplification.learning_curve import LearningCurve, learning_curve
from verisimile.checks.classifier.conditional import diagnose_conditional
from verisimile.checks.coverage import spread_intervals, summarise_bins
from verisimile.checks.coverage.result import Outcomes, summarise
from verisimile.checks.goodness.in_context import ContextBins
from verisimile.checks.goodness.refine import Look
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.known_truth.cdf import one_sample_tests
from verisimile.checks.known_truth.likelihood import likelihood, likelihood_test
from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.posterior.local import PosteriorPoints, local_posterior_test
from verisimile.checks.precision_recall.comparison import compare_curves
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.checks.precision_recall.variance import variance_parts
from verisimile.checks.ratings.agreement import agreement
from verisimile.checks.ratings.forced_choice import forced_choice
from verisimile.checks.ratings.preference import preference
from verisimile.checks.ratings.scale import scale_ratings
from verisimile.checks.support.inception import inception_score
from verisimile.checks.support.study import support_metrics
from verisimile.checks.twosample.sensitivity import smallest_effects
from verisimile.checks.twosample.statistics.frechet import frechet_distance
from verisimile.checks.twosample.statistics.kernel_distance import kernel_distance
from verisimile.checks.twosample.windows import deviating_windows
from verisimile.core.arrays import Array
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.minos import MinosInterval
from verisimile.mixture.model import Mixture
from verisimile.mixture.ratio_fit import fit_ratio_weights
from verisimile.mixture.sampling import conditional_log_densities
from verisimile.ranking.defects import DEFECTS
from verisimile.ranking.own import own_metrics
from verisimile.ranking.result import Arena
from verisimile.repair.signal import fit_signal
from verisimile.report.difference import ReportComparison
from verisimile.report.document import document
from verisimile.report.write import gather
from verisimile.stats.aggregate import min_p
from verisimile.stats.tails import fit_tail
from verisimile.validation.monitor import look

RUN = vs.Run(vs.Seeds(5))
NAMES = ("mass", "pt <x>")


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _events(shift: float = 0.0, *, n: int = 200, seed: int = 1) -> vs.Events:
    return vs.Events(_rng(seed).normal(shift, 1.0, size=(n, 2)), names=NAMES)


@cache
def _fitted() -> Mixture:
    members = family(3)
    data = draw(members, np.array([0.5, 0.3, 0.2]), 500, _rng(51))
    return Mixture(members, vs.fit_weights(log_densities(members, data)))


@cache
def _tested() -> tuple[Goodness, vs.Events]:
    events = vs.Events(draw(family(3), np.array([0.5, 0.3, 0.2]), 300, _rng(52)))
    kernels = vs.GaussianKernels(count=6, width=0.5, reference=100)
    return vs.goodness_of_fit(RUN, _fitted(), events, alternative=kernels, toys=9), events


def _in_context() -> object:
    members, rng = conditional_family(3), _rng(3)
    weights = np.array([0.5, 0.3, 0.2])
    contexts = [rng.uniform(-1.5, 1.5, (n, 1)) for n in (600, 300)]
    x, theirs = (draw_at(members, weights, context, rng) for context in contexts)
    fit = vs.fit_weights(conditional_log_densities(members, x, contexts[0]))
    kernels = vs.GaussianKernels(count=4, width=0.5, reference=100)
    return vs.goodness_in_context(
        RUN,
        vs.ConditionalMixture(members, fit),
        conditional_events(theirs, contexts[1]),
        bins=ContextBins("c0", (-1.5, 0.0, 1.5), alternative=kernels),
        toys=9,
    )


def _refinement() -> object:
    kernels = vs.GaussianKernels(count=6, width=0.5, reference=100)
    events = vs.Events(draw(family(3), np.array([0.5, 0.3, 0.2]), 400, _rng(53)))
    look = Look(alternative=kernels, toys=9)
    return vs.refine(RUN, lambda _: _fitted(), events, looks=2, level=0.2, look=look)


def _coverage() -> object:
    pulls = np.where(np.arange(60)[:, None] < [41, 44], 0.5, 1.5)
    return summarise(
        Outcomes(pulls, np.ones(pulls.shape), np.zeros(pulls.shape)),
        ["mean <pt>", "other"],
        [vs.Estimate(0.0, 0.0)] * 2,
        mode="retrained",
        level=0.6827,
        n_events=10,
    )


def _saturation() -> object:
    members = family(6)
    x = draw(members, np.full(6, 1.0 / 6.0), 500, _rng(54))
    means = np.array([member.shares @ member.means for member in members])
    return vs.saturation(log_densities(members, x), {"x0": means[:, 0], "x1": means[:, 1]})


def _contexts(seed: int) -> vs.Events:
    rng = _rng(seed)
    c = rng.normal(size=300)
    return vs.Events(np.column_stack([c + rng.normal(size=300), c]), names=("x", "c"))


@cache
def _band(shift: float) -> object:
    group = [_rng(seed).normal(shift, 1.0, size=(150, 2)) for seed in (2, 3, 4)]
    score = PooledNeighbours()
    return vs.precision_recall_band(
        RUN, _events(n=150), group, score=score, null_draws=3, angles=21
    )


def _conjugate(d: int = 1) -> tuple[Array, Array, Array]:
    return conjugate(60, 19, _rng(6), d=d)


def _local() -> object:
    draws, truths, contexts = conjugate(60, 1, _rng(6), d=1)
    where = np.array([[-1.0], [1.0]])
    there = Posterior(d=1).sample(np.repeat(where, 20, axis=0), _rng(7)).reshape(2, 20, 1)
    at = PosteriorPoints(where, there)
    return local_posterior_test(RUN, draws, truths, contexts, at=at, permutations=19)


def _effects() -> object:
    samples = _events(), _events(seed=2)
    found = vs.permutation_test(RUN, *samples, [vs.MarginalKS()], permutations=99)
    return smallest_effects(RUN, *samples, [vs.MarginalKS()], found)


def _worth() -> object:
    observables: dict[str, Callable[[Array], Array]] = {"x": lambda x: x[:, 0]}
    return analytic_observables(RUN, _fitted(), observables, draws=2000)


def _ratio() -> object:
    """Return a fit of two exact ratios of normal laws."""
    p, g = (_rng(seed).normal(mean, 1.0, 300) for seed, mean in ((1, 0.3), (2, 0.0)))
    return fit_ratio_weights(*(np.column_stack([0.1 * x, 0.6 * x]) for x in (p, g)))


def _learning() -> LearningCurve:
    points = [0.011, 0.006, 0.0035], [0.001, 0.0005, 0.0005]
    return learning_curve([100.0, 200.0, 400.0], *points)


def _scale() -> object:
    truth = np.full((2, 20), 0.04)
    contents = truth + 0.002 * _rng().normal(size=truth.shape)
    counts = _rng(2).binomial(10_000, truth).astype(float)
    return calibrate_errors(counts, np.full(2, 1e4), contents, np.full(truth.shape, 0.001))


def _comparison() -> object:
    first, second = (
        document(RUN, gather([vs.PValue(p, p - 0.01, p + 0.01, "toys", 99, 0), *more]))
        for p, more in ((0.3, ()), (0.02, (vs.Estimate(0.5, 0.1),)))
    )
    return ReportComparison(("last <night>", "tonight"), first, second)


def _arena() -> Arena:
    suite = vs.Suite(defects=DEFECTS[:2], sizes=(40,), pairs=1, audits=2).only("mixture")
    metrics = own_metrics(["cramer-von-mises", "twins"])
    return vs.arena(RUN, metrics, suite)


def _reweighted() -> object:
    rng = np.random.default_rng(5)
    pair = rng.normal(0.3, 1.0, (300, 1)), rng.normal(size=(300, 1))
    fast = vs.Discrepancy(scale=0.03, draws=50)
    return vs.reweight(RUN, *pair, permutations=99, settings=fast)


def _monitored() -> object:
    rng, state = np.random.default_rng(6), None
    for _ in range(3):
        pair = rng.normal(size=(60, 1)), rng.normal(0.5, 1.0, (60, 1))
        state = look(state, *pair, level=0.05, seed=1)
    assert state is not None
    return state.result


MADE: dict[str, Callable[[], object]] = {
    "Monitored": _monitored,
    "Reweighting": _reweighted,
    "SignalFit": lambda: fit_signal(falling(), SIGNAL, falling().nominal + SIGNAL),
    "Templates": falling,
    "Agreement": lambda: agreement(choices(_rng(), (6, 8), (0.5, 0.5), 0.0)),
    "Amplification": lambda: make_point(20, 0.1, 0.02),
    "AmplificationCurve": lambda: make_study([make_point(20, 0.1, 0.02)]).quantile,
    "AmplificationStudy": lambda: make_study([make_point(20, 0.1, 0.02)]),
    "Arena": lambda: (_arena(), _arena().costs),
    "Averaging": lambda: make_averaging(10),
    "Band": lambda: (_band(0.0), _band(0.5)),
    "BandComparison": lambda: compare_curves(RUN, _band(0.0), _band(0.5), permutations=9),  # type: ignore[arg-type]
    "ClassifierDiagnosis": lambda: vs.diagnose_with_classifier(
        RUN, _events(), _events(0.3, seed=2), permutations=99
    ),
    "Combined": lambda: min_p([2.0, 0.5], _rng().normal(size=(99, 2))),
    "ConditionalAmplification": make_conditional,
    "ConditionalDiagnosis": lambda: diagnose_conditional(
        RUN, _contexts(1), _contexts(2), ["c"], permutations=99
    ),
    "ContextGoodness": _in_context,
    "Coverage": _coverage,
    "DiscrepancySummary": make_summary,
    "EntropyLabel": lambda: make_study([make_point(20, 0.1, 0.02)]).entropy,
    "ErrorScale": _scale,
    "BinErrors": lambda: summarise_bins(
        [spread_intervals(_rng(k).normal(1.0, 0.1, (5, 8)), (0.68, 0.95)) for k in range(3)],
        np.ones(8),
        np.full(8, 0.1),
    ),
    "Estimate": lambda: kernel_distance(_events().x, _events(seed=2).x, _rng()),
    "EstimatorCheck": lambda: vs.check_estimator(GaussianTruth((0.0,), (1.0,)), draws=400),
    "Forecast": lambda: forecast(_learning()),
    "ForcedChoice": lambda: forced_choice(choices(_rng(), (6, 8), (0.5, 0.5), 0.0)),
    "FrechetDistance": lambda: frechet_distance(_events().x, _events(seed=2).x, _rng()),
    "Goodness": lambda: (_tested()[0], make_goodness(), make_marginal()),
    "HistogramEstimate": lambda: _fitted().histogram(
        np.linspace(-3.0, 3.0, 7), feature="x0", run=RUN, draws=500
    ),
    "InceptionScore": lambda: inception_score(_rng().dirichlet(np.ones(4), 200), _rng()),
    "LearningCurve": _learning,
    "Likelihood": lambda: likelihood(_rng().normal(-2.0, 0.5, 100), features=2),
    "LikelihoodTest": lambda: likelihood_test(
        RUN, GaussianTruth((0.0,), (1.0,)), vs.Events(_rng().normal(size=(100, 1))), toys=99
    ),
    "LocalTest": _local,
    "Localisation": lambda: vs.localise(RUN, *_tested(), draws=500),
    "MarginalPair": lambda: marginal_pair(_events(), _events(0.2, seed=2)),
    "Memorisation": lambda: make_memorisation(0.9, copies=2),
    "MinosInterval": lambda: MinosInterval(0.3, 0.1, 0.6, valid=True),
    "MixtureWorth": _worth,
    "OneSample": lambda: one_sample_tests(_events(), dict.fromkeys(NAMES, stats.norm.cdf)),
    "PValue": lambda: vs.PValue(0.3, 0.25, 0.35, "toys", 99, 0),
    "PrecisionRecall": lambda: vs.precision_recall(
        RUN, _events(), _events(0.5, seed=2), score=PooledNeighbours(), null_draws=3, angles=21
    ),
    "Preference": lambda: preference(
        preferences(_rng(), np.array([0.0, 0.5, 1.0]), raters=8, items=8, taste=0.3)
    ),
    "Refinement": _refinement,
    "ReportComparison": _comparison,
    "RatioFit": _ratio,
    "SampleAudit": lambda: _fitted().draw(200, RUN).audit,
    "Saturation": _saturation,
    "Sbc": lambda: vs.sbc(RUN, *_conjugate(2)[:2], names=NAMES),
    "ScaleComparison": lambda: scale_ratings(
        RUN, scaled(_rng(), items=5, raters=4, shift=0.5), permutations=99
    ),
    "Sensitivity": _effects,
    "Significance": lambda: [
        vs.PValue(0.3, 0.25, 0.35, "toys", 99, 0).significance,
        vs.PValue(0.01, 0.0, 0.02, "toys", 99, 0).significance,
    ],
    "Support": lambda: support_metrics(_events().x, _events(0.5, seed=2).x, _rng()),
    "Tail": lambda: fit_tail(_rng().gamma(2.0, size=200), 12.0, _rng(), resamples=20),
    "Tarp": lambda: vs.tarp(RUN, *_conjugate()),
    "TwoSample": lambda: vs.permutation_test(
        RUN,
        _events(),
        _events(1.0, seed=2),
        [vs.MarginalKS(), vs.EnergyDistance()],
        permutations=99,
    ),
    "Validation": lambda: vs.validate(
        RUN,
        _events(),
        _events(0.3, seed=2),
        study=vs.Study.model_validate(
            {"battery": {"tests": ["max-ks"], "relabelings": 99, "sensitivity": False}}
        ),
    ),
    "VarianceParts": lambda: variance_parts(
        _rng().normal(size=12), {"seed": [0, 0, 0, 1, 1, 1] * 2, "split": [0] * 6 + [1] * 6}
    ),
    "WeightFit": lambda: _fitted().fit,
    "Windows": lambda: replace(deviating_windows(_events(), _events(0.5, seed=2))),
}
"""Kinds by the name of the class; several results where a report puts several together."""
