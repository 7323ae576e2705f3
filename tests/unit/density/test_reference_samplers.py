"""A GAN that drops modes and a VAE that smooths: the battery must see both."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import stats

from verisimile.checks.support.study import Support, support_metrics
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import RingOfEight
from verisimile.density.mapped import MappedSampler
from verisimile.density.protocol import (
    DensityEstimator,
    Fitted,
    Sampler,
    SamplerTrainer,
)
from verisimile.density.registry import pack, unpack_any
from verisimile.density.samplers import AdversarialTrainer, AutoencoderTrainer, DecoderCore

# Chosen because it loses modes: with the default settings the small GAN reaches all eight.
TRAINERS: dict[str, AdversarialTrainer | AutoencoderTrainer] = {
    "gan": AdversarialTrainer(latent=1, learning_rate=1e-2, epochs=20),
    "vae": AutoencoderTrainer(epochs=30),
}
RING = RingOfEight()


def ring(n: int, seed: int) -> Array:
    return RING.sample(n, np.random.default_rng(seed))


@functools.cache
def fitted(name: str) -> Fitted[Sampler]:
    training, validation = Events(ring(2000, 1)).split((0.7, 0.3), Seeds(1))
    return TRAINERS[name].fit(training, validation, Seeds(2))


def draws(name: str, n: int = 1000) -> Array:
    if name == "truth":
        return ring(n, 7)
    return fitted(name).model.sample(n, np.random.default_rng(3))


@functools.cache
def support(name: str) -> Support:
    return support_metrics(ring(2000, 5), draws(name, 2000), np.random.default_rng(4))


def energy_p(name: str) -> float:
    (outcome,) = permutation_test(
        Run(Seeds(8)), Events(ring(800, 9)), Events(draws(name, 800)), [EnergyDistance()],
        permutations=199,
    )  # fmt: skip
    return outcome.p_value.value


def modes(x: Array) -> Array:
    nearest = np.linalg.norm(x[:, None] - RING.centres, axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=8) / len(x)


def in_a_disc(x: Array) -> float:
    return float(np.isfinite(RING.log_prob(x)).mean())


@pytest.mark.parametrize("name", TRAINERS)
def test_is_a_sampler_and_claims_no_density(name: str) -> None:
    assert isinstance(TRAINERS[name], SamplerTrainer)
    assert TRAINERS[name].config()["family"] == name
    assert not isinstance(fitted(name).model, DensityEstimator)
    x = draws(name)
    assert x.shape == (1000, 2)
    assert x.dtype == np.float64
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(x, draws(name))


@pytest.mark.parametrize("name", TRAINERS)
def test_stored_sampler_is_rebuilt_bit_by_bit(name: str) -> None:
    payload = pack(fitted(name).model)
    again = unpack_any(payload.meta, payload.arrays)
    assert isinstance(again, Sampler)
    np.testing.assert_array_equal(again.sample(1000, np.random.default_rng(3)), draws(name))


@pytest.mark.parametrize("name", TRAINERS)
def test_same_seeds_same_sampler(name: str) -> None:
    training, validation = Events(ring(300, 1)).split((0.7, 0.3), Seeds(1))
    first, again, other = (TRAINERS[name].fit(training, validation, Seeds(k)) for k in (2, 2, 3))
    x = [f.model.sample(5, np.random.default_rng(1)) for f in (first, again, other)]
    np.testing.assert_array_equal(x[0], x[1])
    assert np.abs(x[0] - x[2]).max() > 1e-3


def test_gan_drops_modes() -> None:
    assert (modes(draws("gan")) < 0.01).sum() >= 2
    assert modes(draws("truth")).min() > 0.08


def test_vae_fills_the_gaps() -> None:
    assert modes(draws("vae")).min() > 0.05
    assert in_a_disc(draws("vae")) < 0.6
    assert in_a_disc(draws("truth")) == 1.0


@pytest.mark.parametrize("name", TRAINERS)
def test_energy_distance_rejects(name: str) -> None:
    assert energy_p(name) <= 0.01


def test_energy_distance_accepts_the_truth() -> None:
    assert energy_p("truth") > 0.01


def test_recall_sees_the_dropped_modes() -> None:
    for metric in ("recall", "coverage"):
        difference = support("gan").named(metric).difference
        assert difference.value < -5 * difference.error


def test_precision_sees_the_smoothing() -> None:
    precision, recall = (support("vae").named(name).difference for name in ("precision", "recall"))
    assert precision.value < -5 * precision.error
    assert recall.value > 0.5 * precision.value  # it reaches the modes


def test_a_perfect_generator_is_not_accused() -> None:
    for metric in ("precision", "recall", "coverage"):
        difference = support("truth").named(metric).difference
        assert abs(difference.value) < 5 * difference.error


def test_decoder_is_the_perceptron_plus_noise(rng: np.random.Generator) -> None:
    layers = ((np.array([[2.0]]), np.array([0.5])),)
    z = DecoderCore("vae", layers, np.array([1.5])).sample(4000, rng)[:, 0]
    assert stats.kstest(z, stats.norm(0.5, 2.5).cdf).pvalue > 1e-6
    assert stats.kstest(z, stats.norm(0.5, 2.0).cdf).pvalue < 1e-6


def test_travels_through_the_registry_name() -> None:
    model = fitted("gan").model
    assert isinstance(model, MappedSampler)
    assert model.family == "gan"


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="positive settings"):
        AdversarialTrainer(latent=0)
    with pytest.raises(InputError, match="positive settings"):
        AutoencoderTrainer(clip=0.0)
