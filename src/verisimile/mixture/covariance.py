"""Covariance of fitted mixture weights, on the tangent where the weights sum to one."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array
from verisimile.mixture.objective import LogLinear, blocks, weighted_gram
from verisimile.stats.linalg import symmetrised

__all__ = ["inverse_hessian", "leverages", "sandwich"]


def inverse_hessian(basis: Array, hessian: Array) -> Array:
    r"""Return :math:`C = U H^{-1} U^T`, ``(M, M)``, for a Hessian summed over events.

    Parameters
    ----------
    basis
        U, retained tangent directions ``(M, r)``.
    hessian
        H in these coordinates, ``(r, r)``.
    """
    return symmetrised(basis @ np.linalg.solve(hessian, basis.T)) if basis.size else _zero(basis)


def sandwich(basis: Array, hessian: Array, problem: LogLinear, density: Array, data: int) -> Array:
    r"""Return :math:`C = U H^{-1} (\sum_n u_n^2 s_n s_n^T) H^{-1} U^T`.

    s are the scores :math:`A_n / p_n` of the first `data` rows; the rows after
    them are pseudo-events, which have curvature but no sampling noise.  With
    unit event weights and no pseudo-events the middle factor *is* H, for any
    data and also under misspecification: the sandwich then equals the inverse
    Hessian identically, and cures nothing.

    References
    ----------
    G. Badaracco et al., eq. 2 (which leaves out the 1/n);
    C. Langenbruch, Eur. Phys. J. C 82 (2022) 393, for event weights.
    """
    if not basis.size:
        return _zero(basis)
    scale = problem.weights[:data] / density[:data]
    scatter, _ = weighted_gram(problem.design[:data], scale, scale)
    lifted = np.linalg.solve(hessian, basis.T)
    return symmetrised(lifted.T @ scatter @ lifted)


def leverages(design: Array, density: Array, hessian: Array) -> Array:
    r"""Return :math:`h_n = s_n^T H^{-1} s_n + 1/n`, ``(n,)``.

    The second term is the leverage on the total, so that the sum over unit-weight
    events is the number of members (or the effective rank plus one).  A value
    near one says that a single event decides a direction.
    """
    n = design.shape[0]
    if not design.shape[1]:
        return np.full(n, 1.0 / n)
    factor = np.linalg.cholesky(hessian)
    out = np.empty(n)
    for rows in blocks(n):
        scores = (design[rows] / density[rows, None]).T
        whitened = linalg.solve_triangular(factor, scores, lower=True)
        np.einsum("pn,pn->n", whitened, whitened, out=out[rows])
    return np.asarray(out + 1.0 / n)


def _zero(basis: Array) -> Array:
    return np.zeros((basis.shape[0], basis.shape[0]))
