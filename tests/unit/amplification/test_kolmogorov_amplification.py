from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from statistical import assert_rate, assert_within
from verisimile.checks.amplification.kolmogorov import (
    kolmogorov,
    kolmogorov_features,
)
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.samples.columns import ks_distance

REPETITIONS = 600


def test_distance_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=70).round(1), rng.normal(0.3, 1.0, size=45).round(1)
    assert ks_distance(first, second) == pytest.approx(stats.ks_2samp(first, second).statistic)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (100, 1000)])
def test_finite_samples_are_as_far_as_bridges_after_the_correction(n: int, m: int) -> None:
    rng = np.random.default_rng(2)
    distances = np.array(
        [ks_distance(rng.random(n), rng.random(m)) for _ in range(5 * REPETITIONS)]
    )
    scale = math.sqrt(1 / n + 1 / m)
    missed = 1 / (6 * min(n, m)) + 0.5 / max(n, m)
    mean, error = distances.mean() / scale, distances.std() / scale / math.sqrt(distances.size)
    # What is missed is far beyond the error; the correction leaves less than a third of it.
    assert mean + 3.0 * error < 0.8687312
    assert abs(mean + missed / scale - 0.8687312) < missed / scale / 3.0 + 3.0 * error


@pytest.mark.parametrize("gain", [0.5, 3.0, math.inf])
def test_intervals_cover(gain: float) -> None:
    rng, n, m, generated = np.random.default_rng(3), 400, 400, 4000
    hits = np.zeros(3, dtype=int)
    for _ in range(REPETITIONS):
        if math.isinf(gain):
            drawn = rng.random(generated)
        else:
            drawn = rng.choice(rng.random(round(gain * n)), generated)
        found = kolmogorov(drawn, rng.random(m), n)
        inside = [each.low <= 1 / gain <= each.high for each in found.intervals]
        hits += [*inside, found.details["gain_above_95"] <= gain]
    if math.isinf(gain):
        # Zero is missed above only: what is below it is cut to zero, and covers.
        assert_rate(int(hits[0]), REPETITIONS, 0.5 + 0.6826895 / 2)
        assert_rate(int(hits[1]), REPETITIONS, 0.975)
    else:
        assert_rate(int(hits[0]), REPETITIONS, 0.6826895)
        assert_rate(int(hits[1]), REPETITIONS, 0.95)
        assert_rate(int(hits[2]), REPETITIONS, 0.95)


def test_the_asymptotic_distribution_is_wrong_for_fifty_events() -> None:
    rng, n = np.random.default_rng(4), 50
    limits = {"finite": 0, "asymptotic": 0}
    for _ in range(4 * REPETITIONS):
        known = rng.random(n)
        drawn, holdout = rng.choice(known, 40 * n), rng.random(n)
        found = kolmogorov(drawn, holdout, n, levels=(0.95,))
        # A twin with one defect: D as if the holdout were infinitely fine.
        high = found.details["distance"] ** 2 / special.kolmogi(0.95) ** 2 - 1 / n - 1 / drawn.size
        limits["finite"] += found.details["gain_above_95"] <= 1.0
        limits["asymptotic"] += n * high >= 1.0
    error = math.sqrt(0.95 * 0.05 / (4 * REPETITIONS))
    rates = {name: count / (4 * REPETITIONS) for name, count in limits.items()}
    assert_within(rates["finite"], 0.95, error)
    with pytest.raises(AssertionError):
        assert_within(rates["asymptotic"], 0.95, error)


def test_a_memoriser_against_its_training_sample_looks_perfect() -> None:
    rng, n = np.random.default_rng(5), 1000
    train, holdout = rng.random(n), rng.random(n)
    drawn = rng.choice(train, 20 * n)
    honest, wrong = kolmogorov(drawn, holdout, n), kolmogorov(drawn, train, n)
    assert honest.interval(0.95).low <= 1.0 <= honest.interval(0.95).high
    assert not wrong.interval(0.95).low <= 1.0 <= wrong.interval(0.95).high
    assert math.isinf(wrong.details["gain_above_95"])
    assert any("trained on it" in text for text in wrong.warnings)


def test_resolving_power_is_what_the_page_says() -> None:
    # One holdout of n_train events, generated events without number.
    def negative(gain: float) -> float:
        return 1.0 - float(special.kolmogorov(math.pi / math.sqrt(12.0 * (1.0 + 1.0 / gain))))

    assert [round(negative(gain), 2) for gain in (1, 5, 10, math.inf)] == [0.19, 0.5, 0.56, 0.62]
    rng, m = np.random.default_rng(6), 1000
    below = 0
    for _ in range(300):
        drawn = rng.choice(rng.random(5 * m), 20 * m)
        below += kolmogorov(drawn, rng.random(m), m).inverse_gain.value < 0.0
    assert_rate(below, 300, negative(5.0))


def test_features_are_matched_by_name() -> None:
    rng = np.random.default_rng(7)
    first = Events(rng.normal(size=(200, 2)), names=("a", "b"))
    second = Events(rng.normal(size=(100, 2)), names=("b", "a"))
    found = kolmogorov_features(first, second, 50)
    assert list(found) == ["b", "a"]
    alone = kolmogorov(first.column("a"), second.column("a"), 50)
    assert found["a"].inverse_gain == alone.inverse_gain


def test_ties_are_noticed() -> None:
    rng = np.random.default_rng(8)
    found = kolmogorov(rng.normal(size=200).round(1), rng.normal(size=200).round(1), 200)
    assert any("tied" in text for text in found.warnings)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(InputError, match="n_train"):
        kolmogorov([1.0, 2.0], [1.0, 2.0], 0)
    with pytest.raises(InputError, match="two or more"):
        kolmogorov([1.0], [1.0, 2.0], 10)
    with pytest.raises(InputError, match="levels"):
        kolmogorov([1.0, 2.0], [1.0, 2.0], 10, levels=(1.0,))
    weighted = Events([[1.0], [2.0]], [1.0, 2.0])
    with pytest.raises(InputError, match="weights"):
        kolmogorov_features(weighted, weighted, 10)
