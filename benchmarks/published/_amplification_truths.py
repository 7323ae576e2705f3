"""Toys of the amplification papers, and generators on them whose amplification is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special
from sklearn.mixture import GaussianMixture

import verisimile as vs
from verisimile.core.arrays import Array, IntArray

EDGE, SHAPE, SCALE = 4.0, 2.0, 0.5
"""Radius of donut and shells: r = 4 + Gamma(2, 1/2), from the code published with [A]."""

# --- the camel -----------------------------------------------------------------------------------

_INFORMATION = np.array([4.0, 1.0, 1.0, 0.5, 0.5])
"""Fisher's, of share, widths and centres: per event; the humps are eight widths apart."""


def camel(n: int, rng: np.random.Generator) -> Array:
    """Return events ``(n, 1)`` of half N(-4, 1) and half N(4, 1)."""
    return (rng.choice([-4.0, 4.0], n) + rng.normal(size=n))[:, None]


def camel_edges(count: int) -> Array:
    """Return inner edges of `count` regions of equal probability, by bisection."""
    wanted = np.arange(1, count) / count
    low, high = np.full(count - 1, -15.0), np.full(count - 1, 15.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = 0.5 * (special.ndtr(middle + 4.0) + special.ndtr(middle - 4.0)) >= wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(0.5 * (low + high))


@dataclass(frozen=True)
class CamelFit:
    """Two Gaussians: shares, centres and widths ``(2,)``."""

    share: Array
    centre: Array
    width: Array

    def contents(self, edges: Array) -> Array:
        """Return the probabilities of the regions."""
        below = special.ndtr((edges[:, None] - self.centre) / self.width) @ self.share
        return np.diff(np.concatenate([[0.0], below, [1.0]]))

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return events ``(n, 1)``."""
        hump = rng.choice(2, n, p=self.share)
        return (self.centre[hump] + self.width[hump] * rng.normal(size=n))[:, None]


def fit_camel(x: Array) -> CamelFit:
    """Return the fit of all five parameters by maximum likelihood."""
    model = GaussianMixture(
        2, means_init=[[-4.0], [4.0]], weights_init=[0.5, 0.5], tol=1e-7, reg_covar=0.0
    ).fit(x)
    return CamelFit(model.weights_, model.means_[:, 0], np.sqrt(model.covariances_[:, 0, 0]))


def exact_camel_gain(count: int) -> float:
    r"""Return :math:`(1 - 1/N_Q) / \mathrm{tr}(J I^{-1} J^T)`, whatever the training sample."""
    edges, step = camel_edges(count), 1e-5

    def at(values: Array) -> Array:
        share, first, second, left, right = values
        return CamelFit(
            np.array([share, 1.0 - share]), np.array([left, right]), np.array([first, second])
        ).contents(edges)

    centre = np.array([0.5, 1.0, 1.0, -4.0, 4.0])
    steps = step * np.eye(5)
    slopes = np.array([(at(centre + s) - at(centre - s)) / (2.0 * step) for s in steps])
    return float((1.0 - 1.0 / count) / ((slopes**2).sum(axis=1) / _INFORMATION).sum())


# --- the donut -----------------------------------------------------------------------------------


def shell(n: int, d: int, rng: np.random.Generator) -> Array:
    """Return events ``(n, d)`` of a shell; of a donut for two dimensions."""
    direction = rng.normal(size=(n, d))
    direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
    return np.asarray((EDGE + rng.gamma(SHAPE, SCALE, n))[:, None] * direction)


def radii(x: Array) -> Array:
    """Return the distance of events from the centre."""
    return np.asarray(np.sqrt((x**2).sum(axis=1)))


def uniform_coordinates(x: Array) -> tuple[Array, Array]:
    """Return the distribution functions of radius and angle of events of the donut."""
    below = special.gammainc(SHAPE, np.clip(radii(x) - EDGE, 0.0, None) / SCALE)
    return np.asarray(below), np.mod(np.arctan2(x[:, 1], x[:, 0]) / (2.0 * np.pi), 1.0)


def polar_regions(side: int) -> vs.amplification.UserRegions:
    """Return `side` x `side` polar regions of equal probability."""

    def assign(x: Array) -> IntArray:
        u, v = (np.minimum((side * c).astype(np.int64), side - 1) for c in uniform_coordinates(x))
        return np.asarray(u * side + v)

    return vs.amplification.UserRegions(assign, side * side)


@dataclass(frozen=True)
class Series:
    r"""A density of K free coefficients on the unit square of both distribution functions.

    :math:`1 + \sum_{kl} \theta_{kl} \psi_k(u) \chi_l(v)` with cosines of u, and cosines and sines
    of v; each coefficient is a mean over the training events, so that the scatter, and with it
    the amplification, is known exactly.
    """

    kept: Array

    @classmethod
    def of(cls, size: int) -> Series:
        """Return the `size` functions of lowest frequency."""
        k, turns = np.arange(64)[:, None], np.array([0, *np.repeat(np.arange(1, 32), 2)])
        frequency = k**2 + (2.0 * turns[None, :]) ** 2 + 1e-6 * k
        order = np.argsort(frequency, axis=None, kind="stable")[1 : size + 1]
        kept = np.zeros(frequency.shape, dtype=bool)
        kept.ravel()[order] = True
        rows, columns = (int(np.flatnonzero(kept.any(axis=j)).max()) + 1 for j in (1, 0))
        return cls(kept[:rows, :columns])

    def fitted(self, n: int, rng: np.random.Generator) -> Array:
        """Return the coefficients ``(k, l)`` of a training sample."""
        u, v = rng.random(n), rng.random(n)
        k, turns = np.arange(self.kept.shape[0]), np.arange(1, (self.kept.shape[1] + 1) // 2 + 1)
        first = np.cos(np.pi * k[:, None] * u) * np.where(k[:, None], np.sqrt(2.0), 1.0)
        angles = 2.0 * np.pi * turns[:, None] * v
        waves = np.sqrt(2.0) * np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(-1, n)
        second = np.concatenate([np.ones((1, n)), waves])[: self.kept.shape[1]]
        return np.where(self.kept, first @ second.T / n, 0.0)

    def contents(self, coefficients: Array, side: int) -> Array:
        """Return the probabilities of `side` x `side` cells, ``(side * side,)``."""
        first, second = self._cells(side)
        return (first.T @ coefficients @ second + 1.0 / side**2).ravel()

    def exact_gain(self, side: int) -> float:
        """Return G in `side` x `side` cells, of any training sample."""
        first, second = self._cells(side)
        resolved = ((first**2).sum(axis=1)[:, None] * (second**2).sum(axis=1))[self.kept].sum()
        return float((1.0 - 1.0 / side**2) / resolved)

    def _cells(self, side: int) -> tuple[Array, Array]:
        """Return the integrals of all functions over the sides, ``(k, side)`` and ``(l, side)``."""
        ends = np.arange(side + 1) / side
        k = np.arange(1, self.kept.shape[0])[:, None]
        first = np.diff(np.sqrt(2.0) * np.sin(np.pi * k * ends) / (np.pi * k), axis=1)
        turns = np.arange(1, (self.kept.shape[1] + 1) // 2 + 1)[:, None]
        angle = 2.0 * np.pi * turns
        both = np.stack([np.sin(angle * ends), -np.cos(angle * ends)], axis=1) / angle[:, :, None]
        waves = np.diff(np.sqrt(2.0) * both.reshape(-1, side + 1), axis=1)
        flat = np.full((1, side), 1.0 / side)
        return np.concatenate([flat, first]), np.concatenate([flat, waves])[: self.kept.shape[1]]


# --- shells --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShellFit:
    r"""A shell of fitted shape and scale, its direction of density :math:`1 + \theta \cdot u`."""

    shape: float
    scale: float
    tilt: Array

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Return events ``(n, d)`` by hit or miss."""
        d, bound = self.tilt.size, 1.0 + float(np.sqrt((self.tilt**2).sum()))
        direction = rng.normal(size=(int(2.2 * n * bound) + 100, d))
        direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
        kept = direction[rng.random(len(direction)) * bound < 1.0 + direction @ self.tilt][:n]
        return np.asarray((EDGE + rng.gamma(self.shape, self.scale, n))[:, None] * kept)


def fit_shell(x: Array) -> ShellFit:
    """Return the fit of d + 2 parameters: maximum likelihood, and d times the mean direction."""
    r = radii(x)
    above, d = r - EDGE, x.shape[1]
    contrast = np.log(above.mean()) - np.log(above).mean()
    shape = (3.0 - contrast + np.sqrt((contrast - 3.0) ** 2 + 24.0 * contrast)) / (12.0 * contrast)
    for _ in range(5):  # Newton's steps
        value = np.log(shape) - special.digamma(shape) - contrast
        shape -= value / (1.0 / shape - special.polygamma(1, shape))
    return ShellFit(float(shape), float(above.mean() / shape), d * (x / r[:, None]).mean(axis=0))


def exact_shell_gain(x: Array, labels: IntArray, count: int) -> float:
    """Return G of that fit in given regions, its slopes as means over true events ``(n, d)``."""
    r = radii(x)
    above, d = r - EDGE, x.shape[1]
    information = np.array([[special.polygamma(1, SHAPE), 1.0 / SCALE],
                            [1.0 / SCALE, SHAPE / SCALE**2]])  # fmt: skip
    scores = np.column_stack([
        np.log(above / SCALE) - special.digamma(SHAPE), above / SCALE**2 - SHAPE / SCALE
    ])  # fmt: skip
    white = scores @ np.linalg.cholesky(np.linalg.inv(information))
    white = np.column_stack([white, np.sqrt(d) * x / r[:, None]])
    p = np.bincount(labels, minlength=count) / len(x)
    slopes = np.array([np.bincount(labels, column, count) for column in white.T]) / len(x)
    # The mean of a slope over n events has a square too large by its variance.
    noise = ((white**2).sum(axis=1).mean() - (slopes**2).sum()) / len(x)
    return float((p * (1.0 - p)).sum() / ((slopes**2).sum() - noise))


def repeated(x: Array, n: int, rng: np.random.Generator) -> Array:
    """Return draws of a generator that repeats its training events: G = 1."""
    return np.asarray(x[rng.integers(len(x), size=n)])


def smeared(x: Array, n: int, rng: np.random.Generator) -> Array:
    """Return draws of a kernel density of Silverman's width, the same in all features."""
    size, d = x.shape
    width = (4.0 / ((d + 2.0) * size)) ** (1.0 / (d + 4.0)) * float(x.std())
    return np.asarray(repeated(x, n, rng) + width * rng.normal(size=(n, d)))


# --- the parabola --------------------------------------------------------------------------------


def parabolas(
    repetitions: int, points: int, noise: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return x and y = x^2 + noise ``(repetitions, points)``: the minimum is near the middle."""
    x = rng.uniform(-1.0, 1.0, (repetitions, points)) + rng.uniform(-0.3, 0.3, (repetitions, 1))
    return x, x**2 + noise * rng.normal(size=x.shape)


def lowest(x: Array, y: Array) -> Array:
    """Return the place of the lowest point of each data set."""
    return np.take_along_axis(x, y.argmin(axis=1)[:, None], axis=1)[:, 0]


def vertex(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the minimum of each data set's parabola by least squares, and its three terms."""
    powers = np.stack([np.ones_like(x), x, x**2], axis=2)
    terms = np.linalg.solve(
        np.swapaxes(powers, 1, 2) @ powers, np.swapaxes(powers, 1, 2) @ y[..., None]
    )[..., 0]
    return -0.5 * terms[:, 1] / terms[:, 2], terms


# --- the law G = a N^b ---------------------------------------------------------------------------


def power_law(regions: Sequence[int], gains: Sequence[float]) -> tuple[float, float]:
    """Return a and b of G = a N^b, by least squares of the logarithms."""
    b, log_a = np.polyfit(np.log(regions), np.log(gains), 1)
    return float(np.exp(log_a)), float(b)


def published_estimate(fractions: Array) -> float:
    r"""Return :math:`\sum_j \mu_j^2 / \sigma_j^2`, the equivalent events as [A] sums them.

    `fractions` of J draws in all regions, ``(J, N)``.
    """
    variance = fractions.var(axis=0, ddof=1)
    return float((fractions.mean(axis=0) ** 2 / variance).sum())
