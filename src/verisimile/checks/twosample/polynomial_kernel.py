"""Polynomial kernels by their monomials, so that sums over pairs are sums over events."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import comb, factorial

import numpy as np

from verisimile.core.arrays import Array

__all__ = ["PolynomialKernel", "row_blocks"]

_ENTRIES = 1 << 22
_NEAR = 1 << 18  # monomials of a block of events: 2 MiB, near the processor


class PolynomialKernel:
    r"""The kernel :math:`k(x, y) = (x \cdot y / d + 1)^p` and its monomials.

    With :math:`\tilde x = (1, x / \sqrt d)` the kernel is :math:`(\tilde x \cdot
    \tilde y)^p = \varphi(x) \cdot \varphi(y)`, where

    .. math:: \varphi_\alpha(x) = \sqrt{p! / \alpha!}\; \tilde x^\alpha, \quad |\alpha| = p

    has :math:`\binom{d + p}{p}` components: 286 for ten features and p = 3.

    Parameters
    ----------
    d
        Number of features.
    degree
        p, at least 1.
    """

    def __init__(self, d: int, degree: int) -> None:
        self.d = d
        self.degree = degree

    @property
    def size(self) -> int:
        """Number of monomials."""
        return comb(self.d + self.degree, self.degree)

    def gram(self, x: Array, y: Array) -> Array:
        """Return the kernel between all pairs, ``(n, m)``."""
        return np.asarray((x @ y.T / self.d + 1.0) ** self.degree)

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each event with itself, ``(n,)``."""
        return np.asarray(((x * x).sum(axis=1) / self.d + 1.0) ** self.degree)

    def monomials(self, x: Array) -> Array:
        """Return the monomials ``(P, n)`` of events ``(n, d)``."""
        return self._products(x) * _plan(self.d + 1, self.degree)[1][:, None]

    def sums(self, x: Array, columns: Array) -> Array:
        r"""Return :math:`\sum_i c_{ir} \varphi(x_i)`, ``(R, P)``, for columns ``(n, R)``."""
        total = np.zeros((columns.shape[1], self.size))
        step = max(64, _NEAR // self.size)
        for start in range(0, x.shape[0], step):
            rows = slice(start, start + step)
            total += (self._products(x[rows]) @ columns[rows]).T
        return total * _plan(self.d + 1, self.degree)[1]

    def _products(self, x: Array) -> Array:
        base = np.vstack([np.ones((1, x.shape[0])), x.T / np.sqrt(self.d)])
        values = base
        for starts in _plan(self.d + 1, self.degree)[0]:
            # Variable a times the monomials that contain none before a: each product once.
            parts = [row * values[start:] for row, start in zip(base, starts, strict=True)]
            values = np.vstack(parts)
        return values


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Return slices of rows such that (rows, width) stays within the working memory."""
    step = max(64, _ENTRIES // width)
    return (slice(start, start + step) for start in range(0, n, step))


@lru_cache(maxsize=16)
def _plan(variables: int, degree: int) -> tuple[list[list[int]], Array]:
    """Return, degree by degree, where the monomials without variables before a start.

    And the square roots of the multinomial coefficients ``(P,)``.  Kept, and made
    only where monomials are used: their exponents can be a large table.
    """
    unit = np.eye(variables, dtype=np.int64)
    exponents, plan = unit, []
    for _ in range(degree - 1):
        first = np.argmax(exponents > 0, axis=1)
        starts = np.searchsorted(first, np.arange(variables)).tolist()
        plan.append(starts)
        exponents = np.vstack([unit[a] + exponents[start:] for a, start in enumerate(starts)])
    table = np.array([factorial(k) for k in range(degree + 1)], dtype=np.float64)
    return plan, np.sqrt(table[-1] / table[exponents].prod(axis=1))
