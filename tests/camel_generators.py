"""Generators of the camel whose distance from it is known: exactly, and on average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import optimize, special

from verisimile.core.arrays import Array
from verisimile.data.truths import Camel

FITTED_GAIN = {10: 2.414, 20: 4.398, 50: 10.406, 100: 20.428}
"""G of the five-parameter maximum-likelihood fit, from its Fisher information."""

_STEPS = 30  # of EM; the humps are eight standard deviations apart, so that five do


class Generator(Protocol):
    """What a training gives."""

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return events ``(n, 1)``."""

    def cdf(self, x: Array) -> Array:
        """Return the probability at or below each value."""


Trainer = Callable[[int, np.random.Generator], Generator]


@dataclass(frozen=True)
class FittedMixture:
    weights: Array
    means: Array
    widths: Array

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        hump = (rng.random(n) > self.weights[0]).astype(np.int64)
        return np.asarray(rng.normal(self.means[hump], self.widths[hump])[:, None])

    def cdf(self, x: Array) -> Array:
        pulls = (np.asarray(x)[:, None] - self.means) / self.widths
        return np.asarray(special.ndtr(pulls) @ self.weights)


@dataclass(frozen=True)
class Atoms:
    values: Array

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(rng.choice(self.values, size=n)[:, None])

    def cdf(self, x: Array) -> Array:
        at_most = np.searchsorted(np.sort(self.values), x, side="right")
        return np.asarray(at_most / self.values.size)


@dataclass(frozen=True)
class KernelDensity:
    values: Array
    width: float

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(rng.normal(rng.choice(self.values, size=n), self.width)[:, None])

    def cdf(self, x: Array) -> Array:
        pulls = (np.asarray(x)[:, None] - self.values) / self.width
        return np.asarray(special.ndtr(pulls).mean(axis=1))


def fitted(n: int, rng: np.random.Generator) -> FittedMixture:
    """Return the two-hump mixture of largest likelihood for n training events, by EM."""
    x = Camel().sample(n, rng)[:, 0]
    right, means, widths = 0.5, np.array([-4.0, 4.0]), np.ones(2)
    for _ in range(_STEPS):
        pulls = (x[:, None] - means) / widths
        dense = np.exp(-0.5 * pulls**2) / widths * [1.0 - right, right]
        share = dense / dense.sum(axis=1, keepdims=True)
        mass = share.sum(axis=0)
        means = x @ share / mass
        widths = np.sqrt((share * (x[:, None] - means) ** 2).sum(axis=0) / mass)
        right = float(mass[1] / n)
    return FittedMixture(np.array([1.0 - right, right]), means, widths)


def resampled(gain: float) -> Trainer:
    """Return a trainer whose generator repeats `gain` * n true events; 1 is a memoriser."""

    def train(n: int, rng: np.random.Generator) -> Atoms:
        return Atoms(Camel().sample(round(gain * n), rng)[:, 0])

    return train


def kernel_density(width: float) -> Trainer:
    def train(n: int, rng: np.random.Generator) -> KernelDensity:
        return KernelDensity(Camel().sample(n, rng)[:, 0], width)

    return train


def camel_cdf(x: Array) -> Array:
    return np.asarray(0.5 * (special.ndtr(np.asarray(x) + 4.0) + special.ndtr(np.asarray(x) - 4.0)))


def camel_quantiles(count: int) -> Array:
    """Return the inner edges ``(count - 1,)`` of regions with equal true probability."""

    def inverse(p: float) -> float:
        return float(optimize.brentq(lambda x: camel_cdf(np.array(x)) - p, -20.0, 20.0, xtol=1e-13))

    return np.array([inverse(j / count) for j in range(1, count)])


def expected_inverse_gain(edges: Array, generator: Generator, n_train: int) -> float:
    """Return 1/G of this very generator in the regions between the edges."""
    true = np.diff(camel_cdf(edges), prepend=0.0, append=1.0)
    made = np.diff(generator.cdf(edges), prepend=0.0, append=1.0)
    return float(n_train * ((made - true) ** 2).sum() / (true * (1.0 - true)).sum())


def kernel_inverse_gain(count: int, width: float, n_train: int) -> float:
    """Return the expectation of 1/G over the trainings of a kernel density, by quadrature.

    The mass of a region is a mean over training events of the share of a kernel that lies in
    it: its bias and its variance are those of that share under the truth.
    """
    edges = camel_quantiles(count)
    grid = np.linspace(-12.0, 12.0, 24_001)
    dense = np.exp(Camel().log_prob(grid[:, None])) * (grid[1] - grid[0])
    below = special.ndtr((edges[:, None] - grid) / width)
    share = np.diff(below, axis=0, prepend=0.0, append=1.0)
    mean = share @ dense
    variance = (share**2) @ dense - mean**2
    true = 1.0 / count
    distance = ((mean - true) ** 2 + variance / n_train).sum()
    return float(n_train * distance / (1.0 - true))
