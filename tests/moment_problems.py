"""Samples and relabelings for two-sample statistics, and the published recipe with its bias."""

from __future__ import annotations

import numpy as np

from verisimile.checks.twosample.statistics.frechet import gaussian_frechet
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array, BoolArray

PERMUTATIONS = 99


def null_pair(rng: np.random.Generator, n: int, d: int) -> tuple[Array, Array]:
    """Return two samples of the unit normal."""
    return rng.normal(size=(n, d)), rng.normal(size=(n, d))


def correlated(rng: np.random.Generator, n: int, rho: float) -> tuple[Array, Array]:
    """Return unit normals, the second sample's features correlated by rho."""
    x, y = null_pair(rng, n, 2)
    y[:, 1] = rho * y[:, 0] + np.sqrt(1.0 - rho**2) * y[:, 1]
    return x, y


def skewed(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Return samples of equal means and covariances, the second with third moments of 2."""
    return rng.normal(size=(n, 2)), rng.exponential(size=(n, 2)) - 1.0


def permutations(n_first: int, n: int, count: int, rng: np.random.Generator) -> BoolArray:
    """Return random labels ``(count, n)``."""
    return np.asarray(rng.permuted(np.tile(np.arange(n) < n_first, (count, 1)), axis=1))


def permutation_p(statistic: Statistic, x: Array, y: Array, rng: np.random.Generator) -> float:
    """Return the p-value (k + 1) / 100 of 99 permutations."""
    n, total = x.shape[0], x.shape[0] + y.shape[0]
    prepared = statistic.prepare(np.vstack([x, y]), np.ones(total), rng)
    labels = np.vstack([np.arange(total) < n, permutations(n, total, PERMUTATIONS, rng)])
    values = prepared.values(labels)
    return float((values >= values[0]).sum() / (PERMUTATIONS + 1))


def with_replacement(x: Array, y: Array, rng: np.random.Generator) -> float:
    """Return the intercept of distances of batches drawn with replacement, linear in 1/b.

    The recipe of arXiv:2211.10295: ten batch sizes equally spaced in 1/b, from two
    fifths of the sample to all of it, several batches of each.
    """
    n = x.shape[0]
    sizes = (1.0 / np.linspace(2.5 / n, 1.0 / n, 10)).astype(int)
    values = [np.mean([_batch(x, y, size, rng) for _ in range(5)]) for size in sizes]
    return float(np.polyfit(1.0 / sizes, values, 1)[1])


def _batch(x: Array, y: Array, size: int, rng: np.random.Generator) -> float:
    a, b = x[rng.integers(x.shape[0], size=size)], y[rng.integers(y.shape[0], size=size)]
    moments = (a.mean(axis=0), np.cov(a.T), b.mean(axis=0), np.cov(b.T))
    return float(gaussian_frechet(*(item[None] for item in moments))[0])
