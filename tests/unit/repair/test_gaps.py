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


def test_equal_laws_have_gaps_no_more_often_than_stated() -> None:
    """At 0.1 % in all features: none is expected in 300 pairs, and four are a chance of 3e-4."""
    rng = np.random.default_rng(3)
    found = [
        gaps(FEATURES, rng.standard_t(2.0, (300, 2)), rng.standard_t(2.0, (900, 2)))
        for _ in range(300)
    ]
    assert sum(map(bool, found)) < 4


def test_the_bound_of_the_gaps_is_no_wider_than_need_be() -> None:
    """The twin: without the number of runs that were looked at there are far too many."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(100):
        theirs, ours = np.sort(rng.normal(size=300)), np.sort(rng.normal(size=300))
        runs = np.bincount(np.searchsorted(ours, theirs), minlength=301)
        alarms += bool(0.5 ** runs.max() < 1e-3)
    assert alarms > 10
