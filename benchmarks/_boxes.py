"""A truth in two features, boxes of equal content under it, and contents by quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.data.truths import GaussianMixtureTruth
from verisimile.density.protocol import DensityEstimator

_SHARES = np.array([0.5, 0.3, 0.2])
_MEANS = np.array([[-1.0, 0.5], [1.2, -0.6], [0.4, 1.6]])
_WIDTHS = np.array([[0.5, 0.8], [0.6, 0.45], [0.9, 0.35]])
TRUTH = GaussianMixtureTruth(_SHARES, _MEANS, [np.diag(width**2) for width in _WIDTHS])

_GRID = np.linspace(-9.0, 9.0, 200_001)


@dataclass(frozen=True)
class Boxes:
    """Boxes of content 1 / side^2: strips in x0, each cut into cells in x1.

    Contents of a model are Gauss-Legendre sums with `order` x `order` nodes per box,
    placed by the truth's distribution functions, so that open boxes are no exception.
    """

    side: int
    order: int

    def counts(self, x: Array) -> Array:
        """Return how many events lie in each box ``(side^2,)``."""
        strip = np.searchsorted(self._strips[1:-1], x[:, 0], side="right")
        cell = (x[:, 1, None] >= self._cells[strip, 1:-1]).sum(axis=1)
        return np.bincount(strip * self.side + cell, minlength=self.side**2).astype(np.float64)

    def contents(self, model: DensityEstimator) -> Array:
        """Return the model's probability in each box ``(side^2,)``."""
        points, weights = self._nodes
        return np.asarray(
            (np.exp(model.log_prob(points)) * weights).reshape(self.side**2, -1).sum(axis=1)
        )

    @cached_property
    def _strips(self) -> Array:
        return _quantiles(_SHARES, 0, np.arange(self.side + 1) / self.side)

    @cached_property
    def _cells(self) -> Array:
        levels = np.arange(self.side + 1) / self.side
        return np.array([_quantiles(self._inside(i), 1, levels) for i in range(self.side)])

    @cached_property
    def _nodes(self) -> tuple[Array, Array]:
        points, weights = [], []
        for i in range(self.side):
            x, u = self._axis(_SHARES, 0, i)
            for j in range(self.side):
                y, v = self._axis(self._inside(i), 1, j)
                points.append(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2))
                weights.append(np.outer(u, v).ravel())
        return np.concatenate(points), np.concatenate(weights)

    def _inside(self, strip: int) -> Array:
        """Return the shares of the truth's components within a strip."""
        ends = stats.norm.cdf(self._strips[strip : strip + 2, None], _MEANS[:, 0], _WIDTHS[:, 0])
        return np.asarray(_SHARES * (ends[1] - ends[0]) * self.side)

    def _axis(self, shares: Array, column: int, part: int) -> tuple[Array, Array]:
        """Return nodes and weights dx in one of the parts of equal content."""
        t, w = np.polynomial.legendre.leggauss(self.order)
        x = _quantiles(shares, column, (part + 0.5 * (t + 1.0)) / self.side)
        density = stats.norm.pdf(x[:, None], _MEANS[:, column], _WIDTHS[:, column]) @ shares
        return x, 0.5 * w / self.side / density


def merged(contents: Array, side: int) -> Array:
    """Return contents ``(..., side^2)`` summed over blocks of two by two boxes."""
    half = side // 2
    blocks = contents.reshape(*contents.shape[:-1], half, 2, half, 2)
    return np.asarray(blocks.sum(axis=(-3, -1)).reshape(*contents.shape[:-1], half * half))


def _quantiles(shares: Array, column: int, levels: Array) -> Array:
    cdf = stats.norm.cdf(_GRID[:, None], _MEANS[:, column], _WIDTHS[:, column]) @ shares
    return np.asarray(np.interp(levels, cdf, _GRID))
