"""Regions hold equal shares, cover the space, never divide ties and agree with slow rules."""

from __future__ import annotations

import numpy as np
import pytest

from statistical import assert_within
from verisimile.checks.amplification.regions import (
    UserRegions,
    median_split_regions,
    product_regions,
    quantile_regions,
)
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError

RNG = np.random.default_rng(7)
NORMAL = RNG.normal(size=(1200, 4)) @ RNG.normal(size=(4, 4))


def _shares(numbers: IntArray, count: int) -> Array:
    return np.bincount(numbers, minlength=count) / numbers.size


@pytest.mark.parametrize("count", [2, 3, 10, 64, 100])
def test_boxes_share_the_sample_equally(count: int) -> None:
    regions = median_split_regions(NORMAL, count)
    assert regions.count == count
    found = np.bincount(regions.of(NORMAL), minlength=count)
    # Each of up to seven cuts rounds by less than one event.
    assert abs(found - len(NORMAL) / count).max() <= 2.0


@pytest.mark.parametrize("count", [2, 7, 50])
def test_intervals_share_the_sample_equally(count: int) -> None:
    regions = quantile_regions(NORMAL[:, :1], count)
    found = np.bincount(regions.of(NORMAL[:, :1]), minlength=count)
    assert abs(found - len(NORMAL) / count).max() < 1.0


def test_boxes_and_intervals_are_the_same_in_one_feature() -> None:
    x = NORMAL[:, :1]
    boxes, intervals = median_split_regions(x, 8), quantile_regions(x, 8)
    order = np.argsort(x[:, 0])
    runs = boxes.of(x)[order]
    assert np.count_nonzero(np.diff(runs)) == 7
    np.testing.assert_array_equal(np.flatnonzero(np.diff(runs)) + 1, np.arange(150, 1200, 150))
    np.testing.assert_array_equal(intervals.of(x)[order], np.repeat(np.arange(8), 150))


def test_boxes_are_boxes() -> None:
    regions = median_split_regions(NORMAL, 16)
    numbers = regions.of(NORMAL)
    for one in range(16):
        inside = NORMAL[numbers == one]
        within = ((inside.min(axis=0) <= NORMAL) & (inside.max(axis=0) >= NORMAL)).all(axis=1)
        np.testing.assert_array_equal(within, numbers == one)


def test_every_feature_is_cut() -> None:
    regions = median_split_regions(NORMAL, 10)
    assert set(regions.feature[regions.feature >= 0].tolist()) == {0, 1, 2, 3}


def test_new_events_fall_into_equal_regions() -> None:
    fresh = np.random.default_rng(1).normal(size=(200_000, 2))
    regions = median_split_regions(np.random.default_rng(2).normal(size=(20_000, 2)), 20)
    # A share between order statistics is Beta(1000, 19 000), counted with binomial noise.
    error = np.sqrt(0.05 * 0.95 * (1 / 20_002 + 1 / 200_000))
    assert_within(_shares(regions.of(fresh), 20), 0.05, error)


def test_shares_between_the_edges_scatter_as_those_of_a_sample() -> None:
    # Sum of the Beta variances: the reason why edges may be values of a sample.
    rng = np.random.default_rng(3)
    squares = []
    for _ in range(400):
        edges = quantile_regions(rng.random((199, 1)), 10).edges
        squares.append(((np.diff(edges, prepend=0.0, append=1.0) - 0.1) ** 2).sum())
    mean = np.mean(squares)
    assert_within(mean, 0.9 / 201, np.std(squares, ddof=1) / np.sqrt(400))


def test_ties_are_never_divided() -> None:
    x = np.column_stack([RNG.integers(0, 3, 500), np.full(500, 2.5)]).astype(np.float64)
    regions = median_split_regions(x, 10)
    assert regions.count == 3
    assert len(np.unique(np.column_stack([x[:, 0], regions.of(x)]), axis=0)) == 3
    assert quantile_regions(x[:, :1], 10).count == 3


def test_a_feature_with_ties_gives_way() -> None:
    x = np.column_stack([np.repeat([0.0, 1.0], [10, 990]), np.linspace(0, 1, 1000)])
    regions = median_split_regions(x, 4)
    assert np.bincount(regions.of(x)).tolist() == [250, 250, 250, 250]


def test_constant_events_are_one_region() -> None:
    assert median_split_regions(np.zeros((50, 3)), 8).count == 1
    assert quantile_regions(np.zeros((50, 1)), 8).count == 1


def test_product_of_intervals() -> None:
    regions = product_regions([[0.0], None, [-1.0, 1.0]])
    assert regions.count == 6
    x = np.array([[-1.0, 5.0, -2.0], [0.0, 5.0, 0.0], [0.1, 5.0, 9.0]])
    assert regions.of(x).tolist() == [0, 1, 5]


@pytest.mark.parametrize("label", [-1.0, 2.0, 0.5])
def test_regions_of_the_user_are_checked(label: float) -> None:
    regions = UserRegions(lambda x: np.full(len(x), label), 2)
    with pytest.raises(InputError, match="integers from 0 to 1"):
        regions.of(NORMAL)


@pytest.mark.parametrize("count", [0, 1, 1201])
def test_impossible_counts(count: int) -> None:
    with pytest.raises(InputError, match="regions"):
        median_split_regions(NORMAL, count)
    with pytest.raises(InputError, match="regions"):
        quantile_regions(NORMAL[:, :1], count)


def test_features_must_fit() -> None:
    with pytest.raises(InputError, match="one feature"):
        quantile_regions(NORMAL, 4)
    with pytest.raises(InputError, match=r"\(n, 4\)"):
        median_split_regions(NORMAL, 4).of(NORMAL[:, :2])
    with pytest.raises(InputError, match="edges"):
        product_regions([[0.0]]).of(NORMAL)
