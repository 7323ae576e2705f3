"""Fits whose Hessian is singular in float64: the same optimum, with a certificate."""

from __future__ import annotations

import numpy as np
import pytest

from verisimile.checks.goodness.profile import steady_minimum
from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import Optimum
from verisimile.stats.linalg import solve_rounded


class GivesUp:
    """A solver that finds no Hessian positive definite."""

    truncation = 0.0

    def minimise(self, problem: LogLinear, start: Array) -> Optimum:  # noqa: ARG002
        raise NumericsError("Newton system", got="zero curvature", expected="some")


def _problem(rng: np.random.Generator, *, outlier: float = 1.0) -> LogLinear:
    design = 0.3 * rng.standard_normal((300, 4))
    design[0, 0] *= outlier
    return LogLinear(
        base=np.ones(300),
        design=design,
        weights=np.ones(300),
        precision=np.array([1.0, 1.0, 0.0, 0.0]),
        centre=np.array([0.2, -0.1, 0.0, 0.0]),
    )


def test_it_ends_where_newton_ends(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    newton = NewtonSolver().minimise(problem, np.zeros(4))
    rows = steady_minimum(problem, np.zeros(4), GivesUp())
    assert rows.converged
    assert rows.theta == pytest.approx(newton.theta, abs=1e-6)
    assert abs(rows.value - newton.value) <= rows.gap + newton.gap + 1e-9


@pytest.mark.parametrize("outlier", [1e9, -1e12])
def test_one_row_of_enormous_size_leaves_the_others_their_optimum(
    outlier: float, rng: np.random.Generator
) -> None:
    # The row only wants a sign of the first parameter; its logarithm is then of no account.
    problem = _problem(rng, outlier=outlier)
    found = steady_minimum(problem, np.zeros(4), NewtonSolver())
    assert found.converged
    assert found.gap < 1e-7
    gradient = problem.gradient(found.density, found.theta)
    others = problem.design[1:] / found.density[1:, None]
    curvature = others.T @ others + np.diag(problem.precision)
    assert np.abs(gradient).max() < 1e-4 * np.sqrt(np.diag(curvature)).max()


def test_a_parameter_that_no_row_sees_does_not_move(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    problem.design[:, 3] = 0.0
    found = steady_minimum(problem, np.zeros(4), GivesUp())
    assert found.converged
    assert found.theta[3] == 0.0


def test_equal_columns_share_what_they_do(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    problem.design[:, 3] = problem.design[:, 2]
    found = steady_minimum(problem, np.zeros(4), NewtonSolver())
    assert found.converged
    assert found.gap < 1e-7


def test_a_singular_system_is_solved_where_it_can_be(rng: np.random.Generator) -> None:
    half = rng.standard_normal((6, 3))
    matrix = half @ half.T
    right = matrix @ rng.standard_normal(6)
    assert matrix @ solve_rounded(matrix, right) == pytest.approx(right, abs=1e-6)
    plain = matrix + np.eye(6)
    assert solve_rounded(plain, right) == pytest.approx(np.linalg.solve(plain, right))
