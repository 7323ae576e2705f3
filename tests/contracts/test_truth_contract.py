"""Every toy truth is a normalised density whose samples follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.truths import Camel, GaussianMixtureTruth, GaussianTruth, RingOfEight

N = 20_000


class Truth(Protocol):
    @property
    def n_features(self) -> int: ...
    def mean(self) -> Array: ...
    def log_prob(self, x: Array) -> Array: ...
    def sample(self, n: int, rng: np.random.Generator) -> Array: ...


@dataclass(frozen=True)
class Case:
    """A truth with nodes and weights of a quadrature over its bulk; `exact` if no draws."""

    truth: Truth
    nodes: Array
    weights: Array
    exact: bool = True

    def integral(self, h: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return ∫ h p and its standard error, zero for a deterministic quadrature."""
        values = (np.exp(self.truth.log_prob(self.nodes)) * self.weights)[:, None] * h(self.nodes)
        if self.exact:
            return values.sum(axis=0), np.zeros(values.shape[1])
        n = len(values)
        return values.sum(axis=0), np.sqrt(n * values.var(axis=0, ddof=1))


def on_line(truth: Truth, low: float, high: float) -> Case:
    # The trapezoidal rule converges exponentially for smooth functions that vanish at the ends.
    x = np.linspace(low, high, 4001)
    return Case(truth, x[:, None], np.full(len(x), x[1] - x[0]))


def on_plane(truth: Truth, low: tuple[float, float], high: tuple[float, float]) -> Case:
    x, y = (np.linspace(a, b, 401) for a, b in zip(low, high, strict=True))
    nodes = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return Case(truth, nodes, np.full(len(nodes), (x[1] - x[0]) * (y[1] - y[0])))


def on_discs(ring: RingOfEight) -> Case:
    roots, weights = np.polynomial.legendre.leggauss(40)
    unit, angles = (roots + 1) / 2, 2 * np.pi * np.arange(64) / 64
    direction = np.column_stack([np.cos(angles), np.sin(angles)])
    nodes, volumes = [], []
    for centre, edge in zip(ring.centres, 3 * ring.variances, strict=True):
        radius = edge * unit
        nodes.append((centre + radius[:, None, None] * direction).reshape(-1, 2))
        volumes.append(np.repeat(radius * edge * weights / 2 * 2 * np.pi / 64, 64))
    return Case(ring, np.concatenate(nodes), np.concatenate(volumes))


def by_importance(truth: Truth, scale: float) -> Case:
    shape = scale**2 * np.eye(truth.n_features)
    proposal = stats.multivariate_t(np.zeros(truth.n_features), shape, df=5)
    n = 200_000
    nodes = np.asarray(proposal.rvs(n, random_state=Seeds(5).numpy()))
    return Case(truth, nodes, np.exp(-proposal.logpdf(nodes)) / n, exact=False)


def mixture(d: int, count: int) -> GaussianMixtureTruth:
    rng = Seeds(3).at("mixture", d).numpy()
    roots = 0.5 * rng.normal(size=(count, d, d)) + np.eye(d)
    weights = rng.uniform(1, 2, count)
    means = rng.normal(size=(count, d))
    return GaussianMixtureTruth(weights / weights.sum(), means, roots @ roots.swapaxes(1, 2))


CASES = {
    "camel": on_line(Camel(), -16, 16),
    "narrow camel": on_line(Camel(0.3, 0.2), -4, 4),
    "gaussian 1d": on_line(GaussianTruth((2.0,), (0.5,)), -4, 8),
    "paper": on_plane(GaussianTruth.paper(), (-3.5, -4.2), (2.5, 5.4)),
    "mixture 2d": on_plane(mixture(2, 3), (-25, -25), (25, 25)),
    "mixture 5d": by_importance(mixture(5, 3), 2.0),
    "gaussian 4d": by_importance(GaussianTruth((0.0, 1.0, -1.0, 0.5), (1.0, 0.5, 2.0, 1.0)), 1.7),
    "ring": on_discs(RingOfEight()),
    "published ring": on_discs(RingOfEight.published(Seeds(7))),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def ridges(d: int, rng: np.random.Generator) -> Callable[[Array], Array]:
    """Return 25 random smooth steps: expectations that see place, width and correlation."""
    directions, offsets = rng.normal(size=(d, 25)), rng.normal(size=25)
    return lambda x: np.tanh(x @ directions + offsets)


def check_follows(case: Case, sample: Array, h: Callable[[Array], Array]) -> None:
    expected, error = case.integral(h)
    values = h(sample)
    noise = values.std(axis=0, ddof=1) / np.sqrt(len(sample))
    assert_within(values.mean(axis=0), expected, np.hypot(error, noise))


def check_entropy(case: Case, sample: Array) -> None:
    def log_density(x: Array) -> Array:
        values = case.truth.log_prob(x)
        return np.where(np.isfinite(values), values, 0.0)[:, None]

    check_follows(case, sample, log_density)


def test_the_density_is_normalised(case: Case) -> None:
    total, error = case.integral(lambda x: np.ones((len(x), 1)))
    if case.exact:
        np.testing.assert_allclose(total, 1.0, rtol=1e-10)
    else:
        assert error < 0.01
        assert_within(total, 1.0, error)


def test_the_mean_is_that_of_the_density(case: Case) -> None:
    mean, error = case.integral(lambda x: x)
    if case.exact:
        np.testing.assert_allclose(case.truth.mean(), mean, atol=1e-9)
    else:
        assert_within(mean, case.truth.mean(), error)


def test_samples_follow_the_density(case: Case, rng: np.random.Generator) -> None:
    sample = case.truth.sample(N, rng)
    check_follows(case, sample, ridges(case.truth.n_features, rng))
    check_entropy(case, sample)


def test_a_sampler_five_percent_too_wide_is_found(rng: np.random.Generator) -> None:
    case = CASES["paper"]
    wide = case.truth.mean() + 1.05 * (case.truth.sample(N, rng) - case.truth.mean())
    with pytest.raises(AssertionError, match="sigma"):
        check_entropy(case, wide)


def test_samples_have_shape_type_and_positive_density(case: Case, rng: np.random.Generator) -> None:
    sample = case.truth.sample(N, rng)
    assert sample.shape == (N, case.truth.n_features)
    assert sample.dtype == np.float64
    assert np.isfinite(case.truth.log_prob(sample)).all()


def test_only_the_given_stream_is_used(case: Case, seeds: Seeds) -> None:
    first, again, other = (seeds.at(word).numpy() for word in ("a", "a", "b"))
    sample = case.truth.sample(100, first)
    np.testing.assert_array_equal(sample, case.truth.sample(100, again))
    assert not np.isin(sample, case.truth.sample(100, first)).any()
    assert not np.isin(sample, case.truth.sample(100, other)).any()


def test_one_row_at_a_time_gives_the_same(case: Case, rng: np.random.Generator) -> None:
    sample = case.truth.sample(20, rng)
    alone = [case.truth.log_prob(row[None])[0] for row in sample]
    np.testing.assert_allclose(case.truth.log_prob(sample), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1e10, 1e150, 1e155, 1e300, 1.7e308])
def test_extreme_points_have_low_density_and_never_nan(case: Case, size: float) -> None:
    signs = np.array([np.ones(case.truth.n_features), (-1.0) ** np.arange(case.truth.n_features)])
    values = case.truth.log_prob(np.concatenate([signs, -signs]) * size)
    assert (values < -1e15).all()
