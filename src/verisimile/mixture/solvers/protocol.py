"""What a solver of the weight fit is, and the certificate that makes solvers comparable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.objective import LogLinear
from verisimile.stats.linalg import solve_spd

_CERTIFIED = 0.68


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    r"""Where the minimisation ended.

    Attributes
    ----------
    theta, density, value
        Parameters ``(P,)``, densities ``(n,)`` and objective at the end.
    decrement
        Newton decrement :math:`\delta = \sqrt{g^T H^{-1} g}`: at the end, or
        before the last step of a solver whose steps are Newton's.
    gap
        Certified bound on ``value - minimum``: :math:`\delta^2` where the theory
        holds (:math:`\delta < 0.68 \sqrt{\min u}`), else infinity.
    iterations, converged
        Steps taken, and whether the tolerance was reached.
    """

    theta: Array
    density: Array
    value: float
    decrement: float
    gap: float
    iterations: int
    converged: bool


class WeightSolver(Protocol):
    """Anything that minimises a :class:`~verisimile.mixture.objective.LogLinear` objective."""

    @property
    def truncation(self) -> float:
        """Relative curvature below which a tangent direction is frozen."""

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        """Return the optimum reached from a feasible start ``(P,)``."""


def self_concordance(problem: LogLinear) -> float:
    r"""Return :math:`1/\sqrt{\min(1, \min u)}`: rows of small weight curve more sharply."""
    return 1.0 / math.sqrt(min(1.0, float(problem.weights.min(initial=1.0))))


def certified_gap(problem: LogLinear, decrement: float) -> float:
    r"""Return the bound :math:`\delta^2` on ``value - minimum``, infinity where it does not hold.

    References
    ----------
    S. Boyd, L. Vandenberghe, Convex Optimization (2004), sec. 9.6.3.
    """
    holds = decrement * self_concordance(problem) < _CERTIFIED
    return decrement * decrement if holds else math.inf


def certified(problem: LogLinear, theta: Array, *, iterations: int, tolerance: float) -> Optimum:
    """Return the feasible point `theta` of any solver with its own certificate.

    What the solver believes about its convergence is not asked: it has converged
    if the squared Newton decrement here is at most `tolerance`.
    """
    density = problem.density(theta)
    decrement = _decrement(problem, density, theta) if theta.size else 0.0
    return Optimum(
        theta=theta,
        density=density,
        value=problem.value(density, theta),
        decrement=decrement,
        gap=certified_gap(problem, decrement),
        iterations=iterations,
        converged=decrement * decrement <= tolerance,
    )


def _decrement(problem: LogLinear, density: Array, theta: Array) -> float:
    gradient, hessian = problem.derivatives(density, theta)
    try:
        return math.sqrt(max(0.0, float(gradient @ solve_spd(hessian, gradient))))
    except NumericsError:  # flat to rounding, as on the way to infinity: nothing is certified
        return math.inf
