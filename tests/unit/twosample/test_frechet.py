"""Fréchet distance: closed forms, relabelings, bias, extrapolation, size and power."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import linalg, stats

from moment_problems import (
    correlated,
    null_pair,
    permutation_p,
    permutations,
    with_replacement,
)
from statistical import assert_rate, assert_within
from verisimile.checks.twosample.statistics.frechet import (
    Frechet,
    FrechetDistance,
    frechet_distance,
    gaussian_frechet,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict


def _covariance(rng: np.random.Generator, d: int, rank: int) -> Array:
    root = rng.normal(size=(d, rank))
    return np.asarray(root @ root.T)


def _one(mean_1: Array, cov_1: Array, mean_2: Array, cov_2: Array) -> float:
    return float(gaussian_frechet(mean_1[None], cov_1[None], mean_2[None], cov_2[None])[0])


def test_equals_the_matrix_root_of_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = _covariance(rng, 4, 9), _covariance(rng, 4, 9)
    mean = rng.normal(size=4)
    reference = mean @ mean + np.trace(a + b - 2.0 * np.real(linalg.sqrtm(a @ b)))
    assert _one(mean, a, np.zeros(4), b) == pytest.approx(reference, rel=1e-12)


def test_one_dimension_is_the_difference_of_standard_deviations() -> None:
    found = _one(np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[0.25]]))
    assert found == pytest.approx(9.0 + 1.5**2, rel=1e-12)


def test_commuting_covariances_have_a_closed_form() -> None:
    rng = np.random.default_rng(2)
    basis = stats.ortho_group.rvs(5, random_state=rng)
    one, two = rng.uniform(0.1, 3.0, size=(2, 5))
    found = _one(np.zeros(5), (basis * one) @ basis.T, np.zeros(5), (basis * two) @ basis.T)
    assert found == pytest.approx(((np.sqrt(one) - np.sqrt(two)) ** 2).sum(), rel=1e-11)


def test_singular_covariances_of_orthogonal_subspaces() -> None:
    a, b = np.diag([1.0, 2.0, 0.0, 0.0]), np.diag([0.0, 0.0, 3.0, 4.0])
    assert _one(np.zeros(4), a, np.zeros(4), b) == pytest.approx(10.0, rel=1e-12)


def test_equal_singular_covariances_have_distance_zero() -> None:
    a = _covariance(np.random.default_rng(3), 30, 4)
    assert abs(_one(np.zeros(30), a, np.zeros(30), a)) < 1e-12 * np.trace(a)


@pytest.mark.parametrize("d", [3, 70], ids=["narrow", "wide"])
def test_weighted_relabelings_equal_numpy_covariances(d: int) -> None:
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(300, d)) + 5.0, rng.exponential(size=300)
    labels = permutations(120, 300, 3, rng)
    found = Frechet().prepare(x, w, rng).values(labels)
    for value, mask in zip(found, labels, strict=True):
        moments = [
            (np.average(x[m], axis=0, weights=w[m]), np.cov(x[m].T, aweights=w[m]))
            for m in (mask, ~mask)
        ]
        assert value == pytest.approx(_one(*moments[0], *moments[1]), rel=1e-9)


def test_zero_weight_is_absence() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 2))
    w = (np.arange(200) % 5 > 0).astype(float)
    labels = permutations(90, 200, 4, rng)
    found = Frechet().prepare(x, w, rng).values(labels)
    kept = Frechet().prepare(x[w > 0], w[w > 0], rng).values(labels[:, w > 0])
    np.testing.assert_allclose(found, kept, rtol=1e-9)


def test_negative_weights_are_refused() -> None:
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(100, 2)), np.where(np.arange(100) < 3, -1.0, 1.0)
    with pytest.raises(InputError, match="3 negative weights"):
        Frechet().prepare(x, w, rng).values(np.arange(100)[None] < 50)
    with pytest.raises(InputError, match="3 negative weights"):
        frechet_distance(x, x, rng, generated_weights=w)


@pytest.mark.parametrize("blocks", [2, 12, 64])
def test_unusable_blocks_are_refused(blocks: int) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(100, 2))
    with pytest.raises(InputError, match="blocks"):
        frechet_distance(x, x, rng, blocks=blocks)


def test_result_survives_the_disk_format() -> None:
    found = frechet_distance(*null_pair(np.random.default_rng(8), 100, 2), np.random.default_rng(8))
    assert from_dict(to_dict(found)) == found


# Bias and extrapolation -----------------------------------------------------------------

N, D, REPEATS = 1500, 5, 100
TRUE_BIAS = 2.0 / N * (D + D * (D + 1) / 4.0)


@pytest.fixture(scope="module")
def nulls() -> list[FrechetDistance]:
    streams = [np.random.default_rng(seed) for seed in range(REPEATS)]
    return [frechet_distance(*null_pair(rng, N, D), rng) for rng in streams]


def _mean(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def test_plain_null_mean_is_the_predicted_bias(nulls: list[FrechetDistance]) -> None:
    mean, error = _mean([item.plain for item in nulls])
    assert_within(mean, TRUE_BIAS, error)
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(mean, 0.0, error)


def test_extrapolated_null_mean_is_zero(nulls: list[FrechetDistance]) -> None:
    mean, error = _mean([item.extrapolated.value for item in nulls])
    assert error < 0.05 * TRUE_BIAS
    assert_within(mean, 0.0, error)


def test_batches_with_replacement_remove_no_bias() -> None:
    streams = [np.random.default_rng(seed) for seed in range(40)]
    mean, error = _mean([with_replacement(*null_pair(rng, N, D), rng) for rng in streams])
    assert_within(mean, TRUE_BIAS, error)
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(mean, 0.0, error)


def test_claimed_error_errs_upwards_under_the_null_by_root_two(
    nulls: list[FrechetDistance],
) -> None:
    actual = np.std([item.extrapolated.value for item in nulls], ddof=1)
    claimed = np.sqrt(np.mean([item.extrapolated.error**2 for item in nulls]))
    room = 5 / np.sqrt(2 * (REPEATS - 1))  # five relative errors of the spread
    assert 1 - room < claimed / actual < np.sqrt(2) * (1 + room)


def test_extrapolation_and_its_error_at_a_known_distance() -> None:
    pulls = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, y = null_pair(rng, 1000, 3)
        found = frechet_distance(x, y * [1.0, 1.3, 1.0] + [0.2, 0.0, 0.0], rng).extrapolated
        pulls.append((found.value - (0.2**2 + 0.3**2)) / found.error)
    assert_within(np.mean(pulls), 0.0, 1.0 / np.sqrt(100))
    # Fifteen degrees of freedom of each error widen the pulls to sqrt(15/13).
    assert_within(np.std(pulls, ddof=1), np.sqrt(15 / 13), np.sqrt(15 / 13) / np.sqrt(2 * 99))


def test_extrapolation_takes_weights_of_an_importance_sample() -> None:
    values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = null_pair(rng, 1000, 2)
        y *= 1.4  # drawn wide, weighted back to the unit normal
        w = np.exp(-0.5 * (y**2).sum(axis=1) * (1.0 - 1.4**-2))
        values.append(frechet_distance(x, y, rng, generated_weights=w).extrapolated.value)
    mean, error = _mean(values)
    assert_within(mean, 0.0, error)


# Size and power -------------------------------------------------------------------------


def _rate(pair: Callable[[np.random.Generator], tuple[Array, Array]], trials: int) -> int:
    streams = [np.random.default_rng([9, seed]) for seed in range(trials)]
    return sum(permutation_p(Frechet(), *pair(rng), rng) <= 0.05 + 1e-9 for rng in streams)


def test_size_is_five_per_cent() -> None:
    assert_rate(_rate(lambda rng: null_pair(rng, 40, 2), 500), 500, 0.05, alpha=0.01)


def test_distance_over_its_error_is_not_a_test() -> None:
    # What is done with a published value and error; bias makes it reject true nulls.
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng([9, seed])
        found = frechet_distance(*null_pair(rng, 40, 2), rng, blocks=4)
        rejected += found.plain > 1.645 * found.extrapolated.error
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejected, 200, 0.05, alpha=0.01)


def test_power_against_a_correlation() -> None:
    assert _rate(lambda rng: correlated(rng, 150, 0.5), 60) >= 54
