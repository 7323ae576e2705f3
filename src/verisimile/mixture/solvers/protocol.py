"""What a solver of the weight fit is, its certificate, and the way around slow descents."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.objective import LogLinear
from verisimile.stats.linalg import solve_spd

FAR = 1e12  # a coordinate that whoever asked for the optimum will refuse anyway
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


def certify(problem: LogLinear, theta: Array, *, iterations: int, tolerance: float) -> Optimum:
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


DIRECT = 50  # steps straight to the optimum, of which an ordinary fit takes 5 to 20
_FACTOR = 4.0  # by which weights fall from one stage to the next
_CENTRED = 0.1  # squared decrement, in units of the stage's smallest weight, that ends a stage

Descent = Callable[[LogLinear, Array, float, int], Optimum]
"""From a problem, a feasible start, a tolerance and the most steps to where they end."""


def descend(
    problem: LogLinear, start: Array, descent: Descent, *, tolerance: float, most: int
) -> Optimum:
    r"""Return the end of a descent, by way of heavier rows if the straight way is too long.

    Newton's steps lower an objective with self-concordance :math:`1/\sqrt{\min u}` by
    an amount of the order of :math:`\min u` only: rows of weight 1/2000, such as
    pseudo-events, can hold a descent that starts near them for thousands of steps.
    Then the problems

    .. math:: \phi_t = -\sum_n \max(u_n, t) \log p_n + \dots, \qquad
              t = 1, \tfrac14, \tfrac1{16}, \dots, \min_n u_n

    are solved in turn, each from the optimum of the one before, which takes a few
    steps each.  The last is the problem itself, and so is its certificate.

    References
    ----------
    Y. Nesterov, A. Nemirovskii, Interior-Point Polynomial Algorithms (1994), ch. 3
    (path-following methods).
    """
    lightest = float(problem.weights.min(initial=1.0))
    if lightest >= 1.0 or most <= DIRECT:
        return descent(problem, start, tolerance, most)
    straight = descent(problem, start, tolerance, DIRECT)
    if straight.converged:
        return straight
    theta, used, weight = start, DIRECT, 1.0
    while weight > lightest and used < most:
        stage = replace(problem, weights=np.maximum(problem.weights, weight))
        end = descent(stage, theta, _CENTRED * weight, most - used)
        used += end.iterations
        if not problem.density(end.theta).min() > 0.0:  # rounding has lost the way
            break
        theta, weight = end.theta, weight / _FACTOR
    end = descent(problem, theta, tolerance, max(1, most - used))
    return replace(end, iterations=used + end.iterations)
