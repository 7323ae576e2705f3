"""Follow the optimum while rows that weigh little lose their weight: no step gets lost in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from verisimile.core.arrays import Array
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.protocol import Optimum

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
    return _followed(problem, start, descent, tolerance, most)


def _followed(
    problem: LogLinear, start: Array, descent: Descent, tolerance: float, most: int
) -> Optimum:
    lightest = float(problem.weights.min())
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
