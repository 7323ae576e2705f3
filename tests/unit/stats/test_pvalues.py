"""Toy p-values: add-one rule, ties, failures, and their size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from verisimile.core.errors import InputError
from verisimile.stats.pvalues import Empirical, add_one


def test_a_p_value_is_never_zero_and_z_stays_finite() -> None:
    p = Empirical(np.arange(99.0), "toys").p_value(1e9)
    assert p.value == 0.01
    assert p.low == 0.0
    z = p.significance
    assert z.value == pytest.approx(stats.norm.isf(0.01))
    assert z.high == math.inf
    assert z.low < z.value


def test_ties_and_failed_toys_count_as_extreme() -> None:
    p = Empirical(np.array([1.0, 2.0, 2.0, np.nan, np.inf]), "toys").p_value(2.0)
    assert (p.value, p.n_null, p.n_failed) == (5 / 6, 5, 2)


def test_a_non_finite_observation_is_matched_by_failed_toys_only() -> None:
    toys = np.array([1.0, 2.0, np.nan])
    assert Empirical(toys, "toys").p_value(math.inf).value == 2 / 4
    assert Empirical(toys, "toys").p_value(math.nan).value == 2 / 4


def _size(toys: int, alpha: float, plus: int) -> float:
    """Return the exact rejection rate of p = (k + plus)/(B + plus), k uniform on 0..B."""
    k = np.arange(toys + 1)
    return float(np.mean((k + plus) / (toys + plus) <= alpha + 1e-12))


def _excess(toys: int, plus: int) -> float:
    """Return the largest P(p <= a) - a over all levels a that p can take."""
    return float(
        max(_size(toys, a, plus) - a for a in (np.arange(toys + 1) + plus) / (toys + plus))
    )


@pytest.mark.parametrize("toys", [1, 19, 99, 100, 999])
def test_p_with_the_plus_one_has_its_exact_size(toys: int) -> None:
    assert abs(_excess(toys, 1)) < 1e-12


@pytest.mark.parametrize("toys", [1, 19, 99, 100, 999])
def test_p_without_the_plus_one_rejects_true_nulls_too_often(toys: int) -> None:
    # Defective twin, on the same check: k / B is zero in one true null of B + 1.
    assert _excess(toys, 0) == pytest.approx(1 / (toys + 1))
    assert _size(100, 0.01, 0) == pytest.approx(2 / 101)


def test_no_toys_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one toy"):
        add_one(0, 0, null="toys")
