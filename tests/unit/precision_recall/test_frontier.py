"""The frontier over all thresholds equals brute force and the closed forms of unit normals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.checks.precision_recall.envelope import (
    angle_grid,
    area_variances,
    curve_area,
    envelope,
    f_beta_pair,
    points_at,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError

AREAS = {0.5: 0.898218, 1.0: 0.679141, 2.0: 0.257808}


def dense(real: Array, fake: Array, theta: Array) -> tuple[Array, Array]:
    """Return precision and recall by trying every threshold at every angle."""
    thresholds = np.concatenate([[-math.inf], np.unique(np.concatenate([real, fake]))])
    # Below the smallest score nothing is called generated, also where that is minus infinity.
    called = [np.zeros(1, dtype=bool)] + [np.ones(1, dtype=bool)] * (thresholds.size - 1)
    fpr = np.array([((real <= t) & c).mean() for t, c in zip(thresholds, called, strict=True)])
    fnr = np.array([1 - ((fake <= t) & c).mean() for t, c in zip(thresholds, called, strict=True)])
    lam = np.tan(theta[1:-1])[:, None]
    alpha = (lam * fpr + fnr).min(axis=1)
    precision = np.concatenate([[0.0], alpha, [fnr[fpr == 0.0].min()]])
    recall = np.concatenate([[fpr[fnr == 0.0].min()], alpha / lam[:, 0], [0.0]])
    return precision, recall


def normals(d: float, n: int) -> tuple[Array, Array]:
    """Return scores of the quantiles of N(0, 1) and N(d, 1): the populations to 1 / (2 n)."""
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return -x, -(x + d)


@pytest.mark.parametrize("kind", ["continuous", "ties", "misses", "separated", "one"])
@pytest.mark.parametrize("sizes", [(37, 61), (50, 50)])
def test_envelope_is_the_brute_force(kind: str, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    real, fake = rng.normal(0.7, 1, size=sizes[0]), rng.normal(size=sizes[1])
    if kind == "ties":
        real, fake = np.round(2 * real), np.round(2 * fake)
    elif kind == "misses":
        fake[:9] = -np.inf
        real[:3] = np.inf
    elif kind == "separated":
        real += 100
    elif kind == "one":
        real, fake = np.zeros(sizes[0]), np.zeros(sizes[1])
    theta = angle_grid(41)
    found = points_at(envelope(real, fake).radii(theta), theta)
    np.testing.assert_allclose(found, dense(real, fake, theta), atol=1e-12)


@pytest.mark.parametrize("d", AREAS)
def test_population_of_two_normals(d: float) -> None:
    # A sample stratified in a million quantiles stands for the population: rates to 5e-7.
    theta = angle_grid(201)
    radii = envelope(*normals(d, 1_000_000)).radii(theta)
    assert curve_area(radii, theta) == pytest.approx(AREAS[d], abs=1e-4)
    assert points_at(radii, theta)[0][100] == pytest.approx(2 * stats.norm.cdf(-d / 2), abs=2e-6)


def test_published_areas_by_integration() -> None:
    # R = fpr / cos + fnr / sin at the threshold where the likelihood ratio is 1 / lambda.
    theta = np.linspace(0, math.pi / 2, 20_001)[1:-1]
    for d, area in AREAS.items():
        cut = d / 2 + np.log(np.tan(theta)) / d
        radius = stats.norm.sf(cut) / np.cos(theta) + stats.norm.cdf(cut - d) / np.sin(theta)
        square = np.concatenate([[1.0], radius**2, [1.0]])
        assert 0.5 * np.trapezoid(square, dx=math.pi / 40_000) == pytest.approx(area, abs=2e-6)


def test_one_sample_against_itself_fills_the_unit_square() -> None:
    x = np.random.default_rng(1).normal(size=300)
    theta = angle_grid(201)
    assert curve_area(envelope(x, x).radii(theta), theta) == pytest.approx(1.0, abs=1e-12)


def test_misses_scale_precision() -> None:
    # A generator that misses a share 1 - f has the curve (f alpha, beta) of its finite part.
    rng = np.random.default_rng(2)
    real, fake = rng.normal(0.7, 1, 4000), rng.normal(size=4000)
    theta = angle_grid(2001)
    whole = curve_area(envelope(real, fake).radii(theta), theta)
    missed = np.append(fake, np.full(1000, -np.inf))
    assert curve_area(envelope(real, missed).radii(theta), theta) == pytest.approx(
        0.8 * whole, abs=1e-5
    )


def test_error_of_the_area_is_its_spread() -> None:
    theta, n, m, count = angle_grid(101), 1500, 700, 400
    rng = np.random.default_rng(3)
    areas, errors = np.empty(count), np.empty(count)
    for i in range(count):
        frontier = envelope(-rng.normal(size=n), -rng.normal(1.0, 1.0, size=m))
        areas[i] = curve_area(frontier.radii(theta), theta)
        of_true, of_fake = area_variances(frontier, theta)
        errors[i] = math.sqrt(of_true / n + of_fake / m)
    spread = areas.std(ddof=1)
    assert_within(errors.mean(), spread, 1.2 * spread / math.sqrt(2 * count))
    # The defective twin, the reference alone, is what a bootstrap of one sample would say.
    with pytest.raises(AssertionError):
        assert_within(math.sqrt(of_true / n), spread, 1.2 * spread / math.sqrt(2 * count))


def test_pair_of_f() -> None:
    assert f_beta_pair(np.array([0.0, 0.5, 1.0]), np.array([0.25, 0.25, 0.0])) == pytest.approx(
        (65 * 0.125 / (64 * 0.5 + 0.25), (65 / 64) * 0.125 / (0.5 / 64 + 0.25))
    )
    assert f_beta_pair(np.zeros(3), np.zeros(3)) == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2, 200])
def test_grid_needs_ends_and_diagonal(count: int) -> None:
    with pytest.raises(InputError, match="odd"):
        angle_grid(count)


def test_scores_that_are_nan_or_missing_are_refused() -> None:
    with pytest.raises(NumericsError, match="NaN"):
        envelope(np.array([1.0, np.nan]), np.array([1.0]))
    with pytest.raises(InputError, match="at least one event"):
        envelope(np.array([1.0]), np.array([]))
