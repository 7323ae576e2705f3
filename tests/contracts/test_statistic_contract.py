"""What every two-sample statistic keeps."""

from __future__ import annotations

import numpy as np
import pytest

from distance_statistics import ALL, random_labels, values
from verisimile.checks.twosample.statistics.frechet import Frechet
from verisimile.checks.twosample.statistics.kernel_distance import KernelDistance
from verisimile.checks.twosample.statistics.nplm import NPLM, AggregatedNPLM
from verisimile.checks.twosample.statistics.protocol import Statistic, Tabulated, entries
from verisimile.core.arrays import Array

N, FIRST = 60, 25
# With every event a centre NPLM does not depend on which events its centres are.
WITH_SETTINGS = (*ALL, Frechet(), KernelDistance(), NPLM(centres=N), AggregatedNPLM(centres=N))
# Whatever else joins the battery is held to the same.
FURTHER = (entry.statistic for entry in entries().values())
STATISTICS = (
    *WITH_SETTINGS,
    *(each for each in FURTHER if not isinstance(each, tuple(map(type, WITH_SETTINGS)))),
)
FITTED = (NPLM, AggregatedNPLM)

pytestmark = pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)


def _rtol(statistic: Statistic) -> float:
    # A fit ends 1e-11 from its minimum, and t feels the root of it; the others only rounding.
    return 1e-5 if isinstance(statistic, FITTED) else 1e-9


def _problem(rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(size=(N, 3)), rng.gamma(3.0, size=N)


def test_one_finite_value_for_each_relabeling(
    statistic: Statistic, rng: np.random.Generator
) -> None:
    found = values(statistic, *_problem(rng), random_labels(N, FIRST, 5, rng))
    assert found.shape == (5,)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()


def test_the_order_of_events_does_not_matter(
    statistic: Statistic, rng: np.random.Generator
) -> None:
    x, w = _problem(rng)
    labels, order = random_labels(N, FIRST, 5, rng), rng.permutation(N)
    np.testing.assert_allclose(
        values(statistic, x[order], w[order], labels[:, order]),
        values(statistic, x, w, labels),
        rtol=_rtol(statistic),
        atol=1e-12,
    )


def test_the_samples_can_be_exchanged(statistic: Statistic, rng: np.random.Generator) -> None:
    if isinstance(statistic, FITTED):
        pytest.skip("a ratio of data to reference: the two play different parts")
    x, w = _problem(rng)
    labels = random_labels(N, FIRST, 5, rng)
    np.testing.assert_allclose(
        values(statistic, x, w, ~labels), values(statistic, x, w, labels), rtol=1e-9, atol=1e-12
    )


def test_the_scale_of_weights_does_not_matter(
    statistic: Statistic, rng: np.random.Generator
) -> None:
    x, w = _problem(rng)
    labels = random_labels(N, FIRST, 5, rng)
    np.testing.assert_allclose(
        values(statistic, x, 1e-6 * w, labels), values(statistic, x, w, labels), rtol=1e-9
    )


def test_a_relabeling_is_valued_without_its_neighbours(
    statistic: Statistic, rng: np.random.Generator
) -> None:
    x, w = _problem(rng)
    labels = random_labels(N, FIRST, 5, rng)
    prepared = statistic.prepare(x, w, np.random.default_rng(1))
    if isinstance(prepared, Tabulated):
        pytest.skip("its values are ranks among the rows given; its table is compared elsewhere")
    apart = np.concatenate([prepared.values(labels[r : r + 1]) for r in range(5)])
    np.testing.assert_allclose(apart, prepared.values(labels), rtol=_rtol(statistic), atol=1e-13)


def test_true_labels_of_different_samples_stand_out(
    statistic: Statistic, rng: np.random.Generator
) -> None:
    x, w = _problem(rng)
    x[:FIRST] += 2.0
    labels = np.vstack([np.arange(N) < FIRST, random_labels(N, FIRST, 50, rng)])
    found = values(statistic, x, w, labels)
    assert found[0] > found[1:].max()


def test_nothing_given_is_changed(statistic: Statistic, rng: np.random.Generator) -> None:
    x, w = _problem(rng)
    labels = random_labels(N, FIRST, 5, rng)
    for array in (x, w, labels):
        array.setflags(write=False)
    first = values(statistic, x, w, labels)
    np.testing.assert_array_equal(values(statistic, x, w, labels), first)


def test_its_repr_is_its_identity(statistic: Statistic) -> None:
    assert " object at " not in repr(statistic)
    assert statistic.weights in ("none", "positive", "signed")
