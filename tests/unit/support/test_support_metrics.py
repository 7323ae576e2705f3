"""Support metrics: the definitions, ties, memory, exact null values, errors, power."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from statistical import assert_within
from support_reference import dense_metrics
from verisimile.checks.support.study import (
    NAMES,
    Balls,
    Support,
    evaluate,
    expected_coverage,
    support_metrics,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.samples.neighbours import neighbour_balls


def _ours(real: Array, fake: Array, k: int, beta: float = 1.0) -> Array:
    return evaluate(Balls.of(real, k), Balls.of(fake, k), beta=beta)


def _normals(seed: int, n: int, m: int, d: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d))


@pytest.mark.parametrize(
    ("n", "m", "d", "k"),
    [(1000, 700, 10, 5), (300, 900, 1, 3), (7, 40, 2, 6), (2, 2, 3, 1), (50, 60, 80, 4)],
)
def test_equals_the_dense_definition(n: int, m: int, d: int, k: int) -> None:
    real, fake = _normals(1, n, m, d)
    fake = 1.1 * fake + 0.2
    for beta in (0.5, 1.0, 8.0):
        expected = dense_metrics(real, fake, k, beta=beta)
        np.testing.assert_allclose(_ours(real, fake, k, beta), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 2.0**20], ids=["centred", "far"])
def test_ties_lie_in_closed_balls(offset: float) -> None:
    # Integer coordinates: many distances equal the radius exactly, and many radii are zero.
    rng = np.random.default_rng(2)
    real, fake = rng.integers(0, 6, size=(2, 400, 2)).astype(float) + offset
    for k in (5, 14, 40):
        expected = dense_metrics(real, fake, k)
        np.testing.assert_allclose(_ours(real, fake, k), expected, rtol=0, atol=1e-12)


def test_events_far_from_the_origin_keep_their_distances() -> None:
    real, fake = _normals(3, 300, 300, 3)
    found = _ours(real + 1e6, fake + 1e6, 5)
    np.testing.assert_allclose(found, dense_metrics(real + 1e6, fake + 1e6, 5), rtol=0, atol=1e-12)


def test_a_copy_is_a_neighbour_and_oneself_is_not() -> None:
    x = np.array([[0.0], [0.0], [3.0], [7.0]])
    radii, within = neighbour_balls(x, 1)
    assert radii.tolist() == [0.0, 0.0, 9.0, 16.0]
    assert within.tolist() == [1, 1, 2, 1]
    assert neighbour_balls(x, 2)[0].tolist() == [9.0, 9.0, 9.0, 49.0]


def test_memory_is_a_small_part_of_the_dense_matrices() -> None:
    real, fake = _normals(4, 4000, 4000, 4)
    tracemalloc.start()
    try:
        _ours(real, fake, 5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The dense computation holds at least one matrix of all distances.
    assert peak < 0.25 * 4000**2 * 8


@pytest.mark.parametrize(("n", "m"), [(60, 60), (80, 20)])
def test_coverage_and_density_have_exact_null_means_in_any_dimension(n: int, m: int) -> None:
    found = np.array([_ours(*_normals(seed, n, m, 1 + seed % 5), 3) for seed in range(400)])
    errors = found.std(axis=0, ddof=1) / np.sqrt(400)
    coverage, density = NAMES.index("coverage"), NAMES.index("density")
    assert_within(found[:, coverage].mean(), expected_coverage(n, m, 3), errors[coverage])
    assert_within(found[:, density].mean(), 1.0, errors[density])
    with pytest.raises(AssertionError, match="sigma"):  # the neighbour counted from oneself
        assert_within(found[:, coverage].mean(), expected_coverage(n, m, 2), errors[coverage])


def test_expected_coverage_of_one_neighbour_is_a_ratio() -> None:
    # Covered if the nearest of n + m - 1 others is one of the m generated ones.
    assert expected_coverage(10, 30, 1) == pytest.approx(30 / 39, rel=1e-12)
    assert expected_coverage(10**7, 10**7, 5) == pytest.approx(1 - 2**-5, abs=1e-6)


def _lattice(rng: np.random.Generator) -> Array:
    return rng.integers(3, size=(400, 2)).astype(float)


def _spiked(rng: np.random.Generator) -> Array:
    return np.where(rng.random((600, 1)) < 0.7, 0.0, rng.normal(size=(600, 1)))


@pytest.mark.parametrize("law", [_lattice, _spiked], ids=["3 x 3 lattice", "70 % zeros"])
@pytest.mark.parametrize("scale", [1.0, 0.3717], ids=["as they are", "scaled"])
def test_a_perfect_generator_of_tied_events_is_near_one(
    law: Callable[[np.random.Generator], Array], scale: float, rng: np.random.Generator
) -> None:
    real, fake = scale * law(rng) - 0.1, scale * law(rng) - 0.1
    found = dict(zip(NAMES, _ours(real, fake, 5), strict=True))
    # Of continuous laws: 0.97.  Events in the spike are all in each other's balls.
    assert min(found["precision"], found["recall"], found["coverage"]) > 0.97
    assert 0.8 < found["density"] < 1.25
    study = support_metrics(real, fake, rng)
    assert np.isnan(study.named("coverage").exact)
    for metric in study.metrics:
        assert abs(metric.difference.value) < 5 * metric.difference.error + 0.02
    # The twin with open balls has next to nothing in them.
    radii = neighbour_balls(real, 5)[0]
    inside = ((real[:, None] - fake[None]) ** 2).sum(axis=2) < radii[:, None] * (1 - 1e-9)
    assert inside.any(axis=1).mean() < 0.5


# Beside the null value -------------------------------------------------------------------


@pytest.fixture(scope="module")
def nulls() -> list[Support]:
    return [
        support_metrics(*_normals(seed, 1000, 1000, 2), np.random.default_rng(seed))
        for seed in range(60)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_perfect_generator_has_the_null_value(nulls: list[Support], name: str) -> None:
    values = np.array([item.named(name).difference.value for item in nulls])
    assert_within(values.mean(), 0.0, values.std(ddof=1) / np.sqrt(values.size))


@pytest.mark.parametrize("name", ["density", "coverage"])
def test_errors_are_those_of_repeated_truths(nulls: list[Support], name: str) -> None:
    metrics = [item.named(name) for item in nulls]
    for field in ("value", "null", "difference"):
        estimates = [getattr(metric, field) for metric in metrics]
        actual = np.std([estimate.value for estimate in estimates], ddof=1)
        claimed = np.sqrt(np.mean([estimate.error**2 for estimate in estimates]))
        # Relative error of a spread of 60; pieces of 50 events are not quite large.
        assert_within(claimed / actual, 1.0, 1 / np.sqrt(2 * 59))
    exact = metrics[0].exact
    pulls = [(metric.null.value - exact) / metric.null.error for metric in metrics]
    # Errors from ten pieces: Student's t of nine degrees of freedom.
    assert_within(np.mean(pulls), 0.0, np.sqrt(9 / 7 / 60))


@pytest.mark.parametrize("name", ["precision", "recall", "f_beta"])
def test_errors_that_depend_on_the_size_err_upwards(nulls: list[Support], name: str) -> None:
    estimates = [item.named(name).null for item in nulls]
    ratio = np.sqrt(np.mean([e.error**2 for e in estimates])) / np.std([e.value for e in estimates])
    assert 1 - 5 / np.sqrt(2 * 59) < ratio < 3
    assert np.isnan(nulls[0].named(name).exact)


def test_a_lost_half_costs_recall_and_an_invented_one_precision() -> None:
    rng = np.random.default_rng(5)
    truth, other = _normals(6, 2000, 2000, 2)
    lost = support_metrics(truth, np.abs(other), rng)
    assert lost.named("recall").difference.value < -0.3
    assert lost.named("coverage").value.value < lost.named("coverage").exact - 0.3
    assert abs(lost.named("precision").difference.value) < 0.03
    invented = support_metrics(np.abs(truth), other, rng)
    assert invented.named("precision").difference.value < -0.3
    assert abs(invented.named("recall").difference.value) < 0.03


def test_named_and_disk_format(nulls: list[Support]) -> None:
    again = from_dict(to_dict(nulls[0]))
    assert isinstance(again, Support)
    assert repr(again) == repr(nulls[0])
    with pytest.raises(InputError, match="precision, recall"):
        nulls[0].named("fid")


@pytest.mark.parametrize(
    ("n", "options", "match"),
    [
        (60, {}, "60 events|30 events"),
        (1000, {"neighbours": 0}, "neighbours"),
        (1000, {"beta": 0.0}, "beta"),
        (1000, {"neighbours": 200}, "fewer neighbours"),
    ],
)
def test_unusable_arguments_are_refused(n: int, options: dict[str, float], match: str) -> None:
    x, y = _normals(7, n, n, 2)
    with pytest.raises(InputError, match=match):
        support_metrics(x, y, np.random.default_rng(1), **options)  # type: ignore[arg-type]


def test_too_few_events_for_the_neighbours_are_refused() -> None:
    with pytest.raises(InputError, match="3 of 3 events"):
        neighbour_balls(np.zeros((3, 1)), 3)
