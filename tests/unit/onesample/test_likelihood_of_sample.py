"""Likelihood under a known density: chi-squared, size, widths, and twins that are rejected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from statistical import FIVE_SIGMA, assert_rate, assert_uniform, assert_within
from verisimile.checks.known_truth.likelihood import LikelihoodTest, likelihood_test, two_sided
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.core.store import MemoryStore
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth

TRUTH = GaussianTruth.paper()
N, TOYS, EXPERIMENTS = 100, 39, 500


def _sample(rng: np.random.Generator, n: int, scale: float = 1.0) -> Events:
    centre = np.array([-0.5, 0.6])
    return Events(centre + scale * (TRUTH.sample(n, rng) - centre))


@dataclass(frozen=True)
class Flat:
    """The uniform density on [0, 1], whose log-densities are all equal."""

    n_features: int = 1
    nan: bool = False

    def log_prob(self, x: Array) -> Array:
        inside = ((x >= 0) & (x <= 1)).all(axis=1)
        return np.where(inside, np.nan if self.nan else 0.0, -np.inf)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return rng.random((n, 1))


def test_mean_is_a_chi_squared(rng: np.random.Generator) -> None:
    # -2 n (t - log p(centre)) is chi-squared with 2 n degrees of freedom.
    events = _sample(rng, 150, 0.93)
    found = likelihood_test(Run(Seeds(1)), TRUTH, events, toys=2000, draws=1000)
    peak = float(TRUTH.log_prob(np.array([[-0.5, 0.6]]))[0])
    law = stats.chi2(300)
    distance = -2 * 150 * (found.mean_log_prob - peak)
    exact = 2 * min(law.cdf(distance), law.sf(distance))
    assert_within(found.p_value.value, exact, 2 * np.sqrt(exact / 2 / 2000) + 0.001)
    assert_within(found.null_mean, peak - 1.0, found.null_sd / np.sqrt(2000))
    assert_within(found.null_sd, 1 / np.sqrt(150), found.null_sd / np.sqrt(4000))


def test_ranks_are_highest_density_contents(rng: np.random.Generator) -> None:
    events = _sample(rng, 50)
    found = likelihood_test(Run(Seeds(1)), TRUTH, events, toys=20, draws=40_000)
    # Two Gaussian dimensions: the content outside the contour is its relative height.
    peak = float(TRUTH.log_prob(np.array([[-0.5, 0.6]]))[0])
    exact = np.exp(TRUTH.log_prob(events.x) - peak)
    assert_within(found.ranks, exact, 0.5 / np.sqrt(40_000))
    assert found.ranks.shape == (50,)


def _p_values(rng: np.random.Generator, scale: float, experiments: int) -> Array:
    out = []
    for _ in range(experiments):
        run = Run(Seeds(int(rng.integers(1 << 40))))
        found = likelihood_test(run, TRUTH, _sample(rng, N, scale), toys=TOYS, draws=500)
        out.append((found.p_value.value, found.rank_p_value.value, found.mean_log_prob))
    return np.array(out)


@pytest.mark.calibration
def test_size(rng: np.random.Generator) -> None:
    mean, ranks, _ = _p_values(rng, 1.0, EXPERIMENTS).T
    # Two-sided p-values from 39 toys are multiples of 0.05.
    assert_rate(int((mean <= 0.05 + 1e-9).sum()), EXPERIMENTS, 0.05)
    assert_rate(int((ranks <= 0.05 + 1e-9).sum()), EXPERIMENTS, 0.05)
    assert_uniform(mean, steps=(TOYS + 1) // 2, rng=rng)
    assert_uniform(ranks, steps=TOYS + 1, rng=rng)


@pytest.mark.parametrize("scale", [0.8, 1.2])
def test_widths_are_seen_both_ways_and_one_tail_sees_one(
    scale: float, rng: np.random.Generator
) -> None:
    mean, ranks, value = _p_values(rng, scale, 60).T

    def assert_power(rejected: int) -> None:
        assert stats.binom.cdf(rejected, 60, 0.75) > 1e-6

    # The likelihood-ratio test of the scale has a power of 0.95 and more.
    assert_power(int((mean <= 0.05 + 1e-9).sum()))
    assert stats.binom.cdf(int((ranks <= 0.05 + 1e-9).sum()), 60, 0.4) > 1e-6
    # The twin that takes large distances alone for extreme, on the exact law.
    peak = float(TRUTH.log_prob(np.array([[-0.5, 0.6]]))[0])
    one_tail = stats.chi2(2 * N).sf(-2 * N * (value - peak))
    if scale < 1:
        with pytest.raises(AssertionError):
            assert_power(int((one_tail <= 0.05).sum()))


def test_without_plus_one_the_size_is_lost(rng: np.random.Generator) -> None:
    right = wrong = 0
    for _ in range(1000):
        toys, observed = rng.normal(size=19), float(rng.normal())
        right += two_sided(toys, observed).value <= 0.05 + 1e-9
        below = int((toys <= observed).sum())
        wrong += 2 * min(below, 19 - below) / 19 <= 0.05

    def assert_level(rejected: int) -> None:
        assert stats.binom.sf(rejected - 1, 1000, 0.05) > FIVE_SIGMA

    assert_level(right)
    with pytest.raises(AssertionError):
        assert_level(wrong)


def test_equal_densities_prove_nothing(rng: np.random.Generator) -> None:
    found = likelihood_test(Run(Seeds(1)), Flat(), Events(rng.random((30, 1))), toys=50, draws=90)
    assert found.p_value.value == 1.0
    assert found.rank_p_value.value == 1.0
    assert found.ranks == pytest.approx(np.full(30, 0.5))


def test_events_outside_are_extreme_and_counted(rng: np.random.Generator) -> None:
    outside = Events(np.append(rng.random(29), 1.2)[:, None])
    found = likelihood_test(Run(Seeds(1)), Flat(), outside, toys=99, draws=90)
    assert found.n_outside == 1
    assert found.mean_log_prob == -np.inf
    assert found.p_value.value == pytest.approx(0.02)
    assert isinstance(from_dict(to_dict(found)), LikelihoodTest)


def test_repeats_and_extends(rng: np.random.Generator) -> None:
    events, store = _sample(rng, 40), MemoryStore()
    first, again, fresh = (
        likelihood_test(Run(Seeds(3), store=kept), TRUTH, events, toys=100, draws=200)
        for kept in (store, store, None)
    )
    assert to_dict(first) == to_dict(again) == to_dict(fresh)
    assert len(store.addresses("likelihood")) == 2
    likelihood_test(Run(Seeds(3), store=store), TRUTH, events, toys=200, draws=200)
    assert len(store.addresses("likelihood")) == 4


def test_refusals(rng: np.random.Generator) -> None:
    run, events = Run(Seeds(1)), _sample(rng, 20)
    with pytest.raises(InputError, match="model's 1"):
        likelihood_test(run, Flat(), events)
    with pytest.raises(InputError, match="two-sample test"):
        likelihood_test(run, TRUTH, Events(events.x, np.ones(20)))
    with pytest.raises(InputError, match="toys"):
        likelihood_test(run, TRUTH, events, toys=0)
    with pytest.raises(InputError, match="draws"):
        likelihood_test(run, TRUTH, events, draws=0)
    with pytest.raises(NumericsError, match="20 of 20 values NaN"):
        likelihood_test(run, Flat(nan=True), Events(rng.random((20, 1))))
