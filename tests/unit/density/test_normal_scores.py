"""Marginal Gaussianisation: a monotone map with its Jacobian, for any sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from statistical import FIVE_SIGMA
from verisimile.core.arrays import Array
from verisimile.density.input_map import Gaussianisation, excess_of, score_of


def fitted(
    x: Array, *, bins: int = 16, weights: Array | None = None, exponential: bool = True
) -> Gaussianisation:
    tails = [exponential] * x.shape[1]
    return Gaussianisation.fit(x, weights, most_bins=bins, exponential=tails)


@pytest.fixture
def peak(rng: np.random.Generator) -> Array:
    """Return a sharp resonance on a broad continuum, and a heavy tail."""
    narrow = rng.standard_cauchy(6000) * 0.05
    broad = rng.uniform(-20, 20, 2000)
    return np.column_stack([np.concatenate([narrow, broad]), rng.standard_t(3, 8000)])


@pytest.mark.parametrize("exponential", [True, False])
def test_fresh_events_become_standard_normal(rng: np.random.Generator, exponential: bool) -> None:
    scores, _ = fitted(rng.gamma(2.0, size=(50_000, 1)), bins=32, exponential=exponential).forward(
        rng.gamma(2.0, size=(2000, 1))
    )
    assert stats.kstest(scores[:, 0], "norm").pvalue > FIVE_SIGMA


@pytest.mark.parametrize("exponential", [True, False])
def test_inverse_and_jacobian(peak: Array, exponential: bool) -> None:
    scores = fitted(peak, exponential=exponential)
    x = np.quantile(peak, np.linspace(0.0002, 0.9998, 400), axis=0)
    z, log_jacobian = scores.forward(x)
    np.testing.assert_allclose(scores.inverse(z), x, rtol=1e-8, atol=1e-9)
    step = 1e-6
    slopes = (scores.forward(x + step)[0] - scores.forward(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(log_jacobian, np.log(slopes).sum(axis=1), atol=2e-3)


@pytest.mark.parametrize("exponential", [True, False])
def test_monotone_and_finite_everywhere(peak: Array, exponential: bool) -> None:
    grid = np.concatenate([-np.logspace(308, -8, 600), np.logspace(-8, 308, 600)])
    z, log_jacobian = fitted(peak, exponential=exponential).forward(np.column_stack([grid, grid]))
    assert (np.diff(z, axis=0) >= 0).all()
    assert np.isfinite(z).all()
    assert np.isfinite(log_jacobian).all()
    inner = np.abs(grid) < 1e3
    assert (np.diff(z[inner], axis=0) > 0).all()


def test_exponential_tail_has_the_share_and_the_rate_of_the_sample(
    rng: np.random.Generator,
) -> None:
    x = rng.exponential(2.0, size=(20_000, 1))
    scores = fitted(x, bins=16)
    edge = float(scores.columns[0].knots[0, -1])
    far = np.linspace(edge, edge + 20.0, 2001)[:, None]
    z, log_jacobian = scores.forward(far)
    density = np.exp(stats.norm.logpdf(z[:, 0]) + log_jacobian)
    total = integrate.simpson(density, x=far[:, 0])
    assert total == pytest.approx(20 / 20_000, rel=1e-3)
    slope = np.polyfit(far[1:, 0], np.log(density[1:]), 1)[0]
    # 20 events: the likeliest rate has a relative error of 1 / sqrt(20).
    assert slope == pytest.approx(-0.5, abs=5 * 0.5 / np.sqrt(20))


def test_density_is_continuous_at_the_outer_knots(peak: Array) -> None:
    scores = fitted(peak)
    for j, column in enumerate(scores.columns):
        for edge in (column.knots[0, 0], column.knots[0, -1]):
            x = np.zeros((2, 2))
            x[:, j] = edge * (1 - 1e-9), edge * (1 + 1e-9)
            z, log_jacobian = scores.forward(x)
            np.testing.assert_allclose(z[0], z[1], atol=1e-6)
            assert log_jacobian[0] == pytest.approx(log_jacobian[1], abs=1e-5)


@pytest.mark.parametrize("z", [-1.0, 0.0, 3.0, 8.0, 50.0, 1e4])
def test_tail_functions_invert_each_other(z: float) -> None:
    excess = excess_of(np.array([z]), 0.7, 0.9)
    back, log_slope = score_of(excess, 0.7, 0.9)
    assert back[0] == pytest.approx(z, rel=1e-8, abs=1e-10)
    if z < 30:
        expected = np.log(0.7) + stats.norm.logsf(z) - stats.norm.logpdf(z)
        assert log_slope[0] == pytest.approx(expected, rel=1e-9)


def test_ties_and_spikes_do_no_harm(rng: np.random.Generator) -> None:
    spike = np.where(rng.random(3000) < 0.4, 0.0, rng.exponential(size=3000))
    counts = rng.poisson(1.0, 3000).astype(float)
    x = np.column_stack([spike, counts])
    scores = fitted(x)
    z, log_jacobian = scores.forward(x)
    assert np.isfinite(z).all()
    assert np.isfinite(log_jacobian).all()
    np.testing.assert_allclose(scores.inverse(z), x, atol=1e-6)


def test_weights_count(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20_000, 1))
    weights = np.where(x[:, 0] > 0, 3.0, 1.0)
    z, _ = fitted(x, weights=weights).forward(x)
    # The sample that the map was fitted on: the knots leave only a trace of curvature.
    assert abs(np.average(z[:, 0], weights=weights)) < 0.01
    assert np.average(z[:, 0] ** 2, weights=weights) == pytest.approx(1.0, abs=0.02)
    assert np.average(z[:, 0]) < -0.2


def test_equal_weights_change_nothing_but_the_quantile_rule(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20_000, 1))
    grid = np.linspace(-2, 2, 50)[:, None]
    plain, weighted = fitted(x), fitted(x, weights=np.full(20_000, 2.0))
    np.testing.assert_allclose(plain.forward(grid)[0], weighted.forward(grid)[0], atol=5e-3)


def test_no_bins_mean_the_identity() -> None:
    x = np.array([[1.0, -2.0]])
    z, log_jacobian = fitted(x, bins=0).forward(x)
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(log_jacobian, [0.0])
    np.testing.assert_array_equal(fitted(x, bins=0).inverse(x), x)


def test_arrays_rebuild_the_map_bit_by_bit(peak: Array) -> None:
    scores = fitted(peak)
    again = Gaussianisation.of(scores.arrays)
    np.testing.assert_array_equal(again.forward(peak)[0], scores.forward(peak)[0])
