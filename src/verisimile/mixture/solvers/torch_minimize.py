"""The weight fit by pytorch-minimize's exact Newton method, the paper's solver."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torchmin

from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.protocol import FAR, Optimum, certify


@dataclass(frozen=True, slots=True)
class TorchSolver:
    r"""Settings of pytorch-minimize's ``newton-exact``: automatic derivatives, float64.

    It is given the same tangent problem as :class:`NewtonSolver`, so that the
    weights sum to one exactly and not by a multiplier, and the densities are
    not clamped: outside :math:`p > 0` the objective is infinite.

    Attributes
    ----------
    tolerance, truncation
        As for :class:`~verisimile.mixture.solvers.newton.NewtonSolver`, at the end.
    step_tolerance
        The iteration stops when a step moves the tangent coordinates by less on average.
    max_iterations
        Iterations after which the fit is returned as it is.

    References
    ----------
    R. Feinman, pytorch-minimize (2021); G. Badaracco et al., sec. 2.
    """

    tolerance: float = 1e-10
    step_tolerance: float = 1e-12
    max_iterations: int = 200
    truncation: float = 1e-8

    def __post_init__(self) -> None:
        positive = min(self.tolerance, self.step_tolerance, self.max_iterations) > 0
        require(
            positive and 0 <= self.truncation < 1,
            "TorchSolver",
            got=repr(self),
            expected="positive tolerances and max_iterations, and 0 <= truncation < 1",
        )

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        """Return the optimum reached from a feasible start ``(P,)``, with its certificate."""
        if not start.size:
            return certify(problem, start, iterations=0, tolerance=self.tolerance)
        found = torchmin.minimize(
            _objective(problem, start),
            torch.tensor(start),
            method="newton-exact",
            max_iter=self.max_iterations,
            tol=self.step_tolerance,
            callback=_runs_away,  # an optimum at infinity is not walked to
        )
        theta = np.asarray(found.x.numpy(), dtype=np.float64)
        inside = bool(problem.density(theta).min() > 0.0)  # false also for NaN
        return certify(
            problem,
            theta if inside else start,
            iterations=int(found.nit),
            tolerance=self.tolerance,
        )


def _objective(problem: LogLinear, start: Array) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the objective above its value at `start`, which keeps the digits of the sum."""
    reference = problem.density(start)
    base, design = torch.tensor(problem.base / reference), torch.tensor(problem.design)
    design /= torch.tensor(reference)[:, None]
    weights, precision = torch.tensor(problem.weights), torch.tensor(problem.precision)
    centre = torch.tensor(problem.centre)

    def value(theta: torch.Tensor) -> torch.Tensor:
        ratio = base + design @ theta
        if not bool((ratio > 0.0).all()):
            return _outside(theta)
        pull = theta - centre
        return 0.5 * (precision * pull * pull).sum() - (weights * torch.log(ratio)).sum()

    return value


def _runs_away(theta: torch.Tensor) -> bool:
    return bool(theta.abs().max() > FAR)


def _outside(theta: torch.Tensor) -> torch.Tensor:
    """Return infinity with a gradient that is NaN.

    The line search interpolates values and slopes by a cubic.  With an infinite
    value and a finite slope the next trial is NaN; without a slope it bisects.
    """
    return math.inf * torch.exp(0.0 * theta.sum())
