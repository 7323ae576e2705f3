"""The density of a diffusion model: against exact scores, a quadrature, and random probes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import verisimile as vs
from trained_generators import plane_events, trained
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.density.mapped import MappedDensity, MappedSampler
from verisimile.density.paths.diffusion import DiffusionTrainer
from verisimile.density.paths.flow_matching import ContinuousFlowCore
from verisimile.density.paths.probability_flow import ProbabilityFlowCore, probability_flow
from verisimile.density.paths.training import NetworkShape, initial, numbers
from verisimile.density.paths.transport import estimated_log_prob
from verisimile.density.registry import pack, unpack

SHAPE = NetworkShape(2, 1, 1, 1, 1, 1.0)
MEAN = np.zeros(2)  # features are standardised
COVARIANCE = np.array([[0.5, 0.3], [0.3, 1.2]])


class ExactNoise(ProbabilityFlowCore):
    """The denoiser of a correlated Gaussian: -sqrt(1 - signal) times the score."""

    def _noise(self, x: torch.Tensor, t: float) -> torch.Tensor:
        signal = 1.0 / np.cosh(t) ** 2
        spread = signal * COVARIANCE + (1.0 - signal) * np.eye(2)
        away = x - np.sqrt(signal) * torch.from_numpy(MEAN)
        return torch.matmul(np.tanh(t) * away, torch.from_numpy(np.linalg.inv(spread)))


class WithoutDrift(ExactNoise):
    """A twin with one defect: the term that contracts to unit width has half its size."""

    def _velocity(self, z: torch.Tensor, t: float) -> torch.Tensor:
        return torch.sub(self._noise(z, t), 0.5 * np.tanh(t) * z)


@cache
def diffusion(d: int) -> MappedSampler:
    training, validation = plane_events(400).split((0.7, 0.3), Seeds(3))
    columns = training.names[:d]
    trainer = DiffusionTrainer(depth=1, width=16, inner=16, epochs=30, batch=64, steps=20)
    fitted = trainer.fit(training.select(columns), validation.select(columns), Seeds(4))
    return fitted.model


def points(n: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).multivariate_normal(MEAN, COVARIANCE, n)


def test_an_exact_score_gives_the_exact_density() -> None:
    z = points(30)
    exact = stats.multivariate_normal(MEAN, COVARIANCE).logpdf(z)
    core = ExactNoise(SHAPE, {}, 1e-7, 100)
    # The law at the last noise level is standard normal but for its signal of 2e-7.
    assert np.abs(core.log_prob(z) - exact).max() < 1e-5
    assert np.abs(WithoutDrift(SHAPE, {}, 1e-7, 100).log_prob(z) - exact).max() > 0.1


def test_an_exact_score_gives_draws_of_the_density(rng: np.random.Generator) -> None:
    x = ExactNoise(SHAPE, {}, 1e-6, 100).sample(4000, rng)
    whitened = np.linalg.solve(np.linalg.cholesky(COVARIANCE), (x - MEAN).T)
    assert stats.kstest(whitened.ravel(), "norm").pvalue > 1e-6


def test_a_trained_density_integrates_to_one_and_draws_follow_it(rng: np.random.Generator) -> None:
    model = probability_flow(diffusion(1), tolerance=1e-5)
    z = np.linspace(-20.0, 20.0, 801)
    below = integrate.cumulative_trapezoid(np.exp(model.core.log_prob(z[:, None])), z, initial=0.0)
    assert below[-1] == pytest.approx(1.0, abs=1e-3)
    draws = model.core.sample(500, rng)[:, 0]
    assert stats.kstest(np.interp(draws, z, below), "uniform").pvalue > 1e-6
    assert stats.kstest(np.interp(1.2 * draws + 0.2, z, below), "uniform").pvalue < 1e-6


def test_probes_agree_within_their_errors_and_the_errors_are_theirs(
    rng: np.random.Generator,
) -> None:
    shape = NetworkShape(3, 1, 16, 16, 4, 4.0)
    parameters = numbers(initial(shape, Seeds(1).torch()), 0)
    parameters["last.weight"] *= 4
    core = ContinuousFlowCore(shape, parameters, 1e-5)
    z = rng.normal(size=(200, 3))
    exact, probed = core.log_prob(z), core.estimated(z, 16, rng)
    errors = probed.std(axis=1, ddof=1) / 4.0
    pulls = (probed.mean(axis=1) - exact) / errors
    # Student's law with 15 degrees of freedom, nearly.
    assert abs(pulls.mean()) < 5.0 * 1.1 / np.sqrt(z.shape[0])
    assert 0.85 < pulls.std() < 1.35
    # One probe for all events would share its error: their mean would not get better.
    assert abs((probed.mean(axis=1) - exact).mean()) < 5.0 * errors.mean() / np.sqrt(200)


def test_probes_of_a_trained_density(rng: np.random.Generator) -> None:
    model = probability_flow(diffusion(2), tolerance=1e-4)
    x = model.sample(40, rng)
    values, errors = estimated_log_prob(model, x, rng, probes=32)
    assert values.shape == errors.shape == (40,)
    assert np.abs((values - model.log_prob(x)) / errors).mean() < 1.3
    with pytest.raises(InputError, match="probes"):
        estimated_log_prob(model, x, rng, probes=1)
    with pytest.raises(InputError, match="solves an equation"):
        estimated_log_prob(vs.density.GaussianMixtureTrainer, x, rng)  # type: ignore[arg-type]


def test_it_is_stored_without_pickle_and_read_back() -> None:
    model = probability_flow(diffusion(1))
    stored = pack(model)
    again = unpack(stored.meta, stored.arrays)
    assert isinstance(again, MappedDensity)
    x = np.linspace(-1.0, 1.0, 5)[:, None]
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))


def test_only_a_diffusion_has_a_probability_flow() -> None:
    with pytest.raises(InputError, match="trained diffusion"):
        probability_flow(trained("Gaussian mixture", 1).model)
    with pytest.raises(InputError, match="tolerance"):
        probability_flow(diffusion(1), tolerance=0.0)
