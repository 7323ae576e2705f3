"""Batched logistic fits: derivatives, closed forms, and scikit-learn's own solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from verisimile.checks.twosample.statistics.nplm import Logistic, extended_ratio
from verisimile.core.arrays import Array


def _problem(rng: np.random.Generator, columns: int = 3) -> Logistic:
    data = np.where(rng.random((80, columns)) < 0.4, rng.gamma(2.0, 0.5, (80, columns)), 0.0)
    reference = np.where(data > 0, 0.0, 0.7)
    return Logistic(rng.normal(size=(80, 4)), np.array([0.5, 1.0, 2.0, 0.1]), data, reference)


def test_gradient_and_curvature_are_finite_differences(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    beta, direction = rng.normal(size=(2, 4, 3))
    h = 1e-5
    up, down = beta + h * direction, beta - h * direction
    slope = (problem.loss(up) - problem.loss(down)) / (2 * h)
    assert (problem.gradient(beta) * direction).sum(axis=0) == pytest.approx(slope, rel=1e-7)
    bend = (problem.gradient(up) - problem.gradient(down)) / (2 * h)
    found = problem.curvature(problem.basis @ beta, direction)
    assert found == pytest.approx(bend, rel=1e-6, abs=1e-7)


def test_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    fit = problem.minimise()
    assert fit.converged.all()
    scale = 1.0 / np.sqrt(problem.penalty)
    for column in range(3):
        data = problem.data[:, column]
        model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
        weights = data + problem.reference[:, column]
        model.fit(problem.basis * scale, data > 0, sample_weight=weights)
        theirs = np.ravel(model.coef_) * scale
        assert fit.coefficients[:, column] == pytest.approx(theirs, abs=2e-4)


def test_columns_do_not_see_each_other(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    # The last column is far from zero and takes many more steps.
    problem.reference[:, 2] *= 1e-3
    together = problem.minimise()
    for column in range(3):
        alone = problem._columns(np.array([column])).minimise()
        assert together.coefficients[:, [column]] == pytest.approx(alone.coefficients, abs=1e-6)


def _cells(counts: Array, reference: Array) -> tuple[Array, Array, Array]:
    """Return f, data and reference weights of a fit with one function for each cell."""
    basis = np.repeat(np.eye(len(counts)), 2, axis=0)
    data, ref = np.zeros(2 * len(counts)), np.zeros(2 * len(counts))
    data[::2], ref[1::2] = counts, reference
    problem = Logistic(basis, np.full(len(counts), 1e-9), data[:, None], ref[:, None])
    return problem.minimise().values, data[:, None], ref[:, None]


def test_saturated_fit_is_the_g_statistic() -> None:
    # With one function per cell f = log(d/r) and t = 2 sum d log(d/r): the G test.
    counts, expected = np.array([12.0, 30.0, 8.0]), np.array([20.0, 20.0, 10.0])
    values, data, reference = _cells(counts, expected)
    assert values[::2, 0] == pytest.approx(np.log(counts / expected), abs=1e-4)
    g = stats.power_divergence(counts, expected, lambda_="log-likelihood").statistic
    assert extended_ratio(values, data, reference) == pytest.approx(g, rel=1e-6)


def test_unequal_sums_give_the_extended_ratio() -> None:
    values, data, reference = _cells(np.array([12.0]), np.array([20.0]))
    poisson = 2 * (12 * np.log(12 / 20) - (12 - 20))
    assert extended_ratio(values, data, reference) == pytest.approx(poisson, rel=1e-6)


def test_separable_data_stay_finite() -> None:
    x = np.concatenate([np.full(50, -3.0), np.full(50, 3.0)])[:, None]
    data = (x > 0).astype(np.float64)
    fit = Logistic(x, np.array([1e-6]), data, 1.0 - data).minimise()
    assert fit.converged.all()
    assert np.isfinite(fit.values).all()
