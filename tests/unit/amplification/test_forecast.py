from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.amplification.forecast import Forecast, forecast
from verisimile.checks.amplification.learning_curve import LearningCurve, learning_curve
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict

N = np.array([500.0, 1000.0, 2000.0, 4000.0, 8000.0])
AMPLITUDE, FACTOR = 0.4, 10.0


def exact(n: Array | float, floor: float) -> Array:
    return np.asarray(AMPLITUDE / np.asarray(n) + floor)


def drawn(floor: float, rng: np.random.Generator) -> LearningCurve:
    true = exact(N, floor)
    return learning_curve(N, true + 0.2 * true * rng.normal(size=N.size), 0.2 * true)


def without_floor_error(curve: LearningCurve, n: float) -> float:
    """A twin with one defect: the floor counts as known."""
    return curve.amplitude.error / n


@pytest.mark.parametrize("floor", [0.0, 2e-4])
def test_tenfold_intervals_cover(floor: float) -> None:
    rng, repetitions = np.random.default_rng(11), 50
    there = float(exact(FACTOR * N[-1], floor))
    gain = float(exact(N[-1], floor)) / there
    hits, twin = np.zeros(4, dtype=int), np.zeros(2, dtype=int)
    for _ in range(repetitions):
        curve = drawn(floor, rng)
        found = forecast(curve, FACTOR, levels=(0.6827, 0.95))
        # Rounding at the edge is no miss.
        hits += [
            *(each.low <= there <= each.high for each in found.intervals),
            *(each.low - 1e-9 <= gain <= each.high + 1e-9 for each in found.gains),
        ]
        pull = abs(found.inverse_n_equiv.value - there)
        error = without_floor_error(curve, FACTOR * N[-1])
        twin += [pull <= error, pull <= 1.96 * error]
    for count, level in zip(hits, (0.6827, 0.95) * 2, strict=True):
        assert_rate(int(count), repetitions, level)
    for count, level in zip(twin, (0.6827, 0.95), strict=True):
        with pytest.raises(AssertionError):
            assert_rate(int(count), repetitions, level)


def test_a_gain_is_fiellers_where_no_edge_is_near() -> None:
    floor, error = 1e-4, 1e-7
    curve = learning_curve(N, exact(N, floor), np.full(N.size, error))
    found = forecast(curve, FACTOR, levels=(0.9,))
    # All g with |a (1 - g/k)/N + b (1 - g)| within z standard deviations, by brute force.
    g = np.linspace(1.0, FACTOR, 900_001)
    first, second = (1.0 - g / FACTOR) / N[-1], 1.0 - g
    a, b = curve.amplitude, curve.floor
    variance = (
        (first * a.error) ** 2 + (second * b.error) ** 2 + 2.0 * first * second * curve.covariance
    )
    inside = g[(first * a.value + second * b.value) ** 2 <= stats.norm.isf(0.05) ** 2 * variance]
    assert found.gains[0].low == pytest.approx(inside[0], abs=2e-5)
    assert found.gains[0].high == pytest.approx(inside[-1], abs=2e-5)


def test_no_floor_and_nothing_but_a_floor() -> None:
    better = forecast(learning_curve(N, exact(N, 0.0), 0.01 * exact(N, 0.0)))
    assert better.floor_shares[-1].low == 0.0  # exactly: rounding must not exclude no floor
    assert better.gains[-1].high == pytest.approx(FACTOR)
    assert better.gains[-1].low > 5.0
    assert better.verdict == "more events would help"
    flat = forecast(learning_curve(N, np.full(N.size, 1e-3), np.full(N.size, 1e-5)))
    assert flat.gains[-1].low == pytest.approx(1.0)
    assert flat.verdict == "more events would not help"
    ends = flat.n_equiv[-1]
    assert ends.low < 1000.0 < ends.high < 1100.0


def test_points_that_say_nothing_leave_all_open() -> None:
    found = forecast(learning_curve(N, [0.0, 1e-3, -1e-3, 2e-3, -2e-3], np.full(N.size, 1.0)))
    assert (found.gains[-1].low, found.gains[-1].high) == pytest.approx((1.0, FACTOR))
    assert found.verdict.startswith("undecided")
    assert math.isinf(found.n_equiv[-1].high)


def test_estimates_outside_the_quadrant_leave_an_edge() -> None:
    errors = 0.01 * exact(N, 0.0)
    below = forecast(learning_curve(N, exact(N, -2e-5), errors))
    assert below.gains[0].high == pytest.approx(FACTOR)
    rising = forecast(learning_curve(N, 1e-3 - exact(N, 0.0), 0.1 * exact(N, 0.0)))
    assert rising.gains[-1].low == pytest.approx(1.0)
    assert rising.warnings == ("no improvement with training events was seen: a <= 0",)


def test_forecast_survives_storage() -> None:
    found = forecast(drawn(2e-4, np.random.default_rng(3)))
    again = from_dict(to_dict(found))
    assert isinstance(again, Forecast)
    assert again.gains == found.gains


@pytest.mark.parametrize("factor", [1.0, 0.5, math.inf])
def test_a_factor_is_above_one(factor: float) -> None:
    with pytest.raises(InputError, match="factor"):
        forecast(drawn(0.0, np.random.default_rng(3)), factor)
