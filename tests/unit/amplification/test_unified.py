"""Unified intervals: their tails, their published values, and coverage at the boundary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.stats.unified import Moments, cdf, tails, unified_interval


def test_tails_add_up_and_are_central_far_from_zero() -> None:
    for level in (0.68, 0.95):
        for mean in np.linspace(0.0, 3.0, 31):
            np.testing.assert_allclose(sum(tails(level, float(mean))), 1.0 - level, atol=1e-12)
    assert tails(0.95, 0.0) == pytest.approx((0.0, 0.05))
    assert tails(0.95, 2.0) == pytest.approx((0.025, 0.025))


@pytest.mark.parametrize("level", [0.68**0.2, 0.95**0.2, 0.9504288036659052, 0.9999])
def test_tails_exist_for_any_level_however_near_zero_the_mean_is(level: float) -> None:
    for mean in np.geomspace(1e-3, 3.0, 40):
        below, above = tails(level, float(mean))
        assert 0.0 <= below <= above
        assert below + above == pytest.approx(1.0 - level, abs=1e-12)


@pytest.mark.parametrize("mean", [0.1, 0.5, 1.0, 1.9, 3.0])
def test_tails_are_those_of_the_likelihood_ratio(mean: float) -> None:
    # Both ends of a normal mean's acceptance region have the same likelihood ratio.
    below, above = tails(0.95, mean)
    x = stats.norm.ppf(below) + mean, stats.norm.isf(above) + mean
    ratio = [-0.5 * (v - mean) ** 2 + 0.5 * min(v, 0.0) ** 2 for v in x]
    assert ratio[0] == pytest.approx(ratio[1], abs=1e-9)


def test_law_is_exact_for_a_scaled_chi_square() -> None:
    law = Moments(3.0 * 7, 9.0 * 2 * 7)
    for value in (1.0, 20.0, 50.0):
        assert cdf(value, law) == pytest.approx(float(stats.chi2.cdf(value / 3.0, 7)))
    assert cdf(-1.0, law) == 0.0


def _law(k: int) -> Callable[[float], Moments]:
    return lambda theta: Moments(k + theta, 2.0 * k + 4.0 * theta)


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize(("k", "theta"), [(9, 0.0), (9, 3.0), (9, 30.0), (99, 0.0), (99, 20.0)])
def test_noncentral_chi_square_is_covered(k: int, theta: float, level: float) -> None:
    rng = np.random.default_rng(k)
    draws = rng.noncentral_chisquare(k, theta, 400) if theta else rng.chisquare(k, 400)
    ends = [unified_interval(float(t), _law(k), level) for t in draws]
    covered = sum(low <= theta <= high for low, high in ends)
    assert_rate(covered, 400, level)
    assert all(high > low >= 0.0 for low, high in ends)


def test_central_intervals_would_be_empty() -> None:
    # Why not equal tails: one of forty perfect generators would have no interval.
    low, high = unified_interval(1.5, _law(9), 0.95)
    assert cdf(1.5, Moments(9.0, 18.0)) < 0.025
    assert low == 0.0
    assert high > 0.1
