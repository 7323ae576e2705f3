"""The covariance of the weights gives what sampling the weights gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from camel_fits import Edges
from statistical import assert_within
from verisimile.checks.amplification.analytic import (
    LEAVES_OUT,
    MixtureWorth,
    analytic,
    analytic_observables,
)
from verisimile.checks.amplification.averaging import averaging_of_counts
from verisimile.checks.amplification.member_counts import member_counts
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.truths import GaussianMixtureTruth
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture

CENTRES = np.array([-1.5, -0.2, 1.2])
N_TRAIN = 2000
EDGES = Edges(np.linspace(-2.0, 2.0, 11))


def _member(centre: float) -> GaussianMixtureTruth:
    return GaussianMixtureTruth([1.0], [[centre]], [[[1.0]]])


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    """Three unit Gaussians with weights fitted to 2000 events."""
    rng = Seeds(20261203).at("fit").numpy()
    x = rng.normal(CENTRES[rng.choice(3, N_TRAIN, p=[0.3, 0.4, 0.3])], 1.0)
    logf = -0.5 * (x[:, None] - CENTRES) ** 2 - 0.5 * math.log(2 * math.pi)
    return Mixture([_member(centre) for centre in CENTRES], fit_weights(logf))


def _exact_contents() -> Array:
    cdf = special.ndtr(EDGES.inner[None] - CENTRES[:, None])
    return np.diff(np.pad(cdf, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)


def _exact(mixture: Mixture) -> float:
    contents = _exact_contents()
    p = mixture.weights @ contents
    variance = np.trace(contents.T @ mixture.fit.covariance @ contents)
    return float(N_TRAIN * variance / (p * (1 - p)).sum())


def test_it_is_the_averaging_measure_over_draws_of_the_weights(mixture: Mixture) -> None:
    rng = Seeds(20261203).at("weights").numpy()
    weights = rng.multivariate_normal(mixture.weights, mixture.fit.covariance, size=1000)
    contents = weights @ _exact_contents()
    assert (contents > 0).all()
    counts = rng.multinomial(100_000, contents / contents.sum(axis=1, keepdims=True))
    sampled = averaging_of_counts(member_counts(counts), rng, n_train=N_TRAIN).amplification
    found = analytic(Run(Seeds(1)), mixture, EDGES, n_train=N_TRAIN)
    difference = math.hypot(sampled.inverse_gain.error, found.inverse_gain.error)
    assert_within(found.inverse_gain.value, sampled.inverse_gain.value, difference)
    assert_within(sampled.inverse_gain.value, _exact(mixture), sampled.inverse_gain.error)
    assert_within(found.inverse_gain.value, _exact(mixture), found.inverse_gain.error)
    assert found.warnings == (LEAVES_OUT,)
    assert found.intervals[0].low < found.inverse_gain.value < found.intervals[1].high


def test_few_draws_leave_no_bias(mixture: Mixture) -> None:
    runs = [Run(Seeds(seed)) for seed in range(100)]
    found = [analytic(run, mixture, EDGES, n_train=N_TRAIN, draws=200) for run in runs]
    values = np.array([each.inverse_gain.value for each in found])
    claimed = np.array([each.inverse_gain.error for each in found])
    exact, error = _exact(mixture), values.std(ddof=1) / 10
    assert_within(values.mean(), exact, error)
    assert_within(np.log(np.sqrt((claimed**2).mean()) / values.std(ddof=1)), 0.0, 0.1)
    # Defective twin: the contents of 200 draws taken for those of the members.
    noise = np.diag(mixture.fit.covariance) @ (_exact_contents() * (1 - _exact_contents())) / 200
    p = mixture.weights @ _exact_contents()
    with pytest.raises(AssertionError, match="off by"):
        assert_within(values.mean() + N_TRAIN * noise.sum() / (p * (1 - p)).sum(), exact, error)


def test_observables_have_their_closed_form(mixture: Mixture) -> None:
    found = analytic_observables(
        Run(Seeds(2)), mixture, {"x": lambda x: x[:, 0], "square": lambda x: x[:, 0] ** 2}
    )
    weights, covariance = mixture.weights, mixture.fit.covariance
    mean = weights @ CENTRES
    scatter = weights @ (CENTRES**2 + 1) - mean**2
    inverse = CENTRES @ covariance @ CENTRES / scatter
    first = found.observables[0]
    assert_within(first.inverse_size.value, inverse, first.inverse_size.error)
    assert first.n_equivalent == pytest.approx(1 / inverse, rel=0.1)
    assert first.mean == pytest.approx(mean, abs=0.05)
    assert first.error == pytest.approx(math.sqrt(CENTRES @ covariance @ CENTRES), rel=0.05)
    # The mean of the fitted events themselves is what a mixture of equal widths fixes best.
    assert 0.9 < first.n_equivalent / N_TRAIN < 1.3
    square = (CENTRES**2 + 1) @ covariance @ (CENTRES**2 + 1)
    assert found.observables[1].error == pytest.approx(math.sqrt(square), rel=0.1)
    again = from_dict(to_dict(found))
    assert isinstance(again, MixtureWorth)
    assert again == found


def test_a_wider_covariance_replaces_that_of_the_weights(mixture: Mixture) -> None:
    def doubled(first: Array) -> Array:
        return np.asarray(2.0 * first.T @ mixture.fit.covariance @ first)

    run = Run(Seeds(3))
    plain = analytic(run, mixture, EDGES, n_train=N_TRAIN)
    wider = analytic(run, mixture, EDGES, n_train=N_TRAIN, covariance=doubled)
    assert wider.inverse_gain.value == pytest.approx(2 * plain.inverse_gain.value)
    assert wider.warnings == ()
    observables = {"x": lambda x: x[:, 0]}
    worth = analytic_observables(run, mixture, observables, covariance=doubled)
    narrow = analytic_observables(run, mixture, observables)
    assert narrow.observables[0].n_equivalent == pytest.approx(
        2 * worth.observables[0].n_equivalent
    )


def test_what_cannot_be_is_named(mixture: Mixture) -> None:
    with pytest.raises(InputError, match="20 or more"):
        analytic(Run(Seeds(1)), mixture, EDGES, n_train=10, draws=19)
    with pytest.raises(InputError, match="n_train"):
        analytic(Run(Seeds(1)), mixture, EDGES, n_train=0)
    with pytest.raises(InputError, match="at least one"):
        analytic_observables(Run(Seeds(1)), mixture, {})
