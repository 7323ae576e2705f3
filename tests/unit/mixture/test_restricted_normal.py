"""A normal vector inside walls: its exact law in closed cases, and in corners."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import FIVE_SIGMA, assert_within
from verisimile.core.arrays import Array
from verisimile.mixture.law import restricted_normal


def draws(walls: Array, count: int, rng: np.random.Generator, centre: Array | None = None) -> Array:
    return np.array([restricted_normal(walls, rng, centre=centre) for _ in range(count)])


@pytest.mark.parametrize("wall", [2.0, -0.5, 1e6])
def test_one_wall_gives_a_truncated_normal(wall: float, rng: np.random.Generator) -> None:
    # 1 + g x > 0: above -1/g, or below.  The last wall lies at the start itself.
    found = draws(np.array([[wall]]), 1500, rng)[:, 0]
    low, high = (-1.0 / wall, np.inf) if wall > 0 else (-np.inf, -1.0 / wall)
    assert stats.kstest(found, stats.truncnorm(low, high).cdf).pvalue > FIVE_SIGMA


@pytest.mark.parametrize("centre", [-1.5, 0.7])
def test_a_centre_may_lie_behind_the_wall(centre: float, rng: np.random.Generator) -> None:
    found = draws(np.array([[2.0]]), 1500, rng, np.array([centre]))[:, 0]
    law = stats.truncnorm(-0.5 - centre, np.inf, loc=centre)
    assert stats.kstest(found, law.cdf).pvalue > FIVE_SIGMA
    # The defective twin: the same wall about the origin.
    assert stats.kstest(found, stats.truncnorm(-0.5, np.inf).cdf).pvalue < FIVE_SIGMA


def test_without_walls_it_is_normal(rng: np.random.Generator) -> None:
    found = draws(np.empty((0, 3)), 500, rng)
    assert stats.kstest(found.ravel(), "norm").pvalue > FIVE_SIGMA


def test_a_corner_of_many_dimensions_is_left(rng: np.random.Generator) -> None:
    # All coordinates positive, from a start at the corner: a rejection needs 2^12 trials.
    found = draws(1e4 * np.eye(12), 400, rng)
    assert (1.0 + 1e4 * found > 0.0).all()
    half_mean, half_std = np.sqrt(2.0 / np.pi), np.sqrt(1.0 - 2.0 / np.pi)
    assert_within(found.mean(axis=0), half_mean, half_std / np.sqrt(400))
    assert float(np.abs(np.corrcoef(found.T) - np.eye(12)).max()) < 5.0 / np.sqrt(400)
    # The defective twin: what a normal draw, set to zero outside, would give.
    clipped = np.clip(rng.standard_normal((400, 12)), 0.0, None)
    with pytest.raises(AssertionError, match="off by"):
        assert_within(clipped.mean(axis=0), half_mean, half_std / np.sqrt(400))


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.8, -0.4)])
def test_oblique_walls_agree_with_rejection(
    centre: tuple[float, float], rng: np.random.Generator
) -> None:
    walls = rng.normal(0.0, 1.5, (6, 2))
    found = draws(walls, 1500, rng, np.array(centre))
    assert (1.0 + found @ walls.T > 0.0).all()
    plain = np.array(centre) + rng.standard_normal((40_000, 2))
    kept = plain[(1.0 + plain @ walls.T > 0.0).all(axis=1)]
    for projected in (np.eye(2)[0], np.eye(2)[1], np.array([0.6, -0.8])):
        p = stats.ks_2samp(found @ projected, kept @ projected).pvalue
        assert p > FIVE_SIGMA
