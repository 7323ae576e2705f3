"""Solvers of the weight fit: settings, the edge of the domain, and the coordinates of MIGRAD."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

from analytic import draw, family, log_densities
from global_state import differences, snapshot
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.mixture.fit import reduced_problem
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.minuit import MinuitSolver, Whitened, curvature_axes
from verisimile.mixture.solvers.newton import NewtonSolver, minimise
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver, certified_gap, certify
from verisimile.mixture.solvers.torch_minimize import TorchSolver, _objective

M = 6


@pytest.fixture(scope="module")
def problem() -> LogLinear:
    members = family(M)
    x = draw(members, np.full(M, 1.0 / M), 500, np.random.default_rng(41))
    return reduced_problem(log_densities(members, x), None, None, 1e-8).problem


@pytest.fixture(scope="module")
def optimum(problem: LogLinear) -> Optimum:
    return minimise(problem, np.zeros(M - 1), NewtonSolver())


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (TorchSolver, {"tolerance": 0.0}),
        (TorchSolver, {"step_tolerance": -1.0}),
        (TorchSolver, {"max_iterations": 0}),
        (TorchSolver, {"truncation": 1.0}),
        (MinuitSolver, {"tolerance": 0.0}),
        (MinuitSolver, {"max_calls": 0}),
        (MinuitSolver, {"truncation": -0.1}),
    ],
    ids=str,
)
def test_settings_without_meaning_are_refused(
    make: Callable[..., WeightSolver], settings: dict[str, float]
) -> None:
    with pytest.raises(InputError, match="tolerance"):
        make(**settings)


@pytest.mark.parametrize("solver", [NewtonSolver(), TorchSolver(), MinuitSolver()], ids=str)
def test_a_constrained_problem_has_one_optimum(problem: LogLinear, solver: WeightSolver) -> None:
    # A Gaussian constraint moves the optimum; all solvers know of it.
    pulled = LogLinear(
        problem.base, problem.design, problem.weights, np.full(M - 1, 300.0), np.full(M - 1, 0.1)
    )
    end = solver.minimise(pulled, np.zeros(M - 1))
    gradient, _ = pulled.derivatives(end.density, end.theta)
    free, _ = problem.derivatives(end.density, end.theta)
    assert np.abs(gradient).max() < 1e-4
    assert np.abs(free).max() > 1.0
    assert end.value == pytest.approx(
        minimise(pulled, np.zeros(M - 1), NewtonSolver()).value, rel=0.0, abs=1e-9
    )


@pytest.mark.parametrize("solver", [TorchSolver(), MinuitSolver()], ids=str)
def test_any_feasible_start_leads_to_the_optimum(
    problem: LogLinear, optimum: Optimum, solver: WeightSolver
) -> None:
    direction = np.random.default_rng(42).standard_normal(M - 1)
    slope = problem.design @ direction
    # As close to the boundary as one per cent of the way there.
    start = direction * 0.99 / float(np.max(-slope / problem.base))
    end = solver.minimise(problem, start)
    assert end.converged
    assert end.value == pytest.approx(optimum.value, rel=0.0, abs=1e-9)


def test_the_certificate_is_the_newton_decrement(problem: LogLinear, optimum: Optimum) -> None:
    theta = optimum.theta + 0.003
    end = certify(problem, theta, iterations=3, tolerance=1e-10)
    gradient, hessian = problem.derivatives(problem.density(theta), theta)
    expected = np.sqrt(gradient @ np.linalg.solve(hessian, gradient))
    assert end.decrement == pytest.approx(expected, rel=1e-10)
    assert end.gap == certified_gap(problem, end.decrement)
    assert 0.0 < end.value - optimum.value <= end.gap
    assert not end.converged
    assert end.iterations == 3


def test_far_from_the_optimum_nothing_is_certified(problem: LogLinear) -> None:
    assert certified_gap(problem, 0.67) == pytest.approx(0.67**2)
    assert certified_gap(problem, 0.69) == np.inf


def test_a_flat_objective_is_not_certified() -> None:
    flat = LogLinear(np.ones(4), np.zeros((4, 1)), np.ones(4), np.zeros(1), np.zeros(1))
    end = certify(flat, np.zeros(1), iterations=1, tolerance=1.0)
    assert end.decrement == np.inf
    assert not end.converged


def test_torch_objective_is_that_of_the_problem(problem: LogLinear, optimum: Optimum) -> None:
    start = np.zeros(M - 1)
    value = float(_objective(problem, start)(torch.tensor(optimum.theta)))
    origin = problem.value(problem.density(start), start)
    assert value == pytest.approx(optimum.value - origin, rel=1e-9)


def test_torch_objective_is_infinite_outside_and_has_no_slope(problem: LogLinear) -> None:
    theta = torch.full((M - 1,), 1e3, dtype=torch.float64, requires_grad=True)
    value = _objective(problem, np.zeros(M - 1))(theta)
    (gradient,) = torch.autograd.grad(value, theta)
    assert float(value.detach()) == np.inf
    assert torch.isnan(gradient).all()


def test_torch_solver_leaves_global_state_alone(problem: LogLinear) -> None:
    before, stream = snapshot(), torch.random.get_rng_state()
    TorchSolver().minimise(problem, np.zeros(M - 1))
    assert not differences(before, snapshot())
    assert torch.equal(stream, torch.random.get_rng_state())


def test_axes_have_unit_curvature(problem: LogLinear, optimum: Optimum) -> None:
    axes = curvature_axes(problem, optimum)
    _, hessian = problem.derivatives(optimum.density, optimum.theta)
    assert axes.T @ hessian @ axes == pytest.approx(np.eye(M - 1), abs=1e-9)


@pytest.mark.parametrize("reach", [0.0, 0.5, 40.0])
def test_gradient_of_the_continued_objective(
    problem: LogLinear, optimum: Optimum, reach: float
) -> None:
    cost = Whitened(problem, optimum.theta, curvature_axes(problem, optimum))
    y = reach * np.array([1.0, -1.0, 0.5, 0.2, -0.4])
    # Only the longest reach leaves the domain of the logarithm.
    assert (problem.density(cost.theta(y)).min() < 0.0) == (reach > 1.0)
    numerical: Array = approx_fprime(y, cost.value, 1e-7)
    scale = max(1.0, float(np.abs(numerical).max()))
    assert cost.gradient(y) == pytest.approx(numerical, abs=2e-5 * scale)


def test_the_continuation_changes_nothing_inside(problem: LogLinear, optimum: Optimum) -> None:
    cost = Whitened(problem, optimum.theta, curvature_axes(problem, optimum))
    y = np.full(M - 1, 0.7)
    theta = cost.theta(y)
    expected = problem.value(problem.density(theta), theta) - optimum.value
    assert cost.value(y) == pytest.approx(expected, abs=1e-9)
