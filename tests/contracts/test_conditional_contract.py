"""What every conditional density promises, whoever made it."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from conditional_analytic import ConditionalBlend
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.check import check_conditional
from verisimile.density.flows.spline import ConditionalSplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.protocol import ConditionalDensity


def flow(features: tuple[Feature, ...], x: Array, context: tuple[str, ...]) -> ConditionalDensity:
    trainer = SplineFlowTrainer(layers=2, hidden=16, epochs=3).given(*context)
    training, validation = Events(x, features=features).split((0.8, 0.2), Seeds(1))
    return trainer.fit(training, validation, Seeds(2)).model


@functools.cache
def one_of_one() -> ConditionalDensity:
    rng = np.random.default_rng(2)
    c = rng.normal(size=2000)
    return flow(
        (Feature("c"), Feature("a")), np.column_stack([c, c + rng.normal(size=2000)]), ("c",)
    )


@functools.cache
def two_of_two() -> ConditionalDensity:
    # A bounded feature, a discrete and a bounded condition.
    rng = np.random.default_rng(3)
    jets, energy = rng.integers(1, 5, 3000).astype(float), rng.exponential(size=3000)
    a, b = energy * rng.gamma(jets), rng.normal(jets)
    features = (
        Feature("jets", kind="discrete"),
        Feature("a", low=0.0),
        Feature("energy", low=0.0),
        Feature("b"),
    )
    return flow(features, np.column_stack([jets, a, energy, b]), ("jets", "energy"))


def exact_flow() -> ConditionalDensity:
    model = one_of_one()
    assert isinstance(model, ConditionalSplineFlow)
    return model.reference()


MAKERS: dict[str, tuple[Callable[[], ConditionalDensity], Array]] = {
    "flow of one feature": (one_of_one, np.array([[-1.5], [0.0], [1.0]])),
    "flow of two features, two conditions": (two_of_two, np.array([[1.0, 0.3], [3.0, 1.0]])),
    "flow in float64": (exact_flow, np.array([[0.5]])),
    "closed form": (lambda: ConditionalBlend(share=0.3, place=1.0), np.array([[-1.0], [1.0]])),
}


@pytest.fixture(scope="module", params=list(MAKERS))
def case(request: pytest.FixtureRequest) -> tuple[ConditionalDensity, Array]:
    make, contexts = MAKERS[request.param]
    return make(), contexts


def test_satisfies_the_protocol(case: tuple[ConditionalDensity, Array]) -> None:
    model, contexts = case
    assert isinstance(model, ConditionalDensity)
    assert model.n_context == contexts.shape[1]


@pytest.mark.parametrize("n", [0, 1, 17])
def test_shapes_and_dtypes(
    case: tuple[ConditionalDensity, Array], n: int, rng: np.random.Generator
) -> None:
    model, contexts = case
    context = np.resize(contexts, (n, model.n_context))
    x = model.sample(context, rng)
    log_p = model.log_prob(x, context)
    assert x.shape == (n, model.n_features)
    assert log_p.shape == (n,)
    assert x.dtype == log_p.dtype == np.float64


def test_is_a_density_at_every_context(
    case: tuple[ConditionalDensity, Array], seeds: Seeds
) -> None:
    model, contexts = case
    for found in check_conditional(model, contexts, seeds=seeds):
        assert found.problems == ()


def test_draws_depend_on_context_and_generator_alone(
    case: tuple[ConditionalDensity, Array],
) -> None:
    model, contexts = case
    first = model.sample(contexts, np.random.default_rng(7))
    model.sample(contexts, np.random.default_rng(9))
    np.testing.assert_array_equal(model.sample(contexts, np.random.default_rng(7)), first)


def test_never_nan_far_outside(case: tuple[ConditionalDensity, Array]) -> None:
    model, contexts = case
    values = np.array([s * size for size in (1.0, 1e3, 1e10, 1e100) for s in (-1.0, 1.0)])
    x = np.tile(values[:, None], (1, model.n_features))
    log_p = model.log_prob(x, np.resize(contexts, (len(x), model.n_context)))
    assert not np.isnan(log_p).any()
    assert (log_p < np.inf).all()


def test_inputs_are_not_changed(
    case: tuple[ConditionalDensity, Array], rng: np.random.Generator
) -> None:
    model, contexts = case
    context = contexts.copy()
    context.setflags(write=False)
    x = model.sample(context, rng)
    before = x.copy()
    x.setflags(write=False)
    model.log_prob(x, context)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(context, contexts)


def test_travels_to_a_worker(
    case: tuple[ConditionalDensity, Array], rng: np.random.Generator
) -> None:
    model, contexts = case
    x = model.sample(contexts, rng)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.log_prob(x, contexts), model.log_prob(x, contexts))
