"""Every density integrates to one and its draws follow it, bin by bin, in one and two dimensions.

Bin contents are integrals of the density by the midpoint rule; they add up to one, and numbers
of draws are compared with them by chi-square.  The same test rejects draws a tenth too wide.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from statistical import FIVE_SIGMA
from trained_generators import MODELS, model_of, named
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.truths import Camel, GaussianMixtureTruth, GaussianTruth
from verisimile.density.adapters import CallableDensity, adapt
from verisimile.density.protocol import DensityEstimator

N = 10_000
FEWEST = 10.0  # expected in a bin, for the law of chi-square

# Densities behind normal scores have steps, and need finer cells.
STEPPED = ("spline", "Bayesian", "dropout", "scores", "conditional")


@dataclass(frozen=True)
class Box:
    """Where a density is integrated: bins along each axis, and cells in each bin."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    bins: tuple[int, ...]
    cells: int

    def edges(self, each: int) -> list[Array]:
        return [
            np.linspace(a, b, bins * each + 1)
            for a, b, bins in zip(self.low, self.high, self.bins, strict=True)
        ]


LINE = Box((-16,), (16,), (64,), 50)
PLANE = Box((-7, -6), (7, 14), (14, 20), 5)


def laplace_log_prob(x: Array) -> Array:
    return np.asarray(stats.laplace.logpdf(x[:, 0]))


def laplace_sample(n: int, rng: np.random.Generator) -> Array:
    return rng.laplace(size=(n, 1))


def correlated() -> Array:
    rng = np.random.default_rng(1)
    return np.asarray(rng.normal(size=(400, 2)) @ [[1.0, 0.6], [0.0, 0.8]])


def mixture_truth() -> GaussianMixtureTruth:
    covariances = np.array([[[1.0, 0.5], [0.5, 1.0]], [[0.5, 0.0], [0.0, 2.0]]])
    return GaussianMixtureTruth(np.array([0.3, 0.7]), np.array([[-2.0, 3.0], [1, 2]]), covariances)


OTHERS: dict[str, tuple[Callable[[], object], Box]] = {
    "scipy univariate": (lambda: stats.gamma(2.0), Box((0,), (30,), (60,), 50)),
    "scipy multivariate": (lambda: stats.multivariate_normal([0, 1], [[1, 0.5], [0.5, 1]]), PLANE),
    "scipy kernels": (lambda: stats.gaussian_kde(correlated().T), PLANE),
    "sklearn kernels": (lambda: KernelDensity(bandwidth=0.4).fit(correlated()), PLANE),
    "sklearn mixture": (lambda: GaussianMixture(2, random_state=0).fit(correlated()), PLANE),
    "callables": (lambda: CallableDensity(1, laplace_log_prob, laplace_sample),
                  Box((-16,), (16,), (64,), 50)),
    "camel": (lambda: Camel(2.0), LINE),
    "Gaussian": (GaussianTruth.paper, Box((-2, -2), (1, 3.5), (12, 14), 5)),
    "Gaussian mixture truth": (mixture_truth, PLANE),
}  # fmt: skip

CASES = [
    *named(*(f"{name} on the line" for name in MODELS)),
    *named(*(f"{name} on the plane" for name in MODELS)),
    *OTHERS,
]


def case(name: str) -> tuple[DensityEstimator, Box]:
    if name in OTHERS:
        make, box = OTHERS[name]
        return adapt(make()), box
    model, _, where = name.rpartition(" on the ")
    if where == "line":
        return model_of(model, 1), LINE
    fine = 4 if model.startswith(STEPPED) or "scores" in model else 1
    return model_of(model, 2), Box(PLANE.low, PLANE.high, PLANE.bins, PLANE.cells * fine)


def integrals(model: DensityEstimator, box: Box) -> Array:
    """Return the integral of the density over each bin."""
    edges = box.edges(box.cells)
    middles = [0.5 * (e[1:] + e[:-1]) for e in edges]
    nodes = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, len(edges))
    volume = np.prod([e[1] - e[0] for e in edges])
    cells = np.exp(model.log_prob(nodes)) * volume
    shape = [size for bins in box.bins for size in (bins, box.cells)]
    return np.asarray(cells.reshape(shape).sum(axis=tuple(range(1, len(shape), 2))))


@functools.cache
def contents(name: str) -> Array:
    return integrals(*case(name))


def p_value(name: str, draws: Array) -> float:
    """Return the p-value of numbers of draws in bins, scarce ones and all outside put together."""
    expected = contents(name).ravel() * len(draws)
    counts = np.histogramdd(draws, bins=case(name)[1].edges(1))[0].ravel()
    kept = np.argsort(expected)[::-1]
    kept = kept[expected[kept] >= FEWEST]
    # What is left may still be scarce: then the smallest bin that was kept joins it.
    if len(draws) - expected[kept].sum() < FEWEST:
        kept = kept[:-1]
    expected = np.append(expected[kept], len(draws) - expected[kept].sum())
    counts = np.append(counts[kept], len(draws) - counts[kept].sum())
    statistic = ((counts - expected) ** 2 / expected).sum()
    return float(stats.chi2.sf(statistic, len(expected) - 1))


@pytest.mark.parametrize("name", CASES)
def test_density_integrates_to_one(name: str) -> None:
    assert contents(name).sum() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_draws_fill_the_bins_and_wider_ones_do_not(name: str, seeds: Seeds) -> None:
    draws = case(name)[0].sample(N, seeds.numpy())
    assert p_value(name, draws) > FIVE_SIGMA
    wider = draws.mean(axis=0) + 1.1 * (draws - draws.mean(axis=0))
    assert p_value(name, wider) < FIVE_SIGMA


def test_the_test_has_its_level() -> None:
    rng, name = np.random.default_rng(6), "Gaussian mixture truth"
    model, _ = case(name)
    found = np.array([p_value(name, model.sample(N, rng)) for _ in range(200)])
    assert stats.kstest(found, "uniform").pvalue > FIVE_SIGMA


@dataclass(frozen=True)
class Heavy:
    """A density with a total of 1.002."""

    model: DensityEstimator
    n_features: int = 1

    def log_prob(self, x: Array) -> Array:
        return self.model.log_prob(x) + 2e-3

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return self.model.sample(n, rng)


def test_a_density_that_is_too_large_is_found() -> None:
    model, box = case("spline flow on the line")
    assert integrals(Heavy(model), box).sum() != pytest.approx(1.0, abs=1e-3)
