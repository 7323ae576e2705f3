"""Polynomial kernels by their monomials, so that sums over pairs are sums over events."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb, factorial

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array

__all__ = ["PolynomialKernel", "row_blocks"]

_ENTRIES = 1 << 22


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
        base = np.vstack([np.ones((1, x.shape[0])), x.T / np.sqrt(self.d)])
        values, exponents = base, np.eye(self.d + 1, dtype=np.int64)
        for _ in range(self.degree - 1):
            values, exponents = _raised(base, values, exponents)
        return np.asarray(values * np.sqrt(_multinomials(exponents))[:, None])


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Return slices of rows such that (rows, width) stays within the working memory."""
    step = max(64, _ENTRIES // width)
    return (slice(start, start + step) for start in range(0, n, step))


def _raised(
    base: Array, values: Array, exponents: npt.NDArray[np.int64]
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the monomials of one degree more, each of them once."""
    # Variable a times the monomials that contain none before a: sorted again.
    first = np.argmax(exponents > 0, axis=1)
    starts = np.searchsorted(first, np.arange(base.shape[0]))
    unit = np.eye(base.shape[0], dtype=np.int64)
    return (
        np.vstack([row * values[start:] for row, start in zip(base, starts, strict=True)]),
        np.vstack([unit[a] + exponents[start:] for a, start in enumerate(starts)]),
    )


def _multinomials(exponents: npt.NDArray[np.int64]) -> Array:
    table = np.array([factorial(k) for k in range(int(exponents.sum(axis=1)[0]) + 1)], dtype=float)
    return np.asarray(table[-1] / table[exponents].prod(axis=1))
