"""The damped Newton fit on torch tensors, for matrices that a GPU multiplies faster."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError, require
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.protocol import (
    Optimum,
    certified_gap,
    descend,
    self_concordance,
)

_SHRINK = 0.99  # share of the way to the boundary that a step may go
_ARMIJO = 0.1
_QUADRATIC = 0.25  # decrement below which full steps converge quadratically
_ROWS = 65_536  # rows that are scaled at a time: bounds the memory beside the design
_SHORTEST = 1e-14


@dataclass(frozen=True, slots=True)
class DeviceNewton:
    r"""Settings of the damped Newton fit on a torch device, in float64.

    The same steps as :class:`~verisimile.mixture.solvers.newton.NewtonSolver`, with the
    whole Hessian made anew in each: sums are ordered differently, so that
    optima agree to rounding and not to the bit.

    Attributes
    ----------
    device
        A torch device with float64: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    tolerance, max_iterations, truncation
        As for :class:`~verisimile.mixture.solvers.newton.NewtonSolver`.
    """

    device: str = "cpu"
    tolerance: float = 1e-10
    max_iterations: int = 500
    truncation: float = 1e-8

    def __post_init__(self) -> None:
        require(
            self.tolerance > 0 and self.max_iterations > 0 and 0 <= self.truncation < 1,
            "DeviceNewton",
            got=repr(self),
            expected="tolerance > 0, max_iterations > 0 and 0 <= truncation < 1",
        )

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:
        """Return the optimum reached from a feasible start ``(P,)``, with its certificate."""
        return descend(
            problem, start, self._descent, tolerance=self.tolerance, most=self.max_iterations
        )

    def _descent(self, problem: LogLinear, start: Array, tolerance: float, most: int) -> Optimum:
        on = _Problem(problem, self._found())
        theta = on.tensor(start)
        density = on.density(theta)
        if not bool((density > 0.0).all()):
            raise NumericsError("start of the fit", got="a non-positive density", expected="p > 0")
        concordance = self_concordance(problem)
        decrement, iteration, done = 0.0, 0, start.size == 0
        while not done and iteration < most:
            iteration += 1
            gradient, hessian = on.derivatives(density, theta)
            step = -_solved(hessian, gradient)
            decrement = math.sqrt(max(0.0, -float(gradient @ step)))
            full = decrement * concordance < _QUADRATIC
            length = 1.0 if full else _length(on, theta, density, step, decrement)
            moved = on.density(theta + length * step)
            if length == 0.0 or not bool((moved > 0.0).all()):  # rounding leaves no step
                break
            theta, density = theta + length * step, moved
            done = decrement * decrement <= tolerance
        return Optimum(
            theta=theta.cpu().numpy(),
            density=density.cpu().numpy(),
            value=on.value(density, theta),
            decrement=decrement,
            gap=certified_gap(problem, decrement),
            iterations=iteration,
            converged=decrement * decrement <= tolerance,
        )

    def _found(self) -> torch.device:
        try:
            device = torch.device(self.device)
            torch.zeros(1, dtype=torch.float64, device=device)
        except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
            raise InputError(
                "DeviceNewton.device",
                got=repr(self.device),
                expected="a device of this machine with float64",
                remedy='Use NewtonSolver(), or device="cpu".',
            ) from error
        return device


class _Problem:
    """A :class:`LogLinear` objective whose arrays lie on a device."""

    def __init__(self, problem: LogLinear, device: torch.device) -> None:
        self._device = device
        self.base, self.design = self.tensor(problem.base), self.tensor(problem.design)
        self.weights, self.precision = self.tensor(problem.weights), self.tensor(problem.precision)
        self.centre = self.tensor(problem.centre)

    def tensor(self, values: Array) -> torch.Tensor:
        # A copy where torch would share memory that NumPy holds read-only.
        own = np.require(values, dtype=np.float64, requirements=["C", "W"])
        return torch.from_numpy(own).to(self._device)

    def density(self, theta: torch.Tensor) -> torch.Tensor:
        return self.base + self.design @ theta

    def value(self, density: torch.Tensor, theta: torch.Tensor) -> float:
        pull = theta - self.centre
        return float(0.5 * (self.precision @ (pull * pull)) - self.weights @ torch.log(density))

    def derivatives(
        self, density: torch.Tensor, theta: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        root = torch.sqrt(self.weights)
        scale = root / density
        hessian = torch.diag(self.precision)
        gradient = self.precision * (theta - self.centre)
        for first in range(0, density.numel(), _ROWS):
            rows = slice(first, first + _ROWS)
            scores = self.design[rows] * scale[rows, None]
            hessian += scores.T @ scores
            gradient -= root[rows] @ scores
        return gradient, hessian


def _solved(hessian: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    factor, failed = torch.linalg.cholesky_ex(hessian)
    if int(failed):
        raise NumericsError(
            "Newton system",
            got="a Hessian that is not positive definite",
            expected="positive curvature in every retained direction",
            remedy="Members or kernels are collinear: raise the truncation tolerance.",
        )
    return torch.cholesky_solve(right[:, None], factor)[:, 0]


def _length(
    on: _Problem, theta: torch.Tensor, density: torch.Tensor, step: torch.Tensor, decrement: float
) -> float:
    """Return a step length that stays feasible and lowers the objective, or zero."""
    slope = on.design @ step
    value = on.value(density, theta)
    steepest = float((-slope / density).max())
    length = min(1.0, _SHRINK / steepest) if steepest > 0.0 else 1.0
    while length > _SHORTEST:
        moved = density + length * slope
        if bool((moved > 0.0).all()):
            trial = on.value(moved, theta + length * step)
            if trial <= value - _ARMIJO * length * decrement * decrement:
                return length
        length *= 0.5
    return 0.0
