"""The weight fit takes any density: every family, draws of a posterior, all of them at once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from trained_generators import DENSITIES, banana, trained
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.adapters import CallableDensity
from verisimile.density.check import Proposal
from verisimile.density.flows.random_weights import PosteriorFlow
from verisimile.ensemble.gather import gather_ensemble
from verisimile.mixture.bind import PseudoEvents, fit_mixture
from verisimile.mixture.model import Mixture

FEATURES = (Feature("a"), Feature("b"))
PSEUDO = PseudoEvents(count=400, audit=1000)
POOL, DRAWS = 4000, 2000
EDGES = np.array([-8.0, 0.0, 1.0, 8.0])


def bent(width: float) -> CallableDensity:
    """Return the bent Gaussian with another width of its second feature."""

    def log_prob(x: Array) -> Array:
        second = stats.norm.logpdf(x[:, 1], 0.5 * x[:, 0] ** 2, width)
        return np.asarray(stats.norm.logpdf(x[:, 0]) + second)

    def sample(n: int, rng: np.random.Generator) -> Array:
        x = rng.normal(size=n)
        return np.column_stack([x, 0.5 * x**2 + width * rng.normal(size=n)])

    return CallableDensity(2, log_prob, sample)


def normal(shift: float) -> object:
    return stats.multivariate_normal([shift, 0.5], [[1.0, 0.0], [0.0, 0.8]])


def family(name: str) -> list[object]:
    """Return two models of one trained family that differ."""
    model = trained(name, 2).model
    if isinstance(model, PosteriorFlow):
        return list(model.members(3, Seeds(7)))
    # The second member of the fit is known exactly, so that two weights are determined.
    return [model, bent(0.6)]


MEMBERS: dict[str, Callable[[], list[object]]] = {
    **{name: functools.partial(family, name) for name in DENSITIES},
    "scipy": lambda: [normal(-0.5), normal(0.0), normal(0.6)],
    "callables": lambda: [bent(0.4), bent(0.8)],
    "all at once": lambda: [
        *(trained(name, 2).model for name in DENSITIES),
        normal(0.0),
        bent(0.7),
    ],
}


@functools.cache
def sample() -> Events:
    return Events(banana(700, np.random.default_rng(31)), features=FEATURES)


@functools.cache
def fitted(name: str) -> tuple[Mixture, Array]:
    """Return the fitted mixture and the members' densities at its events."""
    ensemble = gather_ensemble(Run(Seeds(3)), MEMBERS[name](), features=FEATURES)
    mixture = fit_mixture(Run(Seeds(3)), ensemble, sample(), pseudo=PSEUDO, discrepancy=None)
    return mixture, np.exp(ensemble.log_densities(sample()))


@functools.cache
def pool(name: str) -> tuple[Array, Array]:
    """Return events of a wide proposal, and the signed mixture's density over the proposal's."""
    mixture = fitted(name)[0]
    rng = np.random.default_rng(5)
    proposal = Proposal.around(banana(2000, rng))
    x = proposal.sample(POOL, rng)
    density = np.exp(mixture.log_densities(x)) @ mixture.weights
    return x, density / np.exp(proposal.log_prob(x))


@functools.cache
def objective(name: str) -> Callable[[Array], float]:
    """Return the log-likelihood of weights in nats, one event's worth of pseudo-events included."""
    mixture, density = fitted(name)
    rng, members = Seeds(3).at("pseudo").numpy(), mixture.members
    counts = rng.multinomial(PSEUDO.count, np.full(len(members), 1.0 / len(members)))
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True)]
    barrier = np.exp(mixture.log_densities(np.concatenate(parts)))

    def value(weights: Array) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):  # no likelihood below zero
            logs = np.log(density @ weights).sum() + np.log(barrier @ weights).mean()
        return float(logs) if np.isfinite(logs) else -np.inf

    return value


@pytest.mark.parametrize("name", MEMBERS)
def test_the_fit_is_the_maximum(name: str) -> None:
    mixture, value = fitted(name)[0], objective(name)
    members = len(mixture.members)
    best = value(mixture.weights)
    assert mixture.fit.record.converged
    assert mixture.weights.sum() == pytest.approx(1.0, abs=1e-12)
    equal = np.full(members, 1.0 / members)
    assert best > value(equal) + 0.01
    assert best > max(value(single) for single in np.eye(members))
    # Any step with sum zero goes down, the equal weights' best one up.
    steps = np.random.default_rng(4).normal(size=(40, members))
    steps -= steps.mean(axis=1, keepdims=True)
    assert max(value(mixture.weights + 1e-2 * step) for step in steps) <= best
    assert max(value(equal + 1e-2 * step) for step in steps) > value(equal)


@pytest.mark.parametrize("name", MEMBERS)
def test_the_fitted_mixture_normalises(name: str) -> None:
    _, ratio = pool(name)
    assert_within(ratio.mean(), 1.0, np.hypot(ratio.std(ddof=1) / np.sqrt(POOL), 5e-4))
    # The twin without one of its members has lost that member's weight.
    mixture = fitted(name)[0]
    largest = np.abs(mixture.weights).max()
    with pytest.raises(AssertionError, match="off by"):
        assert_within((1 - largest) * ratio.mean(), 1.0, ratio.std(ddof=1) / np.sqrt(POOL))


@pytest.mark.parametrize("name", MEMBERS)
def test_bin_contents_are_integrals_of_the_density(name: str) -> None:
    mixture = fitted(name)[0]
    found = mixture.histogram(EDGES, feature="a", run=Run(Seeds(8)), draws=DRAWS)
    x, ratio = pool(name)
    inside = np.stack([(x[:, 0] >= a) & (x[:, 0] < b) for a, b in pairwise(EDGES)])
    values = inside * ratio
    contents, spread = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(POOL)
    drawn = np.sqrt((mixture.weights**2).sum() * 0.25 / DRAWS)
    assert_within(found.values, contents, np.hypot(spread, drawn))
    with pytest.raises(AssertionError, match="off by"):
        assert_within(np.roll(found.values, 1), contents, np.hypot(spread, drawn))


def test_the_right_density_among_wrong_ones_gets_the_weight() -> None:
    # 0.5 is the truth's width; the others have too much and too little.
    run = Run(Seeds(3))
    x = banana(4000, np.random.default_rng(9))
    models = [normal(0.0), bent(0.5), bent(1.2)]
    mixture = fit_mixture(
        run, gather_ensemble(run, models), Events(x), pseudo=PSEUDO, discrepancy=None
    )
    errors = np.sqrt(np.diag(mixture.fit.covariance))
    assert_within(mixture.weights, [0.0, 1.0, 0.0], errors)
    with pytest.raises(AssertionError, match="off by"):
        assert_within(np.full(3, 1 / 3), [0.0, 1.0, 0.0], errors)
