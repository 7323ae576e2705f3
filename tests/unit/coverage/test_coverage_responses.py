"""Propagation to linear observables and quantiles, against independent calculations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtr

from analytic import Blend, log_densities
from coverage_values import PAPER, spanning_members, spanning_mixture
from statistical import assert_within
from verisimile.checks.coverage.members import Aim, density_ratios, draw_strata
from verisimile.checks.coverage.observables import (
    BinContent,
    Expectation,
    FeatureColumns,
    Moment,
    Observable,
    Quantile,
)
from verisimile.checks.coverage.responses import (
    CalibratedPool,
    CrossingResponse,
    LinearResponse,
    Response,
)
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.truths import GaussianTruth

MEMBERS = spanning_members(4)
MIXTURE = spanning_mixture(MEMBERS, 2000)


def _pooled(observable: Observable, count: int, seed: int) -> tuple[Response, Array]:
    """Return the response from a pool of `count` draws, and all sums behind it."""
    rng = np.random.default_rng(seed)
    x = draw_strata(MEMBERS, count // len(MEMBERS), rng)
    bound = observable.bind(FeatureColumns(("x0", "x1"), x[::7]))
    ratios, _ = density_ratios(log_densities(MEMBERS, x))
    pool = CalibratedPool(ratios.T @ ratios, x.shape[0])
    return bound.collect(pool, bound.accumulate(x, ratios)), ratios


def test_linear_error_is_that_of_the_mixture() -> None:
    means = np.array([0.1, 0.4, -0.2, 0.7])
    spread = np.diag([1e-4, 2e-4, 0.0, 3e-4]) + 1e-5
    found = LinearResponse(means, spread).estimate(MIXTURE.fit)
    w, c = MIXTURE.weights, MIXTURE.fit.covariance
    assert found.value == pytest.approx(float(w @ means))
    assert found.sampling == pytest.approx(w @ spread @ w)
    assert found.error == pytest.approx(math.sqrt(means @ c @ means + found.sampling))
    assert found.plus_variance(1.0).error == pytest.approx(math.hypot(found.error, 1.0))


def test_pooled_expectations_are_those_of_the_members_with_their_claimed_errors() -> None:
    exact = np.array([m.shares @ m.means[:, 0] for m in MEMBERS])
    found = [_pooled(Moment("x0"), 2000, seed)[0] for seed in range(200)]
    rows = np.array([r.means for r in found if isinstance(r, LinearResponse)])
    claimed = np.mean([r.covariance for r in found if isinstance(r, LinearResponse)], axis=0)
    assert_within(rows.mean(axis=0), exact, np.sqrt(np.diag(claimed) / len(rows)))
    # Signed sums too: the variance of a sample variance is 2 / (n - 1).
    for w in (MIXTURE.weights, np.array([5.0, -3.0, 2.0, -3.0]), np.eye(4)[1]):
        variance = w @ claimed @ w
        assert_within((rows @ w).var(ddof=1), variance, variance * math.sqrt(2 / 199))


def test_the_noise_of_a_spread_is_what_draws_add_to_it() -> None:
    c = MIXTURE.fit.covariance
    exact = np.array([m.shares @ m.means[:, 0] for m in MEMBERS])
    found = [_pooled(Moment("x0"), 2000, seed)[0] for seed in range(200)]
    offsets = [r.means - exact for r in found if isinstance(r, LinearResponse)]
    seen = np.array([d @ c @ d for d in offsets])
    claimed = np.array([r.spread_noise(MIXTURE.fit) for r in found])
    error = np.hypot(seen.std(), claimed.std()) / math.sqrt(len(seen))
    assert_within(seen.mean(), claimed.mean(), error)
    # The noise of the mixture's own value, which is no part of it, is larger by far.
    own = np.array([r.estimate(MIXTURE.fit).sampling for r in found])
    assert own.mean() - seen.mean() > 5.0 * error


def test_a_closure_needs_few_draws_and_a_truth_many() -> None:
    response = _pooled(Moment("x0"), 20_000, 5)[0]
    n = MIXTURE.fit.record.n_events
    closure, truth = (
        Aim(n, closure=each).worst_share([response], MIXTURE.fit) for each in (True, False)
    )
    assert 0.0 < closure < 0.1 * truth
    # A share of the variance that the weights have: one of larger data sets is as well known.
    assert Aim(10 * n, closure=True).worst_share([response], MIXTURE.fit) == closure
    assert Aim(10 * n).worst_share([response], MIXTURE.fit) == pytest.approx(10 * truth)
    quantile = _pooled(Quantile("x1", 0.9), 20_000, 5)[0]
    assert 0.0 < Aim(n, closure=True).worst_share([quantile], MIXTURE.fit) < 0.1
    beyond = CrossingResponse(
        0.999, np.linspace(0.0, 1.0, 3), np.full((4, 3), 0.2), np.zeros((3, 4, 4))
    )
    assert math.isnan(beyond.spread_noise(MIXTURE.fit))
    assert Aim(n, closure=True).worst_share([beyond], MIXTURE.fit) == 0.0


def test_the_constant_is_exact_for_any_signed_sum() -> None:
    def one(x: Array) -> Array:
        return np.ones(x.shape[0])

    found, _ = _pooled(Expectation("one", one), 400, 3)
    assert isinstance(found, LinearResponse)
    np.testing.assert_allclose(found.means, 1.0, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, 0.0, atol=1e-12)


def test_large_signed_weights_do_not_raise_the_noise_of_the_mixture() -> None:
    # Only the mixture's density matters: with separate draws the noise grows with |w|.
    x = PAPER.sample(20_000, np.random.default_rng(8))
    noise = []
    for mixing in (0.3, 0.9):
        members = spanning_members(6, mixing=mixing)
        shares = np.array([m.shares for m in members])
        w = np.linalg.solve(shares.T, np.eye(6)[0])  # exactly the truth
        pool = draw_strata(members, 2000, np.random.default_rng(9))
        ratios, _ = density_ratios(log_densities(members, pool))
        bound = Moment("x0").bind(FeatureColumns(("x0", "x1"), x))
        calibrated = CalibratedPool(ratios.T @ ratios, pool.shape[0])
        found = bound.collect(calibrated, bound.accumulate(pool, ratios))
        assert isinstance(found, LinearResponse)
        noise.append((np.abs(w).sum(), math.sqrt(w @ found.covariance @ w)))
    (small, first), (large, second) = noise
    assert large > 5 * small
    assert second < 1.5 * first


def test_bin_content_agrees_with_the_mixtures_histogram() -> None:
    response, _ = _pooled(BinContent("x0", -0.5, 0.0), 200_000, 2)
    found = response.estimate(MIXTURE.fit)
    edges = np.array([-0.5, 0.0])
    histogram = MIXTURE.histogram(edges, feature="x0", run=Run(Seeds(2)), draws=100_000)
    w, c = MIXTURE.weights, MIXTURE.fit.covariance
    exact = np.array([_cdf(m, 0, edges) @ [-1.0, 1.0] for m in MEMBERS])
    assert_within(found.value, w @ exact, math.sqrt(found.sampling))
    assert_within(histogram.values[0], w @ exact, np.abs(w).sum() / math.sqrt(4 * 100_000))
    assert found.error == pytest.approx(math.sqrt(exact @ c @ exact), rel=0.02)


def test_pooled_quantile_agrees_with_exact_distribution_functions() -> None:
    response, _ = _pooled(Quantile("x1", 0.9), 100_000, 4)
    assert isinstance(response, CrossingResponse)
    exact = np.array([_cdf(m, 1, response.nodes) for m in MEMBERS])
    middle = int(np.searchsorted(response.means[0], 0.9))
    errors = np.sqrt(np.diag(response.covariances[middle]))
    assert_within(response.means[:, middle], exact[:, middle], errors)
    free = CrossingResponse(0.9, response.nodes, exact, np.zeros_like(response.covariances))
    found, known = response.estimate(MIXTURE.fit), free.estimate(MIXTURE.fit)
    assert_within(found.value, known.value, math.sqrt(found.sampling))
    assert found.error == pytest.approx(math.hypot(known.error, math.sqrt(found.sampling)), rel=0.1)


def _cdf(member: Blend, column: int, x: Array) -> Array:
    z = (x[:, None] - member.means[:, column]) / member.sigmas[:, column]
    return np.asarray(ndtr(z) @ member.shares)


def test_members_that_know_their_moments_need_no_draws() -> None:
    members = (PAPER, GaussianTruth((0.0, 1.0), (1.0, 2.0)))
    columns = FeatureColumns(("x0", "x1"), PAPER.sample(100, np.random.default_rng(6)))
    second = Moment("x1", 2).bind(columns).exact(members)
    assert isinstance(second, LinearResponse)
    np.testing.assert_allclose(second.means, [0.6**2 + 0.4**2, 5.0])
    assert not second.covariance.any()
    inside = BinContent("x0", -1.0, 1.0).bind(columns).exact(members[1:])
    assert isinstance(inside, LinearResponse)
    np.testing.assert_allclose(inside.means, 2 * ndtr(1.0) - 1.0)
    median = Quantile("x0", 0.5).bind(columns).exact(members[:1])
    assert median is not None
    assert median.value(np.ones(1)) == pytest.approx(-0.5, abs=1e-3)
    assert Moment("x0").bind(columns).exact((PAPER, MEMBERS[0])) is None
    assert Moment("x0", 3).bind(columns).true_value(PAPER, columns.pilot).error == 0.0
    assert PAPER.moment(0, 3) == pytest.approx((-0.5) ** 3 + 3 * (-0.5) * 0.25**2)


def test_quantile_error_is_the_change_of_the_quantile_along_eigenvariations() -> None:
    # Independent of the density: shift the weights by small eigen-variations and look.
    nodes = np.linspace(-1.5, 2.7, 4001)
    z = (nodes[:, None, None] - [m.means[:, 1] for m in MEMBERS]) / [
        m.sigmas[:, 1] for m in MEMBERS
    ]
    cdf = (ndtr(z) * [m.shares for m in MEMBERS]).sum(axis=2).T
    response = CrossingResponse(0.9, nodes, cdf, np.zeros((4001, 4, 4)))
    values, vectors = np.linalg.eigh(MIXTURE.fit.covariance)
    steps = vectors * np.sqrt(np.clip(values, 0.0, None))

    def quantile(weights: Array) -> float:
        return float(np.interp(0.9, weights @ response.means, response.nodes))

    w, h = MIXTURE.weights, 0.01
    slopes = [(quantile(w + h * s) - quantile(w - h * s)) / (2.0 * h) for s in steps.T]
    found = response.estimate(MIXTURE.fit)
    assert found.value == pytest.approx(quantile(w))
    expected = math.sqrt(float(np.square(slopes).sum()))
    # The density is differenced over 4 % of probability: (2 %)^2 q''' / (6 q') is 1 % here.
    assert found.error == pytest.approx(expected, rel=0.02)


def test_a_quantile_beyond_the_nodes_is_nan() -> None:
    means = np.linspace(0.1, 0.5, 3)[None].repeat(4, axis=0)
    response = CrossingResponse(0.9, np.arange(3.0), means, np.zeros((3, 4, 4)))
    assert math.isnan(response.estimate(MIXTURE.fit).value)
    assert math.isnan(response.value(MIXTURE.weights))


@dataclass(frozen=True)
class _Anonymous:
    """The paper's Gaussian without closed forms."""

    n_features = 2

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return PAPER.sample(n, rng)


def test_truth_sample_gives_quantiles_and_moments_with_errors() -> None:
    rng = np.random.default_rng(4)
    truth, x = _Anonymous(), PAPER.sample(100_000, rng)
    columns = FeatureColumns(("x0", "x1"), x[:1000])
    mean = Moment("x0").bind(columns).true_value(truth, x)
    assert mean.error == pytest.approx(0.25 / math.sqrt(100_000), rel=0.02)
    median = Quantile("x0", 0.5).bind(columns).true_value(truth, x)
    assert median.error == pytest.approx(0.25 * math.sqrt(math.pi / 2 / 100_000), rel=0.03)
    assert abs(median.value + 0.5) < 5 * median.error


def test_keys_tell_observables_apart() -> None:
    columns = FeatureColumns(("x0", "x1"), PAPER.sample(100, np.random.default_rng(5)))
    observables: list[Observable] = [
        Moment("x0"),
        Moment("x1"),
        Moment("x0", 2),
        BinContent("x0", 8.0, 9.0),
        BinContent("x0", 8.0, 9.5),
        Quantile("x0", 0.5),
        Quantile("x0", 0.6),
    ]
    keys = {item.bind(columns).key for item in observables}
    assert len(keys) == len(observables)
