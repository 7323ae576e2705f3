"""The autoregressive mixture: evaluation equals training, conditionals, bounded widths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from trained_generators import trained
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.density.mapped import MappedDensity
from verisimile.density.mixtures.autoregressive import (
    MixtureNetwork,
    MixtureNetworkCore,
    MixtureNetworkTrainer,
)
from verisimile.density.torch_scope import seed_scope


def network(d: int = 3) -> MixtureNetwork:
    with seed_scope(Seeds(1)):
        return MixtureNetwork(d, 5, 16)


def test_evaluation_is_the_trained_function(rng: np.random.Generator) -> None:
    net = network().double()
    z = 3 * rng.normal(size=(40, 3))
    u, log_det = net(torch.from_numpy(z))
    expected = log_det.detach().numpy() - 1.5 * np.log(2 * np.pi)
    assert (u == 0).all()
    np.testing.assert_allclose(MixtureNetworkCore(net.layers()).log_prob(z), expected, rtol=1e-10)


def test_a_feature_depends_on_those_before_it_alone(rng: np.random.Generator) -> None:
    core = MixtureNetworkCore(network().layers())
    z = rng.normal(size=(1, 3))
    other = z + [[0.0, 0.0, 1.0]]
    for j in range(3):
        for first, second in zip(core._given(z, j), core._given(other, j), strict=True):
            np.testing.assert_array_equal(first, second)
    moved = z + [[1.0, 0.0, 0.0]]
    assert not np.array_equal(core._given(z, 1)[1], core._given(moved, 1)[1])


def test_one_component_is_a_gaussian(rng: np.random.Generator) -> None:
    raw = np.log((np.log(2.0) + 6) / (3 - np.log(2.0)))  # of a width of two
    layers = ((np.zeros((1, 3)), np.array([0.0, -1.0, raw])),)
    core = MixtureNetworkCore((layers,))
    z = rng.normal(size=(20, 1))
    np.testing.assert_allclose(core.log_prob(z), stats.norm(-1, 2).logpdf(z[:, 0]), rtol=1e-12)
    draws = core.sample(4000, rng)[:, 0]
    assert stats.kstest(draws, stats.norm(-1, 2).cdf).pvalue > 1e-6
    assert stats.kstest(draws, stats.norm(-1, 1.7).cdf).pvalue < 1e-6


def test_learns_that_the_spread_is_around_the_bend() -> None:
    model = trained("autoregressive mixture", 2).model
    assert isinstance(model, MappedDensity)
    # The banana's ridge is at b = a²/2: there the density is larger than beside it.
    ridge, beside = np.array([[1.5, 1.125]]), np.array([[1.5, -0.5]])
    assert model.log_prob(ridge)[0] > model.log_prob(beside)[0] + 2


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="positive settings"):
        MixtureNetworkTrainer(components=0)
