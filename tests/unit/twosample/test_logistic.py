"""Logistic fits side by side: derivatives, closed forms, and scikit-learn's own solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from distance_statistics import random_labels
from verisimile.checks.twosample import logistic
from verisimile.checks.twosample.logistic import Logistic, LogisticFit
from verisimile.checks.twosample.statistics.nplm import NPLM
from verisimile.core.arrays import Array


def _problem(rng: np.random.Generator, labelings: int = 3) -> Logistic:
    labels, weights = rng.random((labelings, 80)) < 0.6, rng.gamma(2.0, 0.5, 80)
    basis, rates = rng.normal(size=(80, 4)), rng.gamma(5.0, 0.2, labelings)
    return Logistic(basis, np.array([0.5, 1.0, 2.0, 0.1]), labels, weights, rates)


def test_gradients_are_finite_differences(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    beta, direction = rng.normal(size=(2, 3, 4))
    h = 1e-5
    slope = (problem.loss(beta + h * direction) - problem.loss(beta - h * direction)) / (2 * h)
    assert (problem.gradient(beta) * direction).sum(axis=1) == pytest.approx(slope, rel=1e-7)


def test_nothing_is_left_at_the_minimum(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    fit = problem.minimise()
    assert fit.converged.all()
    np.testing.assert_allclose(problem.gradient(fit.coefficients), 0.0, atol=1e-4)
    for _ in range(20):
        nearby = fit.coefficients + 0.01 * rng.normal(size=fit.coefficients.shape)
        assert (problem.loss(nearby) > problem.loss(fit.coefficients)).all()


def test_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    fit = problem.minimise()
    assert fit.converged.all()
    scale = 1.0 / np.sqrt(problem.penalty)
    for labels, rate, ours in zip(problem.labels, problem.rates, fit.coefficients, strict=True):
        model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
        weights = problem.weights * np.where(labels, rate, 1.0)
        model.fit(problem.basis * scale, ~labels, sample_weight=weights)
        assert ours == pytest.approx(np.ravel(model.coef_) * scale, abs=2e-4)


def test_labelings_do_not_see_each_other(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    # The last one is far from zero and takes many more steps.
    problem.rates[2] *= 1e-3
    together = problem.minimise()
    for k in range(3):
        one = replace(problem, labels=problem.labels[[k]], rates=problem.rates[[k]])
        alone = one.minimise().coefficients
        assert together.coefficients[[k]] == pytest.approx(alone, abs=1e-6)


def test_rough_gradients_lead_to_the_same_minimum(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels = rng.normal(size=(900, 3)), random_labels(900, 300, 30, rng)
    x[:300] += 0.2
    labels[0] = np.arange(900) < 300
    prepared = NPLM().prepare(x, np.ones(900), np.random.default_rng(1))
    found = prepared.values(labels)
    monkeypatch.setattr(logistic, "_ROUGH", np.inf)  # float64 throughout
    np.testing.assert_allclose(prepared.values(labels), found, atol=1e-5 * found.std())
    # Had a labeling been let go with a gradient of float32, it would be elsewhere.
    monkeypatch.setattr(logistic, "_ROUGH", 0.0)
    monkeypatch.setattr(logistic, "_STEPS", 8)
    assert np.isnan(prepared.values(labels)).all()


def _cells(counts: Array, reference: Array) -> LogisticFit:
    """Return a fit with one function for each cell."""
    basis, labels = np.repeat(np.eye(len(counts)), 2, axis=0), np.arange(2 * len(counts)) % 2 == 1
    weights = np.column_stack([counts, reference]).ravel()
    penalty = np.full(len(counts), 1e-9)
    return Logistic(basis, penalty, labels[None], weights, np.ones(1)).minimise()


def test_saturated_fit_is_the_g_statistic() -> None:
    # With one function per cell f = log(d/r) and t = 2 sum d log(d/r): the G test.
    counts, expected = np.array([12.0, 30.0, 8.0]), np.array([20.0, 20.0, 10.0])
    fit = _cells(counts, expected)
    assert fit.coefficients[0] == pytest.approx(np.log(counts / expected), abs=1e-4)
    g = stats.power_divergence(counts, expected, lambda_="log-likelihood").statistic
    assert fit.ratio == pytest.approx(g, rel=1e-6)


def test_unequal_sums_give_the_extended_ratio() -> None:
    poisson = 2 * (12 * np.log(12 / 20) - (12 - 20))
    assert _cells(np.array([12.0]), np.array([20.0])).ratio == pytest.approx(poisson, rel=1e-6)


def test_separable_data_stay_finite() -> None:
    x = np.concatenate([np.full(50, -3.0), np.full(50, 3.0)])[:, None]
    fit = Logistic(x, np.array([1e-6]), x.T < 0, np.ones(100), np.ones(1)).minimise()
    assert fit.converged.all()
    assert np.isfinite(fit.ratio).all()


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_basis_of_any_scale_will_do(scale: float, rng: np.random.Generator) -> None:
    problem = _problem(rng)
    turned = replace(problem, basis=scale * problem.basis, penalty=scale**2 * problem.penalty)
    fit, expected = turned.minimise(), problem.minimise()
    assert fit.converged.all()
    assert scale * fit.coefficients == pytest.approx(expected.coefficients, abs=1e-5)
    assert fit.ratio == pytest.approx(expected.ratio, rel=1e-5)


def test_values_and_ratios_without_the_compiled_library(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = 3.0 * rng.normal(size=(4, 103))
    values[0, :6] = [1e5, -1e5, 650.0, -650.0, 1e-9, 0.0]
    weights, rates = rng.gamma(1.0, size=103), rng.gamma(1.0, size=4)
    labels = (rng.random((4, 200)) < 0.5)[:, 30:133]  # rows of a larger array
    found = []
    for native in ("1", "0"):
        monkeypatch.setenv("VERISIMILE_NATIVE", native)
        into = values.copy()
        found.append((logistic._excess(into, labels, weights, rates), into))
    (sums, slopes), (others, same) = found
    np.testing.assert_allclose(sums, others, rtol=1e-12)
    np.testing.assert_allclose(slopes, same, rtol=1e-12, atol=1e-15)
    sizes, values = weights * np.where(labels, rates[:, None], 1.0), np.minimum(values, 600.0)
    np.testing.assert_allclose(slopes, sizes * np.tanh(values / 2), rtol=1e-9, atol=1e-15)
    terms = np.where(labels, np.expm1(values), -values)
    np.testing.assert_allclose(sums, (sizes * terms).sum(axis=1), rtol=1e-12)
