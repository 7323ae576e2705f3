"""The statistical assertions pass what is right and fail what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import FIVE_SIGMA, assert_rate, assert_uniform, assert_within


def test_within_passes_up_to_k_and_fails_beyond() -> None:
    assert_within(4.99, 0.0, 1.0)
    with pytest.raises(AssertionError, match=r"off by \+5\.01 sigma"):
        assert_within(5.01, 0.0, 1.0)


def test_within_names_the_worst_entry() -> None:
    with pytest.raises(AssertionError, match=r"value 7, .* off by \+7\.00 sigma .* of 3"):
        assert_within([1.0, 7.0, 6.0], 0.0, 1.0)


@pytest.mark.parametrize("value", [np.nan, [0.0, np.nan], np.inf])
def test_within_fails_on_what_is_not_finite(value: float | list[float]) -> None:
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(value, 0.0, 1.0)


@pytest.mark.parametrize("error", [0.0, -1.0, np.nan, np.inf])
def test_within_refuses_a_useless_error(error: float) -> None:
    with pytest.raises(AssertionError, match="finite and positive"):
        assert_within(0.0, 0.0, error)


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (13, 40), (1, 300)])
def test_rate_is_the_exact_binomial_test(successes: int, trials: int) -> None:
    interval = stats.binomtest(successes, trials).proportion_ci(1 - 1e-3, method="exact")
    inside = np.linspace(interval.low + 1e-9, interval.high - 1e-9, 5)
    for rate in inside:
        assert_rate(successes, trials, rate, alpha=1e-3)
    for rate in (interval.low - 1e-6, interval.high + 1e-6):
        with pytest.raises(AssertionError, match="outside"):
            assert_rate(successes, trials, rate, alpha=1e-3)


def test_rate_notices_a_test_of_double_size() -> None:
    assert_rate(50, 1000, 0.05)
    with pytest.raises(AssertionError, match="0.1000"):
        assert_rate(100, 1000, 0.05)


def test_rate_refuses_an_empty_study() -> None:
    with pytest.raises(AssertionError, match="not a count"):
        assert_rate(0, 0, 0.05)


def test_five_sigma_level() -> None:
    assert pytest.approx(5.733031e-7, rel=1e-6) == FIVE_SIGMA


def test_uniform_passes_uniform_and_fails_a_narrow_null(rng: np.random.Generator) -> None:
    assert_uniform(rng.random(2000))
    pulls = rng.normal(size=2000) / np.sqrt(0.7)
    with pytest.raises(AssertionError, match="not uniform"):
        assert_uniform(2 * stats.norm.sf(np.abs(pulls)))


def test_uniform_knows_the_lattice_of_toys(rng: np.random.Generator) -> None:
    ranks = rng.integers(1, 11, size=4000) / 10
    assert_uniform(ranks, steps=10, rng=rng)
    with pytest.raises(AssertionError, match="not uniform"):
        assert_uniform(ranks)


@pytest.mark.parametrize("values", [[], [0.5, np.nan], [0.5, 1.5], [[0.5]]])
def test_uniform_refuses_what_is_no_probability(values: list[float]) -> None:
    with pytest.raises(AssertionError, match="numbers in"):
        assert_uniform(values)
