"""Strangers' models through `adapt`, each against its own library's numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity

from statistical import assert_within
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.truths import GaussianTruth
from verisimile.density.adapters import CallableDensity, adapt


@pytest.fixture
def x(rng: np.random.Generator) -> Array:
    return np.asarray(rng.normal(size=(400, 2)) @ [[1.0, 0.6], [0.0, 0.8]] + [1.0, -2.0])


def test_an_estimator_passes_through() -> None:
    truth = GaussianTruth.paper()
    assert adapt(truth) is truth


def test_scipy_univariate(rng: np.random.Generator) -> None:
    model = stats.gamma(2.0, scale=3.0)
    adapted = adapt(model)
    draws = adapted.sample(500, rng)
    assert adapted.n_features == 1
    assert draws.shape == (500, 1)
    np.testing.assert_array_equal(adapted.log_prob(draws), model.logpdf(draws[:, 0]))
    assert adapted.log_prob(np.array([[-1.0]])) == -np.inf


def test_scipy_multivariate(x: Array, rng: np.random.Generator) -> None:
    model = stats.multivariate_normal([1.0, -2.0], [[1.0, 0.6], [0.6, 1.0]])
    adapted = adapt(model)
    assert adapted.n_features == 2
    np.testing.assert_array_equal(adapted.log_prob(x), model.logpdf(x))
    # One draw and one event keep their axes.
    assert adapted.sample(1, rng).shape == (1, 2)
    assert adapted.log_prob(x[:1]).shape == (1,)
    assert adapt(stats.multivariate_normal([0.0], [[2.0]])).sample(3, rng).shape == (3, 1)


def test_scipy_kernels(x: Array, rng: np.random.Generator) -> None:
    model = stats.gaussian_kde(x.T)
    adapted = adapt(model)
    np.testing.assert_array_equal(adapted.log_prob(x[:7]), model.logpdf(x[:7].T))
    assert adapted.sample(9, rng).shape == (9, 2)
    assert not np.isnan(adapted.log_prob(np.array([[1e300, -1e300]]))).any()


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
def test_sklearn_kernels(x: Array, rng: np.random.Generator, kernel: str) -> None:
    model = KernelDensity(bandwidth=0.4, kernel=kernel).fit(x)
    adapted = adapt(model)
    np.testing.assert_array_equal(adapted.log_prob(x), model.score_samples(x))
    assert adapted.sample(1, rng).shape == (1, 2)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_sklearn_mixture(x: Array, rng: np.random.Generator, kind: str) -> None:
    model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x)
    adapted = adapt(model)
    np.testing.assert_allclose(adapted.log_prob(x), model.score_samples(x), rtol=1e-9)
    draws = adapted.sample(20_000, rng)
    expected = model.weights_ @ model.means_
    assert_within(draws.mean(axis=0), expected, draws.std(axis=0) / np.sqrt(20_000))


def test_bayesian_mixture_is_normalised_unlike_its_score(x: Array) -> None:
    model = BayesianGaussianMixture(n_components=2, random_state=0, max_iter=500).fit(x)
    grid = np.stack(np.meshgrid(np.linspace(-7, 9, 161), np.linspace(-10, 6, 161)), axis=-1)
    nodes = grid.reshape(-1, 2)
    assert np.exp(adapt(model).log_prob(nodes)).sum() * 0.01 == pytest.approx(1.0, abs=1e-4)
    score = np.exp(model.score_samples(nodes)).sum() * 0.01
    assert abs(score - 1.0) > 1e-3, "scikit-learn's score is normalised now: use it"


def test_callables_are_checked_and_converted(rng: np.random.Generator) -> None:
    model = CallableDensity(
        1,
        lambda x: (-np.abs(x[:, 0]) - np.log(2)).astype(np.float32),
        lambda n, rng: rng.laplace(size=(n, 1)).tolist(),
    )
    adapted = adapt(model)
    draws = adapted.sample(10, rng)
    assert draws.dtype == adapted.log_prob(draws).dtype == np.float64
    wrong = adapt(CallableDensity(2, lambda x: x, lambda n, rng: rng.normal(size=(n, 1))))
    with pytest.raises(InputError, match="model.log_prob"):
        wrong.log_prob(np.zeros((3, 2)))
    with pytest.raises(InputError, match="model.sample"):
        wrong.sample(3, rng)


@pytest.mark.parametrize("event", [np.zeros((2, 3)), np.zeros(2), np.array([[np.nan, 0.0]])])
def test_events_are_checked(event: Array) -> None:
    with pytest.raises(InputError):
        adapt(stats.multivariate_normal([0.0, 0.0])).log_prob(event)


def test_same_generator_same_draws(x: Array) -> None:
    models = [stats.norm(), stats.gaussian_kde(x.T), KernelDensity().fit(x)]
    for model in [*models, GaussianMixture(2, random_state=0).fit(x)]:
        first, again = (adapt(model).sample(20, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first, again)


def test_adapted_models_travel(x: Array) -> None:
    for model in [stats.norm(), stats.gaussian_kde(x.T), KernelDensity().fit(x)]:
        adapted = adapt(model)
        again = pickle.loads(pickle.dumps(adapted))
        points = x[:5, : adapted.n_features]
        np.testing.assert_array_equal(again.log_prob(points), adapted.log_prob(points))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (object(), "builtins.object"),
        (lambda x: x, "function"),
        (stats.poisson(3.0), "discrete"),
        (stats.norm([0.0, 1.0]), "norm"),
        (stats.norm([0.0] * 5), "norm"),
        (stats.dirichlet([1.0, 2.0, 3.0]), "dirichlet"),
        (KernelDensity(), "not fitted"),
        (GaussianMixture(), "not fitted"),
    ],
)
def test_others_are_refused_with_a_remedy(model: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        adapt(model)


def test_kernels_without_a_sampler_are_refused(x: Array) -> None:
    with pytest.raises(InputError, match="cosine"):
        adapt(KernelDensity(kernel="cosine").fit(x))
