"""Goodness of fit of ensembles of flows for the published Gaussian: all t and toys of the study."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from published._gaussian_members import FLOWS, PUBLISHED_FLOWS, TRUTH, Recipe, apart, drawn
from published.registry import Json, Size
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses
from verisimile.checks.goodness.marginals import marginal_comparisons
from verisimile.checks.goodness.null import Calibration, NullModel, PlugIn, Predictive
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.search import Search
from verisimile.checks.goodness.soft_penalty import penalised_mass, soft_penalty_ratio
from verisimile.core.arrays import Array
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture, correct_mixture
from verisimile.mixture.model import Mixture

EQUATION_5 = Search((GaussianKernels(),), placements=1, surprise=None)
"""The published statistic alone: one placement of the kernels, nothing beside it."""
PENALTY_EVENTS, PENALTY_MEMBERS, PENALTY_KERNELS = 100_000, 60, 20
"""As the published statistic was run."""
SHIFT, BUMP = 0.05, 0.03


@dataclass(frozen=True)
class Sizes:
    """Events, members, toys, and how often all of it is done."""

    members: int
    training: int
    weighting: int
    tested: int
    toys: int
    ensembles: int
    datasets: int
    defective: int


REDUCED = Sizes(10, 10_000, 10_000, 10_000, toys=99, ensembles=3, datasets=8, defective=4)
FULL = Sizes(60, 80_000, 80_000, 100_000, toys=999, ensembles=3, datasets=100, defective=20)


class Questions(NamedTuple):
    """Hypotheses, by name, that share their toys: about which mixture, and how calibrated."""

    names: dict[str, str]
    honest: bool
    null: Calibration


QUESTIONS = (
    Questions({"single": "single"}, honest=False, null=Predictive()),
    Questions(
        {"ensemble": "ensemble", "uncertainty": "ensemble+uncertainty"},
        honest=False,
        null=Predictive(),
    ),
    Questions({"honest": "ensemble+uncertainty"}, honest=True, null=Predictive()),
    Questions(
        {
            "ensemble, plug-in": "ensemble",
            "uncertainty, plug-in": "ensemble+uncertainty",
        },
        honest=False,
        null=PlugIn(),
    ),
)


def measure(run: Run, size: Size) -> Json:
    """Return the numbers of all ensembles, of the first one's marginals, and of the penalty."""
    full = size == "full"
    sizes, trainer = (FULL, PUBLISHED_FLOWS) if full else (REDUCED, FLOWS)
    recipe = Recipe(sizes.members, sizes.training, trainer)
    ensembles = [
        _Tested.made(apart(run, "ensemble", e), recipe, sizes) for e in range(sizes.ensembles)
    ]
    return {
        "sizes": asdict(sizes),
        "ensembles": [each.numbers() for each in ensembles],
        "marginals": ensembles[0].marginals(),
        "penalty": _penalty(ensembles[0]),
    }


@dataclass(frozen=True)
class _Tested:
    """One ensemble with its weights, and the same with what its members miss alike."""

    run: Run
    sizes: Sizes
    plain: Mixture
    honest: CorrectedMixture

    @classmethod
    def made(cls, run: Run, recipe: Recipe, sizes: Sizes) -> _Tested:
        weighting = drawn(run, "weighting", sizes.weighting)
        plain = fit_mixture(run, recipe(run), weighting, discrepancy=None)
        return cls(run, sizes, plain, correct_mixture(run, plain, weighting))

    def numbers(self) -> Json:
        """Return weights, and all t and p-values."""
        fit, found = self.plain.fit, self.honest.discrepancy
        truths = [
            drawn(self.run, f"test {k}", self.sizes.tested) for k in range(self.sizes.datasets)
        ]
        defects = {name: list(made) for name, made in self._defective()}
        return {
            "weights": fit.weights.tolist(),
            "errors": np.sqrt(np.diag(fit.covariance)).tolist(),
            "l1_norm": fit.record.l1_norm,
            "supports": found.supports,
            "questions": self._answers(truths, defects),
        }

    def _answers(self, truths: list[Events], defects: dict[str, list[Events]]) -> Json:
        answers: Json = {}
        for asked in QUESTIONS:
            known = zip(*(self.tests(asked, sample) for sample in truths), strict=True)
            answers |= {name: _told(each) for name, each in zip(asked.names, known, strict=True)}
            for kind, samples in defects.items():
                seen = zip(*(self.tests(asked, sample) for sample in samples), strict=True)
                for name, each in zip(asked.names, seen, strict=True):
                    answers[name][kind] = [_spelt(test) for test in each]
        return answers

    def _defective(self) -> Iterator[tuple[str, Iterator[Events]]]:
        n, count, seeds = self.sizes.tested, self.sizes.defective, self.run.seeds.at("defects")
        mu, sigma = np.array(TRUTH.mu), np.array(TRUTH.sigma)

        def shifted(rng: np.random.Generator) -> Array:
            return TRUTH.sample(n, rng) + SHIFT * sigma * [1.0, 0.0]

        def with_bump(rng: np.random.Generator) -> Array:
            x = TRUTH.sample(n, rng)
            there = rng.random(n) < BUMP
            place = mu + sigma * [1.5, -1.0]
            x[there] = rng.normal(place, 0.15 * sigma, (int(there.sum()), 2))
            return x

        for name, made in {"shift": shifted, "bump": with_bump}.items():
            yield name, (Events(made(seeds.at(name, k).numpy())) for k in range(count))

    def tests(self, asked: Questions, sample: Events) -> tuple[Goodness, ...]:
        """Return the tests of one sample; the run keeps the toys for the next one."""
        with warnings.catch_warnings():
            # That plug-in toys reject too often and that members err alike, the page says itself.
            warnings.simplefilter("ignore")
            return compare_hypotheses(
                self.run,
                self.honest if asked.honest else self.plain,
                sample,
                alternative=EQUATION_5,
                hypotheses=tuple(asked.names.values()),
                null=asked.null,
                toys=self.sizes.toys,
            )

    def marginals(self) -> Json:
        """Return the first test sample's marginals beside both mixtures."""
        sample = drawn(self.run, "test 0", self.sizes.tested)
        found: Json = {}
        for mixture, asked in ((self.plain, QUESTIONS[1]), (self.honest, QUESTIONS[2])):
            test = self.tests(asked, sample)[-1]
            each = marginal_comparisons(self.run, mixture, test, sample, bins=30)
            found["honest" if asked.honest else "uncertainty"] = [to_dict(one) for one in each]
        return found


def _told(tests: tuple[Goodness, ...]) -> Json:
    """Return t and p of several samples beside their common toys."""
    t, toys = np.array([test.statistic for test in tests]), tests[0].toys
    return {
        "t": t.tolist(),
        "p": [_spelt(test) for test in tests],
        "toys": toys.tolist(),
        "published_z": _published(toys, t),
    }


def _spelt(test: Goodness) -> list[float]:
    """Return a p-value with its interval, and how many toys were as extreme."""
    p = test.p_value
    return [p.value, p.low, p.high, p.n_null, p.n_failed]


def _published(toys: Array, t: Array) -> Json:
    """Return Z in the published convention: the chi-square law of the toys' mean, at the median t.

    Its error is that of the median over the data sets.
    """
    degrees = float(np.mean(toys))
    middle, error = float(np.median(t)), 1.2533 * float(np.std(t, ddof=1)) / np.sqrt(t.size)
    values = (
        float(stats.norm.isf(stats.chi2.sf(x, degrees)))
        for x in (middle - error, middle, middle + error)
    )
    low, value, high = values
    return {"degrees": degrees, "median": middle, "z": value, "low": low, "high": high}


def _penalty(tested: _Tested) -> Json:
    """Return what a soft penalty on the mass makes of a sample as large as the published one."""
    null = NullModel.of(tested.plain)
    settings = GaussianKernels(count=PENALTY_KERNELS, width=0.3)
    setup = settings.prepare(tested.run.at("penalty"), null, events=PENALTY_EVENTS)
    x = drawn(tested.run, "penalty", PENALTY_EVENTS).x
    fits = setup.observe(x, null.log_densities(x))
    counts = PENALTY_MEMBERS, PENALTY_MEMBERS + PENALTY_KERNELS
    soft = soft_penalty_ratio(fits.rows, setup.basis, coefficients=counts)
    centre = np.zeros(null.variations.shape[1])
    exact = fits.profile(HYPOTHESES["ensemble"], centre).statistic
    first, second = (penalised_mass(PENALTY_EVENTS, m) for m in counts)
    closed = PENALTY_EVENTS * float(np.log(second / first))
    return {**asdict(soft), "closed_form": closed, "exact": exact}
