"""Targets that are not normal and independent, ensembles that learn them, and tests of those."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

import verisimile as vs
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses
from verisimile.checks.goodness.search import Search
from verisimile.core.arrays import Array
from verisimile.core.errors import VerisimileError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.model import Mixture

MEMBERS = 6
N_TRAIN, N_FIT, N_TEST = 4000, 1000, 1000
TOYS = 19
"""A p-value of 0.05 is that of a statistic beyond all of them."""
LEVEL = 0.05
METHODS = ("frozen", "weights", "discrepancy")
SHIFT, BUMP, BUMP_WIDTH = 0.15, 0.04, 0.1
SAMPLES = ("truth", "shift", "bump")
SEARCH = Search((ExponentialTilt(reference=10_000),), placements=1)


@dataclass(frozen=True)
class Target:
    """A law that can be drawn from; `scale` is that of its first feature."""

    name: str
    features: tuple[Feature, ...]
    scale: float

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw events ``(n, d)``."""
        if self.name == "correlated":
            lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
            return np.asarray(rng.multivariate_normal(np.zeros(4), 0.8**lag, n))
        if self.name == "skewed":
            first = rng.gamma(2.0, 1.0, n)
            second = np.exp(0.6 * rng.standard_normal(n)) * (1.0 + 0.5 * first)
            return np.column_stack([first, second])
        normal = rng.multivariate_normal(np.zeros(2), [[1.0, 0.5], [0.5, 1.0]], n)
        return np.asarray(normal / np.sqrt(rng.chisquare(3.0, (n, 1)) / 3.0))

    def distorted(self, kind: str, n: int, rng: np.random.Generator) -> Array:
        """Draw events of the law itself, shifted in the first feature, or with a bump."""
        x = self.sample(n, rng)
        if kind == "shift":
            x[:, 0] += SHIFT * self.scale
        if kind == "bump":
            moved = rng.random(n) < BUMP
            x[moved, 0] = self.scale * (1.5 + BUMP_WIDTH * rng.standard_normal(moved.sum()))
        return x


TARGETS = (
    Target("correlated", tuple(Feature(f"x{j}") for j in range(4)), 1.0),
    Target("skewed", (Feature("x0", low=0.0), Feature("x1", low=0.0)), 2.0**0.5),
    Target("heavy", (Feature("x0"), Feature("x1")), 1.0),
)


def tested(seeds: Seeds, target: Target, samples: tuple[int, int]) -> Payload:
    """Return p of every method for fresh truth and distorted samples, or why there is none.

    `samples` are the test sets of the truth, and of each distortion.
    """
    run = Run(seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = learnt(run, target)
            return Payload(_p_values(run, target, fit, samples), {"refused": ""})
        except VerisimileError as refusal:
            return Payload({}, {"refused": f"{type(refusal).__name__}: {refusal}"})


def learnt(run: Run, target: Target) -> CorrectedMixture:
    """Return an ensemble of flows of a target, its weights and its discrepancy."""
    x = target.sample(N_TRAIN + N_FIT, run.seeds.at("training").numpy())
    training, weight_fit = (
        Events(part, features=target.features) for part in (x[:N_TRAIN], x[N_TRAIN:])
    )
    plan = vs.BootstrapPlan(members=MEMBERS)
    ensemble = vs.fit_ensemble(run, training, plan, vs.SplineFlowTrainer())
    fit = vs.fit_mixture(run, ensemble, weight_fit)
    assert isinstance(fit, CorrectedMixture)
    return fit


def _p_values(
    run: Run, target: Target, fit: CorrectedMixture, samples: tuple[int, int]
) -> dict[str, Array]:
    """Return p ``(S, 3)`` by the kind of sample."""
    plain = fit.uncorrected
    found = {}
    for kind in SAMPLES:
        size = samples[0] if kind == "truth" else samples[1]
        rng = run.seeds.at("test", kind).numpy()
        drawn = [target.distorted(kind, N_TEST, rng) for _ in range(size)]
        found[kind] = np.array(
            [
                [
                    *_tests(
                        run.at("plain"), plain, x, target, ("ensemble", "ensemble+uncertainty")
                    ),
                    *_tests(run.at("honest"), fit, x, target, ("ensemble+uncertainty",)),
                ]
                for x in drawn
            ]
        )
    return found


def _tests(
    run: Run, mixture: Mixture, x: Array, target: Target, hypotheses: tuple[str, ...]
) -> list[float]:
    """Return p under each hypothesis; all test sets of a mixture share its toys."""
    events = Events(x, features=target.features)
    results = compare_hypotheses(
        run, mixture, events, alternative=SEARCH, hypotheses=hypotheses, toys=TOYS
    )
    return [each.p_value.value for each in results]
