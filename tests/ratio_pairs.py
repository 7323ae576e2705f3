"""Pairs of laws whose density ratio is known: what coverage of reweighting is counted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array


@dataclass(frozen=True)
class GaussianPair:
    """A Gaussian with shifts and correlations, and from four features on widths; or standard."""

    d: int
    size: float = 1.0

    def _law(self) -> tuple[Array, Array]:
        mean, covariance = np.zeros(self.d), np.eye(self.d)
        mean[:2] = 0.25 * self.size, -0.15 * self.size
        covariance[0, 1] = covariance[1, 0] = 0.25 * self.size
        if self.d > 3:
            covariance[2, 2] = 1.0 - 0.15 * self.size
            covariance[2, 3] = covariance[3, 2] = -0.15 * self.size
        return mean, covariance

    def reference(self, n: int, rng: np.random.Generator) -> Array:
        mean, covariance = self._law()
        return mean + rng.normal(size=(n, self.d)) @ np.linalg.cholesky(covariance).T

    def generated(self, n: int, rng: np.random.Generator) -> Array:
        return rng.normal(size=(n, self.d))

    def log_ratio(self, x: Array) -> Array:
        mean, covariance = self._law()
        return np.asarray(
            stats.multivariate_normal(mean, covariance).logpdf(x) - stats.norm.logpdf(x).sum(axis=1)
        )


@dataclass(frozen=True)
class BumpPair:
    """Exponentials and Student's t; the reference has a bump and heavier tails besides."""

    d: int
    share: float = 0.05

    def reference(self, n: int, rng: np.random.Generator) -> Array:
        x = self._base(n, rng, 5.0)
        moved = rng.random(n) < self.share
        x[moved, 0] = rng.normal(2.0, 0.3, int(moved.sum()))
        return x

    def generated(self, n: int, rng: np.random.Generator) -> Array:
        x = self._base(n, rng, 7.0)
        moved = rng.random(n) < 0.01  # what makes the ratio finite below zero
        x[moved, 0] = rng.normal(2.0, 0.3, int(moved.sum()))
        return x

    def _base(self, n: int, rng: np.random.Generator, freedom: float) -> Array:
        x = rng.normal(size=(n, self.d))
        x[:, 0] = rng.exponential(size=n)
        x[:, 1] = stats.t.rvs(freedom, size=n, random_state=rng)
        return x

    def log_ratio(self, x: Array) -> Array:
        first, bump = stats.expon.pdf(x[:, 0]), stats.norm.pdf(x[:, 0], 2.0, 0.3)
        above = (1.0 - self.share) * first + self.share * bump
        below = 0.99 * first + 0.01 * bump
        tails = stats.t.logpdf(x[:, 1], 5.0) - stats.t.logpdf(x[:, 1], 7.0)
        return np.asarray(np.log(above / below) + tails)
