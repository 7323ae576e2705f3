"""Sequential p-values: stops, failures, exact size by enumeration, exact intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.stats.pvalues import Empirical, besag_clifford, enough, inverse_binomial

H, B = 2, 6
ORDERS = np.array(list(permutations(range(B + 1))), dtype=np.float64)


def test_it_stops_at_the_toy_of_the_last_exceedance_asked_for() -> None:
    toys = np.array([1.0, 3.0, 0.5, 2.0, 9.0, np.nan])
    p = besag_clifford(2.0, toys, stop_after=2, maximum=99)
    assert (p.value, p.n_null, p.n_failed) == (2 / 4, 4, 0)
    # The toys after the stop are not looked at: blocks of any size give the same.
    assert besag_clifford(2.0, toys[:4], stop_after=2, maximum=99) == p
    assert enough(2.0, toys[:4], stop_after=2)
    assert not enough(2.0, toys[:3], stop_after=2)


def test_with_too_few_exceedances_all_toys_count() -> None:
    toys = np.arange(99.0)
    p = besag_clifford(97.0, toys, stop_after=3, maximum=99)
    assert p == Empirical(toys, "toys").p_value(97.0)
    assert p.value == 3 / 100


def test_failed_toys_are_exceedances_and_counted() -> None:
    toys = np.array([np.nan, 0.0, np.inf, 0.0])
    p = besag_clifford(5.0, toys, stop_after=2, maximum=4)
    assert (p.value, p.n_null, p.n_failed) == (2 / 3, 3, 2)


@pytest.mark.parametrize("observed", [math.nan, math.inf])
def test_a_non_finite_observation_is_matched_by_failed_toys_only(observed: float) -> None:
    toys = np.array([1.0, np.nan, 7.0, 2.0])
    assert besag_clifford(observed, toys, stop_after=2, maximum=4).value == 2 / 5
    assert besag_clifford(observed, toys, stop_after=1, maximum=4).value == 1 / 2


def test_a_table_has_enough_when_every_column_has() -> None:
    toys = np.array([[2.0, 0.0], [3.0, np.nan], [0.0, 5.0]])
    assert enough(np.array([1.0, 1.0]), toys, stop_after=2)
    assert not enough(np.array([1.0, 6.0]), toys, stop_after=2)


def _sequential(order: Array) -> float:
    return besag_clifford(float(order[0]), order[1:], stop_after=H, maximum=B).value


def _one_less(order: Array) -> float:
    """Return (h - 1) / l at the stop: the toy that ended the search is not counted."""
    found = np.cumsum(order[1:] >= order[0])
    return (H - 1) / (np.argmax(found >= H) + 1) if found[-1] >= H else (found[-1] + 1) / (B + 1)


def _without_plus_one(order: Array) -> float:
    """Return k / B where the search did not stop."""
    found = np.cumsum(order[1:] >= order[0])
    return H / (np.argmax(found >= H) + 1) if found[-1] >= H else found[-1] / B


def _excess(p_value: Callable[[Array], float], orders: Array) -> Array:
    """Return P(p <= a) - a, exactly, over all equally likely orders, at every value a of p."""
    values = np.array([p_value(order) for order in orders])
    return np.array([(values <= a + 1e-12).mean() - a for a in np.unique(values)])


def test_the_size_is_exact_on_every_value_of_p() -> None:
    assert np.abs(_excess(_sequential, ORDERS)).max() < 1e-12


def test_ties_make_it_smaller() -> None:
    excess = _excess(_sequential, np.floor(ORDERS / 2))
    assert excess.max() < 1e-12
    assert excess.min() < -0.05


@pytest.mark.parametrize("twin", [_one_less, _without_plus_one])
def test_not_counting_the_last_toy_or_the_data_exceeds_the_size(
    twin: Callable[[Array], float],
) -> None:
    # Defective twins, on the same enumeration: both reject true nulls too often.
    assert _excess(twin, ORDERS).max() > 0.1


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.31, 0.5, 0.9])
@pytest.mark.parametrize("level", [0.6827, 0.95])
def test_the_interval_covers_every_rate(rate: float, level: float) -> None:
    h, maximum = 3, 40
    covered, total = 0.0, 0.0
    for last in range(h, maximum + 1):
        toys = np.array([1.0] * (h - 1) + [0.0] * (last - h) + [1.0])
        p = besag_clifford(0.5, toys, stop_after=h, maximum=maximum, level=level)
        chance = float(stats.nbinom.pmf(last - h, h, rate))
        covered += chance * (p.low <= rate <= p.high)
        total += chance
    for few in range(h):
        toys = np.array([1.0] * few + [0.0] * (maximum - few))
        p = besag_clifford(0.5, toys, stop_after=h, maximum=maximum, level=level)
        chance = float(stats.binom.pmf(few, maximum, rate))
        covered += chance * (p.low <= rate <= p.high)
        total += chance
    assert total == pytest.approx(1.0, abs=1e-12)
    assert covered >= level


def test_the_ends_of_the_interval_solve_their_equations() -> None:
    low, high = inverse_binomial(3, 20, level=0.9)
    assert stats.binom.sf(2, 20, low) == pytest.approx(0.05)
    assert stats.binom.cdf(2, 19, high) == pytest.approx(0.05)
    assert inverse_binomial(4, 4)[1] == 1.0


def test_too_few_toys_and_empty_searches_are_errors() -> None:
    with pytest.raises(InputError, match="3 toys with 1 exceedances"):
        besag_clifford(2.0, np.array([0.0, 3.0, 0.0]), stop_after=2, maximum=4)
    with pytest.raises(InputError, match="both at least one"):
        besag_clifford(2.0, np.array([0.0]), stop_after=0, maximum=1)
    with pytest.raises(InputError, match="both at least one"):
        enough(2.0, np.array([0.0]), stop_after=0)
