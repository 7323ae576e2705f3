"""A Hessian that is corrected row by row bounds the decrement of the true one."""

from __future__ import annotations

import numpy as np
import pytest

from verisimile.core.arrays import Array
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.newton import Curvature, NewtonSolver, minimise

N, P = 400, 6


@pytest.fixture
def problem() -> LogLinear:
    rng = np.random.default_rng(71)
    return LogLinear(
        base=rng.uniform(0.5, 2.0, N),
        design=0.3 * rng.standard_normal((N, P)),
        weights=rng.uniform(0.1, 2.0, N),
        precision=np.linspace(0.0, 3.0, P),
        centre=0.1 * rng.standard_normal(P),
    )


def _moved(problem: LogLinear, size: float, seed: int) -> Array:
    """Return a feasible point whose densities differ by about `size` from those at zero."""
    step = np.random.default_rng(seed).standard_normal(P)
    change = np.abs(problem.design @ step / problem.base)
    return np.asarray(step * size / change.max())


def _decrement(gradient: Array, hessian: Array) -> float:
    return float(np.sqrt(gradient @ np.linalg.solve(hessian, gradient)))


@pytest.mark.parametrize("size", [0.01, 0.09, 0.15, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("seed", range(5))
def test_the_decrement_is_bounded(problem: LogLinear, size: float, seed: int) -> None:
    zero, theta = np.zeros(P), _moved(problem, size, seed)
    curvature = Curvature(problem, problem.density(zero), zero)
    density = problem.density(theta)
    curvature.move(density, theta)
    gradient, hessian = problem.derivatives(density, theta)
    true = _decrement(gradient, hessian)
    assert curvature.gradient == pytest.approx(gradient, rel=1e-10, abs=1e-10)
    bound = curvature.slack * _decrement(curvature.gradient, curvature.hessian)
    assert true <= bound * (1.0 + 1e-10)
    assert bound <= true * 1.1**2  # slack and stale rows are each worth at most the ten per cent


def test_without_the_slack_the_bound_fails(problem: LogLinear) -> None:
    # Defective twin: the decrement of the stale Hessian taken for that of the true one.
    zero = np.zeros(P)
    short = 0
    for seed in range(20):
        theta = _moved(problem, 0.09, seed)
        curvature = Curvature(problem, problem.density(zero), zero)
        density = problem.density(theta)
        curvature.move(density, theta)
        true = _decrement(*problem.derivatives(density, theta))
        short += _decrement(curvature.gradient, curvature.hessian) < true
    assert short > 0


def test_small_moves_keep_the_matrix_and_large_ones_renew_it(problem: LogLinear) -> None:
    zero = np.zeros(P)
    curvature = Curvature(problem, problem.density(zero), zero)
    first = curvature.hessian
    near, far = _moved(problem, 0.05, 1), _moved(problem, 0.95, 1)
    curvature.move(problem.density(near), near)
    assert curvature.hessian is first
    assert curvature.slack > 1.0
    curvature.move(problem.density(far), far)
    assert curvature.slack <= 1.1
    assert np.abs(curvature.hessian - problem.derivatives(problem.density(far), far)[1]).max() < (
        0.25 * np.abs(first).max()
    )


def test_the_end_is_that_of_whole_hessians(problem: LogLinear) -> None:
    # Independent: undamped Newton steps with the whole matrix, from the end found.
    end = minimise(problem, np.zeros(P), NewtonSolver())
    theta = end.theta
    for _ in range(3):
        gradient, hessian = problem.derivatives(problem.density(theta), theta)
        theta = theta - np.linalg.solve(hessian, gradient)
    assert end.converged
    best = problem.value(problem.density(theta), theta)
    assert end.value - best <= end.gap + 1e-10
    assert end.theta == pytest.approx(theta, abs=1e-6)
