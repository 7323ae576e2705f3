"""Every family with a density: it integrates to one, describes its draws, and learns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import FIVE_SIGMA
from trained_generators import DENSITIES, camel_events, plane_events, trained
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.check import check_estimator
from verisimile.density.gaussian_mixture import GaussianMixtureTrainer
from verisimile.density.kernel_density import KernelDensityTrainer
from verisimile.density.protocol import DensityEstimator, Trainer


def line(model: DensityEstimator, points: int = 2001) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(-9, 9, points)
    return x, np.exp(model.log_prob(x[:, None]))


@pytest.mark.parametrize("name", DENSITIES)
def test_normalised_on_the_line(name: str) -> None:
    x, p = line(trained(name, 1).model)
    assert np.trapezoid(p, x) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", DENSITIES)
def test_normalised_on_the_plane(name: str) -> None:
    # Densities behind normal scores have steps, and need a finer grid.
    fine = 4 if name in ("Bayesian flow", "dropout flow") else 1
    a, b = np.linspace(-7, 7, 70 * fine + 1), np.linspace(-6, 14, 100 * fine + 1)
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    p = np.exp(trained(name, 2).model.log_prob(grid)).reshape(len(a), len(b))
    assert np.trapezoid(np.trapezoid(p, b), a) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", DENSITIES)
def test_draws_follow_the_density(name: str, rng: np.random.Generator) -> None:
    model = trained(name, 1).model
    x, p = line(model)
    cdf = np.concatenate([[0], np.cumsum(0.5 * (p[1:] + p[:-1]) * np.diff(x))])
    draws = model.sample(3000, rng)[:, 0]
    assert stats.kstest(draws, lambda v: np.interp(v, x, cdf)).pvalue > FIVE_SIGMA
    # The same test rejects a density that is a quarter wider.
    assert stats.kstest(draws, lambda v: np.interp(v / 1.25, x, cdf)).pvalue < FIVE_SIGMA


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("d", [1, 2])
def test_better_than_one_gaussian(name: str, d: int) -> None:
    events = (camel_events if d == 1 else plane_events)(6000)
    fresh = events.x[3000:]
    gauss = stats.multivariate_normal(fresh.mean(axis=0), np.cov(fresh.T))
    gain = trained(name, d).model.log_prob(fresh) - gauss.logpdf(fresh)
    error = gain.std() / np.sqrt(len(gain))
    assert gain.mean() > 5 * error


@pytest.mark.parametrize("name", DENSITIES)
def test_same_seeds_same_model(name: str) -> None:
    trainer: Trainer = DENSITIES[name]
    training, validation = camel_events().split((0.7, 0.3), Seeds(1))
    again = trainer.fit(training, validation, Seeds(2))
    x = training.x[:50]
    np.testing.assert_array_equal(again.model.log_prob(x), trained(name, 1).model.log_prob(x))
    curve = again.validation_curve
    assert curve[again.best_epoch] == curve.min()


@pytest.mark.parametrize("name", DENSITIES)
def test_settings_are_json_and_name_the_family(name: str) -> None:
    trainer = DENSITIES[name]
    assert isinstance(trainer, Trainer)
    assert trainer.config()["family"] == trained(name, 1).model.family  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "trainer", [GaussianMixtureTrainer(components=(4,)), KernelDensityTrainer()]
)
def test_bounded_features_keep_their_support(trainer: Trainer, rng: np.random.Generator) -> None:
    x = np.column_stack([rng.beta(2, 3, 600), rng.exponential(size=600)])
    features = (Feature("a", low=0, high=1), Feature("b", low=0))
    training, validation = Events(x, features=features).split((0.7, 0.3), Seeds(1))
    model = trainer.fit(training, validation, Seeds(2)).model
    assert check_estimator(model).problems == ()
    draws = model.sample(2000, rng)
    assert ((draws >= 0) & (draws <= [1.0, np.inf])).all()
    outside = np.array([[-0.1, 1.0], [1.1, 1.0], [0.5, -0.1]])
    assert (model.log_prob(outside) == -np.inf).all()


def test_weights_move_the_kernels() -> None:
    x = np.repeat([-2.0, 2.0], 200) + np.random.default_rng(1).normal(size=400)
    weights = np.repeat([1.0, 3.0], 200)
    training, validation = Events(x[:, None], weights).split((0.7, 0.3), Seeds(1))
    trainer = KernelDensityTrainer()
    draws = trainer.fit(training, validation, Seeds(2)).model.sample(4000, np.random.default_rng(2))
    assert training.weights is not None
    share = training.weights[training.x[:, 0] > 0].sum() / training.weights.sum()
    assert (draws > 0).mean() == pytest.approx(share, abs=0.05)


def test_weighted_events_are_refused_where_they_cannot_be_used() -> None:
    events = Events(np.random.default_rng(1).normal(size=(50, 1)), np.ones(50))
    with pytest.raises(InputError, match="without weights"):
        GaussianMixtureTrainer().fit(events, events, Seeds(1))
