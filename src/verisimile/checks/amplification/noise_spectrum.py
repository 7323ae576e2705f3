"""The noise of a quadratic discrepancy, direction by direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.pair_means import Kernel, PairMeans, kernel_matrix
from verisimile.core.arrays import Array

__all__ = ["LandmarkFeatures", "Spectrum", "mean_square"]

_LEAST = 1e-9  # of the largest eigenvalue


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkFeatures:
    r"""Finite features whose scalar product is nearly the centred kernel.

    .. math:: \phi(x) = \Lambda^{-1/2} U^T H k(Z, x), \qquad H k(Z, Z) H = U \Lambda U^T

    with L landmarks Z and the centring H (Nyström).  Any kernel of a discrepancy
    becomes positive by the centring, which does not change the discrepancy.

    Attributes
    ----------
    landmarks
        ``(L, d)``.
    map
        :math:`H U \Lambda^{-1/2}`, ``(L, r)``.
    kernel
        The kernel.
    """

    landmarks: Array
    map: Array
    kernel: Kernel

    @classmethod
    def of(cls, landmarks: Array, kernel: Kernel) -> LandmarkFeatures:
        """Return the features of landmarks ``(L, d)``."""
        matrix = kernel_matrix(landmarks, landmarks, kernel)
        np.fill_diagonal(matrix, kernel.diagonal)
        matrix = matrix - matrix.mean(axis=0)
        matrix -= matrix.mean(axis=1)[:, None]
        values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
        kept = values > _LEAST * values[-1]
        scaled = vectors[:, kept] / np.sqrt(values[kept])
        return cls(landmarks, scaled - scaled.mean(axis=0), kernel)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Return mean ``(r,)`` and covariance ``(r, r)`` of the features of events ``(n, d)``."""
        # Relative to the first landmark: adding a constant to the features changes neither
        # the covariance nor differences of means, but large constants would cost digits.
        features = kernel_matrix(x, self.landmarks, self.kernel) @ self.map
        return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    r"""Difference of mean features along the axes of its own noise.

    .. math:: D^2_u = \sum_l (d_l^2 - c_l), \qquad d_l \sim N(\delta_l, c_l)

    Attributes
    ----------
    differences
        d ``(r,)``.
    variances
        c ``(r,)``, ascending.
    single
        Eigenvalues of the covariance of one true event's features, ``(r,)``.
    rest_variance
        Variance of the discrepancy outside the features: many directions, none large.
    single_rest
        Trace of that covariance outside the features.
    square
        Sum of squares of all its eigenvalues.
    """

    differences: Array
    variances: Array
    single: Array
    rest_variance: float
    single_rest: float
    square: float

    @classmethod
    def of(
        cls,
        generated: Array,
        holdout: Array,
        features: LandmarkFeatures,
        means: PairMeans,
        square: float,
    ) -> Spectrum:
        """Return the spectrum of two samples whose `mean_square` and mean kernels are known."""
        n, m, diagonal = len(generated), len(holdout), features.kernel.diagonal
        (first, spread), (second, true_spread) = (
            features.moments(generated),
            features.moments(holdout),
        )
        variances, axes = np.linalg.eigh(spread / n + true_spread / m)
        variances = np.maximum(variances, _LEAST * variances[-1])
        single = np.maximum(np.linalg.eigvalsh(true_spread), 0.0)
        return cls(
            differences=axes.T @ (first - second),
            variances=variances,
            single=single,
            rest_variance=2.0
            * max(0.0, square * (1.0 / n + 1.0 / m) ** 2 - float((variances**2).sum())),
            square=max(square, float((single**2).sum())),
            single_rest=max(0.0, diagonal - means.second - float(single.sum())),
        )

    @property
    def error(self) -> float:
        """Standard error of the unbiased discrepancy at the estimated differences."""
        null = 2.0 * float((self.variances**2).sum()) + self.rest_variance
        excess = float((self.variances * (self.differences**2 - self.variances)).sum())
        return float(np.sqrt(null + 4.0 * max(0.0, excess)))

    @property
    def effective_dimensions(self) -> float:
        r""":math:`(\sum \lambda)^2 / \sum \lambda^2`: how many directions share the noise."""
        return float((self.single.sum() + self.single_rest) ** 2 / self.square)


def mean_square(first: Array, second: Array, kernel: Kernel) -> float:
    r"""Return :math:`\sum \lambda^2` of the centred kernel, from events of disjoint samples."""
    matrix = kernel_matrix(first, second, kernel)
    matrix = matrix - matrix.mean(axis=0)
    matrix -= matrix.mean(axis=1)[:, None]
    return float((matrix**2).mean())
