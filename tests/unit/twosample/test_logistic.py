"""Logistic fits side by side: derivatives, closed forms, and scikit-learn's own solver."""

from __future__ import annotations

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
    data = rng.gamma(2.0, 0.5, (labelings, 80))
    signed = np.where(rng.random((labelings, 80)) < 0.4, -data, 0.7)
    return Logistic(rng.normal(size=(80, 4)), np.array([0.5, 1.0, 2.0, 0.1]), signed)


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
    for signed, ours in zip(problem.signed, fit.coefficients, strict=True):
        model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000)
        model.fit(problem.basis * scale, signed < 0, sample_weight=np.abs(signed))
        assert ours == pytest.approx(np.ravel(model.coef_) * scale, abs=2e-4)


def test_labelings_do_not_see_each_other(rng: np.random.Generator) -> None:
    problem = _problem(rng)
    # The last one is far from zero and takes many more steps.
    problem.signed[2] *= np.where(problem.signed[2] > 0, 1e-3, 1.0)
    together = problem.minimise()
    for k in range(3):
        alone = Logistic(problem.basis, problem.penalty, problem.signed[[k]]).minimise()
        assert together.coefficients[[k]] == pytest.approx(alone.coefficients, abs=1e-6)


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
    basis, signed = np.repeat(np.eye(len(counts)), 2, axis=0), np.zeros((1, 2 * len(counts)))
    signed[0, ::2], signed[0, 1::2] = -counts, reference
    return Logistic(basis, np.full(len(counts), 1e-9), signed).minimise()


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
    fit = Logistic(x, np.array([1e-6]), np.where(x > 0, -1.0, 1.0).T).minimise()
    assert fit.converged.all()
    assert np.isfinite(fit.ratio).all()


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_basis_of_any_scale_will_do(scale: float, rng: np.random.Generator) -> None:
    problem = _problem(rng)
    turned = Logistic(scale * problem.basis, scale**2 * problem.penalty, problem.signed)
    fit, expected = turned.minimise(), problem.minimise()
    assert fit.converged.all()
    assert scale * fit.coefficients == pytest.approx(expected.coefficients, abs=1e-5)
    assert fit.ratio == pytest.approx(expected.ratio, rel=1e-5)
