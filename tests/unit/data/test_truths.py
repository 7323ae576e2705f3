from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.truths import Camel, GaussianMixtureTruth, GaussianTruth, RingOfEight

# The variances of the published ring data set, as its generator makes them.
PUBLISHED = (0.246298, 0.332155, 0.290034, 0.340097, 0.277628, 0.270975, 0.295633, 0.294351)


def test_gaussian_agrees_with_scipy(rng: np.random.Generator) -> None:
    truth = GaussianTruth.paper()
    x = truth.sample(100, rng)
    expected = stats.norm.logpdf(x, [-0.5, 0.6], [0.25, 0.4]).sum(axis=1)
    np.testing.assert_allclose(truth.log_prob(x), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(truth.mean(), [-0.5, 0.6])


def test_mixture_agrees_with_scipy(rng: np.random.Generator) -> None:
    roots = rng.normal(size=(3, 4, 4))
    covariances = roots @ roots.swapaxes(1, 2) + np.eye(4)
    weights, means = np.array([0.2, 0.3, 0.5]), rng.normal(size=(3, 4))
    truth = GaussianMixtureTruth(weights, means, covariances)
    x = truth.sample(50, rng)
    parts = zip(weights, means, covariances, strict=True)
    density = sum(w * stats.multivariate_normal(m, c).pdf(x) for w, m, c in parts)
    np.testing.assert_allclose(truth.log_prob(x), np.log(density), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(truth.mean(), weights @ means, rtol=1e-12)


def test_camel_agrees_with_scipy() -> None:
    x = np.linspace(-12, 12, 101)
    density = 0.5 * stats.norm.pdf(x, -4, 1) + 0.5 * stats.norm.pdf(x, 4, 1)
    np.testing.assert_allclose(Camel().log_prob(x[:, None]), np.log(density), rtol=1e-13)


def test_far_tails_do_not_underflow() -> None:
    # exp(-0.5 * 96²) is far below the smallest double, its logarithm is not.
    expected = -0.5 * 96.0**2 - math.log(2) - 0.5 * math.log(2 * math.pi)
    mixture = GaussianMixtureTruth([0.5, 0.5], [[-4.0], [4.0]], np.ones((2, 1, 1)))
    for truth in (Camel(), mixture):
        np.testing.assert_allclose(truth.log_prob([[100.0], [-100.0]]), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1e5, 1e153])
def test_mixture_tail_is_exact_for_correlated_features(size: float) -> None:
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    truth = GaussianMixtureTruth([1.0], [[0.0, 0.0]], [covariance])
    x = np.array([size, -size])
    quadratic = x @ np.linalg.solve(covariance, x)
    np.testing.assert_allclose(truth.log_prob(x[None]), -0.5 * quadratic, rtol=1e-9)


def test_ring_is_a_truncated_gaussian_of_variance_s() -> None:
    ring = RingOfEight()
    s = 0.3125
    radius = np.array([0.0, 0.5, 2.999 * s, 3.001 * s])
    x = ring.centres[2] + radius[:, None] * [0.6, -0.8]
    kept = 1 - math.exp(-4.5 * s)
    inside = stats.multivariate_normal([0, 0], s * np.eye(2)).logpdf(x - ring.centres[2])
    expected = np.where(radius <= 3 * s, inside - math.log(8 * kept), -np.inf)
    np.testing.assert_allclose(ring.log_prob(x), expected, rtol=1e-12)
    assert ring.log_prob([[0.0, 0.0]])[0] == -np.inf


def test_ring_has_eight_centres_at_radius_five_and_the_published_range_of_variances() -> None:
    ring = RingOfEight()
    assert ring.centres.shape == (8, 2)
    np.testing.assert_allclose(np.hypot(*ring.centres.T), 5.0, rtol=1e-12)
    gaps = np.linalg.norm(ring.centres - np.roll(ring.centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 10 * math.sin(math.pi / 8), rtol=1e-12)
    for u, s in ((0.0, 0.234375), (0.5, 0.3125), (1.0, 0.390625)):
        np.testing.assert_allclose(RingOfEight((u,) * 8).variances, s, rtol=1e-12)


def test_ring_draws_stay_within_three_s(rng: np.random.Generator) -> None:
    ring = RingOfEight((0.0,) * 4 + (1.0,) * 4)
    x = ring.sample(20000, rng)
    distance = np.linalg.norm(x[:, None] - ring.centres, axis=2)
    which = distance.argmin(axis=1)
    for i, s in enumerate(ring.variances):
        radius = distance[which == i, i]
        assert 0.97 * 3 * s < radius.max() <= 3 * s


def test_published_ring_keeps_the_published_fraction_and_radii() -> None:
    # Reported: 67-78 % of each Gaussian kept; radii of a training set from 4.0284 to 6.0137.
    u = tuple(0.5 + (np.array(PUBLISHED) / 0.3125 - 1) / 0.5)
    ring = RingOfEight(u)
    np.testing.assert_allclose(ring.variances, PUBLISHED, rtol=1e-12)
    kept = ring._kept(ring.variances)
    assert (round(100 * kept.min()), round(100 * kept.max())) == (67, 78)
    assert 5 - 3 * max(PUBLISHED) <= 4.0284
    assert 5 + 3 * max(PUBLISHED) >= 6.0137


def test_published_ring_is_drawn_from_its_seeds() -> None:
    assert RingOfEight.published(Seeds(1)) == RingOfEight.published(Seeds(1))
    assert RingOfEight.published(Seeds(1)) != RingOfEight.published(Seeds(2))


def test_values_are_equal_and_hashable_by_content() -> None:
    assert GaussianTruth.paper() == GaussianTruth((-0.5, 0.6), (0.25, 0.4))
    assert len({GaussianTruth.paper(), GaussianTruth.paper(), Camel(), Camel()}) == 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GaussianTruth((0.0, 1.0), (1.0,)), "sigma: got 1 values; expected 2"),
        (lambda: GaussianTruth((0.0,), (-1.0,)), "sigma: .*positive"),
        (lambda: GaussianTruth((), ()), r"sigma: got \(\); .*positive"),
        (lambda: Camel(width=0.0), "width > 0"),
        (lambda: GaussianMixtureTruth([0.5], [[0.0]], [[[1.0]]]), "sum one"),
        (lambda: GaussianMixtureTruth([1.0], [[0.0]], [[[-1.0]]]), "positive definite"),
        (
            lambda: GaussianMixtureTruth([1.0], [[0.0, 0.0]], np.array([[[1.0, 0.5], [0.0, 1.0]]])),
            "symmetric",
        ),
        (lambda: GaussianMixtureTruth([1.0], [[0.0, 0.0]], [[[1.0]]]), r"shape \(1, 2, 2\)"),
        (lambda: RingOfEight((0.5,)), "u: got 1 values; expected 8"),
        (lambda: RingOfEight((2.0,) * 8), r"eight numbers in \[0, 1\]"),
    ],
)
def test_bad_parameters_are_told(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(InputError, match=message):
        build()
