"""The weight fit by iminuit's MIGRAD, an independent minimiser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iminuit import Minuit

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, require
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.protocol import FAR, Optimum, certify

_CUT = 1e-6  # share of a row's reference density below which the logarithm is continued
_EDM = 1e-4  # MIGRAD's tolerance: an estimated distance of 1e-7 nats
_SHORTEST = 1e-9  # share of a step that is worth taking


@dataclass(frozen=True, slots=True)
class MinuitSolver:
    r"""Settings of MIGRAD: strategy 2, analytic gradient, likelihood error definition.

    The parameters are whitened by the curvature at the start, and again in each
    polishing call, so that Minuit's notion of a unit step fits all of them.

    Attributes
    ----------
    tolerance, truncation
        As for :class:`~verisimile.mixture.solvers.newton.NewtonSolver`, at the end.
    max_calls
        Calls of MIGRAD, each from where the last one ended.

    References
    ----------
    F. James, M. Roos, Comput. Phys. Commun. 10 (1975) 343; H. Dembinski et al., iminuit.
    """

    tolerance: float = 1e-14
    max_calls: int = 30
    truncation: float = 1e-8

    def __post_init__(self) -> None:
        require(
            self.tolerance > 0 and self.max_calls > 0 and 0 <= self.truncation < 1,
            "MinuitSolver",
            got=repr(self),
            expected="tolerance > 0, max_calls > 0 and 0 <= truncation < 1",
        )

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        """Return the optimum reached from a feasible start ``(P,)``, with its certificate."""
        theta, calls = start, 0
        optimum = certify(problem, theta, iterations=0, tolerance=self.tolerance)
        while not (
            optimum.converged or calls == self.max_calls or np.abs(theta).max(initial=0.0) > FAR
        ):
            calls += 1
            try:
                axes = curvature_axes(problem, optimum)
            except NumericsError:
                break  # no curvature left: the certificate says that this is not an optimum
            cost = Whitened(problem, optimum.theta, axes)
            end = cost.theta(np.asarray(migrad(cost).values))
            theta = _inside(problem, optimum.theta, end)
            optimum = certify(problem, theta, iterations=calls, tolerance=self.tolerance)
        return optimum


class Whitened:
    r"""The objective in coordinates :math:`\theta = \theta_0 + T y`, continued outside the domain.

    Where a row's density falls below a small share of its value at y = 0,
    :math:`-\log` goes on as its own second-order expansion: convex, smooth and
    finite, so that trial points outside :math:`p > 0` are judged and not refused.

    References
    ----------
    A. Owen, Empirical Likelihood (2001), sec. 12.3.
    """

    def __init__(self, problem: LogLinear, origin: Array, axes: Array) -> None:
        self._problem, self._origin, self._axes = problem, origin, axes
        reference = problem.density(origin)
        self._design = (problem.design @ axes) / reference[:, None]

    @property
    def size(self) -> int:
        """Return P, the number of parameters."""
        return int(self._design.shape[1])

    def theta(self, y: Array) -> Array:
        """Return the problem's own parameters ``(P,)``."""
        return np.asarray(self._origin + self._axes @ y)

    def value(self, y: Array) -> float:
        """Return the objective above its value at the origin, apart from the penalty."""
        ratio = 1.0 + self._design @ y
        low = np.minimum(ratio / _CUT - 1.0, 0.0)
        rows = -np.log(np.maximum(ratio, _CUT)) - low + 0.5 * low * low
        pull = self.theta(y) - self._problem.centre
        penalty = 0.5 * float(self._problem.precision @ (pull * pull))
        return penalty + float(self._problem.weights @ rows)

    def gradient(self, y: Array) -> Array:
        """Return the gradient ``(P,)`` with respect to y."""
        ratio = 1.0 + self._design @ y
        low = np.minimum(ratio / _CUT - 1.0, 0.0)
        slope = -1.0 / np.maximum(ratio, _CUT) + low / _CUT
        pull = self.theta(y) - self._problem.centre
        penalty = self._axes.T @ (self._problem.precision * pull)
        return np.asarray(penalty + self._design.T @ (self._problem.weights * slope))


def curvature_axes(problem: LogLinear, optimum: Optimum) -> Array:
    """Return T with ``T T^T = H^-1``, the directions in which the curvature is one."""
    _, hessian = problem.derivatives(optimum.density, optimum.theta)
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(hessian)).T)
    except np.linalg.LinAlgError:
        raise NumericsError(
            "Hessian of the weight fit",
            got="a matrix that is not positive definite",
            expected="positive curvature in every retained direction",
            remedy="Raise the truncation, or pass pseudo-events.",
        ) from None


def migrad(cost: Whitened) -> Minuit:
    """Return Minuit after MIGRAD from the origin, with unit steps."""
    minuit = Minuit(cost.value, np.zeros(cost.size), grad=cost.gradient)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.strategy = 2
    minuit.tol = _EDM
    minuit.errors = np.ones(cost.size)
    with np.errstate(over="ignore", invalid="ignore"):  # of trial points on the way to infinity
        return minuit.migrad(use_simplex=False)


def _inside(problem: LogLinear, start: Array, end: Array) -> Array:
    """Return `end`, or a feasible point on the way to it; `start` if rounding leaves none."""
    share = 1.0
    while np.isfinite(end).all() and share > _SHORTEST:
        point = np.asarray(start + share * (end - start))
        if problem.density(point).min() > 0.0:
            return point
        share *= 0.5
    return start
