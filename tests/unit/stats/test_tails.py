"""Fitted tails: maximum likelihood, the distance, the range of several curves, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.stats.tails import FAMILIES, fit_tail, tail_distances


@pytest.fixture
def toys() -> Array:
    return np.random.default_rng(5).chisquare(7, 400)


@pytest.mark.parametrize("dof", [0.3, 1.0, 7.0, 300.0])
def test_the_fit_is_the_maximum_of_the_likelihood(dof: float, rng: np.random.Generator) -> None:
    t = rng.chisquare(dof, 500)
    means = t.mean(), np.log(t).mean()
    k, theta = FAMILIES["gamma"](*means)
    expected = stats.gamma.fit(t, floc=0.0)
    assert (k, theta) == pytest.approx((expected[0], expected[2]), rel=1e-6)
    half, two = FAMILIES["chi2"](*means)
    assert two == 2.0
    here, low, high = (stats.chi2.logpdf(t, 2 * half * f).sum() for f in (1.0, 0.99, 1.01))
    assert here > max(low, high)
    slope = (stats.chi2.logpdf(t, 2 * half * f).sum() for f in (1.0 + 1e-5, 1.0 - 1e-5))
    assert next(slope) - next(slope) == pytest.approx(0.0, abs=1e-3 * 2e-5 * (1 + abs(here)))


@pytest.mark.parametrize("degree", [1, 2])
def test_the_distances_are_their_integrals(degree: int) -> None:
    u = np.array([0.1, 0.35, 0.4, 0.93])
    edges = np.concatenate([[0.0], u, [1.0]])
    parts = [
        integrate.quad(
            lambda f, i=i: (i / u.size - f) ** 2 / (1 - f) ** degree, edges[i], edges[i + 1]
        )[0]
        for i in range(u.size + 1)
    ]
    found = tail_distances(np.log1p(-u))[degree - 1]
    assert found == pytest.approx(u.size * sum(parts), rel=1e-9)


def test_a_toy_beyond_all_numbers_is_infinitely_far() -> None:
    assert (tail_distances(np.array([-0.1, -np.inf])) == np.inf).all()
    assert tail_distances(np.array([-0.1, -800.0]))[1] == np.inf


def test_the_tail_of_the_right_family_is_found(toys: Array, rng: np.random.Generator) -> None:
    for family in FAMILIES:
        tail = fit_tail(toys, 45.0, rng, family=family, resamples=100)
        truth = float(stats.norm.isf(stats.chi2.sf(45.0, 7)))
        z = tail.significance
        assert tail.fit.value > 0.05
        assert tail.extrapolated
        assert not tail.agreed  # 400 toys say nothing of one in a million
        assert tail.range_low < stats.chi2.sf(45.0, 7) < tail.range_high
        assert z.low < z.value < z.high
        assert abs(z.value - truth) < 5 * max(z.high - z.value, z.value - z.low)
        assert from_dict(to_dict(tail)) == tail
        assert "extrapolated" in repr(tail)


def test_one_known_parameter_makes_the_interval_narrower(
    toys: Array, rng: np.random.Generator
) -> None:
    wide, narrow = (fit_tail(toys, 45.0, rng, family=f, resamples=100) for f in ("gamma", "chi2"))
    assert narrow.high / narrow.low < wide.high / wide.low


@pytest.mark.parametrize(("share", "dof", "stretch"), [(0.1, 30, 1.0), (0.03, 5, 4.0)])
def test_another_law_is_noticed(
    share: float, dof: int, stretch: float, rng: np.random.Generator
) -> None:
    other = rng.random(1000) < share
    t = rng.chisquare(np.where(other, dof, 5)) * np.where(other, stretch, 1.0)
    tail = fit_tail(t, 80.0, rng, resamples=100)
    assert tail.fit.value == 1 / 101
    assert not tail.agreed


def test_curves_agree_just_beyond_many_toys_and_not_with_few_or_failed_ones(
    rng: np.random.Generator,
) -> None:
    toys, near = rng.chisquare(7, 4000), float(stats.chi2.isf(0.01, 7))
    found = fit_tail(toys, near, rng, resamples=100)
    assert found.agreed
    assert found.range_low < 0.01 < found.range_high
    assert "curves agree" in repr(found)
    assert not fit_tail(toys[:199], near, rng, resamples=30).agreed
    toys[0] = np.nan
    assert not fit_tail(toys, near, rng, resamples=30).agreed


def test_lognormal_toys_are_covered_by_the_range_and_by_no_family(
    rng: np.random.Generator,
) -> None:
    law = stats.lognorm(0.3)
    observed = float(law.isf(stats.norm.sf(4.0)))
    covered, by_family, accepted = 0, 0, 0
    for _ in range(10):
        tail = fit_tail(law.rvs(500, random_state=rng), observed, rng, resamples=60)
        covered += tail.range_low <= stats.norm.sf(4.0) <= tail.range_high
        by_family += tail.low <= stats.norm.sf(4.0) <= tail.high
        accepted += tail.fit.value > 0.05
        assert not tail.agreed
        assert stats.norm.sf(4.0) > 5.0 * tail.value
    assert covered >= 6  # of 80 % or more, with probability 0.97
    assert by_family == 0  # which is what an accepted fit was taken to promise
    assert accepted >= 1


def test_failed_toys_are_part_of_the_tail(toys: Array, rng: np.random.Generator) -> None:
    holed = toys.copy()
    holed[:4] = [np.nan, np.inf, np.nan, np.nan]
    tail = fit_tail(holed, 300.0, rng, resamples=30)
    assert (tail.n_toys, tail.n_failed, tail.agreed) == (400, 4, False)
    assert tail.value == pytest.approx(4 / 400)
    assert tail.range_low >= 4 / 400


def test_a_p_value_is_never_zero(toys: Array, rng: np.random.Generator) -> None:
    tail = fit_tail(toys, 1e6, rng, resamples=30)
    assert tail.value == tail.low == tail.high > 0.0
    assert math.isfinite(tail.significance.value)


@pytest.mark.parametrize(
    ("change", "observed", "match"),
    [
        pytest.param([0.0], 3.0, "1 not positive", id="zero"),
        pytest.param([], math.nan, "positive, finite", id="nan"),
        pytest.param([], math.inf, "positive, finite", id="inf"),
    ],
)
def test_what_has_no_tail_is_an_error(
    toys: Array, change: list[float], observed: float, match: str, rng: np.random.Generator
) -> None:
    with pytest.raises(InputError, match=match):
        fit_tail(np.concatenate([toys, change]), observed, rng)


def test_unknown_families_and_equal_toys_are_errors(toys: Array, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="family"):
        fit_tail(toys, 3.0, rng, family="normal")
    with pytest.raises(InputError, match="not all equal"):
        fit_tail(np.ones(50), 3.0, rng)
    with pytest.raises(InputError, match="ten or more"):
        fit_tail(toys[:9], 3.0, rng)
