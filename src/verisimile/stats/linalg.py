"""Linear algebra on the tangent of the simplex: bases, truncation, whitening."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError


def tangent_basis(size: int) -> Array:
    r"""Return an orthonormal basis ``(M, M - 1)`` of :math:`\{d : \sum_i d_i = 0\}`.

    The columns are those of the Helmert matrix,

    .. math:: Z_k = (1, \dots, 1, -k, 0, \dots) / \sqrt{k (k + 1)}.

    Examples
    --------
    >>> abs(tangent_basis(5).sum(axis=0)).max() < 1e-15
    np.True_
    """
    return np.ascontiguousarray(linalg.helmert(size).T)


def symmetrise(matrix: Array) -> Array:
    """Return the symmetric part of a matrix that is symmetric up to rounding."""
    return 0.5 * (matrix + matrix.T)


def positive_definite(matrix: Array) -> bool:
    """Return whether a symmetric matrix has a Cholesky factor in float64."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def solve_spd(matrix: Array, right: Array) -> Array:
    """Solve a symmetric positive definite system by Cholesky factorisation."""
    # NumPy's routines and not SciPy's: the two bring separate thread pools, and
    # switching between them inside a loop costs more than the solution.
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise NumericsError(
            "Newton system",
            got="a Hessian that is not positive definite",
            expected="positive curvature in every retained direction",
            remedy="Members or kernels are collinear: raise the truncation tolerance.",
        ) from None
    return np.asarray(np.linalg.solve(factor.T, np.linalg.solve(factor, right)))


def solve_rounded(matrix: Array, right: Array) -> Array:
    """Solve a symmetric system that is positive definite but for rounding.

    By Cholesky where there is a factor, else in the eigenvectors of the matrix
    scaled to a unit diagonal, without those whose eigenvalue is rounding.
    """
    try:
        return solve_spd(matrix, right)
    except NumericsError:
        pass
    size = np.sqrt(np.clip(np.diag(matrix), 0.0, None))
    size[size == 0.0] = 1.0
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    floor = 10.0 * values.size * float(np.finfo(np.float64).eps) * float(values[-1])
    kept = values > floor
    scale = size if right.ndim == 1 else size[:, None]
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return np.asarray((inverse @ (right / scale)) / scale)


def whitening(covariance: Array, *, rtol: float = 1e-10) -> Array:
    r"""Return ``L`` of shape ``(M, r)`` with :math:`C = L L^T`, r the numerical rank.

    .. math:: C = V \Lambda V^T,\quad L = V_r \Lambda_r^{1/2}

    The columns of :math:`F L` are the 1-sigma variations of the density, in the
    manner of Hessian PDF sets.  Eigenvalues below `rtol` times the largest are
    rounding, not variance: the covariance of weights that sum to one is exactly
    singular along :math:`1`.
    """
    if not covariance.size:
        return np.zeros((covariance.shape[0], 0))
    values, vectors = np.linalg.eigh(symmetrise(covariance))
    keep = values > rtol * max(float(values[-1]), 0.0)
    return np.ascontiguousarray(vectors[:, keep] * np.sqrt(values[keep]))
