"""Generators, oversampled and tested: what the study of oversampling measures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special, stats

import verisimile as vs
from camel_fits import Edges, Fits, camel_draws, camel_edges, fit_camels
from honest_processes import PROCESSES
from verisimile.checks.amplification.analytic import analytic, analytic_observables
from verisimile.checks.amplification.quantile import quantile_of_trainings
from verisimile.checks.amplification.regions import Regions, equal_regions
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.discrepancy.corrected import CorrectedMixture

FACTORS = (1.0, 1.5, 2.0, 5.0, 10.0)
LEVEL = 0.05
PERMUTATIONS = 99
TESTS = {"sliced KS": vs.SlicedKS(), "NPLM": vs.NPLM()}
REFERENCES = ("as generated", "as trained")
"""True events in the test: as many as were generated, or as many as trained the generator."""
RESOLUTIONS = (10, 50)
MEMBERS = 6
SHARE = 0.75  # of the events train the members, the others fit weights and discrepancy
MEANS = ("x0", "x1")


@dataclass(frozen=True)
class CamelFit:
    """Five parameters by maximum likelihood, whose amplification is known exactly."""

    n_train: int = 1000
    name: ClassVar[str] = "camel"

    def one(self, seeds: Seeds, *_: object) -> Payload:
        """Return p-values and samples of one training."""
        rng = seeds.at("draws").numpy()
        fit = fit_camels(camel_draws((1, self.n_train), rng))
        most = round(FACTORS[-1] * self.n_train)
        generated = self._sample(fit, most, rng)
        truth = camel_draws((most,), rng)[:, None]
        counts = [_worth_of_sample(self, generated, size) for size in RESOLUTIONS]
        return Payload(
            {
                "p": _p_values(Run(seeds), generated, truth, self.n_train),
                "chi2": _chi_squares(self, generated, truth),
                "distance": np.array(counts),
            }
        )

    @staticmethod
    def _sample(fit: Fits, n: int, rng: np.random.Generator) -> Array:
        right = (rng.random(n) > fit.share[0]).astype(int)
        return np.asarray(rng.normal(fit.centre[0][right], fit.width[0][right])[:, None])


@dataclass(frozen=True)
class FlowEnsemble:
    """Spline flows with weights and discrepancy, of the paper's Gaussian or of Z events."""

    name: str
    n_train: int

    def one(self, seeds: Seeds, number: int, held_out: int, regions: dict[int, Regions]) -> Payload:
        """Return p-values, claims and a sample of one ensemble."""
        run, most = Run(seeds), round(FACTORS[-1] * self.n_train)
        events, truth = self._events(seeds, number, most, held_out)
        fit = self._mixture(run, events)
        generated = fit.sample(most, run).x
        arrays = {
            "p": _p_values(run, generated, truth, self.n_train),
            "generated": generated.astype(np.float32),
            "claims": np.array(
                [
                    analytic(run, fit, each, n_train=self.n_train).inverse_gain.value
                    for each in regions.values()
                ]
            ),
        }
        if self.name == "gaussian":
            arrays |= _first_moments(run, fit, generated, self.n_train)
        return Payload(arrays)

    def regions(self, held_out: int) -> dict[int, Regions]:
        """Return regions from true events that are counted nowhere."""
        if self.name == "gaussian":
            x = GaussianTruth.paper().sample(40_000, Seeds(3).at("regions").numpy())
        else:
            x = zmumu().x[-held_out - 6000 : -held_out]
        return {count: equal_regions(x, count) for count in RESOLUTIONS}

    def holdout(self, held_out: int) -> Events:
        """Return true events that no ensemble has seen."""
        if self.name == "gaussian":
            return Events(GaussianTruth.paper().sample(400_000, Seeds(3).at("holdout").numpy()))
        return zmumu().take(np.arange(len(zmumu().x) - held_out, len(zmumu().x)))

    def _events(self, seeds: Seeds, number: int, most: int, held_out: int) -> tuple[Events, Array]:
        """Return events to learn from, and as many true ones as are generated at most."""
        if self.name == "gaussian":
            x = GaussianTruth.paper().sample(self.n_train + most, seeds.at("truth").numpy())
            return Events(x[: self.n_train]), x[self.n_train :]
        own = np.arange(number * self.n_train, (number + 1) * self.n_train)
        held = self.holdout(held_out).x
        order = seeds.at("order").numpy().permutation(len(held))[:most]
        return zmumu().take(own), held[order]

    def _mixture(self, run: Run, events: Events) -> CorrectedMixture:
        training, weight_fit = events.split((SHARE, 1.0 - SHARE), run.seeds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ensemble = vs.fit_ensemble(
                run, training, vs.BootstrapPlan(members=MEMBERS), vs.SplineFlowTrainer()
            )
            fit = vs.fit_mixture(run, ensemble, weight_fit)
        assert isinstance(fit, CorrectedMixture)
        return fit


def zmumu() -> Events:
    """Return the Z events that come with the package, with the edges of their selection."""
    return Events(load_example()["truth"].x, features=PROCESSES["Z"].features)


def one(seeds: Seeds, kind: CamelFit | FlowEnsemble, *args: object) -> Payload:
    """Return the numbers of one training."""
    return kind.one(seeds, *args)  # type: ignore[arg-type]


def trained(
    run: Run, kind: CamelFit | FlowEnsemble, repetitions: int, *args: object
) -> list[Record]:
    """Return the numbers of many trainings."""
    config = {"kind": repr(kind), "repetitions": repetitions, "args": repr(args[:1])}
    tasks = [
        Task(
            f"{kind.name}/{number:04d}",
            config,
            run.seeds.at(kind.name, number),
            (kind, number, *args),
        )
        for number in range(repetitions)
    ]
    found = run.map(one, tasks, label=f"oversampling of {kind.name}")
    return [each for each in found if isinstance(each, Record)]


def quantile_worth(
    run: Run, kind: FlowEnsemble, found: list[Record], held_out: int, regions: dict[int, Regions]
) -> dict[str, dict[str, float]]:
    """Return 1/G of the procedure against the holdout, with its interval, by resolution."""
    holdout = kind.holdout(held_out)
    samples = [
        Events(each.arrays["generated"].astype(np.float64), features=holdout.features)
        for each in found
    ]
    curve = quantile_of_trainings(
        run, samples, holdout, n_train=kind.n_train, regions=list(regions.values())
    )
    return {
        str(point.resolution): {
            "value": point.inverse_gain.value,
            "low": point.interval(0.95).low,
            "high": point.interval(0.95).high,
        }
        for point in curve.points
    }


def _p_values(run: Run, generated: Array, truth: Array, n_train: int) -> Array:
    """Return p of each factor, reference and test ``(F, 2, T)``."""
    found = np.empty((len(FACTORS), len(REFERENCES), len(TESTS)))
    for i, factor in enumerate(FACTORS):
        size = round(factor * n_train)
        for j, against in enumerate((truth[:size], truth[-n_train:])):
            for k, statistic in enumerate(TESTS.values()):
                test = vs.two_sample(
                    run.at("test", i, j, k),
                    against,
                    generated[:size],
                    statistic=statistic,
                    permutations=PERMUTATIONS,
                )
                found[i, j, k] = test.p_value.value
    return found


def _first_moments(
    run: Run, fit: CorrectedMixture, generated: Array, n_train: int
) -> dict[str, Array]:
    """Return errors of means in units of the truth's, claims, and whether eq. 4 covers."""
    truth = GaussianTruth.paper()
    mu, sigma = np.array(truth.mu), np.array(truth.sigma)
    first: dict[str, Callable[[Array], Array]] = {"x0": _x0, "x1": _x1}
    honest = [fit.expectation(h, run) for h in first.values()]
    weights = [fit.uncorrected.expectation(h, run) for h in first.values()]
    worth = analytic_observables(run, fit, first).observables
    sizes = [round(factor * n_train) for factor in FACTORS]
    means = np.array([generated[:size].mean(axis=0) for size in sizes])
    away = np.abs(means - mu)
    counting = sigma / np.sqrt(np.array(sizes))[:, None]
    published = np.array([each.error for each in weights])
    full = np.hypot([each.error for each in honest], counting)
    return {
        "moment": np.array([each.value for each in honest]) / sigma - mu / sigma,
        "moment claim": np.array([each.inverse_size.value for each in worth]),
        "covered": np.stack([away < published, away < full]).astype(float),
    }


def _x0(x: Array) -> Array:
    return x[:, 0]


def _x1(x: Array) -> Array:
    return x[:, 1]


def _chi_squares(kind: CamelFit, generated: Array, truth: Array) -> Array:
    """Return chi-square over the finest regions of known content ``(F, 2)``."""
    edges = camel_edges(RESOLUTIONS[-1])
    found = np.empty((len(FACTORS), len(REFERENCES)))
    for i, factor in enumerate(FACTORS):
        size = round(factor * kind.n_train)
        g = _shares(edges, generated[:size])
        for j, against in enumerate((truth[:size], truth[-kind.n_train :])):
            noise = 1.0 / size + 1.0 / len(against)
            found[i, j] = ((g - _shares(edges, against)) ** 2).sum() * edges.count / noise
    return found


def _worth_of_sample(kind: CamelFit, generated: Array, regions: int) -> Array:
    """Return n_train over the events that each sample is worth ``(F,)``, of this training."""
    edges = camel_edges(regions)
    spread = 1.0 - 1.0 / regions
    sizes = [round(factor * kind.n_train) for factor in FACTORS]
    squares = [((_shares(edges, generated[:size]) - 1.0 / regions) ** 2).sum() for size in sizes]
    return np.array(squares) * kind.n_train / spread


def _shares(edges: Edges, x: Array) -> Array:
    return np.bincount(edges.of(x), minlength=edges.count) / len(x)


def predicted_rejection(factor: float, reference: float, draws: int = 200_000) -> float:
    r"""Return how often chi-square over the camel's regions rejects at 5 %, for many events.

    A maximum-likelihood fit moves the contents p by a normal law of covariance
    :math:`J I^{-1} J^T / n`; with :math:`a_i` the eigenvalues of that times :math:`n / p`, and
    :math:`\lambda = 1 / (1/k + 1/r)`,

    .. math:: T = \sum_i (1 + \lambda a_i)\, \chi^2_{1,i}
    """
    count = RESOLUTIONS[-1]
    edges = camel_edges(count)
    spent = np.zeros(count - 1)
    spent[:5] = _fitted_directions(edges)
    excess = 1.0 / (1.0 / factor + 1.0 / reference)
    rng = Seeds(4).at("prediction").numpy()
    rest = rng.chisquare(count - 6, draws)
    moved = rng.chisquare(1, (draws, 5)) @ (1.0 + excess * spent[:5])
    return float((rest + moved > stats.chi2.isf(LEVEL, count - 1)).mean())


def _fitted_directions(edges: Edges) -> Array:
    step = 1e-5
    at = np.array([0.5, -4.0, 4.0, 1.0, 1.0])

    def contents(theta: Array) -> Array:
        humps = special.ndtr((edges.inner[None] - theta[1:3, None]) / theta[3:, None])
        cdf = theta[0] * humps[0] + (1.0 - theta[0]) * humps[1]
        return np.diff(np.concatenate([[0.0], cdf, [1.0]]))

    slope = np.array(
        [(contents(at + s) - contents(at - s)) / (2.0 * step) for s in step * np.eye(5)]
    )
    information = np.array([4.0, 0.5, 0.5, 1.0, 1.0])
    whitened = slope / np.sqrt(information)[:, None] * np.sqrt(edges.count)
    return np.asarray(np.linalg.eigvalsh(whitened @ whitened.T))
