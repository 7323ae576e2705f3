"""Rows that belong to one physics event: the size of tests with groups, and without them."""

from __future__ import annotations

import numpy as np
import pytest

from statistical import assert_rate
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

REPETITIONS = 200
STATISTICS = (EnergyDistance(), MarginalKS("max"))


def three_rows(rng: np.random.Generator, *, grouped: bool) -> Events:
    """Return three rows of each of 40 physics events, which share most of their values."""
    common = np.repeat(rng.normal(size=(40, 2)), 3, axis=0)
    rows = common + 0.3 * rng.normal(size=(120, 2))
    return Events(rows, group=np.repeat(np.arange(40), 3) if grouped else None)


def rejections(*, grouped: bool) -> list[int]:
    counts = np.zeros(len(STATISTICS), dtype=np.int64)
    for repetition in range(REPETITIONS):
        at = Seeds(41).at(repetition)
        first, second = (
            three_rows(at.at(side).numpy(), grouped=grouped) for side in ("first", "second")
        )
        found = permutation_test(Run(at), first, second, STATISTICS, permutations=39)
        counts += [one.p_value.value <= 0.05 for one in found]
    return [int(count) for count in counts]


@pytest.mark.calibration
def test_size_with_groups() -> None:
    for count in rejections(grouped=True):
        assert_rate(count, REPETITIONS, 0.05)


@pytest.mark.calibration
def test_rows_counted_alone_lose_their_size() -> None:
    # The defective twin: nobody says which rows belong together.
    for count in rejections(grouped=False):
        with pytest.raises(AssertionError, match="outside"):
            assert_rate(count, REPETITIONS, 0.05)
