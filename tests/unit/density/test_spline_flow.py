"""The trained flow: a normalised density in original units, safe everywhere, repeatable."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import integrate

from statistical import assert_within
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.truths import Camel, GaussianTruth
from verisimile.density.check import precision_gap
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer

QUICK = SplineFlowTrainer(layers=2, hidden=16, epochs=4)
FEATURES = (
    Feature("m", unit="GeV", low=60.0, high=120.0),
    Feature("pt", unit="GeV", low=0.0),
    Feature("u"),
)
EXTREME = [0.0, 1e-300, -1e-300, 1.0, -1.0, 59.999, 60.0, 90.0, 120.0, 120.001]
EXTREME += [sign * size for sign in (-1.0, 1.0) for size in (1e3, 1e10, 1e100, 1.7e308)]


def boson(n: int, rng: np.random.Generator) -> Events:
    """Return a resonance in a window, a falling spectrum, and a heavy-tailed third feature."""
    m = np.concatenate([rng.uniform(60, 120, n // 4), 90 + 1.2 * rng.standard_cauchy(n)])
    m = m[(m > 60) & (m < 120)][:n]
    pt = rng.gamma(1.5, 12.0, len(m)) * (1 + 0.002 * (m - 60))
    x = np.column_stack([m, pt, rng.standard_t(3, len(m)) + 0.02 * pt])
    return Events(x[rng.permutation(len(x))], features=FEATURES)


@pytest.fixture(scope="module")
def flow() -> SplineFlow:
    return quick(boson(4000, np.random.default_rng(1)))


def quick(events: Events, trainer: SplineFlowTrainer = QUICK) -> SplineFlow:
    training, validation = events.split((0.8, 0.2), Seeds(2))
    model = trainer.fit(training, validation, Seeds(3)).model
    assert isinstance(model, SplineFlow)
    return model


def test_finite_or_minus_infinity_everywhere(flow: SplineFlow) -> None:
    places = np.array(np.meshgrid(EXTREME, EXTREME, EXTREME)).reshape(3, -1).T
    m, pt = places[:, 0], places[:, 1]
    inside = (m >= 60) & (m <= 120) & (pt >= 0)
    for model in (flow, flow.reference()):
        log_p = model.log_prob(places)
        assert not np.isnan(log_p).any()
        assert (log_p < np.inf).all()
        assert (log_p[~inside] == -np.inf).all()
        assert np.isfinite(log_p[inside]).all()


def test_samples_are_inside_and_have_a_density(flow: SplineFlow, rng: np.random.Generator) -> None:
    x = flow.sample(50_000, rng)
    assert x.shape == (50_000, 3)
    assert np.isfinite(x).all()
    assert ((x[:, 0] >= 60) & (x[:, 0] <= 120) & (x[:, 1] >= 0)).all()
    assert np.isfinite(flow.log_prob(x)).all()


def test_float32_and_float64_agree(flow: SplineFlow, rng: np.random.Generator) -> None:
    gap = precision_gap(flow, flow.sample(5000, rng))
    assert 0.0 < gap < 1e-3
    assert precision_gap(flow.reference(), flow.sample(100, rng)) == 0.0


def test_same_stream_same_draws_in_any_batch(flow: SplineFlow) -> None:
    many = flow.sample(5000, np.random.default_rng(5))
    few = flow.sample(100, np.random.default_rng(5))
    np.testing.assert_allclose(few, many[:100], rtol=1e-4)
    np.testing.assert_array_equal(many, flow.sample(5000, np.random.default_rng(5)))


def test_density_of_an_event_does_not_depend_on_its_batch(flow: SplineFlow) -> None:
    x = flow.sample(3000, np.random.default_rng(6))
    parts = [flow.log_prob(x[rows]) for rows in np.split(np.arange(3000), [1, 10, 700])]
    np.testing.assert_allclose(np.concatenate(parts), flow.log_prob(x), rtol=0, atol=1e-4)


def test_integrates_to_one_in_original_units() -> None:
    x = Camel().sample(3000, np.random.default_rng(7)) * 1e-3
    log_p = quick(Events(x)).log_prob(np.linspace(-0.03, 0.03, 20_001)[:, None])
    assert integrate.simpson(np.exp(log_p), dx=3e-6) == pytest.approx(1.0, abs=1e-4)


def test_integrates_to_one_between_bounds_and_in_two_dimensions() -> None:
    rng = np.random.default_rng(8)
    x = np.column_stack([rng.beta(0.9, 2.0, 3000), rng.exponential(size=3000)])
    x[:, 1] += x[:, 0]
    flow = quick(Events(x, features=[Feature("a", low=0.0, high=1.0), Feature("b", low=0.0)]))
    # Nodes that crowd towards the edges, in the coordinates of a probit and a logarithm.
    t = np.linspace(-6, 6, 301)
    a = 0.5 * (1 + np.tanh(t))
    b = np.exp(np.linspace(-14, 5, 401))
    nodes = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(flow.log_prob(nodes)).reshape(301, 401)
    slopes = np.outer(2 * a * (1 - a), b)
    total = integrate.simpson(integrate.simpson(density * slopes, dx=19 / 400), dx=12 / 300)
    assert total == pytest.approx(1.0, abs=2e-3)


def test_samples_follow_the_density(flow: SplineFlow, rng: np.random.Generator) -> None:
    x = flow.sample(40_000, rng)
    box = (np.abs(x[:, 0] - 90) < 5) & (x[:, 1] < 15) & (np.abs(x[:, 2]) < 1)
    u = rng.uniform([85, 0, -1], [95, 15, 1], size=(40_000, 3))
    density = np.exp(flow.log_prob(u)) * 10 * 15 * 2
    error = np.hypot(density.std() / 200, np.sqrt(box.mean() * (1 - box.mean())) / 200)
    assert_within(box.mean(), density.mean(), error)


def test_learns_a_gaussian() -> None:
    truth = GaussianTruth.paper()
    rng = np.random.default_rng(9)
    flow = quick(Events(truth.sample(6000, rng)), SplineFlowTrainer(layers=2, hidden=16, epochs=8))
    x = truth.sample(4000, rng)
    divergence = truth.log_prob(x) - flow.log_prob(x)
    # About as many effective parameters as quantile bins: k / 2n of divergence.
    assert divergence.mean() < 0.05


def test_event_weights_count() -> None:
    x = Camel().sample(4000, np.random.default_rng(10))
    weights = np.where(x[:, 0] > 0, 3.0, 1.0)
    flow = quick(Events(x, weights))
    share = (flow.sample(20_000, np.random.default_rng(11)) > 0).mean()
    n_effective = weights.sum() ** 2 / (weights**2).sum()
    assert_within(share, 0.75, np.sqrt(0.75 * 0.25 * (1 / n_effective + 1 / 20_000)))


def test_pickle_and_curves(flow: SplineFlow) -> None:
    x = flow.sample(500, np.random.default_rng(12))
    again = pickle.loads(pickle.dumps(flow))
    np.testing.assert_array_equal(again.log_prob(x), flow.log_prob(x))
    np.testing.assert_array_equal(
        again.sample(50, np.random.default_rng(0)), flow.sample(50, np.random.default_rng(0))
    )


def test_same_seeds_same_bits_and_others_differ() -> None:
    events = Events(GaussianTruth.paper().sample(1500, np.random.default_rng(13)))
    training, validation = events.split((0.8, 0.2), Seeds(2))
    trainer = SplineFlowTrainer(layers=1, hidden=8, epochs=2)
    first, again, other = (trainer.fit(training, validation, Seeds(n)) for n in (1, 1, 2))
    assert isinstance(first.model, SplineFlow)
    assert isinstance(again.model, SplineFlow)
    for name, values in first.model.parameters.items():
        np.testing.assert_array_equal(values, again.model.parameters[name])
    np.testing.assert_array_equal(first.training_curve, again.training_curve)
    assert not np.array_equal(first.validation_curve, other.validation_curve)


def test_validation_curve_is_in_original_units() -> None:
    truth = GaussianTruth((5.0,), (1e-3,))
    events = Events(truth.sample(2000, np.random.default_rng(14)))
    training, validation = events.split((0.7, 0.3), Seeds(2))
    fitted = QUICK.fit(training, validation, Seeds(3))
    expected = -fitted.model.log_prob(validation.x).mean()
    assert fitted.validation_curve[fitted.best_epoch] == pytest.approx(expected, abs=1e-4)
    assert fitted.best_epoch == np.argmin(fitted.validation_curve)


def constant(n: int) -> Array:
    return np.column_stack([np.arange(n, dtype=float), np.ones(n)])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (Events(np.arange(8.0)[:, None], [1.0] * 7 + [-1.0]), "negative event weights"),
        (Events(constant(50), names=("a", "b")), "column 'b'"),
        (Events(np.arange(6.0).reshape(2, 3)), "2 events with 3 features"),
    ],
)
def test_unusable_samples_are_refused(events: Events, message: str) -> None:
    with pytest.raises(InputError, match=message):
        QUICK.fit(events, events, Seeds(1))


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"epochs": 0},
        {"batch": 0},
        {"patience": 0},
        {"marginal_bins": 1},
        {"marginal_bins": -1},
        {"precision": "float16"},
        {"layers": 0},
    ],
)
def test_unusable_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InputError):
        SplineFlowTrainer(**settings)  # type: ignore[arg-type]


def test_a_diverging_training_says_so() -> None:
    events = Events(GaussianTruth.paper().sample(500, np.random.default_rng(15)))
    wild = SplineFlowTrainer(layers=1, hidden=8, epochs=3, learning_rate=1e30, clip=1e30)
    with pytest.raises(NumericsError, match="flow training"):
        wild.fit(events, events, Seeds(1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(flow: SplineFlow, bad: float) -> None:
    with pytest.raises(InputError, match="non-finite"):
        flow.log_prob(np.array([[90.0, 10.0, bad]]))


def test_no_events_give_no_densities(flow: SplineFlow) -> None:
    assert flow.log_prob(np.zeros((0, 3))).shape == (0,)
    assert flow.sample(0, np.random.default_rng(0)).shape == (0, 3)


def test_leaking_support_is_redrawn_not_returned() -> None:
    # An identity transform keeps no bounds: the flow must reject what lies outside.
    x = np.random.default_rng(16).uniform(0, 1, size=(2000, 1))
    feature = Feature("a", low=0.0, high=1.0, transform="identity")
    trainer = SplineFlowTrainer(layers=1, hidden=8, epochs=1)
    drawn = quick(Events(x, features=[feature]), trainer).sample(5000, np.random.default_rng(1))
    assert ((drawn >= 0) & (drawn <= 1)).all()
