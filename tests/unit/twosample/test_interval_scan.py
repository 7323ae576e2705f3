"""The scan of intervals against loops, its variance by enumeration, atoms, and where it looks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from distance_statistics import random_labels, values
from scan_reference import reference_scan, reference_windows, reference_z
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.interval_scan import (
    IntervalScan,
    PreparedScan,
    cells_of,
    windows_of,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pool import MassRows

N, FIRST = 150, 60


def _problem(rng: np.random.Generator, kind: str) -> tuple[Array, Array]:
    x = rng.normal(size=(N, 3))
    x[:, 1] = np.round(x[:, 1])
    x[:, 2] = np.where(rng.random(N) < 0.4, 0.0, x[:, 2])
    weights = np.ones(N) if kind == "none" else rng.gamma(2.0, size=N)
    return x, np.where(np.arange(N) % 5 == 0, -0.2, 1.0) * weights if kind == "signed" else weights


def _disagreement(scan: PreparedScan, x: Array, w: Array, rng: np.random.Generator) -> float:
    labels = random_labels(N, FIRST, 4, rng)
    wanted = [reference_scan(x, w, row, 16) for row in labels]
    return float(np.abs(scan.values(labels) - wanted).max())


@pytest.mark.parametrize("kind", ["none", "positive", "signed"])
def test_the_statistic_is_its_definition(kind: str, rng: np.random.Generator) -> None:
    x, w = _problem(rng, kind)
    assert _disagreement(PreparedScan.of(x, w, 16), x, w, rng) < 1e-11


@pytest.mark.parametrize("defect", ["no weights", "no allowance", "torn atoms"])
def test_a_defective_twin_disagrees(defect: str, rng: np.random.Generator) -> None:
    x, w = _problem(rng, "positive")
    twin = PreparedScan.of(x, np.ones(N) if defect == "no weights" else w, 16)
    if defect == "no allowance":
        for windows in twin.windows:
            windows.allowance[:] = 0.0
    if defect == "torn atoms":
        apart = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0).astype(float)
        twin = PreparedScan.of(apart, w, 16)
    assert _disagreement(twin, x, w, rng) > 1e-3


@pytest.mark.parametrize("signed", [False, True])
def test_z_has_unit_variance_over_all_relabelings(signed: bool, rng: np.random.Generator) -> None:
    w = np.array([1.0, 2.0, 0.5, -0.7 if signed else 0.7, 1.5, 3.0, 1.0, 0.3])
    scan = PreparedScan.of(rng.normal(size=(8, 1)), w, 4)
    chosen = list(itertools.combinations(range(8), 3))
    labels = np.array([[i in some for i in range(8)] for some in chosen])
    (z,) = scan.scores(labels)
    np.testing.assert_allclose(z.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose((z**2).mean(axis=1), 1.0, rtol=1e-12)


def test_without_weights_z_is_that_of_two_shares(rng: np.random.Generator) -> None:
    labels = random_labels(N, FIRST, 1, rng)
    inside = rng.random(N) < 0.2
    pooled, gap = inside.mean(), inside[labels[0]].mean() - inside[~labels[0]].mean()
    error = np.sqrt(pooled * (1 - pooled) * (1 / FIRST + 1 / (N - FIRST)))
    # The z of textbooks, with N - 1 for N: drawing without replacement.
    wanted = gap / error * np.sqrt((N - 1) / N)
    assert reference_z(inside, np.ones(N), labels[0]) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("count", [2, 3, 7, 64, 255, 256])
def test_windows_are_those_that_are_promised(count: int) -> None:
    windows = windows_of(np.repeat(np.arange(count), 3), np.ones(3 * count))
    found = list(zip(windows.low.tolist(), windows.high.tolist(), strict=True))
    assert sorted(found) == reference_windows(count)
    assert max(high for _, high in found) == count


def test_cells_are_of_equal_population_and_never_cut_a_value(rng: np.random.Generator) -> None:
    smooth = np.bincount(cells_of(rng.normal(size=2560), 256))
    assert smooth.size == 256
    assert set(smooth.tolist()) == {10}
    atoms = np.round(rng.normal(size=2560), 1)
    cell = cells_of(atoms, 256)
    assert all(np.unique(cell[atoms == value]).size == 1 for value in np.unique(atoms))
    assert np.unique(cell).tolist() == list(range(cell.max() + 1))
    assert (np.diff(cell[np.argsort(atoms, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("share", [1, 2, 30, 59])
def test_two_values_are_two_cells(share: int) -> None:
    column = (np.arange(60) < share).astype(float)
    assert np.unique(cells_of(column, 256)).size == 2


def test_values_are_finite_where_windows_hold_nothing(rng: np.random.Generator) -> None:
    x, w = np.zeros((20, 2)), rng.normal(size=20) + 0.2
    x[3] = 1.0
    w[3], w[4:8] = 0.0, 0.0
    labels = np.vstack([random_labels(20, 8, 3, rng), np.zeros(20, dtype=bool)])
    found = values(IntervalScan(), x, w, labels)
    assert np.isfinite(found).all()


def test_an_increasing_map_changes_nothing(rng: np.random.Generator) -> None:
    x, w = _problem(rng, "positive")
    labels = random_labels(N, FIRST, 3, rng)
    np.testing.assert_array_equal(
        values(IntervalScan(), np.exp(x), w, labels), values(IntervalScan(), x, w, labels)
    )


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = _problem(rng, "signed")
    labels = random_labels(N, FIRST, 11, rng)
    whole = values(IntervalScan(), x, w, labels)
    monkeypatch.setattr("verisimile.checks.twosample.statistics.interval_scan._ENTRIES", 3 * N)
    np.testing.assert_allclose(values(IntervalScan(), x, w, labels), whole, rtol=1e-12)


def test_a_bump_is_seen_and_its_size_is_said(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4000, 2))
    x[:80, 0] = 1.2 + 0.01 * rng.normal(size=80)
    scan = IntervalScan().prepare(x, np.ones(4000), rng)
    labels = np.vstack([np.arange(4000) < 2000, random_labels(4000, 2000, 50, rng)])
    found = scan.values(labels)
    assert found[0] > found[1:].max() + 3.0
    details = scan.details(labels[:1])
    assert 80 / 4000 < details["share of the pool"] < 160 / 4000
    # 80 of 4000 are in the first sample only: z is not far from sqrt(80).
    assert details["largest |z|"] > np.sqrt(80) - 2.0


def test_one_cell_is_refused() -> None:
    with pytest.raises(InputError, match="two cells"):
        IntervalScan(cells=1)


def _own_squares(scan: PreparedScan, rows: MassRows) -> tuple[Array, ...]:
    """Return z in units of each window's own squared masses: the defective twin."""
    found = []
    for cell, plain in zip(scan.cells, scan.windows, strict=True):
        order = np.argsort(cell, kind="stable")
        starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
        sums = np.add.reduceat(rows.signed.T[order], starts, axis=0)
        running = np.cumsum(np.bincount(cell, rows.base**2))
        running = np.concatenate([[0.0], running])
        inside, total = running[plain.high] - running[plain.low], running[-1]
        variance = inside * (1.0 - 2.0 * plain.share) + plain.share**2 * total
        scale = np.divide(1.0, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
        scaled = replace(plain, per_deviation=scale)
        found.append(scaled.deviations(sums, np.zeros(sums.shape[1])))
    return tuple(found)


def test_true_nulls_with_signs_are_kept(
    rng: np.random.Generator, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rejected(count: int) -> int:
        rejections = 0
        for e in range(count):
            weights = np.where(rng.random(300) < 0.25, -1.0, 1.0)
            pair = Events(rng.normal(size=(1500, 2))), Events(rng.normal(size=(300, 2)), weights)
            run = Run(seeds.at(e))
            (found,) = permutation_test(run, *pair, [IntervalScan()], permutations=39)
            rejections += found.p_value.value <= 0.05
        return rejections

    # More than eight of 40 at 5 % happen once in 4000.
    assert rejected(40) <= 8
    monkeypatch.setattr(PreparedScan, "mass_scores", _own_squares)
    assert rejected(12) > 8
