"""Profile-likelihood interval of a single mixture weight, by iminuit's MINOS."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.result import register
from verisimile.mixture.minuit_solver import Whitened, curvature_axes, migrad
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.reduced import Pseudo, Reduced, reduced_problem
from verisimile.mixture.solver import Optimum, WeightSolver

__all__ = ["MinosInterval", "minos_interval"]


@register("minos-interval", 1)
@dataclass(frozen=True, slots=True)
class MinosInterval:
    """Profile-likelihood interval of one weight.

    Attributes
    ----------
    value
        The fitted weight.
    low, high
        Ends of the interval; not symmetric about `value` in general.
    valid
        Whether MINOS found both ends; an end that it did not find is NaN.
    """

    value: float
    low: float
    high: float
    valid: bool


def minos_interval(
    logf: Array,
    index: int,
    *,
    weights: Array | None = None,
    level: float = 0.6827,
    pseudo: Pseudo | None = None,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> MinosInterval:
    r"""Return the interval of weight `index` with all others profiled, their sum kept at one.

    .. math:: \{w_i : \min_{w | w_i,\; \sum_j w_j = 1} \ell(w) - \ell(\hat w)
              \le \tfrac12 \chi^2_{1,\,level}\}

    with :math:`\ell` the negative log-likelihood summed over events (and
    pseudo-events).  With event weights this is the weighted likelihood: like the
    inverse Hessian, and unlike the sandwich, the interval is then too short.

    Parameters
    ----------
    logf, weights, pseudo
        As for :func:`~verisimile.mixture.fit.fit_weights`.
    index
        Member, from 0 to M - 1.
    level
        Confidence level, in (0, 1).
    solver
        What finds the optimum that the profile starts from.

    Raises
    ------
    InputError
        If there is no such member or level; otherwise as ``fit_weights``.
    NumericsError
        If the fit has no certified optimum.

    References
    ----------
    F. James, M. Roos, Comput. Phys. Commun. 10 (1975) 343.
    """
    reduced = reduced_problem(logf, weights, pseudo, solver.truncation)
    _check(index, level, reduced.basis.shape[0])
    optimum = solver.minimise(reduced.problem, np.zeros(reduced.basis.shape[1]))
    _check_certified(optimum)
    value = float(reduced.weights(optimum.theta)[index])
    axes, sigma = _axes(reduced, optimum, index)
    if sigma == 0.0:  # a single member, or a weight that truncation has frozen
        return MinosInterval(value, value, value, valid=True)
    return _scanned(Whitened(reduced.problem, optimum.theta, axes), value, sigma, level)


def _axes(reduced: Reduced, optimum: Optimum, index: int) -> tuple[Array, float]:
    """Return axes of unit curvature of which only the first moves the weight, and by how much."""
    problem: LogLinear = reduced.problem
    row = reduced.basis[index]
    if not row.any():
        return np.eye(row.size), 0.0
    axes = curvature_axes(problem, optimum)
    along = axes.T @ row
    rotation, upper = np.linalg.qr(along[:, None], mode="complete")
    rotation[:, 0] *= np.sign(upper[0, 0])
    return axes @ rotation, abs(float(upper[0, 0]))


def _scanned(cost: Whitened, value: float, sigma: float, level: float) -> MinosInterval:
    """Run MINOS on the first coordinate, in which the weight is ``value + sigma y``."""
    minuit: Minuit = migrad(cost)
    minuit.minos(0, cl=level)
    found = minuit.merrors[0]
    centre = float(minuit.values[0])
    low, high = (
        value + sigma * (centre + end) if ok else math.nan
        for end, ok in ((found.lower, found.lower_valid), (found.upper, found.upper_valid))
    )
    return MinosInterval(value, low, high, valid=bool(found.is_valid))


def _check(index: int, level: float, members: int) -> None:
    if not 0 <= index < members:
        raise InputError("index", got=repr(index), expected=f"a member, from 0 to {members - 1}")
    if not 0.0 < level < 1.0:
        raise InputError("level", got=repr(level), expected="a confidence level in (0, 1)")


def _check_certified(optimum: Optimum) -> None:
    if not optimum.converged:
        raise NumericsError(
            "MINOS",
            got=f"a fit that ended at a Newton decrement of {optimum.decrement:.2g}",
            expected="a certified optimum",
            remedy="Pass pseudo-events, or raise the solver's limit of iterations.",
        )
