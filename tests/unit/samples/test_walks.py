"""Walks along ordered events: compiled and by NumPy, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from distance_statistics import random_labels
from verisimile.core.arrays import Array
from verisimile.core.native import available
from verisimile.samples.pool import Labels
from verisimile.samples.walks import Order, Reduction, cell_sums, walk_labels, walk_masses

# More events than a block of the walk by NumPy, more relabelings than a compiled one takes at once.
N, FIRST, LINES, ROWS = 2300, 900, 3, 131


@pytest.fixture(params=["compiled", "numpy"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VERISIMILE_NATIVE", "1" if request.param == "compiled" else "0")
    if request.param == "compiled" and not available():
        pytest.skip("the library was not compiled")
    return str(request.param)


def _problem(rng: np.random.Generator) -> tuple[Order, Array, Array, Labels]:
    order = np.stack([rng.permutation(N) for _ in range(LINES)]).astype(np.int32)
    measure = rng.gamma(1.0, size=(LINES, N)) * (rng.random((LINES, N)) < 0.7)
    weights = rng.normal(1.0, 1.0, size=N)
    return order, measure, weights, random_labels(N, FIRST, ROWS, rng)


def _written_out(reduction: Reduction, steps: Array, order: Order, measure: Array) -> Array:
    """Return the reduced sums of steps ``(R, N)``, ``(R, K)``."""
    sums = np.cumsum(steps[:, order], axis=2)
    if reduction is Reduction.SUPREMUM:
        return np.asarray((np.abs(sums) * (measure > 0.0)).max(axis=2))
    power = np.abs(sums) if reduction is Reduction.AREA else sums**2
    return np.asarray((power * measure).sum(axis=2))


@pytest.mark.parametrize("reduction", list(Reduction))
def test_walks_are_running_sums(path: str, reduction: Reduction, rng: np.random.Generator) -> None:
    order, measure, weights, labels = _problem(rng)
    up, down = rng.gamma(2.0, size=(2, ROWS))
    steps = weights * np.where(labels, up[:, None], -down[:, None])
    expected = _written_out(reduction, steps, order, measure)
    found = walk_labels(reduction, order, measure, weights, labels, (up, down))
    np.testing.assert_allclose(found, expected, rtol=1e-10, err_msg=path)
    by_masses = walk_masses(reduction, order, measure, steps)
    np.testing.assert_allclose(by_masses, expected, rtol=1e-10, err_msg=path)


def test_suprema_of_unweighted_events_have_the_same_last_bit(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    order, measure, _, labels = _problem(rng)
    rates = np.full(ROWS, 1.0 / FIRST), np.full(ROWS, 1.0 / (N - FIRST))
    found = walk_labels(Reduction.SUPREMUM, order, measure, np.ones(N), labels, rates)
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    without = walk_labels(Reduction.SUPREMUM, order, measure, np.ones(N), labels, rates)
    np.testing.assert_array_equal(found, without)


def test_area_and_supremum_of_one_step(path: str) -> None:
    steps, order = np.array([[0.5, -1.5, 1.0]]), np.array([[0, 1, 2]], dtype=np.int32)
    measure = np.array([[1.0, 2.0, 0.0]])
    for reduction, expected in zip(Reduction, (1.0, 2.5, 2.25), strict=True):
        assert walk_masses(reduction, order, measure, steps) == expected, path


def test_nothing_between_tied_events_counts(path: str) -> None:
    # One value for all: no difference anywhere but at the end, where it is zero.
    labels = np.arange(4)[None] < 2
    order, measure = np.array([[0, 1, 2, 3]], dtype=np.int32), np.array([[0.0, 0.0, 0.0, 1.0]])
    rates = np.array([0.5]), np.array([0.5])
    for reduction in Reduction:
        found = walk_labels(reduction, order, measure, np.ones(4), labels, rates)
        assert found == 0.0, path


def test_a_relabeling_that_cannot_be_normalised_is_nan(path: str, rng: np.random.Generator) -> None:
    order, measure, weights, labels = _problem(rng)
    up, down = np.ones((2, ROWS))
    up[5] = np.nan
    for reduction in Reduction:
        found = walk_labels(reduction, order, measure, weights, labels, (up, down))
        assert np.isnan(found[5]).all(), path
        assert np.isfinite(np.delete(found, 5, axis=0)).all()


def test_cells_hold_the_weights_of_the_first_sample(path: str, rng: np.random.Generator) -> None:
    _, _, weights, labels = _problem(rng)
    # The second feature has fewer cells: the last of them are empty.
    cells = np.stack([rng.integers(0, 40, size=N), rng.integers(0, 25, size=N)])
    order = np.argsort(cells, axis=1, kind="stable").astype(np.int32)
    counts = [np.bincount(cell, minlength=40) for cell in cells]
    found = cell_sums(order, np.cumsum(counts, axis=1), weights, labels)
    for cell, sums in zip(cells, found, strict=True):
        inside = cell[:, None] == np.arange(40)
        np.testing.assert_allclose(
            sums, (inside * weights[:, None]).T @ labels.T, rtol=1e-10, atol=1e-12, err_msg=path
        )
