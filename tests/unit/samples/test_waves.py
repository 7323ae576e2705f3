"""Random waves against the kernels that they stand for; a small sample against a large one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from distance_statistics import random_labels
from statistical import assert_within
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.mmd import MMD
from verisimile.checks.twosample.statistics.protocol import Prepared, Statistic
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pair_sums import (
    Waves,
    distance_waves,
    gaussian_waves,
)
from verisimile.samples.pool import Labels


def _kernel(features: Waves, j: int) -> Array:
    phase = features.x @ features.frequencies.T
    waves = np.cos(phase[:, None] - phase[None])
    return np.asarray(features.constant[j] + waves @ features.measure[j])


def _kernel_of_rounded_waves(features: Waves, j: int) -> Array:
    phase = (features.x @ features.frequencies.T).astype(np.float32)
    kernel = np.full((len(phase), len(phase)), features.constant[j])
    for wave in (np.cos(phase), np.sin(phase)):
        rounded = np.rint(wave.astype(np.float64) * 2**14) / 2**14
        kernel += (rounded * features.measure[j]) @ rounded.T
    return kernel


@pytest.mark.parametrize("d", [1, 2, 5])
def test_many_waves_are_the_distance(d: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(12, d))
    kernels = [_kernel(distance_waves(x, np.ones(12), 512, rng), 0) for _ in range(60)]
    error = np.std(kernels, axis=0, ddof=1) / np.sqrt(60)
    # One feature has no direction to draw: the quadrature of 512 points alone is left, whose
    # points of no wave at all weigh 0.003 each.
    assert_within(np.mean(kernels, axis=0), cdist(x, x), error + 3e-3)


def test_many_waves_are_the_gaussian_kernels(rng: np.random.Generator) -> None:
    x, widths = rng.normal(size=(10, 3)), (0.5, 2.0)
    many = [gaussian_waves(x, np.ones(10), widths, 400, rng) for _ in range(60)]
    for j, width in enumerate(widths):
        kernels = [_kernel(features, j) for features in many]
        error = np.std(kernels, axis=0, ddof=1) / np.sqrt(60)
        wanted = np.exp(-0.5 * cdist(x, x, "sqeuclidean") / width**2)
        assert_within(np.mean(kernels, axis=0), wanted, error + 1e-12)


def test_sums_are_those_of_the_kernel(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(30, 2)), rng.gamma(2.0, size=30)
    features = distance_waves(x, w, 16, rng)
    kernel = _kernel_of_rounded_waves(features, 0)
    np.testing.assert_allclose(kernel, _kernel(features, 0), atol=0.01)
    labels = random_labels(30, 12, 3, rng)
    found = features.sums(labels)
    for r, row in enumerate(labels):
        u, v = w * row, w * ~row
        got = [part[0, r] for part in (found.first, found.across, found.second)]
        np.testing.assert_allclose(got, [u @ kernel @ u, u @ kernel @ v, v @ kernel @ v])
    signed = rng.normal(size=(3, 30))
    signed -= signed.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        features.quadratic(signed)[0], np.einsum("ri,ij,rj->r", signed, kernel, signed)
    )


def test_sums_over_unweighted_events_are_exact(rng: np.random.Generator) -> None:
    # Float32 products in blocks, and whatever order: the last bit of float64 is the same.
    x, widths = 3.0 * rng.normal(size=(5000, 3)), (0.3, 1.0)
    labels, order = random_labels(5000, 2900, 20, rng), rng.permutation(5000)
    seed = int(rng.integers(1000))
    found, turned = (
        gaussian_waves(y, np.ones(5000), widths, 16, np.random.default_rng(seed)).sums(chosen)
        for y, chosen in ((x, labels), (x[order], labels[:, order]))
    )
    for name in ("first", "second", "across"):
        np.testing.assert_array_equal(getattr(found, name), getattr(turned, name))
    features = gaussian_waves(x, np.ones(5000), widths, 16, np.random.default_rng(seed))
    waves = np.vstack([rows.astype(np.float64) for _, rows in features._waves()])
    first = labels.astype(np.float64) @ waves
    squares = (first**2)[:, :32] + (first**2)[:, 32:]
    np.testing.assert_array_equal(found.first, features.measure @ squares.T)
    # Waves as they are have no such luck.
    plain = np.cos(x @ features.frequencies.T).astype(np.float32)
    in_float32, in_float64 = labels.astype(np.float32) @ plain, labels.astype(np.float64) @ plain
    assert (in_float32 != in_float64).any()


@pytest.mark.parametrize("kind", [EnergyDistance, MMD])
def test_values_are_near_those_of_all_pairs(
    kind: type[EnergyDistance | MMD], rng: np.random.Generator
) -> None:
    x = rng.normal(size=(400, 2))
    x[250:] += 0.6
    labels = np.vstack([np.arange(400) < 250, random_labels(400, 250, 60, rng)])
    exact, waves = (
        kind(most=most).prepare(x, np.ones(400), rng).values(labels) for most in (400, 399)
    )
    assert np.corrcoef(exact[1:], waves[1:])[0, 1] > 0.9
    assert waves[0] == pytest.approx(exact[0], rel=0.3)


def test_details_are_near_those_of_all_pairs(rng: np.random.Generator) -> None:
    first, second = Events(rng.normal(size=(600, 2))), Events(rng.normal(size=(500, 2)) + 0.5)
    exact, waves = (
        permutation_test(Run(Seeds(1)), first, second, [EnergyDistance(most=most)], permutations=9)[
            0
        ]
        for most in (2000, 200)
    )
    for name in ("mean distance", "unbiased", "n_equiv"):
        assert waves.details[name] == pytest.approx(exact.details[name], rel=0.3)
    assert waves.n_used == exact.n_used == (600, 500)


@dataclass(frozen=True)
class PooledThinning:
    """A twin with one defect: it takes random pooled events, whatever sample they are of."""

    name: str = "pooled thinning"
    weights: str = "none"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> _Part:
        rows = np.sort(rng.choice(len(pooled), 200, replace=False))
        return _Part(rows, EnergyDistance().prepare(pooled[rows], weights[rows], rng))


@dataclass(frozen=True)
class _Part:
    rows: IntArray
    energy: Prepared

    def values(self, labels: Labels) -> Array:
        return self.energy.values(labels[:, self.rows])


def test_a_large_reference_does_not_drown_a_small_sample() -> None:
    several: list[Statistic] = [EnergyDistance(most=200), MMD(most=200), PooledThinning()]
    seen = np.zeros(3)
    for experiment in range(8):
        at = Seeds(5).at(experiment)
        rng = at.numpy()
        first = Events(rng.normal(size=(2000, 1)))
        second = Events(rng.normal(size=(60, 1)) + 0.7)
        found = permutation_test(Run(at), first, second, several, permutations=39)
        seen += [one.p_value.value <= 0.05 for one in found]
    # Five standard errors for all events, one and a half for the six of sixty that the twin keeps.
    assert seen[0] >= 7
    assert seen[1] >= 6
    assert seen[2] <= 6
