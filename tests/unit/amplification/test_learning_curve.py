from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate, assert_within
from verisimile.checks.amplification.learning_curve import LearningCurve, learning_curve
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.stats.unified import bounded_normal

N = np.array([500.0, 1000.0, 2000.0, 4000.0, 8000.0])
AMPLITUDE = 0.4


def points(floor: float, rng: np.random.Generator) -> tuple[Array, Array]:
    true = AMPLITUDE / N + floor
    errors = 0.3 * true
    return true + errors * rng.normal(size=N.size), errors


def straight_line(y: Array, n: Array, at: float) -> float:
    """A twin with one defect: a power law, which has no floor."""
    slope, intercept = np.polyfit(np.log(n), np.log(y), 1)
    return float(np.exp(intercept + slope * np.log(at)))


@pytest.mark.parametrize("floor", [0.0, 2e-4])
def test_intervals_cover(floor: float) -> None:
    rng, repetitions = np.random.default_rng(1), 400
    hits = np.zeros(5, dtype=int)
    fitted, claimed, p_values = [], [], []
    for _ in range(repetitions):
        found = learning_curve(N, *points(floor, rng))
        crossing = found.crossing_interval(0.95)
        true = AMPLITUDE / floor if floor else math.inf
        hits += [
            *(each.low <= AMPLITUDE <= each.high for each in found.amplitude_intervals),
            *(each.low <= floor <= each.high for each in found.floor_intervals),
            crossing.low <= true <= crossing.high,
        ]
        fitted.append((found.amplitude.value, found.floor.value))
        claimed.append((found.amplitude.error, found.floor.error))
        p_values.append(found.p_value)
    for count, level in zip(hits[:4], (0.6826895, 0.95, 0.6826895, 0.95), strict=True):
        assert_rate(int(count), repetitions, level)
    # One of the two ends of Fieller's set is at infinity if there is no floor.
    assert_rate(int(hits[4]), repetitions, 0.95 if floor else 0.975)
    errors = np.array(claimed[0]) / math.sqrt(repetitions)
    assert_within(np.mean(fitted, axis=0), [AMPLITUDE, floor], errors)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-6


def test_a_straight_line_in_logarithms_promises_too_much() -> None:
    rng, far = np.random.default_rng(2), 1e6
    floor = 5e-4
    predicted, promised, errors = [], [], []
    for _ in range(100):
        true = AMPLITUDE / N + floor
        y = true * (1.0 + 0.05 * rng.normal(size=N.size))
        found = learning_curve(N, y, 0.05 * true)
        predicted.append(found.at(far).value)
        errors.append(found.at(far).error)
        promised.append(straight_line(y, N, far))
    error = float(np.mean(errors)) / 10.0
    assert_within(np.mean(predicted), AMPLITUDE / far + floor, error)
    with pytest.raises(AssertionError):
        assert_within(np.mean(promised), AMPLITUDE / far + floor, error)


def test_two_exact_points_are_solved() -> None:
    found = learning_curve([100, 400], [0.4 / 100 + 0.001, 0.4 / 400 + 0.001], [1e-4, 1e-4])
    assert found.amplitude.value == pytest.approx(0.4)
    assert found.floor.value == pytest.approx(0.001)
    assert found.crossing == pytest.approx(400.0)
    assert found.share_of_floor(400.0) == pytest.approx(0.5)
    assert found.at(1000.0).value == pytest.approx(0.0014)
    assert math.isnan(found.p_value)


def test_what_two_terms_do_not_describe_is_said() -> None:
    n = np.array([100.0, 200.0, 400.0, 800.0])
    found = learning_curve(n, [0.001, 0.02, 0.001, 0.02], np.full(4, 1e-3))
    assert found.p_value < 0.01
    assert any("do not describe" in text for text in found.warnings)


def test_result_survives_storage() -> None:
    found = learning_curve(N, *points(1e-3, np.random.default_rng(3)))
    again = from_dict(to_dict(found))
    assert isinstance(again, LearningCurve)
    assert again.floor == found.floor
    assert "1/n_equiv" in repr(again)


@pytest.mark.parametrize(
    ("n", "errors", "name"),
    [([100, 100], [1, 1], "n_train"), ([100, 200], [1, 0], "errors"), ([0, 2], [1, 1], "n_train")],
)
def test_impossible_points_are_refused(n: list[int], errors: list[int], name: str) -> None:
    with pytest.raises(InputError, match=name):
        learning_curve(n, [0.1, 0.2], errors)


def test_bounded_normal_agrees_with_the_published_table() -> None:
    # Feldman and Cousins, table X, 68.27 % and 95 %.
    assert bounded_normal(-1.0, 1.0, 0.6827) == pytest.approx((0.0, 0.27), abs=0.006)
    assert bounded_normal(0.0, 1.0, 0.6827) == pytest.approx((0.0, 1.0), abs=0.006)
    assert bounded_normal(1.0, 1.0, 0.6827) == pytest.approx((0.24, 2.0), abs=0.006)
    assert bounded_normal(-3.0, 1.0, 0.95) == pytest.approx((0.0, 0.42), abs=0.006)
    assert bounded_normal(2.5, 1.0, 0.95) == pytest.approx((0.76, 4.46), abs=0.006)


@pytest.mark.parametrize("mean", [0.0, 0.3, 1.0, 3.0])
def test_bounded_normal_covers(mean: float) -> None:
    values = np.random.default_rng(4).normal(mean, 1.0, 400)
    hits = sum(low <= mean <= high for low, high in (bounded_normal(v, 1.0, 0.9) for v in values))
    assert_rate(hits, 400, 0.9)
