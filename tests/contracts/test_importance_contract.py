r"""Every density integrates to one and its draws follow it in three dimensions, two bounded ones.

Integrals are sums over draws of a wide proposal q: :math:`\int h p = E_q[h p / q]`.  Means of 15
functions that see places, widths and correlations are compared with those of the model's draws;
the same comparison rejects draws a tenth too wide.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from statistical import assert_within
from trained_generators import MODELS, box_events, model_of, named
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.density.check import Proposal
from verisimile.density.protocol import DensityEstimator

PROPOSED, DRAWN = 8000, 20_000
EVERY = pytest.mark.parametrize("name", named(*MODELS))


@functools.cache
def proposed() -> tuple[Array, Array]:
    """Return draws of the proposal, wider than all models, and their log-densities."""
    proposal = Proposal.around(box_events().x)
    x = proposal.sample(PROPOSED, Seeds(4).numpy())
    return x, proposal.log_prob(x)


@functools.cache
def shares(name: str) -> Array:
    """Return p / q at the proposed places."""
    x, log_q = proposed()
    return np.asarray(np.exp(model_of(name, 3).log_prob(x) - log_q))


def looks(x: Array) -> Array:
    """Return functions of standardised events ``(n, 15)``: steps, squares and products."""
    known = box_events().x
    z = (x - known.mean(axis=0)) / known.std(axis=0)
    products = [z[:, i] * z[:, j] for i in range(3) for j in range(i, 3)]
    return np.column_stack([np.tanh(2 * z), np.tanh(z - 1), np.tanh(z + 1), *products])


def compare(name: str, draws: Array) -> None:
    """Require that means over draws are those of the density."""
    ratio, values = shares(name)[:, None], looks(proposed()[0])
    expected = (ratio * values).sum(axis=0) / ratio.sum()
    error = np.sqrt((ratio**2 * (values - expected) ** 2).sum(axis=0)) / ratio.sum()
    seen = looks(draws)
    noise = seen.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert_within(seen.mean(axis=0), expected, np.hypot(error, noise))


def wider(x: Array) -> Array:
    """Return events a tenth farther from their mean, mirrored where that crosses a bound."""
    a, b, c = (x.mean(axis=0) + 1.1 * (x - x.mean(axis=0))).T
    return np.column_stack([a, np.abs(b), 1 - np.abs(1 - np.abs(c))])


def draws(model: DensityEstimator, seeds: Seeds) -> Array:
    return model.sample(DRAWN, seeds.numpy())


@EVERY
def test_density_integrates_to_one(name: str) -> None:
    ratio = shares(name)
    error = ratio.std() / np.sqrt(PROPOSED)
    assert error < 0.03
    assert_within(ratio.mean(), 1.0, error)


@EVERY
def test_draws_follow_the_density_and_wider_ones_do_not(name: str, seeds: Seeds) -> None:
    x = draws(model_of(name, 3), seeds)
    compare(name, x)
    with pytest.raises(AssertionError, match="sigma"):
        compare(name, wider(x))


@EVERY
def test_draws_stay_in_the_support_and_nothing_is_outside(name: str, seeds: Seeds) -> None:
    model = model_of(name, 3)
    x = draws(model, seeds)
    assert (x[:, 1:] >= 0).all()
    assert (x[:, 2] <= 1).all()
    assert np.isfinite(model.log_prob(x[:200])).all()
    outside = np.array([[0.0, -1e-9, 0.5], [0.0, 1.0, 1 + 1e-9], [0.0, 1.0, -1e-9]])
    assert (model.log_prob(outside) == -np.inf).all()
