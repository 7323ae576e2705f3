"""What the permutation engine relies on, of every statistic made of moments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from moment_problems import permutations
from verisimile.checks.twosample.statistics.frechet import Frechet, frechet_distance
from verisimile.checks.twosample.statistics.kernel_distance import KernelDistance, kernel_distance
from verisimile.checks.twosample.statistics.protocol import Detailed, Statistic
from verisimile.core.arrays import Array
from verisimile.samples.pool import Labels

STATISTICS: list[Statistic] = [Frechet(), KernelDistance(), KernelDistance(degree=4)]
BOTH = pytest.mark.parametrize("statistic", STATISTICS, ids=repr)
WIDTHS = pytest.mark.parametrize("d", [2, 20, 70])


def _pool(d: int) -> tuple[Array, Array, Labels]:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(240, d)), rng.exponential(size=240)
    return x, w, permutations(100, 240, 6, rng)


def _values(statistic: Statistic, x: Array, w: Array, labels: Labels) -> Array:
    return statistic.prepare(x, w, np.random.default_rng(2)).values(labels)


@BOTH
@WIDTHS
def test_one_value_per_relabeling_whatever_the_others(statistic: Statistic, d: int) -> None:
    x, w, labels = _pool(d)
    together = _values(statistic, x, w, labels)
    assert together.shape == (6,)
    alone = [_values(statistic, x, w, row[None])[0] for row in labels]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


@BOTH
@WIDTHS
def test_samples_are_exchangeable_and_events_without_order(statistic: Statistic, d: int) -> None:
    x, w, labels = _pool(d)
    found = _values(statistic, x, w, labels)
    np.testing.assert_allclose(_values(statistic, x, w, ~labels), found, rtol=1e-8)
    order = np.random.default_rng(3).permutation(240)
    shuffled = _values(statistic, x[order], w[order], labels[:, order])
    np.testing.assert_allclose(shuffled, found, rtol=1e-8)


@BOTH
def test_the_unit_of_the_weights_does_not_matter(statistic: Statistic) -> None:
    x, w, labels = _pool(3)
    found = _values(statistic, x, w, labels)
    np.testing.assert_allclose(_values(statistic, x, 7.0 * w, labels), found, rtol=1e-9)


@BOTH
def test_arguments_stay_as_they_were(statistic: Statistic) -> None:
    x, w, labels = _pool(3)
    for array in (x, w, labels):
        array.setflags(write=False)
    _values(statistic, x, w, labels)


@BOTH
def test_large_is_different(statistic: Statistic) -> None:
    x, _, _ = _pool(3)
    labels = np.arange(240)[None] < 120
    ones = np.ones(240)
    far = np.where(labels.T, x + 2.0, x)
    assert _values(statistic, far, ones, labels)[0] > _values(statistic, x, ones, labels)[0] + 1.0


def _details(statistic: Statistic, labels: Labels) -> Mapping[str, float]:
    x, w, _ = _pool(3)
    prepared = statistic.prepare(x, w, np.random.default_rng(2))
    assert isinstance(prepared, Detailed)
    return prepared.details(labels)


@BOTH
def test_details_are_repeatable_and_left_out_of_tiny_samples(statistic: Statistic) -> None:
    labels = _pool(3)[2][:1]
    assert _details(statistic, labels) == _details(statistic, labels)
    assert not _details(statistic, np.arange(240)[None] < 20)


def test_details_are_those_of_the_two_samples() -> None:
    x, w, labels = _pool(3)
    m = labels[0]
    seed = int(np.random.default_rng(2).integers(2**63))
    options = {"reference_weights": w[m], "generated_weights": w[~m]}
    fd = frechet_distance(x[m], x[~m], np.random.default_rng(seed), **options).extrapolated
    found = _details(Frechet(), labels[:1])
    assert found["extrapolated"] == pytest.approx(fd.value, rel=1e-6)
    assert found["extrapolated error"] == pytest.approx(fd.error, rel=1e-6)
    kd = kernel_distance(x[m], x[~m], np.random.default_rng(seed), **options)
    assert _details(KernelDistance(), labels[:1])["error"] == pytest.approx(kd.error, rel=1e-6)
