"""Ratings on a scale: SciPy's statistics, size with shared items, power, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from human_ratings import scaled
from statistical import assert_rate
from verisimile.checks.ratings.scale import ScaleComparison, scale_ratings
from verisimile.checks.ratings.table import Ratings
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run

RUN = Run(Seeds(4))


def _single(values: dict[str, list[int]]) -> Ratings:
    rows = [(system, str(value)) for system, found in values.items() for value in found]
    names = tuple(map(str, range(len(rows))))
    return Ratings(names, names, tuple(row[0] for row in rows), tuple(row[1] for row in rows))


def test_is_scipys_kruskal_with_ties(rng: np.random.Generator) -> None:
    values = {name: rng.integers(1, 6, size=12 + k).tolist() for k, name in enumerate("abc")}
    found = scale_ratings(RUN, _single(values), permutations=2000)
    theirs = stats.kruskal(*values.values())
    assert found.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    assert found.rank_test == pytest.approx(theirs.pvalue, rel=1e-12)
    assert found.p_value is not None
    assert found.p_value.value == pytest.approx(theirs.pvalue, abs=0.06)
    assert [sum(one.counts) for one in found.systems] == [12, 13, 14]


def test_permutations_are_those_counted_by_hand() -> None:
    # 20 ways to give three of six items to a; 2 of them as extreme as this.
    found = scale_ratings(RUN, _single({"a": [1, 2, 3], "b": [4, 5, 6]}), permutations=4000)
    assert found.p_value is not None
    assert abs(found.p_value.value - 0.1) < 5 * np.sqrt(0.09 / 4000)


def test_shared_items_are_permuted_within() -> None:
    # Each of five items is better from b: 2 of 32 exchanges are as extreme.
    items = tuple(str(i // 2) for i in range(10))
    systems = ("a", "b") * 5
    answers = tuple(str(i // 2 + (i % 2) * 0.5) for i in range(10))
    found = scale_ratings(RUN, Ratings(("r", "s") * 5, items, systems, answers), permutations=4000)
    assert found.permuted_within == "items"
    assert found.p_value is not None
    assert abs(found.p_value.value - 1 / 16) < 5 * np.sqrt(0.06 / 4000)
    assert "Not every rater" in found.warnings[0]


def test_mean_and_interval_are_students() -> None:
    values = [1, 4, 2, 5, 3, 3, 4]
    (only,) = scale_ratings(RUN, _single({"a": values}), levels=range(1, 6)).systems
    assert only.mean.value == pytest.approx(np.mean(values))
    assert only.mean.error == pytest.approx(stats.sem(values))
    theirs = stats.t.interval(0.95, 6, np.mean(values), stats.sem(values))
    assert only.interval == pytest.approx(theirs)
    assert only.counts == (1, 1, 2, 2, 1)


def test_equal_answers_prove_nothing() -> None:
    found = scale_ratings(RUN, _single({"a": [3, 3], "b": [3, 3, 3]}), permutations=50)
    assert found.p_value is not None
    assert found.p_value.value == 1.0
    assert found.rank_test == 1.0


def test_one_system_has_no_test_and_json_keeps_it() -> None:
    found = scale_ratings(RUN, _single({"a": [1, 2]}))
    assert found.p_value is None
    again = from_dict(to_dict(found))
    assert isinstance(again, ScaleComparison)
    assert again.systems == found.systems


def test_size_and_the_test_that_ignores_shared_items(rng: np.random.Generator) -> None:
    ours = theirs = 0
    for _ in range(500):
        ratings = scaled(rng, items=15, raters=6, shift=0.0)
        found = scale_ratings(Run(Seeds(int(rng.integers(1 << 30)))), ratings, permutations=99)
        assert found.p_value is not None
        ours += found.p_value.value <= 0.05
        theirs += found.rank_test <= 0.05
    assert_rate(ours, 500, 0.05)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(theirs, 500, 0.05)


def test_a_shift_is_found(rng: np.random.Generator) -> None:
    found = scale_ratings(RUN, scaled(rng, items=40, raters=5, shift=1.2), permutations=999)
    assert found.p_value is not None
    assert found.p_value.value == pytest.approx(0.001)
    first, second = found.systems
    assert first.interval[1] < second.interval[0]


def test_refusals() -> None:
    with pytest.raises(InputError, match="'good' in row 1"):
        scale_ratings(RUN, Ratings(("a",), ("1",), ("x",), ("good",)))
    with pytest.raises(InputError, match="one of the levels"):
        scale_ratings(RUN, _single({"a": [1, 9]}), levels=range(1, 6))
    with pytest.raises(InputError, match="permutations"):
        scale_ratings(RUN, _single({"a": [1, 2], "b": [1, 2]}), permutations=0)
