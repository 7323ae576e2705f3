"""Flows with random weights: their draws are members, their averages are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch.distributions import Normal, kl_divergence

from trained_generators import plane_events, trained
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.density.flows.nflows import Architecture, build
from verisimile.density.flows.random_weights import (
    BayesianFlow,
    BayesianFlowTrainer,
    DropoutFlow,
    DropoutFlowTrainer,
    PosteriorFlow,
    Variational,
)
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.torch_scope import seed_scope

NAMES = ("Bayesian flow", "dropout flow")


def posterior(name: str) -> PosteriorFlow:
    model = trained(name, 2).model
    assert isinstance(model, PosteriorFlow)
    return model


def variational(n: float = 100.0) -> Variational:
    with seed_scope(Seeds(1)):
        stack = build(Architecture(3, 2, 1, 8, 4, 5.0, residual=False))
        return Variational(stack, n, prior=0.7, initial=0.1, generator=Seeds(2).torch())


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_flows_that_differ(name: str) -> None:
    first, second = posterior(name).members(2, Seeds(5))
    x = plane_events().x[:200]
    assert isinstance(first, SplineFlow)
    assert np.abs(first.log_prob(x) - second.log_prob(x)).max() > 1e-3
    again = posterior(name).members(3, Seeds(5))[1]
    np.testing.assert_array_equal(again.log_prob(x), second.log_prob(x))


@pytest.mark.parametrize("name", NAMES)
def test_density_is_the_average_of_the_draws(name: str) -> None:
    model = posterior(name)
    x = plane_events().x[:200]
    draws = [flow.log_prob(x) for flow in model.members(model.draws, Seeds(model.entropy))]
    np.testing.assert_array_equal(model.log_probs(x), draws)
    np.testing.assert_allclose(model.log_prob(x), logsumexp(draws, axis=0) - np.log(4), atol=1e-12)


def test_bayesian_draws_have_the_stated_moments() -> None:
    model = posterior("Bayesian flow")
    assert isinstance(model, BayesianFlow)
    draws = np.stack(
        [model.draw(np.random.default_rng(k)).parameters["0.1.bias"] for k in range(400)]
    )
    pulls = (draws.mean(axis=0) - model.mean["0.1.bias"]) / model.spread["0.1.bias"] * 20
    assert np.abs(pulls).max() < 5
    ratio = draws.std(axis=0) / model.spread["0.1.bias"]
    assert np.abs(ratio - 1).max() < 5 / np.sqrt(2 * 400)


def test_masked_weights_stay_zero() -> None:
    model = posterior("Bayesian flow")
    assert isinstance(model, BayesianFlow)
    weight = model.mean["0.0.weight"]
    assert (weight == 0).any()
    assert (model.spread["0.0.weight"][weight == 0] == 0).all()


def test_divergence_in_closed_form() -> None:
    net = variational()
    expected = 0.0
    for values, mask in zip(net.stack.parameters(), net.masks, strict=True):
        each = kl_divergence(Normal(values, 0.1), Normal(0.0, 0.7))
        expected += float((each * mask).sum().detach())
    assert float(net.divergence().detach()) == pytest.approx(expected, rel=1e-5)


def test_loss_holds_the_divergence_in_training_alone() -> None:
    z = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32))
    shares = []
    for n in (10.0, 1e12):
        net = variational(n)
        shares.append(net.train()(z)[1].detach() - net.eval()(z)[1].detach())
    # Equal seeds, equal draws: only KL / n differs.
    gap = (shares[1] - shares[0]).numpy()
    np.testing.assert_allclose(gap, float(variational().divergence().detach()) / 10, rtol=1e-3)


@pytest.mark.calibration
def test_more_events_narrow_the_posterior() -> None:
    flow = SplineFlowTrainer(layers=1, hidden=8, bins=4, epochs=12, batch=32)
    spreads = []
    for n in (200, 4000):
        training, validation = plane_events(n).split((0.7, 0.3), Seeds(1))
        model = BayesianFlowTrainer(flow, initial=0.1).fit(training, validation, Seeds(2)).model
        assert isinstance(model, BayesianFlow)
        x = plane_events(300).x
        logs = np.stack([m.log_prob(x) for m in model.members(10, Seeds(3))])
        spreads.append(logs.std(axis=0).mean())
    assert spreads[1] < 0.7 * spreads[0]


def test_dropout_draw_is_the_network_with_a_mask() -> None:
    model = posterior("dropout flow")
    assert isinstance(model, DropoutFlow)
    drawn = model.draw(np.random.default_rng(1)).parameters
    full, thinned = model.parameters["0.2.weight"], drawn["0.2.weight"]
    kept = (thinned != 0).any(axis=0)
    np.testing.assert_allclose(thinned[:, kept], full[:, kept] / 0.97, rtol=1e-6)
    np.testing.assert_array_equal(drawn["0.0.weight"], model.parameters["0.0.weight"])
    shares = [
        (model.draw(np.random.default_rng(k)).parameters["0.2.weight"] != 0).any(axis=0).mean()
        for k in range(200)
    ]
    alive = (full != 0).any(axis=0).mean()
    assert np.mean(shares) == pytest.approx(0.97 * alive, abs=5 * np.sqrt(0.03 / 3200))


def test_more_absences_more_spread() -> None:
    model = posterior("dropout flow")
    assert isinstance(model, DropoutFlow)
    x = plane_events(300).x
    spreads = []
    for p in (0.01, 0.2):
        other = DropoutFlow(
            model.shape, model.input_map, parameters=model.parameters, probability=p, draws=1,
            entropy=1,
        )  # fmt: skip
        spreads.append(np.std([m.log_prob(x) for m in other.members(10, Seeds(3))], axis=0).mean())
    assert spreads[0] < spreads[1]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="prior=0.0"):
        BayesianFlowTrainer(prior=0.0)
    with pytest.raises(InputError, match="residual=False"):
        DropoutFlowTrainer(SplineFlowTrainer(residual=True))
