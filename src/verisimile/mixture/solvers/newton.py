"""Damped Newton minimisation with a certificate, for self-concordant objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import NumericsError, require
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.protocol import (
    Optimum,
    certified_gap,
    descend,
    self_concordance,
)
from verisimile.stats.linalg import solve_spd

_SHRINK = 0.99  # share of the way to the boundary that a step may go
_ARMIJO = 0.1
_POLISH = 1e-4  # the last steps gain a constant factor each, not its square
_QUADRATIC = 0.25  # decrement below which full steps converge quadratically


@dataclass(frozen=True, slots=True)
class NewtonSolver:
    r"""Settings of the damped Newton fit.

    Attributes
    ----------
    tolerance
        Stop when the squared Newton decrement :math:`\delta^2` (in nats, summed
        over events) is below it.
    max_iterations
        Steps after which the end is not converged: an error of the weight fit.  After
        50 of them, rows of small weight are approached by stages: see
        :func:`~verisimile.mixture.solvers.protocol.descend`.
    truncation
        Tangent directions whose curvature is below this fraction of the largest
        curvature of the weight Hessian are frozen at equal weights.  Below
        1e-12 float32 densities are noise; at 1e-8 and 20 000 events a direction
        that moves weights by less than about ten units is kept.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> logf = np.random.default_rng(1).normal(size=(200, 3))
    >>> vs.fit_weights(logf, solver=vs.NewtonSolver(tolerance=1e-8)).record.converged
    True
    """

    tolerance: float = 1e-10
    max_iterations: int = 500
    truncation: float = 1e-8

    def __post_init__(self) -> None:
        require(
            self.tolerance > 0 and self.max_iterations > 0 and 0 <= self.truncation < 1,
            "NewtonSolver",
            got=repr(self),
            expected="tolerance > 0, max_iterations > 0 and 0 <= truncation < 1",
        )

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        """Return the optimum reached from a feasible start ``(P,)``: see :func:`minimise`."""
        return minimise(problem, start, self)


def minimise(problem: LogLinear, start: Array, solver: NewtonSolver) -> Optimum:
    r"""Minimise a :class:`LogLinear` objective from a feasible point.

    Newton steps :math:`d = -H^{-1} g` are cut to stay strictly inside
    :math:`p > 0`; the largest feasible step is known in closed form,
    :math:`t_{max} = 1 / \max_n(-(A d)_n / p_n)`, and backtracked until the
    objective falls enough.  H is that of :class:`Curvature`: after the first
    step only the rows whose density has moved are assembled again, and the
    decrement is an upper bound of the true one.

    Raises
    ------
    NumericsError
        If the start is not feasible or the Hessian is singular.

    References
    ----------
    Y. Nesterov, A. Nemirovskii, Interior-Point Polynomial Algorithms (1994), ch. 2;
    S. Boyd, L. Vandenberghe, Convex Optimization (2004), sec. 9.6.
    """
    return descend(problem, start, _newton, tolerance=solver.tolerance, most=solver.max_iterations)


def _newton(problem: LogLinear, start: Array, tolerance: float, most: int) -> Optimum:
    theta, density = start, problem.density(start)
    if not density.min(initial=np.inf) > 0.0:
        raise NumericsError("start of the fit", got="a non-positive density", expected="p > 0")
    if not theta.size:
        return _ended(problem, theta, 0.0, 0, tolerance)
    curvature = Curvature(problem, density, theta)
    concordance = self_concordance(problem)
    value = problem.value(density, theta)
    decrement, iteration = math.inf, 0
    for iteration in range(1, most + 1):
        if iteration > 1:
            curvature.move(density, theta)
        step = curvature.step()
        fall = math.sqrt(max(0.0, -float(curvature.gradient @ step)))
        last, decrement = decrement, curvature.slack * fall
        slope = problem.design @ step
        full = decrement * concordance < _QUADRATIC
        length = 1.0 if full else _line_search(problem, theta, density, step, slope, value, fall)
        # One product with the design per step: adding the slope costs rounding
        # of 1e-16 per step, which the end removes.
        moved = density + length * slope
        if length == 0.0 or not moved.min() > 0.0:  # rounding leaves no step
            break
        theta, density = theta + length * step, moved
        if _polished(decrement, last, tolerance):
            break
        value = problem.value(density, theta)
    return _ended(problem, theta, decrement, iteration, tolerance)


def _polished(decrement: float, last: float, tolerance: float) -> bool:
    """Return whether the end is reached and further steps, which are cheap here, gain nothing."""
    square = decrement * decrement
    return square <= tolerance and (square <= _POLISH * tolerance or decrement > 0.5 * last)


def _ended(
    problem: LogLinear, theta: Array, decrement: float, iterations: int, tolerance: float
) -> Optimum:
    density = problem.density(theta)
    if not density.min() > 0.0:  # a density that is rounding noise certifies nothing
        return Optimum(theta, density, math.nan, math.inf, math.inf, iterations, converged=False)
    return Optimum(
        theta=theta,
        density=density,
        value=problem.value(density, theta),
        decrement=decrement,
        gap=certified_gap(problem, decrement),
        iterations=iterations,
        converged=decrement * decrement <= tolerance,
    )


def _line_search(
    problem: LogLinear,
    theta: Array,
    density: Array,
    step: Array,
    slope: Array,
    value: float,
    decrement: float,
) -> float:
    """Return a step length that stays feasible and lowers the objective, or zero."""
    steepest = float(np.max(-slope / density))
    length = min(1.0, _SHRINK / steepest) if steepest > 0.0 else 1.0
    while length > 1e-14:
        moved = density + length * slope
        if moved.min() > 0.0:
            trial = problem.value(moved, theta + length * step)
            if trial <= value - _ARMIJO * length * decrement * decrement:
                return length
        length *= 0.5
    return 0.0


_STALE = 0.1  # relative change of a row's density up to which its old curvature serves
_MOST = 0.2  # share of stale rows from which a fresh matrix is cheaper than a correction
_LOSS = 30.0  # growth of a density after which taking its old term away would cost digits


class Curvature:
    r"""A Hessian whose row n is that of a reference density :math:`\bar p_n` close to p.

    .. math:: \hat H = \sum_n u_n a_n a_n^T / \bar p_n^2 + \mathrm{diag}(q), \qquad
              |p_n / \bar p_n - 1| \le 0.1

    Rows that have moved further are corrected.  Because
    :math:`H \succeq \hat H / \rho^2` with
    :math:`\rho = \max(1, \max_n p_n / \bar p_n)`, a decrement computed with
    :math:`\hat H` is at least the true one divided by :math:`\rho`: the bound
    is exact, and needs no second Hessian.

    Attributes are :math:`\hat H` ``(P, P)``, the exact gradient at the density of the last
    :meth:`move` ``(P,)``, and the slack :math:`\rho \ge 1`.
    """

    def __init__(self, problem: LogLinear, density: Array, theta: Array) -> None:
        self._problem = problem
        self._point = density, theta
        self._reference: Array = density
        self._fresh = True
        self._renew(density, theta)

    def step(self) -> Array:
        """Return the Newton step ``(P,)``."""
        try:
            return -solve_spd(self.hessian, self.gradient)
        except NumericsError:
            if self._fresh:
                raise
        self._renew(*self._point)  # corrections have cost the digits
        return -solve_spd(self.hessian, self.gradient)

    def move(self, density: Array, theta: Array) -> None:
        """Bring gradient, Hessian and slack to another point."""
        self._point = density, theta
        ratio = density / self._reference
        stale = np.abs(ratio - 1.0) > _STALE
        many = int(stale.sum()) > _MOST * density.size
        if many or float(ratio.max(initial=0.0)) > _LOSS:
            self._renew(density, theta)
            return
        self.gradient = self._problem.gradient(density, theta)
        if stale.any():
            self._correct(density, stale)
            ratio[stale] = 1.0
        self.slack = max(1.0, float(ratio.max(initial=1.0)))

    def _renew(self, density: Array, theta: Array) -> None:
        self.gradient, self.hessian = self._problem.derivatives(density, theta)
        self._reference = density.copy()
        self.slack = 1.0
        self._fresh = True

    def _correct(self, density: Array, stale: BoolArray) -> None:
        new, old = density[stale], self._reference[stale]
        rows = self._problem.design[stale]
        change = self._problem.weights[stale] * (1.0 / (new * new) - 1.0 / (old * old))
        self.hessian = self.hessian + rows.T @ (rows * change[:, None])
        self._reference[stale] = new
        self._fresh = False
