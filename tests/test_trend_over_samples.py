"""The trend of the ring study holds its size where members share a training sample."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import verisimile as vs
from statistical import assert_rate
from verisimile.core.arrays import Array

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from published._trend import ratio_interval, trend

SIZES = (10_000, 7_500, 5_000, 2_500)
SAMPLE_OF = [0, 0, 1, 1, 2, 2]
TRIALS = 300


def areas(rng: np.random.Generator, slope: float = 0.0) -> list[Array]:
    """Return areas of two members on each of three samples, which share most of their noise."""
    shared = np.repeat(rng.exponential(size=(4, 3)), 2, axis=1)
    mean = slope * np.log2(np.array(SIZES))[:, None]
    return list(mean + shared + 0.3 * rng.normal(size=(4, 6)))


def rejections(unit_of: list[int], seed: int) -> int:
    seeds = vs.Seeds(seed)
    return sum(
        trend(
            seeds.at(i),
            areas(seeds.at("areas", i).numpy()),
            SIZES,
            [unit_of] * len(SIZES),
            permutations=39,
        ).p
        <= 0.05
        for i in range(TRIALS)
    )


def test_a_trend_of_nothing_is_seen_as_often_as_it_says() -> None:
    assert_rate(rejections(SAMPLE_OF, 1), TRIALS, 0.05)


def test_members_as_units_would_see_trends_of_nothing() -> None:
    """The defective twin: relabels networks, which are not exchangeable."""
    assert rejections(list(range(6)), 1) > 0.10 * TRIALS


def test_a_trend_is_seen_with_its_slope() -> None:
    found = trend(vs.Seeds(1), areas(vs.Seeds(2).numpy(), 5.0), SIZES, [SAMPLE_OF] * 4)
    assert found.low < 5.0 < found.high
    assert found.p == pytest.approx(0.001)
    assert found.units == 12


def test_the_ratio_of_spreads_has_fishers_interval() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(TRIALS):
        _, low, high = ratio_interval(rng.normal(0.0, 3.0, 6), rng.normal(0.0, 1.0, 6))
        covered += low < 3.0 < high
    assert_rate(covered, TRIALS, 0.95)
