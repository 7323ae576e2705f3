"""Covariance of fitted mixture weights, on the tangent where the weights sum to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, require_one_of
from verisimile.mixture.objective import Reduced, blocks, weighted_gram
from verisimile.stats.linalg import solve_spd, symmetrise

_RTOL = 1e-10  # of the members' Gram matrix


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    r"""What is known of the weights at the optimum, in coordinates of the tangent.

    With scores :math:`s_n = A_n / p_n` of the events, and
    :math:`\bar s_z = A_z / \bar p_z` of the pseudo-events *at equal weights*,

    .. math:: I = \sum_n u_n s_n s_n^T + \Pi, \quad
              J = \sum_n c_n u_n^2 s_n s_n^T + \Pi, \quad
              \Pi = \sum_z u_z \bar s_z \bar s_z^T

    Attributes
    ----------
    basis
        U, retained tangent directions ``(M, r)``.
    curvature
        I, ``(r, r)``.
    scatter
        J, ``(r, r)``; equal to I for unit event weights without pseudo-events.
    """

    basis: Array
    curvature: Array
    scatter: Array


def information(rows: Reduced, density: Array) -> Information:
    r"""Return the information of events and pseudo-events, given the fitted density ``(n,)``.

    A pseudo-event that lies where positivity binds has a curvature
    :math:`u/p^2` without bound, although it is no observation: with it in the
    bread and not in the middle of a sandwich the variance along that direction is
    zero.  The errors of the weights come from the events.  The pseudo-events
    count as what they are worth at equal weights, the information of n_0 events
    of the members' mean: next to nothing, unless the events say nothing.

    A fit that positivity can bound is one to few events.  With pseudo-events, scores count
    by :math:`c_n = 1 / (1 - \min(h_n, 1/2))`, :math:`h_n = u_n s_n^T I^{-1} s_n`: residuals
    at events of much leverage are too small by this factor.  Without them, :math:`c_n = 1`.

    References
    ----------
    J. G. MacKinnon, H. White, J. Econometrics 29 (1985) 305 (the correction HC2).
    """
    problem, n = rows.problem, rows.data
    design, u = problem.design, problem.weights
    scale = np.sqrt(u[:n]) / density[:n]
    events, _ = weighted_gram(design[:n], scale, scale)
    # At the origin of the tangent the weights are equal.
    at_origin = np.sqrt(u[n:]) / problem.base[n:]
    prior, _ = weighted_gram(design[n:], at_origin, at_origin)
    known = Information(rows.basis, events + prior, events + prior)
    scale = u[:n] / density[:n]
    if n < u.size and rows.basis.size:
        share = leverages(design[:n], density[:n], known.curvature) - 1.0 / n
        scale = scale / np.sqrt(1.0 - np.minimum(u[:n] * share, 0.5))
    elif not np.ptp(u[:n]) > 0.0:
        return known
    scatter, _ = weighted_gram(design[:n], scale, scale)
    return Information(rows.basis, known.curvature, scatter + prior)


def newton_step(rows: Reduced, density: Array, known: Information) -> Array:
    r"""Return :math:`U I^{-1} \sum_n u_n s_n`, ``(M,)``: from the fit to the events' optimum.

    Zero where positivity is no matter; else the way that the pseudo-events have forbidden.
    """
    if not known.basis.size:
        return np.zeros(known.basis.shape[0])
    problem, n = rows.problem, rows.data
    score = (problem.weights[:n] / density[:n]) @ problem.design[:n]
    return np.asarray(known.basis @ solve_spd(known.curvature, score))


def sandwich(known: Information) -> Array:
    r"""Return :math:`C = U I^{-1} J I^{-1} U^T`, ``(M, M)``.

    With unit event weights and no pseudo-events J *is* I, for any data and also under
    misspecification: the sandwich then equals :math:`U I^{-1} U^T` identically,
    and cures nothing.

    References
    ----------
    G. Badaracco et al., eq. 2 (which leaves out the 1/n);
    C. Langenbruch, Eur. Phys. J. C 82 (2022) 393, for event weights.
    """
    if not known.basis.size:
        return np.zeros(2 * known.basis.shape[:1])
    factor = _cholesky(known.curvature)
    whitened = linalg.solve_triangular(factor, known.scatter, lower=True)
    middle = linalg.solve_triangular(factor, whitened.T, lower=True)
    lifted = linalg.solve_triangular(factor, known.basis.T, lower=True)
    return symmetrise(lifted.T @ symmetrise(middle) @ lifted)


def fisher(known: Information) -> Array:
    r"""Return :math:`C = U I^{-1} U^T`, ``(M, M)``: right for unit event weights only."""
    return inverse_hessian(known.basis, known.curvature)


Formula = Callable[[Information], Array]
CLOSED_FORMS: dict[str, Formula] = {"sandwich": sandwich, "fisher": fisher}


def closed_form(name: str) -> Formula:
    """Return the formula of that name."""
    remedy = "A bootstrap needs random numbers and members: fit_mixture has it."
    require_one_of(name, CLOSED_FORMS, "covariance", remedy=remedy)
    return CLOSED_FORMS[name]


def inverse_hessian(basis: Array, hessian: Array) -> Array:
    r"""Return :math:`U H^{-1} U^T`, ``(M, M)``, of a matrix ``(r, r)`` along a basis ``(M, r)``."""
    if not basis.size:
        return np.zeros(2 * basis.shape[:1])
    # By a factor, so that rounding leaves no negative variance.
    lifted = linalg.solve_triangular(_cholesky(hessian), basis.T, lower=True)
    return symmetrise(lifted.T @ lifted)


def freedom(known: Information, hessian: Array) -> float:
    r"""Return the smallest eigenvalue of :math:`H^{-1}` relative to :math:`I^{-1}`, in (0, 1].

    What positivity leaves of the variance along the direction that it binds most.
    """
    if not hessian.size:
        return 1.0
    factor = _cholesky(known.curvature)
    half = linalg.solve_triangular(factor, hessian, lower=True)
    ratio = linalg.solve_triangular(factor, half.T, lower=True)
    return min(1.0, 1.0 / float(np.linalg.eigvalsh(symmetrise(ratio))[-1]))


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


def left_out_members(gram: Array) -> Array:
    r"""Return, for every member, itself minus its best fit by the others: rows ``(M, M)``.

    .. math:: b_{ii} = 1, \quad b_{ij} = -w^{(i)}_j, \qquad
              w^{(i)} = \arg\min_{1^T w = 1} \int
              \frac{(f_i - \sum_{j \ne i} w_j f_j)^2}{\hat f}

    `gram` is :math:`\langle f_i f_j / \hat f^2 \rangle`, ``(M, M)``.
    """
    members = gram.shape[0]
    out = np.eye(members)
    for i in range(members):
        others = np.delete(np.arange(members), i)
        out[i, others] = -_projected(gram[np.ix_(others, others)], gram[others, i])
    return out


def _projected(gram: Array, right: Array) -> Array:
    """Return the weights with sum one that minimise ``w gram w / 2 - right w``."""
    inverse = np.linalg.pinv(gram, rcond=_RTOL, hermitian=True)
    free, ones = inverse @ right, inverse.sum(axis=1)
    return np.asarray(free + (1.0 - free.sum()) / ones.sum() * ones)


def _cholesky(matrix: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        raise NumericsError(
            "covariance of the weights",
            got="an information matrix that is not positive definite",
            expected="events, or pseudo-events, that see every retained direction",
            remedy="Raise the solver's truncation, or pass pseudo-events (fit_mixture does).",
        ) from None
