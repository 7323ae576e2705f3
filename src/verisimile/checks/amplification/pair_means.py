"""Mean kernels of all pairs of events, within and across samples, in linear memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial.distance import pdist

from verisimile.core.arrays import Array

__all__ = ["Energy", "Gaussian", "Kernel", "PairMeans", "kernel_matrix", "median_distance"]

_ENTRIES = 500_000  # 4 MB: a block stays near the processor


class Kernel(Protocol):
    """A kernel of the distance of two events."""

    @property
    def diagonal(self) -> float:
        """Return k(x, x)."""
        ...

    def of(self, squared: Array) -> Array:
        """Return k at squared distances, which may be overwritten."""
        ...


@dataclass(frozen=True, slots=True)
class Energy:
    r"""The kernel of the energy distance, :math:`-\|x - y\|`."""

    @property
    def diagonal(self) -> float:
        """Return 0."""
        return 0.0

    def of(self, squared: Array) -> Array:
        """Return the negative distance."""
        np.sqrt(squared, out=squared)
        return np.negative(squared, out=squared)


@dataclass(frozen=True, slots=True)
class Gaussian:
    r"""The kernel :math:`\exp(-\|x - y\|^2 / 2 h^2)` of bandwidth h."""

    bandwidth: float

    @property
    def diagonal(self) -> float:
        """Return 1."""
        return 1.0

    def of(self, squared: Array) -> Array:
        """Return the Gaussian of the distance."""
        squared *= -0.5 / self.bandwidth**2
        return np.exp(squared, out=squared)


@dataclass(frozen=True, slots=True)
class PairMeans:
    """Mean kernels over pairs of different events.

    Attributes
    ----------
    first, second
        Within each sample.
    across
        Over pairs of one event of each.
    """

    first: float
    second: float
    across: float

    @classmethod
    def of(cls, first: Array, second: Array, kernel: Kernel) -> PairMeans:
        """Return the means of samples ``(n, d)`` and ``(m, d)`` in common coordinates."""
        n, m = len(first), len(second)
        return cls(
            first=2.0 * _total(first, first, kernel, within=True) / (n * (n - 1)),
            second=2.0 * _total(second, second, kernel, within=True) / (m * (m - 1)),
            across=_total(first, second, kernel, within=False) / (n * m),
        )

    @property
    def discrepancy(self) -> float:
        """The unbiased squared discrepancy; it may be negative."""
        return self.first + self.second - 2.0 * self.across


def kernel_matrix(first: Array, second: Array, kernel: Kernel) -> Array:
    """Return the kernel of all pairs ``(n, m)``."""
    return kernel.of(_squares(first, second))


def median_distance(x: Array) -> float:
    """Return the median distance of different events, of those that are not zero."""
    apart = pdist(x)
    apart = apart[apart > 0.0]
    return float(np.median(apart)) if apart.size else 1.0


def _total(first: Array, second: Array, kernel: Kernel, *, within: bool) -> float:
    """Return the sum over all pairs; within one sample over each pair of different ones once."""
    total = 0.0
    for rows in _blocks(len(first), len(second)):
        beyond = rows.stop if within else 0
        total += float(kernel_matrix(first[rows], second[beyond:], kernel).sum())
        if within:
            block = kernel_matrix(first[rows], first[rows], kernel)
            total += 0.5 * float(block.sum() - np.trace(block))
    return total


def _squares(first: Array, second: Array) -> Array:
    """Return squared distances; a product of matrices, as coordinates are of order one."""
    squares = first @ (-2.0 * second.T)
    squares += (first * first).sum(axis=1)[:, None]
    squares += (second * second).sum(axis=1)
    return np.maximum(squares, 0.0, out=squares)


def _blocks(n: int, columns: int) -> Iterator[slice]:
    step = max(16, _ENTRIES // columns)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
