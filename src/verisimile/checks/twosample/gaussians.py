"""Closed-form Fréchet distance between Gaussians, of many pairs at once."""

from __future__ import annotations

import numpy as np

from verisimile.checks.twosample.weighted_moments import MomentSums
from verisimile.core.arrays import Array

__all__ = ["distance_of_sums", "gaussian_frechet"]


def gaussian_frechet(mean_1: Array, cov_1: Array, mean_2: Array, cov_2: Array) -> Array:
    r"""Return squared Fréchet (2-Wasserstein) distances between Gaussians, ``(R,)``.

    .. math:: d^2 = |\mu_1 - \mu_2|^2
              + \mathrm{tr}\big(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2}\big)

    The trace of the root is the sum of the roots of the eigenvalues of a
    symmetric matrix: no square root of the non-symmetric :math:`S_1 S_2` is
    taken, which has spurious imaginary parts where the covariances are singular.

    Parameters
    ----------
    mean_1, mean_2
        ``(R, d)``.
    cov_1, cov_2
        Symmetric positive semi-definite, ``(R, d, d)``.

    References
    ----------
    D. C. Dowson, B. V. Landau, J. Multivariate Anal. 12 (1982) 450, eq. 16;
    as FID: M. Heusel et al., arXiv:1706.08500, eq. 6; as FPD: R. Kansal et al.,
    arXiv:2211.10295.
    """
    shift = ((mean_1 - mean_2) ** 2).sum(axis=1)
    traces = np.trace(cov_1, axis1=1, axis2=2) + np.trace(cov_2, axis1=1, axis2=2)
    root = _root(cov_1)
    spectrum = _positive(np.asarray(np.linalg.eigvalsh(root @ cov_2 @ root), dtype=np.float64))
    return np.asarray(shift + traces - 2.0 * np.sqrt(spectrum).sum(axis=1))


def distance_of_sums(first: MomentSums, second: MomentSums) -> Array:
    """Return the squared distance of each pair of subsets, ``(R,)``."""
    return gaussian_frechet(first.mean(), first.covariance(), second.mean(), second.covariance())


def _root(cov: Array) -> Array:
    values, vectors = np.linalg.eigh(cov)
    scaled = vectors * np.sqrt(_positive(values))[:, None, :]
    return np.asarray(scaled @ np.swapaxes(vectors, 1, 2))


def _positive(values: Array) -> Array:
    # Rounding alone makes an eigenvalue of eps * largest, whose root is not small.
    floor = np.finfo(np.float64).eps * values.shape[-1] * values[..., -1:]
    return np.where(values > floor, values, 0.0)
