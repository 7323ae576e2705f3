"""The effect at which a power is reached, and its error, against a known curve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from statistical import assert_within
from verisimile.checks.twosample.power_curve import PowerCurve, next_look
from verisimile.core.arrays import Array

EFFECTS = np.array([0.5, 1.0, 1.5, 2.25, 3.4, 5.0, 7.6])


def _power(effect: Array) -> Array:
    return np.asarray(stats.norm.cdf(effect - 1.96) + stats.norm.cdf(-effect - 1.96))


def test_crossings_of_many_labelings_are_those_of_the_curve(rng: np.random.Generator) -> None:
    many = 10**6
    curve = PowerCurve(EFFECTS, rng.binomial(many, _power(EFFECTS)), many, 0.05)
    for target, found in zip((0.5, 0.9), curve.crossings((0.5, 0.9), rng), strict=True):
        assert found is not None
        wanted = 1.96 + stats.norm.ppf(target)
        # The other tail bends the quantiles a little.
        assert found.value == pytest.approx(wanted, rel=0.01)
        assert found.error < 0.01


def test_the_error_is_the_spread(rng: np.random.Generator) -> None:
    found = [
        PowerCurve(EFFECTS, rng.binomial(24, _power(EFFECTS)), 24, 0.05).crossings((0.5, 0.9), rng)
        for _ in range(80)
    ]
    for target, some in zip((0.5, 0.9), zip(*found, strict=True), strict=True):
        values = np.array([item.value for item in some if item])
        errors = np.array([item.error for item in some if item])
        assert values.size == 80
        spread = values.std(ddof=1)
        # Spread and errors are each known to a tenth; a plug-in error is no better.
        assert 0.6 < np.sqrt((errors**2).mean()) / spread < 1.6
        assert_within(values.mean(), 1.96 + stats.norm.ppf(target), spread / np.sqrt(80))


def test_what_is_not_reached_is_none(rng: np.random.Generator) -> None:
    curve = PowerCurve(np.array([1.0, 2.0]), np.array([2, 14]), 20, 0.05)
    half, ninety = curve.crossings((0.5, 0.9), rng)
    assert half is not None
    assert ninety is None


def test_what_is_seen_at_once_lies_below_the_first_effect(rng: np.random.Generator) -> None:
    curve = PowerCurve(np.array([1.0, 2.0]), np.array([24, 24]), 24, 0.05)
    (found,) = curve.crossings((0.5,), rng)
    assert found is not None
    assert 0.0 < found.value < 1.0


def test_the_curve_never_falls(rng: np.random.Generator) -> None:
    curve = PowerCurve(np.arange(1.0, 6.0), np.array([0, 6, 3, 12, 10]), 12, 0.05)
    assert curve.power.tolist() == [0.0, 0.5, 0.25, 1.0, 10 / 12]
    np.testing.assert_allclose(curve.smoothed, [0.05, 0.375, 0.375, 11 / 12, 11 / 12])


def _looked_at(power: Array) -> list[int]:
    seen: dict[int, float] = {}
    while (place := next_look(seen, power.size)) is not None:
        assert place not in seen
        seen[place] = float(power[place])
    return sorted(seen)


def test_looks_end_at_neighbours_of_both_crossings(rng: np.random.Generator) -> None:
    for _ in range(300):
        count = int(rng.integers(1, 25))
        middle, width = rng.uniform(-2.0, count + 2.0), rng.uniform(0.1, 4.0)
        power = stats.norm.cdf((np.arange(count) - middle) / width)
        looked = _looked_at(power)
        for target in (0.5, 0.9):
            above = int(np.argmax(power >= target))
            if power[-1] < target:
                assert looked[-1] == count - 1
            else:
                assert {above, max(above - 1, 0)} <= set(looked)
        assert len(looked) <= 12


def test_what_is_never_seen_takes_two_looks() -> None:
    assert _looked_at(np.full(20, 0.04)) == [4, 19]
    assert _looked_at(np.full(1, 0.04)) == [0]


def test_a_power_that_falls_again_ends_all_the_same(rng: np.random.Generator) -> None:
    for _ in range(300):
        looked = _looked_at(rng.random(int(rng.integers(1, 25))))
        assert looked == sorted(set(looked))


def test_monotone_curves_are_the_regression_of_scipy(rng: np.random.Generator) -> None:
    for count in (1, 2, 5, 12):
        power = rng.integers(0, 25, size=count)
        curve = PowerCurve(np.arange(1.0, count + 1.0), power, 24, 1e-9)
        wanted = optimize.isotonic_regression(power / 24).x
        np.testing.assert_allclose(curve.smoothed, np.maximum(wanted, 1e-9), atol=1e-14)


def test_a_few_looks_give_the_crossings_of_the_whole_grid(rng: np.random.Generator) -> None:
    grid, labelings = np.asarray(1.5 ** np.arange(12), dtype=np.float64), 24
    power = stats.norm.cdf(grid - 2.86) + stats.norm.cdf(-grid - 2.86)
    few: list[float] = []
    all_: list[float] = []
    first: list[float] = []
    looks = 0
    for _ in range(200):
        seen = rng.binomial(labelings, power)
        looked = _looked_at(seen / labelings)
        looks += len(looked)
        for found, places in ((few, looked), (all_, list(range(12))), (first, looked[:2])):
            curve = PowerCurve(grid[places], seen[places], labelings, 0.004)
            ninety = curve.crossings((0.9,), rng)[0]
            found.append(np.nan if ninety is None else ninety.value)
    spread = np.std(all_)
    assert looks < 200 * 5
    assert abs(np.mean(few) - np.mean(all_)) < 0.02 * spread
    assert np.std(np.array(few) - all_) < 0.1 * spread
    # The twin: the first two looks alone.
    assert not np.std(np.array(first) - all_) < 0.1 * spread
