from __future__ import annotations

import numpy as np
import pytest

from verisimile.data.feature import Feature
from verisimile.repair.gaps import gaps, in_gaps

FEATURES = (Feature("a", unit="GeV"), Feature("b"))


def test_a_tail_without_generated_events_is_named() -> None:
    rng = np.random.default_rng(1)
    reference, generated = rng.exponential(size=(5000, 2)), rng.exponential(size=(5000, 2))
    cut = generated[generated[:, 0] < 3.0]
    (gap,) = gaps(FEATURES, reference, cut)
    assert gap.feature == "a"
    assert gap.low == cut[:, 0].max()
    assert gap.events == int((reference[:, 0] > gap.low).sum())
    assert str(gap).startswith("a above 2.998 GeV: no generated event")
    outside = in_gaps([gap], FEATURES, reference)
    assert int(outside.sum()) == gap.events


def test_a_hole_between_events_and_a_missing_count_are_found() -> None:
    rng = np.random.default_rng(2)
    reference = np.column_stack([rng.normal(size=4000), rng.integers(0, 4, 4000)])
    kept = (np.abs(reference[:, 0] - 0.5) > 0.2) & (reference[:, 1] != 2.0)
    found = gaps(FEATURES, reference, reference[kept] + [1e-9, 0.0])
    assert {gap.feature for gap in found} == {"a", "b"}
    hole = next(gap for gap in found if gap.feature == "a")
    assert (hole.low, hole.high) == pytest.approx((0.3, 0.7), abs=0.01)
    missing = next(gap for gap in found if gap.feature == "b")
    assert (missing.low, missing.high) == (1.0, 3.0)


def test_a_generator_with_a_fifth_of_the_density_has_gaps_no_more_often_than_stated() -> None:
    """At 0.1 % at ends and between: of 300 pairs 0.6 are expected; five are a chance of 4e-4."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        reference, generated = rng.standard_t(2.0, (900, 2)), rng.standard_t(2.0, (900, 2))
        tail = np.abs(generated).max(axis=1) > 1.0
        found += bool(gaps(FEATURES, reference, generated[~tail | (rng.random(900) < 0.2)]))
    assert found < 5


def test_a_bound_for_equal_densities_would_find_gaps_where_weights_of_five_do() -> None:
    """The twin."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(100):
        theirs, ours = rng.exponential(size=2000), np.sort(rng.exponential(size=2000))
        ours = ours[(ours < 2.0) | (rng.random(2000) < 0.2)]
        runs = np.bincount(np.searchsorted(ours, theirs), minlength=ours.size + 1)
        alarms += bool(2.0 * ours.size * 0.5 ** runs.max() < 1e-3)
    assert alarms > 30
