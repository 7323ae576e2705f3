"""Repeated looks: the exact size of the corrected p-value, and what a wrong model can gain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.stats.aggregate import correct_looks
from verisimile.stats.pvalues import PValue, add_one

SEARCHES, LOOKS, LEVEL = 20_000, 3, 0.05
ALPHAS = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.3, 0.7)
SEPARATION = 2.5  # a wrong model whose test has a power of 80 % at 5 %


def _p(value: float) -> PValue:
    return PValue(value, 0.9 * value, min(1.1 * value, 1.0), "toys", 99, 1)


def test_one_look_is_the_p_value_itself() -> None:
    p = add_one(3, 99, null="toys")
    assert correct_looks([p]) == p


def test_the_best_look_counts_to_the_power_of_their_number() -> None:
    p = correct_looks([_p(0.01), _p(0.5), _p(0.2)])
    assert (p.value, p.low, p.high) == pytest.approx((0.125, 0.45**3, 0.55**3))
    assert p.null == "toys, 3 looks"


def test_no_look_is_an_error() -> None:
    with pytest.raises(InputError, match="one for each look"):
        correct_looks([])


def _search(p: Array, power: int = 1) -> Array:
    """Return the reported p-value of each of many searches ``(N, L)``.

    With ``power=0`` the twin: the last p-value as it is, and a search that ends at p > level.
    """
    reported = np.empty(p.shape[0])
    for i, row in enumerate(p):
        for number in range(1, row.size + 1):
            c = (
                correct_looks([_p(float(v)) for v in row[:number]]).value
                if power
                else row[number - 1]
            )
            if c > LEVEL:
                break
        reported[i] = c
    return reported


def _size(a: float) -> float:
    """Return P(c <= a) for true models, in closed form."""
    harmonic = np.cumsum(1.0 / np.arange(1, LOOKS + 1))
    if a >= LEVEL:
        later = np.arange(2, LOOKS + 1)
        return float(a - (LEVEL ** harmonic[:-1] * (1.0 - a ** (1.0 / later))).sum())
    steps = LEVEL ** (1.0 / np.arange(1, LOOKS))
    return float(a ** (1.0 / LOOKS) * np.minimum(steps, a ** (1.0 / LOOKS)).prod())


def _assert_valid(reported: Array) -> None:
    for a in ALPHAS:
        assert_rate(int((reported <= a).sum()), SEARCHES, _size(a))


def test_the_size_of_a_search_is_its_closed_form_and_below_nominal(
    rng: np.random.Generator,
) -> None:
    _assert_valid(_search(rng.random((SEARCHES, LOOKS))))
    assert all(_size(a) <= a * (1 + 1e-12) for a in np.geomspace(1e-9, 1.0, 500))
    assert _size(LEVEL) == pytest.approx(LEVEL ** (1 + 1 / 2 + 1 / 3))


def test_looks_at_the_same_events_are_not_valid(rng: np.random.Generator) -> None:
    # Defective twin: every look sees the same events, and its p-value repeats.
    reported = _search(np.repeat(rng.random((SEARCHES, 1)), LOOKS, axis=1))
    assert (reported <= 1e-4).mean() > 100 * 1e-4
    with pytest.raises(AssertionError, match="expected rate"):
        _assert_valid(reported)


def _passing(power: int, rng: np.random.Generator) -> int:
    p = stats.norm.sf(rng.standard_normal((SEARCHES, LOOKS)) + SEPARATION)
    return int((_search(p, power) > LEVEL).sum())


def test_trying_often_does_not_help_a_wrong_model(rng: np.random.Generator) -> None:
    thresholds = LEVEL ** (1.0 / np.arange(1, LOOKS + 1))
    passes = 1.0 - stats.norm.cdf(stats.norm.ppf(thresholds) + SEPARATION).prod()
    assert_rate(_passing(1, rng), SEARCHES, passes)
    # Defective twin: the last p-value uncorrected lets twice as many wrong models pass.
    twin = _passing(0, rng)
    with pytest.raises(AssertionError, match="expected rate"):
        assert_rate(twin, SEARCHES, passes)
    assert twin / SEARCHES > 1.8 * passes
