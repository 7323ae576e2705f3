"""What every density estimator promises, whoever made it."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from trained_generators import MODELS, model_of, named
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.truths import Camel, GaussianTruth, RingOfEight
from verisimile.density.adapters import CallableDensity, adapt
from verisimile.density.check import check_estimator
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import DensityEstimator, Rounded


def laplace_log_prob(x: Array) -> Array:
    return np.asarray(stats.laplace.logpdf(x[:, 0]))


def laplace_sample(n: int, rng: np.random.Generator) -> Array:
    return rng.laplace(size=(n, 1))


def training_sample() -> Array:
    rng = np.random.default_rng(1)
    return np.asarray(rng.normal(size=(400, 2)) @ [[1.0, 0.6], [0.0, 0.8]])


def flow(features: tuple[Feature, ...], x: Array) -> DensityEstimator:
    trainer = SplineFlowTrainer(layers=2, hidden=16, epochs=3)
    training, validation = Events(x, features=features).split((0.8, 0.2), Seeds(1))
    return trainer.fit(training, validation, Seeds(2)).model


@functools.cache
def unbounded_flow() -> DensityEstimator:
    features = (Feature("a"), Feature("b"))
    return flow(features, GaussianTruth.paper().sample(2000, np.random.default_rng(2)))


@functools.cache
def bounded_flow() -> DensityEstimator:
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.beta(0.8, 2, 2000), rng.exponential(size=2000), rng.normal(size=2000)])
    return flow((Feature("a", low=0, high=1), Feature("b", low=0), Feature("c")), x)


@functools.cache
def one_feature_flow() -> DensityEstimator:
    return flow((Feature("a"),), Camel().sample(2000, np.random.default_rng(4)))


def exact_flow() -> DensityEstimator:
    model = unbounded_flow()
    assert isinstance(model, Rounded)
    return model.reference()


MAKERS: dict[str, Callable[[], object]] = {
    "flow of unbounded features": unbounded_flow,
    "flow of bounded features": bounded_flow,
    "flow of one feature": one_feature_flow,
    "flow in float64": exact_flow,
    "scipy univariate": lambda: stats.gamma(2.0),
    "scipy multivariate": lambda: stats.multivariate_normal([0, 1], [[1, 0.5], [0.5, 1]]),
    "scipy kernels": lambda: stats.gaussian_kde(training_sample().T),
    "sklearn kernels": lambda: KernelDensity(bandwidth=0.4).fit(training_sample()),
    "sklearn mixture": lambda: GaussianMixture(2, random_state=0).fit(training_sample()),
    "callables": lambda: CallableDensity(1, laplace_log_prob, laplace_sample),
    "Gaussian": GaussianTruth.paper,
    "ring": RingOfEight,
    **{name: functools.partial(model_of, name, 2) for name in MODELS},
}


@pytest.fixture(scope="module", params=named(*MAKERS))
def model(request: pytest.FixtureRequest) -> DensityEstimator:
    return adapt(MAKERS[request.param]())


def test_satisfies_the_protocol(model: DensityEstimator) -> None:
    assert isinstance(model, DensityEstimator)
    assert isinstance(model.n_features, int)


@pytest.mark.parametrize("n", [0, 1, 17])
def test_shapes_and_dtypes(model: DensityEstimator, n: int, rng: np.random.Generator) -> None:
    x = model.sample(n, rng)
    assert x.shape == (n, model.n_features)
    assert x.dtype == np.float64
    log_p = model.log_prob(x)
    assert log_p.shape == (n,)
    assert log_p.dtype == np.float64


def test_keeps_every_promise_that_can_be_checked(model: DensityEstimator, seeds: Seeds) -> None:
    # The law itself is tested more sharply by quadrature and importance sampling.
    assert check_estimator(model, seeds=seeds, draws=1500).problems == ()


def test_finite_or_minus_infinity_far_outside(model: DensityEstimator) -> None:
    sizes = [0.0, 1e-300, 1.0, 1e3, 1e10, 1e100, 1e300]
    values = np.array([sign * size for size in sizes for sign in (-1.0, 1.0)])
    for j in range(model.n_features):
        x = model.sample(1, np.random.default_rng(1)).repeat(len(values), axis=0)
        x[:, j] = values
        log_p = model.log_prob(x)
        assert not np.isnan(log_p).any()
        assert (log_p < np.inf).all()


def test_draws_depend_on_the_generator_alone(model: DensityEstimator) -> None:
    first = model.sample(50, np.random.default_rng(7))
    np.random.default_rng(8).random()
    model.sample(3, np.random.default_rng(9))
    np.testing.assert_array_equal(model.sample(50, np.random.default_rng(7)), first)


def test_inputs_are_not_changed(model: DensityEstimator, rng: np.random.Generator) -> None:
    x = model.sample(20, rng)
    before = x.copy()
    model.log_prob(x)
    np.testing.assert_array_equal(x, before)
    frozen = x.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(model.log_prob(frozen), model.log_prob(x))


def test_other_memory_layouts_mean_the_same(
    model: DensityEstimator, rng: np.random.Generator
) -> None:
    x = model.sample(40, rng)
    np.testing.assert_array_equal(model.log_prob(np.asfortranarray(x)), model.log_prob(x))
    np.testing.assert_array_equal(model.log_prob(np.repeat(x, 2, axis=0)[::2]), model.log_prob(x))


def test_wrong_widths_are_refused(model: DensityEstimator) -> None:
    with pytest.raises(InputError):
        model.log_prob(np.zeros((3, model.n_features + 1)))


def test_travels_to_a_worker(model: DensityEstimator, rng: np.random.Generator) -> None:
    x = model.sample(20, rng)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))
