"""Fits that end where a Hessian is singular in float64: the same optimum, by other algebra.

An event whose density is a tiny difference of members, or to which a kernel gives
e^20 times the model's density, puts a square of 1e17 into the Hessian; what the other
thousand events say along its row is then below rounding.  The rows themselves lose
half as many digits as their squares.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver, certified_gap
from verisimile.stats.linalg import solve_spd

_SHRINK = 0.99  # share of the way to the boundary that a step may go
_ARMIJO = 0.1
_SHORTEST = 1e-14
_MOST = 400  # a step at most doubles the density of a lone event: e^20 takes thirty
_RANK = 1e-13  # of the longest column: curvature below its square is rounding, not data
_LOST = 1e-8  # nats
_UNSEEN = 1e-12  # a column this short: no row says anything about that parameter
_TOLERANCE = NewtonSolver().tolerance


def minimised(problem: LogLinear, start: Array, solver: WeightSolver) -> Optimum:
    r"""Minimise by `solver`, and where it gives up by Newton steps on the rows themselves.

    With :math:`J = (\sqrt{u_n} A_n / p_n;\ \sqrt{q})` and r its residuals, :math:`H = J^T J`,
    :math:`-g = J^T r`, the Newton step is the least-squares solution of :math:`J s = r`
    and the squared decrement :math:`|J s|^2`, from a QR factorisation of J: H is never
    formed.  Combinations of columns that are zero to rounding do not move.  The objective
    and its certificate are the same, so that the data may end one way and a toy the other.

    Parameters
    ----------
    problem
        The objective.
    start
        A feasible point ``(P,)``.
    solver
        What is tried first.

    References
    ----------
    A. J. Cox, N. J. Higham, Stability of Householder QR factorization for weighted least
    squares problems (1998): rows sorted by size, columns pivoted.
    """
    try:
        return solver.minimise(problem, start)
    except NumericsError:
        return _by_rows(problem, start)


def solved(matrix: Array, right: Array) -> Array:
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


def _by_rows(problem: LogLinear, start: Array) -> Optimum:
    theta, density = start, problem.density(start)
    value = problem.value(density, theta)
    square, iteration = 0.0 if not theta.size else math.inf, 0
    while square > _TOLERANCE and iteration < _MOST:
        iteration += 1
        step, square = _step(problem, theta, density)
        length = _length(problem, theta, density, step, value, square)
        if length == 0.0:
            break
        theta = theta + length * step
        density = problem.density(theta)
        value = problem.value(density, theta)
    lost = _rounding(problem, theta, density)
    return Optimum(
        theta=theta,
        density=density,
        value=value,
        decrement=math.sqrt(square),
        gap=certified_gap(problem, math.sqrt(square)) + lost,
        iterations=iteration,
        # Parameters so large that they cancel in the density certify nothing.
        converged=square <= _TOLERANCE and lost <= _LOST,
    )


def _rounding(problem: LogLinear, theta: Array, density: Array) -> float:
    """Return how far rounding in the density may have moved the objective."""
    terms = np.abs(problem.design) @ np.abs(theta) + np.abs(problem.base)
    return float(np.finfo(np.float64).eps) * float(problem.weights @ (terms / density))


def _step(problem: LogLinear, theta: Array, density: Array) -> tuple[Array, float]:
    """Return the Newton step ``(P,)`` and the squared decrement."""
    root, held = np.sqrt(problem.weights), problem.precision > 0.0
    pulls = np.sqrt(problem.precision[held])
    rows = np.concatenate(
        [problem.design * (root / density)[:, None], np.diag(np.sqrt(problem.precision))[held]]
    )
    residual = np.concatenate([root, -pulls * (theta - problem.centre)[held]])
    columns = np.sqrt((rows * rows).sum(axis=0))
    unseen = columns < _UNSEEN
    columns[unseen] = 1.0
    rows[:, unseen] = 0.0
    rows /= columns
    order = np.argsort(-np.abs(rows).max(axis=1), kind="stable")
    q, r, pivots = linalg.qr(rows[order], mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(r))
    rank = int((diagonal > _RANK).sum())  # columns have length one or zero
    along = q[:, :rank].T @ residual[order]
    step = np.zeros(theta.size)
    step[pivots[:rank]] = linalg.solve_triangular(r[:rank, :rank], along, check_finite=False)
    return step / columns, float(along @ along)


def _length(
    problem: LogLinear, theta: Array, density: Array, step: Array, value: float, square: float
) -> float:
    """Return a step length that stays feasible and lowers the objective, or zero."""
    slope = problem.design @ step
    steepest = float(np.max(-slope / density))
    length = min(1.0, _SHRINK / steepest) if steepest > 0.0 else 1.0
    rounding = 4.0 * float(np.finfo(np.float64).eps) * (1.0 + abs(value))
    while length > _SHORTEST:
        moved = theta + length * step
        there = problem.density(moved)
        if there.min() > 0.0:
            fall = _ARMIJO * length * square
            if problem.value(there, moved) <= value - fall + rounding:
                return length
        length *= 0.5
    return 0.0
