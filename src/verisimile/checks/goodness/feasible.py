"""Find weights under which every event has a positive density, if there are any."""

from __future__ import annotations

import numpy as np

from verisimile.checks.goodness.steady import solved
from verisimile.core.arrays import Array
from verisimile.mixture.objective import LogLinear

__all__ = ["feasible_start"]

# Depths at which -log p is continued by its parabola.  A shallow one bends
# easily, a deep one is nearly the true objective.
_DEPTHS = (1e-2, 1e-3, 1e-4, 1e-6)
_STEPS = 200
_TOLERANCE = 1e-10  # squared decrement: it is only a start


def feasible_start(problem: LogLinear, start: Array) -> Array | None:
    """Return parameters of positive density at all rows, or None if none were found.

    The mixture may be slightly negative where an event of the test sample
    lies.  Below a depth, -log p is continued by its second-order expansion,
    which is finite and convex everywhere; its minimum is pulled back to
    positive densities wherever the constraint allows it.  Only the start comes
    from this: the fit itself uses the true likelihood.

    References
    ----------
    A. B. Owen, Empirical Likelihood (2001), eq. 3.37 (the pseudo-logarithm).
    """
    if problem.density(start).min(initial=np.inf) > 0.0:
        return start
    if not start.size:
        return None
    theta = start
    for depth in _DEPTHS:
        theta = _relaxed_minimum(problem, theta, depth)
        if problem.density(theta).min() > 0.0:
            return theta
    return None


def _relaxed_minimum(problem: LogLinear, theta: Array, depth: float) -> Array:
    value, slope, curve = _relaxed(problem.density(theta), depth)
    for _ in range(_STEPS):
        u = problem.weights
        gradient = problem.design.T @ (u * slope) + problem.precision * (theta - problem.centre)
        hessian = (problem.design * (u * curve)[:, None]).T @ problem.design
        step = -solved(hessian + np.diag(problem.precision), gradient)
        decrement = -float(gradient @ step)
        if decrement < _TOLERANCE:
            break
        length, current = 1.0, float(u @ value) + _penalty(problem, theta)
        while length > 1e-10:
            trial = theta + length * step
            value, slope, curve = _relaxed(problem.density(trial), depth)
            if float(u @ value) + _penalty(problem, trial) <= current - 0.1 * length * decrement:
                theta = trial
                break
            length *= 0.5
        else:
            break
    return theta


def _penalty(problem: LogLinear, theta: Array) -> float:
    return 0.5 * float(problem.precision @ (theta - problem.centre) ** 2)


def _relaxed(density: Array, depth: float) -> tuple[Array, Array, Array]:
    """Return the continued -log p with its first and second derivatives."""
    inside = density >= depth
    safe = np.where(inside, density, depth)
    away = np.where(inside, 0.0, 1.0 - density / depth)
    value = -np.log(safe) + away + 0.5 * away * away
    slope = np.where(inside, -1.0 / safe, -(1.0 + away) / depth)
    return value, slope, 1.0 / (safe * safe)
