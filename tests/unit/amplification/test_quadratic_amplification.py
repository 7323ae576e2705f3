from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from differential_study import LEVELS, camel, events, measured
from statistical import assert_rate, assert_within
from verisimile.checks.amplification.quadratic import (
    CramerVonMisesDiscrepancy,
    EnergyDiscrepancy,
    GaussianMMD,
    quadratic,
    quadratic_procedure,
)
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pair_sums import Energy, Gaussian, PairMeans

REPETITIONS = 40


def test_pair_means_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(700, 3)), rng.normal(0.2, 1.0, size=(900, 3))
    for kernel, within, across in (
        (Energy(), -cdist(x, x), -cdist(x, y)),
        (Gaussian(0.7), np.exp(-(cdist(x, x) ** 2) / 0.98), np.exp(-(cdist(x, y) ** 2) / 0.98)),
    ):
        found = PairMeans.of(x, y, kernel)
        apart = (within.sum() - np.trace(within)) / (700 * 699)
        assert found.first == pytest.approx(apart, rel=1e-9)
        assert found.across == pytest.approx(across.mean(), rel=1e-9)


def test_cramer_von_mises_is_the_classical_statistic() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 1)), rng.normal(size=(90, 1))
    first, second = CramerVonMisesDiscrepancy().coordinates(x, y)
    found = PairMeans.of(first, second, Energy())
    n, m = 60, 90
    biased = found.discrepancy - found.first / n - found.second / m
    classical = stats.cramervonmises_2samp(x[:, 0], y[:, 0])
    total = n + m
    # T = nm/N^2 sum of squared differences at the pooled values; D^2 = 2/N of that sum.
    squares = classical.statistic * total**2 / (n * m)
    assert biased == pytest.approx(2.0 * squares / total, rel=1e-9)


@pytest.mark.parametrize(
    "distance", [EnergyDiscrepancy(), GaussianMMD(), CramerVonMisesDiscrepancy()]
)
def test_equal_distributions_have_no_bias(distance: EnergyDiscrepancy) -> None:
    values, errors = [], []
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        first, second = events(camel(300, rng)), events(camel(100, rng))
        found = quadratic(Run(Seeds(seed)), first, second, 100, distance=distance)
        values.append(found.inverse_gain.value)
        errors.append(found.inverse_gain.error)
    error = np.std(values) / np.sqrt(REPETITIONS)
    assert_within(np.mean(values), 0.0, error)
    # A twin with one defect: pairs of an event with itself, and so the samples' noise.
    noise = 100 * (1 / 300 + 1 / 100)
    with pytest.raises(AssertionError):
        assert_within(np.mean(values) + noise, 0.0, error)


def test_intervals_cover_the_distance_of_the_given_generator() -> None:
    hits = np.zeros(2, dtype=int)
    for seed in range(REPETITIONS):
        found, true = measured("three samples", Seeds(3).at(seed), (200, 800, 200))
        for i, level in enumerate(LEVELS):
            each = found.interval(level)
            hits[i] += each.low <= true <= each.high
    for count, level in zip(hits, LEVELS, strict=True):
        assert_rate(int(count), REPETITIONS, level)


def test_more_trainings_make_the_intervals_of_the_procedure_shorter() -> None:
    lengths = []
    for trainings in (1, 8):
        found, _ = measured("memoriser", Seeds(4), (200, 800, 2000), trainings=trainings)
        each = found.interval(0.95)
        assert each.low <= 1.0 <= each.high
        lengths.append(np.log(each.high / max(each.low, 1e-3)))
    assert lengths[1] < 0.6 * lengths[0]


def test_a_memoriser_against_its_training_sample_looks_perfect() -> None:
    rng = np.random.default_rng(5)
    train, holdout = camel(1000, rng), camel(4000, rng)
    drawn = events(rng.choice(train, 4000))
    honest = quadratic(Run(Seeds(5)), drawn, events(holdout), 1000)
    wrong = quadratic(Run(Seeds(5)), drawn, events(train), 1000)
    assert honest.inverse_gain.value > 0.1
    # Farther below zero than noise: the training sample is the generator's whole support.
    assert wrong.inverse_gain.value < -0.5
    assert wrong.interval(0.95).high == 0.0
    assert "has seen it" in wrong.warnings[0]


def test_several_features_and_a_limit() -> None:
    rng = np.random.default_rng(6)
    known = rng.normal(size=(500, 4))
    drawn = Events(known[rng.integers(500, size=6000)])
    holdout = Events(rng.normal(size=(3000, 4)))
    found = quadratic(Run(Seeds(6)), drawn, holdout, 500, most=2500)
    assert (found.n_generated, found.n_holdout) == (2500, 2500)
    assert "2500 random events" in found.warnings[0]
    expected = quadratic_procedure(Run(Seeds(6)), [drawn], holdout, 500, most=2500)
    assert expected.inverse_gain.value == pytest.approx(found.inverse_gain.value)
    assert expected.interval(0.95).low < 1.0 < expected.interval(0.95).high
    narrow = quadratic(Run(Seeds(6)), drawn, holdout, 500, distance=GaussianMMD(0.5), most=2500)
    assert narrow.details["effective_dimensions"] > found.details["effective_dimensions"]


def test_repeated_calls_agree() -> None:
    first, _ = measured("memoriser", Seeds(7), (100, 300, 100))
    second, _ = measured("memoriser", Seeds(7), (100, 300, 100))
    assert first.intervals == second.intervals


def test_impossible_input_is_refused() -> None:
    run, rng = Run(Seeds(1)), np.random.default_rng(8)
    good = Events(rng.normal(size=(50, 2)))
    with pytest.raises(InputError, match="features"):
        quadratic(run, good, good, 50, distance=CramerVonMisesDiscrepancy())
    with pytest.raises(InputError, match="at least 20"):
        quadratic(run, good.take([0, 1]), good, 50)
    with pytest.raises(InputError, match="generators"):
        quadratic_procedure(run, [], good, 50)
    with pytest.raises(InputError, match="bandwidth"):
        GaussianMMD(0.0)
    with pytest.raises(InputError, match="weights"):
        quadratic(run, Events(good.x, np.ones(50)), good, 50)
