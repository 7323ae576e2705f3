"""Fleiss' kappa: published tables, closed forms, coverage, and kappa without chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate, assert_within
from verisimile.checks.ratings.agreement import Agreement, agreement, fleiss_kappa
from verisimile.checks.ratings.table import Ratings
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict

# J. L. Fleiss, Psychol. Bull. 76 (1971) 378, table 1: 30 patients, 6 psychiatrists, depression,
# personality disorder, schizophrenia, neurosis, other.
PATIENTS = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)
# Ten items, fourteen raters: en.wikipedia.org/wiki/Fleiss'_kappa, kappa = 0.210.
FOURTEEN = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def test_published_patients() -> None:
    found = fleiss_kappa([[int(count) for count in row] for row in PATIENTS.split()])
    assert found.kappa == pytest.approx(0.430, abs=5e-4)
    assert found.observed == pytest.approx(0.5556, abs=5e-5)
    assert found.shares == pytest.approx([0.144, 0.144, 0.167, 0.306, 0.239], abs=5e-4)
    # The test of no agreement, with the error of 1979, as in R's irr: z = 17.7.
    assert found.kappa / found.null_error == pytest.approx(17.65, abs=0.005)


def test_fourteen_raters() -> None:
    found = fleiss_kappa(FOURTEEN)
    assert found.kappa == pytest.approx(0.210, abs=5e-4)
    assert (found.observed, found.chance) == pytest.approx((0.378, 0.213), abs=5e-4)


def test_two_categories_two_raters_is_scotts_pi() -> None:
    # a agreeing on 0, b on 1, c apart: pi = 1 - c / (2 n p q).
    both, none, apart = 12, 5, 7
    found = fleiss_kappa(np.repeat([[2, 0], [0, 2], [1, 1]], [both, none, apart], axis=0))
    p = (2 * both + apart) / (2 * (both + none + apart))
    assert found.kappa == pytest.approx(1 - apart / (24 * 2 * p * (1 - p)))


def test_error_is_the_jackknifes(rng: np.random.Generator) -> None:
    table = rng.multinomial(5, [0.5, 0.3, 0.2], size=400)
    left_out = [fleiss_kappa(table[np.arange(400) != i]).kappa for i in range(400)]
    jackknife = np.sqrt(399 * np.var(left_out))
    assert fleiss_kappa(table).error == pytest.approx(jackknife, rel=0.01)


def test_ratings_give_the_same_counts() -> None:
    ratings = Ratings(
        ("a", "b", "a", "b", "a"), ("1", "1", "2", "2", "3"), ("s",) * 5, ("x", "y", "x", "x", "y")
    )
    found = agreement(ratings)
    assert found.n_dropped == 1
    assert found.kappa == fleiss_kappa([[1, 1], [2, 0]]).kappa


def test_one_category_has_no_kappa() -> None:
    found = fleiss_kappa([[3, 0], [3, 0]])
    assert np.isnan(found.kappa)
    assert isinstance(from_dict(to_dict(found)), Agreement)
    assert np.isnan(fleiss_kappa([[3, 0], [1, 1]]).null_error)


def test_refusals() -> None:
    with pytest.raises(InputError, match="no counts"):
        fleiss_kappa([[0.5, 1.5], [1.0, 1.0]])
    with pytest.raises(InputError, match="1 items with two answers"):
        fleiss_kappa([[2, 0], [1, 0]])
    with pytest.raises(InputError, match="level"):
        fleiss_kappa([[2, 0], [1, 1]], level=0.0)


SHARES, RIGHT, RATERS = np.array([0.5, 0.3, 0.2]), 0.7, 5


def _kappa() -> float:
    given = RIGHT * np.eye(3) + (1 - RIGHT) / 3
    observed, marginal = SHARES @ (given**2).sum(axis=1), SHARES @ given
    return float((observed - (marginal**2).sum()) / (1 - (marginal**2).sum()))


def _tables(rng: np.random.Generator, count: int) -> list[Array]:
    given = RIGHT * np.eye(3) + (1 - RIGHT) / 3
    kinds = rng.choice(3, size=(count, 60), p=SHARES)
    return [rng.multinomial(RATERS, given[kind]).astype(np.float64) for kind in kinds]


def test_interval_covers_and_raw_agreement_does_not(rng: np.random.Generator) -> None:
    target, found = _kappa(), [fleiss_kappa(table) for table in _tables(rng, 600)]
    inside = sum(one.interval[0] <= target <= one.interval[1] for one in found)
    assert_rate(inside, 600, 0.95)
    values, error = np.array([one.kappa for one in found]), np.mean([one.error for one in found])
    assert_within(values.std(), error, 1.2 * error / np.sqrt(1200))
    raw = sum(abs(one.observed - target) <= 2 * one.error for one in found)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(raw, 600, 0.95)


def test_null_error_is_the_spread_without_agreement(rng: np.random.Generator) -> None:
    found = [fleiss_kappa(rng.multinomial(6, SHARES, size=50)) for _ in range(1000)]
    error = np.mean([one.null_error for one in found])
    spread = np.std([one.kappa for one in found])
    assert_within(spread, error, 1.2 * error / np.sqrt(2000))


def test_few_items_without_agreement_are_covered(rng: np.random.Generator) -> None:
    # 600 tables of 20 items and 5 raters: coverage of at least 95 %.  The twin has the error over
    # items alone, which is small where kappa is: it covers 90 %.
    found = [
        fleiss_kappa(np.stack([taken, 5 - taken], axis=1))
        for taken in rng.binomial(5, 0.5, (600, 20))
    ]
    held = sum(one.interval[0] <= 0.0 <= one.interval[1] for one in found)
    narrow = sum(abs(one.kappa) <= 2.093 * one.error for one in found)
    assert stats.binom.cdf(held, 600, 0.95) > 1e-6
    assert stats.binom.cdf(narrow, 600, 0.95) < 1e-3
