"""Combining columns: exact ranks, ties, failures, size by enumeration and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from statistical import assert_rate, assert_uniform
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.stats.aggregate import Combined, fisher, min_p, smallest_p
from verisimile.stats.pvalues import Empirical

Rule = Callable[..., Combined]
RULES: list[Rule] = [min_p, fisher]


@pytest.mark.parametrize("rule", RULES)
def test_one_column_is_the_plain_p_value(rule: Rule, rng: np.random.Generator) -> None:
    toys = rng.random((57, 1))
    toys[3, 0] = np.nan
    for observed in (0.0, 0.4, 2.0, np.nan):
        combined = rule([observed], toys)
        assert combined.p_value == combined.columns[0]
        assert combined.p_value == Empirical(toys[:, 0], "toys").p_value(observed)


def test_the_worked_example() -> None:
    # Ranks of the pool of four: (1, 4), (4, 3), (3, 2), (2, 1).
    toys = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    small = min_p([9.0, 0.0], toys, null="predictive")
    assert [p.value for p in small.columns] == [1 / 4, 1.0]
    assert small.smallest == 0
    # The last toy has a 1 / 4 as well, but lies less far out in its column.
    assert small.p_value.value == 1 / 4
    assert min_p([3.5, 0.0], toys).p_value.value == 2 / 4
    assert small.p_value.null == "predictive"
    # Products of ranks 4, 12, 6, 2.
    assert fisher([9.0, 0.0], toys).p_value.value == 2 / 4


def test_far_out_in_one_of_many_columns_is_far_out(rng: np.random.Generator) -> None:
    toys = rng.normal(size=(99, 12))
    observed = np.r_[40.0, np.zeros(11)]
    assert min_p(observed, toys).p_value.value == 1 / 100
    resolved = smallest_p(observed, toys)
    # Twelve rows are the extreme ones of a column: all have 1 / 100, resolved below it.
    assert (resolved <= 1 / 100).sum() == len({*np.argmax(np.vstack([observed, toys]), axis=0)})
    assert (resolved > 0.0).all()
    assert resolved[0] == resolved.min()


def test_equal_products_in_another_order_are_ties() -> None:
    column = np.arange(50.0)
    toys = np.column_stack([column, column[::-1], np.roll(column, 17)])
    swapped = np.vstack([toys, toys[:, ::-1]])
    for row in toys[::7]:
        a, b = fisher(row, swapped).p_value.value, fisher(row[::-1], swapped).p_value.value
        assert a == b


@pytest.mark.parametrize("rule", RULES)
def test_failed_statistics_are_extreme(rule: Rule) -> None:
    toys = np.array([[0.0, 0.0], [np.nan, 0.1], [0.2, np.inf], [0.3, 0.2]])
    good = rule([1.0, 1.0], toys)
    assert good.p_value.n_failed == 2
    assert [p.n_failed for p in good.columns] == [1, 1]
    # Both failed toys reach the smallest rank of a failed observation, and no others.
    assert rule([np.nan, 0.0], toys).columns[0].value == 2 / 5
    assert min_p([np.inf, np.nan], toys).p_value.value == 3 / 5


@pytest.mark.parametrize("rule", RULES)
def test_no_order_of_six_rows_exceeds_the_size(rule: Rule) -> None:
    # Every row of a fixed table is the observation equally often: the exact null.
    table = np.array([[p[0], p[1]] for p in permutations(range(6), 2)][:6], dtype=np.float64)
    table[:, 1] = [3, 0, 5, 1, 1, 2]
    p = np.array([rule(table[i], np.delete(table, i, axis=0)).p_value.value for i in range(6)])
    for alpha in np.arange(1, 7) / 6:
        assert (p <= alpha + 1e-12).mean() <= alpha + 1e-12


def _study(rule: Rule | None, rng: np.random.Generator, columns: int) -> Array:
    """Return p-values of correlated columns under the null; without a rule, the smallest one."""
    p = np.empty(EXPERIMENTS)
    for experiment in range(EXPERIMENTS):
        rows = rng.standard_normal((TOYS + 1, columns)) + rng.standard_normal((TOYS + 1, 1))
        combined = (rule or min_p)(rows[0], rows[1:])
        smallest = combined.columns[combined.smallest].value
        p[experiment] = combined.p_value.value if rule else smallest
    return p


EXPERIMENTS, TOYS = 2000, 99


@pytest.mark.parametrize("rule", RULES)
def test_the_combined_p_value_is_not_too_small(rule: Rule, rng: np.random.Generator) -> None:
    p = _study(rule, rng, 4)
    if rule is fisher:  # few ties: uniform on its lattice
        assert_uniform(p, steps=TOYS + 1, rng=rng)
        assert_rate(int((p <= 0.05).sum()), EXPERIMENTS, 0.05)
    rejected = int((p <= 0.05).sum())
    assert rejected <= 0.05 * EXPERIMENTS + 5 * np.sqrt(0.05 * 0.95 * EXPERIMENTS)


def test_the_smallest_p_value_as_it_is_rejects_far_too_often(rng: np.random.Generator) -> None:
    # Defective twin: min_j p_j without recalibration, on the same check.
    p = _study(None, rng, 4)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(int((p <= 0.05).sum()), EXPERIMENTS, 0.05)
    assert (p <= 0.05).mean() > 0.1


def test_a_result_survives_its_file() -> None:
    combined = min_p([1.0, 2.0], np.array([[0.0, 3.0], [2.0, 1.0]]))
    assert from_dict(to_dict(combined)) == combined
    assert "min-p" in repr(combined)


@pytest.mark.parametrize("shape", [(0, 2), (4, 3), (4, 0)])
def test_shapes_that_do_not_fit_are_errors(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="shapes"):
        min_p(np.zeros(2 if shape[1] else 0), np.zeros(shape))
