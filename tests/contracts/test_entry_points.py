"""Whoever takes events takes whatever holds them: every public function, found by annotation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

import verisimile as vs
from analytic import draw, family, log_densities
from camel_fits import Edges
from conditional_analytic import conditional_family, draw_at
from public_names import public
from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.coverage.observables import Moment
from verisimile.checks.goodness.in_context import ContextBins
from verisimile.checks.goodness.refine import Look
from verisimile.checks.precision_recall.learned_scores import LinearScore
from verisimile.core.result import to_dict
from verisimile.data.events import Events
from verisimile.data.expressions import Expression
from verisimile.data.feature import Feature
from verisimile.data.files import write_events
from verisimile.density.mixtures.kernel import KernelDensityTrainer
from verisimile.ensemble.cross import CrossEnsemble
from verisimile.ensemble.ensemble import Ensemble
from verisimile.mixture.bind import PseudoEvents
from verisimile.mixture.conditional import ConditionalMixture, ContextColumns
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.sampling import conditional_log_densities
from verisimile.ranking.defects import other_generator
from verisimile.ranking.laws import events_law
from verisimile.validation.result import Validation
from verisimile.validation.study import Battery, Study

NAMES = ("m", "pt")
FEATURES = tuple(map(Feature, NAMES))
N = 240
KERNELS = vs.GaussianKernels(count=4, width=0.7, reference=100)
QUICK = Study(battery=Battery(tests=("max-ks",), permutations=19, sensitivity=False, support=False))
SHARES = np.array([0.6, 0.4])

# What takes `Events` alone, and why.
EVENTS_ALONE = {
    r".*Trainer\.(fit|check|input_map)": "the library hands them resampled events",
    r"(Condition|Expression)\..*": "a formula is applied to what has been read",
}


@dataclass(frozen=True)
class Given:
    """Independent samples of one law in one form each; `second` is of generated events."""

    first: Any
    second: Any
    third: Any
    context: Any
    many: Any
    folder: Path

    @property
    def several(self) -> list[Any]:
        return [self.first, self.second, self.third]


def run() -> vs.Run:
    return vs.Run(vs.Seeds(1))


@cache
def events(seed: int, n: int = N) -> Events:
    return Events(draw(family(2), SHARES, n, np.random.default_rng(seed)), features=FEATURES)


@cache
def validated() -> Validation:
    return vs.validate(run(), events(1), events(2), study=QUICK)


def passport(folder: Path) -> Path:
    made = vs.make_passport(run(), validated(), events(2), events(1))
    return vs.write_passport(made, folder / "z.passport.json")


@cache
def mixture() -> vs.Mixture:
    members = family(2)
    fit = fit_weights(log_densities(members, events(7, 600).x))
    return vs.Mixture(members, fit, features=FEATURES)


@cache
def context_mixture() -> ConditionalMixture:
    context, members = context_events().x[:, 1:], conditional_family(2)
    x = context_events().x[:, :1]
    fit = fit_weights(conditional_log_densities(members, x, context))
    return ConditionalMixture(
        members, fit, features=[Feature("x")], context=ContextColumns((Feature("c"),))
    )


@cache
def context_events() -> Events:
    rng = np.random.default_rng(3)
    context = rng.uniform(-1.5, 1.5, (400, 1))
    x = draw_at(conditional_family(2), SHARES, context, rng)
    return Events(np.hstack([x, context]), names=("x", "c"))


@cache
def ensemble() -> Ensemble:
    return vs.gather_ensemble(run(), family(2), features=FEATURES)


@cache
def corrected() -> vs.CorrectedMixture:
    return vs.correct_mixture(run(), mixture(), events(7, 600), FEW_DRAWS)


@cache
def ratio() -> vs.mixture.RatioMixture:
    learner, plan = LogisticRegression(), vs.BootstrapPlan(members=2)
    return vs.mixture.fit_ratio(run(), events(1), events(2), plan, learner)


@cache
def cross_ensemble() -> CrossEnsemble:
    plan, trainer = vs.BootstrapPlan(members=1), KernelDensityTrainer()
    return vs.fit_cross_ensemble(run(), events(1), plan, trainer, folds=2)


@cache
def conditional_ensemble() -> Ensemble:
    trainer = vs.SplineFlowTrainer(layers=1, blocks=1, hidden=4, epochs=1).given("c")
    return vs.fit_ensemble(run(), context_events(), vs.BootstrapPlan(members=1), trainer)


def make_mixture(seeds: vs.Seeds, sample: Events) -> vs.Mixture:
    members = family(2)
    return vs.Mixture(members, fit_weights(log_densities(members, sample.x)))


def written(given: Given) -> Events:
    path = given.folder / "written.npz"
    write_events(given.first, path)
    return vs.read_events(path)


def localised(given: Given) -> object:
    tested = vs.goodness_of_fit(run(), mixture(), given.first, alternative=KERNELS, toys=9)
    return vs.localise(run(), tested, given.first, draws=400)


def effects(given: Given) -> object:
    at, statistics = run(), [vs.MarginalKS()]
    found = vs.permutation_test(at, events(1), events(2), statistics, permutations=19)
    return vs.twosample.smallest_effects(at, given.first, given.second, statistics, found)


BANDS: dict[str, Any] = {"score": LinearScore()}
LEARNER: dict[str, Any] = {"learner": LogisticRegression(), "folds": 2, "permutations": 19}
PSEUDO = PseudoEvents(count=50, audit=200)
FEW_DRAWS = vs.Discrepancy(reference=1000, draws=50)
AMPLIFY: dict[str, Any] = {"n_train": 50, "regions": (3,)}
SIZES: dict[str, Any] = {"datasets": 8, "events": 60}

CALLS: Mapping[str, Callable[[Given], object]] = {
    "events_law": lambda s: events_law("real", s.first).name,
    "other_generator": lambda s: (
        other_generator("other", events_law("real", events(1)), s.second).name
    ),
    "monitor": lambda s: vs.monitor(Path(mkdtemp(dir=s.folder)) / "s", s.first, s.second),
    "reweight": lambda s: vs.reweight(
        run(), s.first, s.second, permutations=99, check=0.4, settings=vs.Discrepancy(draws=50)
    ),
    "amplify": lambda s: vs.amplify(
        run(), [s.second], s.first, train=s.third, members=s.several, **AMPLIFY
    ),
    "averaging": lambda s: averaging(run(), s.several, n_train=50, regions=Edges(np.zeros(1))),
    "conditional": lambda s: vs.amplification.conditional(
        run(), [s.second], s.first, "pt", bins=2, **AMPLIFY
    ),
    "kolmogorov_classifier": lambda s: vs.amplification.kolmogorov_classifier(
        run(), s.second, s.first, 50
    ),
    "kolmogorov_features": lambda s: vs.amplification.kolmogorov_features(s.second, s.first, 50),
    "memorisation": lambda s: vs.amplification.memorisation(
        run(), s.second, s.first, s.third, permutations=99
    ),
    "quadratic": lambda s: vs.amplification.quadratic(run(), s.second, s.first, 50),
    "quadratic_procedure": lambda s: vs.amplification.quadratic_procedure(
        run(), [s.second, s.third], s.first, 50
    ),
    "quantile": lambda s: vs.amplification.quantile(
        run(), s.second, s.first, train=s.third, **AMPLIFY
    ),
    "quantile_of_trainings": lambda s: vs.amplification.quantile_of_trainings(
        run(), [s.second, s.third], s.first, **AMPLIFY
    ),
    "diagnose_with_classifier": lambda s: vs.diagnose_with_classifier(
        run(), s.first, s.second, **LEARNER
    ),
    "diagnose_conditional": lambda s: vs.classifier.diagnose_conditional(
        run(), s.first, s.second, ["pt"], **LEARNER
    ),
    "coverage": lambda s: vs.coverage(
        run(), mixture(), s.second, observables={"m": Moment("m")}, **SIZES
    ),
    "coverage_retrained": lambda s: vs.coverage_retrained(
        run(), make_mixture, s.many, observables={"m": Moment("x0")}, **SIZES
    ),
    "SampledTruth.__init__": lambda s: vs.SampledTruth(s.first).x,
    "goodness_in_context": lambda s: vs.goodness_in_context(
        run(),
        context_mixture(),
        s.context,
        bins=ContextBins("c", (-1.5, 0.0, 1.5), alternative=KERNELS),
        toys=9,
    ),
    "goodness_of_fit": lambda s: vs.goodness_of_fit(
        run(), mixture(), s.second, alternative=KERNELS, toys=9
    ),
    "localise": localised,
    "refine": lambda s: vs.refine(
        run(),
        lambda _: mixture(),
        s.first,
        looks=2,
        level=0.9,
        look=Look(alternative=KERNELS, toys=9),
    ),
    "one_sample_tests": lambda s: vs.known_truth.one_sample_tests(s.first, {"m": stats.norm.cdf}),
    "likelihood_test": lambda s: vs.known_truth.likelihood_test(
        run(), family(2)[0], s.first, toys=19, draws=200
    ),
    "marginal_pair": lambda s: vs.physics.marginal_pair(s.first, s.second, train=s.third),
    "precision_recall": lambda s: vs.precision_recall(run(), s.first, s.second, **BANDS),
    "precision_recall_band": lambda s: vs.precision_recall_band(
        run(), s.first, s.several, null_draws=0, **BANDS
    ),
    "precision_recall_bands": lambda s: vs.checks.precision_recall.precision_recall_bands(
        run(), s.first, [s.several], null_draws=0, **BANDS
    ),
    "compare_bands": lambda s: vs.compare_bands(
        run(), s.several, s.several[::-1], s.first, permutations=19, **BANDS
    ),
    "support_metrics": lambda s: vs.support.support_metrics(
        s.first, s.second, np.random.default_rng(1), neighbours=2
    ),
    "frechet_distance": lambda s: vs.twosample.frechet_distance(
        s.first, s.second, np.random.default_rng(1)
    ),
    "kernel_distance": lambda s: vs.twosample.kernel_distance(
        s.first, s.second, np.random.default_rng(1)
    ),
    "permutation_test": lambda s: vs.permutation_test(
        run(), s.first, s.second, [vs.MarginalKS()], permutations=19
    ),
    "two_sample": lambda s: vs.two_sample(run(), s.first, s.second, permutations=19),
    "smallest_effects": effects,
    "deviating_windows": lambda s: vs.twosample.deviating_windows(s.first, s.second, cells=16),
    "derived": lambda s: vs.data.derived(s.first, {"sum": Expression("m + pt")}),
    "write_events": written,
    "fit_ensemble": lambda s: vs.fit_ensemble(
        run(), s.first, vs.BootstrapPlan(members=2), KernelDensityTrainer()
    ).log_densities(s.second),
    "gather_ensemble": lambda s: (
        vs.gather_ensemble(run(), family(2), training=s.first).training_digest
    ),
    "fit_cross_ensemble": lambda s: (
        vs.fit_cross_ensemble(
            run(), s.first, vs.BootstrapPlan(members=1), KernelDensityTrainer(), folds=2
        ).training_digest
    ),
    "fit_mixture": lambda s: (
        vs.fit_mixture(
            run(), ensemble(), s.second, pseudo=PSEUDO, discrepancy=FEW_DRAWS
        ).fingerprint
    ),
    "fit_cross_mixture": lambda s: (
        vs.fit_cross_mixture(
            run(), cross_ensemble(), s.first, pseudo=PSEUDO, discrepancy=FEW_DRAWS
        ).fingerprint
    ),
    "correct_mixture": lambda s: (
        vs.correct_mixture(run(), mixture(), s.second, FEW_DRAWS).fingerprint
    ),
    "CorrectedMixture.log_prob": lambda s: corrected().log_prob(s.second),
    "CorrectedMixture.std": lambda s: corrected().std(s.second),
    "fit_ratio": lambda s: (
        vs.mixture.fit_ratio(
            run(), s.first, s.second, vs.BootstrapPlan(members=2), LogisticRegression()
        ).fit
    ),
    "RatioMixture.log_ratios": lambda s: ratio().log_ratios(s.second),
    "RatioMixture.log_ratio": lambda s: ratio().log_ratio(s.second),
    "RatioMixture.weights": lambda s: ratio().weights(s.second),
    "RatioMixture.errors": lambda s: ratio().errors(s.second),
    "RatioMixture.std": lambda s: ratio().std(s.second),
    "RatioMixture.covariance": lambda s: ratio().covariance(s.second),
    "fit_conditional_mixture": lambda s: vs.fit_conditional_mixture(
        run(), conditional_ensemble(), s.context, pseudo=PSEUDO
    ),
    "Mixture.log_densities": lambda s: mixture().log_densities(s.second),
    "Mixture.log_prob": lambda s: mixture().log_prob(s.second),
    "Mixture.std": lambda s: mixture().std(s.second),
    "ConditionalMixture.divide": lambda s: context_mixture().divide(s.context),
    "ConditionalMixture.sample": lambda s: context_mixture().sample(s.context, run()),
    "ConditionalMixture.contexts": lambda s: context_mixture().contexts(s.context),
    "Events.__init__": lambda s: Events(s.first),
    "Events.join": lambda s: events(9).select(["m"]).join(renamed(s.first)),
    "Events.overlap": lambda s: events(1).overlap(s.first),
    "Events.concatenate": lambda s: Events.concatenate(s.several),
    "validate": lambda s: vs.validate(run(), s.first, s.second, train=s.third, study=QUICK),
    "make_passport": lambda s: (
        vs.make_passport(run(), validated(), s.second, s.first).sample.digest
    ),
    "check_passport": lambda s: list(vs.check_passport(s.second, passport(s.folder)).differences),
}


def renamed(sample: Any) -> Any:  # noqa: ANN401  (what users hold)
    """Return other columns of the same rows, in the form of `sample`."""
    if isinstance(sample, np.ndarray):
        return sample
    if isinstance(sample, Path):
        frame = pd.read_parquet(sample).rename(columns=str.upper)
        path = sample.with_name("upper.parquet")
        frame.to_parquet(path)
        return path
    if isinstance(sample, Events):
        return Events(sample.x, names=[name.upper() for name in sample.names])
    return {name.upper(): sample[name] for name in sample}


def takers(annotation: str) -> dict[str, list[str]]:
    """Return the public functions and methods, with the arguments annotated so."""
    found: dict[str, list[str]] = {}
    for name, value in public().items():
        members = {name: value}
        if inspect.isclass(value):
            members = {
                f"{name}.{method}": getattr(value, method)
                for method in vars(value)
                if callable(getattr(value, method)) and (method == "__init__" or method[0] != "_")
            }
        for title, function in members.items():
            if not callable(function):
                continue
            arguments = inspect.signature(function).parameters.values()
            names = [one.name for one in arguments if re.search(annotation, str(one.annotation))]
            if names:
                found[title] = names
    return found


LIKE = takers(r"\bEventsLike\b|\bEvents \| Held\b")


def test_whoever_takes_events_takes_what_holds_them() -> None:
    alone = set(takers(r"\bEvents\b")) - set(LIKE)
    left = {name for name in alone if not any(re.fullmatch(one, name) for one in EVENTS_ALONE)}
    assert left == set()
    assert all(any(re.fullmatch(one, name) for name in alone) for one in EVENTS_ALONE)


def test_every_one_is_called_here() -> None:
    assert set(CALLS) == set(LIKE)


def in_forms(folder: Path, forms: str) -> Given:
    """Return the samples, each as a frame (f), a dict (d) or a file (p), or as events (e).

    Columns of the second come in another order: they are matched by name.
    """
    samples = [events(1), events(2), events(3), context_events(), events(4, 1200)]
    if forms[0] != "e":
        samples[1] = samples[1].select(NAMES[::-1])
    first, second, third, context, many = (
        _formed(sample, form, folder) for sample, form in zip(samples, forms, strict=True)
    )
    return Given(first, second, third, context, many, folder)


def _formed(sample: Events, form: str, folder: Path) -> Any:  # noqa: ANN401  (what users hold)
    if form == "e":
        return sample
    if form == "p":
        path = folder / f"{sample.digest[:8]}.parquet"
        sample.to_frame().to_parquet(path)
        return path
    return sample.to_frame() if form == "f" else sample.to_dict()


def shown(result: object) -> object:
    """Return what a result says, so that two can be compared."""
    if isinstance(result, Events):
        return result.digest
    if isinstance(result, np.ndarray):
        return result.tolist()
    if isinstance(result, tuple | list):
        return [shown(one) for one in result]
    if isinstance(result, Mapping):
        return {name: shown(one) for name, one in result.items()}
    if isinstance(result, int | str):
        return result
    return getattr(result, "fingerprint", None) or to_dict(result)


@pytest.mark.filterwarnings("ignore::verisimile.core.errors.VerisimileWarning")
@pytest.mark.parametrize("name", sorted(CALLS))
def test_whatever_holds_the_events_gives_the_same(name: str, tmp_path: Path) -> None:
    expected = shown(CALLS[name](in_forms(tmp_path, "eeeee")))
    for forms in ("fpdfd", "pdfpf"):
        assert shown(CALLS[name](in_forms(tmp_path, forms))) == expected


@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_is_no_sample_is_told_by_the_name_of_the_argument(name: str, tmp_path: Path) -> None:
    cube = np.zeros((2, 2, 2))
    names = [*LIKE[name], "context", "generated", "events"]
    with pytest.raises(vs.InputError, match=rf"^({'|'.join(names)})[:\[.].*shape \(2, 2, 2\)"):
        CALLS[name](Given(cube, cube, cube, cube, cube, tmp_path))
