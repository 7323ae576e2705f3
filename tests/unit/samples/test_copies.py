"""Copies are found, named and counted; coincidences of values are none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import comb

import numpy as np
import pytest

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.samples.copies import copies_of, exact_copies, near_copies, rows_of, twins
from verisimile.stats.coincidences import chance_of, value_pairs

Law = Callable[[np.random.Generator, int], Array]

LATTICES: dict[str, Law] = {
    "narrow": lambda rng, n: rng.normal(size=(n, 2)).round(),
    "wide": lambda rng, n: (30.0 * rng.normal(size=(n, 2))).round(),
    "scaled": lambda rng, n: np.asarray((rng.poisson(3000.0, size=(n, 1)) - 3.3) / 7.1),
    "spiked": lambda rng, n: np.where(rng.random((n, 3)) < 0.4, 0.0, rng.normal(size=(n, 3))),
    "one decimal": lambda rng, n: rng.normal(size=(n, 2)).round(1),
}


def _kinds(x: Array, y: Array) -> list[str]:
    return [each.kind for each in copies_of(Events(x), Events(y))]


@pytest.mark.parametrize("name", sorted(LATTICES))
@pytest.mark.parametrize(("n", "m"), [(400, 400), (1000, 60), (60, 1000)])
def test_coincidences_are_no_copies(name: str, n: int, m: int) -> None:
    law = LATTICES[name]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert _kinds(law(rng, n), law(rng, m)) == []
        assert _kinds(law(rng, n), 0.5 * law(rng, m)) == []


@pytest.mark.parametrize("name", ["wide", "spiked"])
def test_copies_on_a_lattice_are_found(name: str, rng: np.random.Generator) -> None:
    x = LATTICES[name](rng, 1000)
    assert _kinds(x, x[rng.integers(1000, size=1000)]) == ["exact"]


@pytest.mark.parametrize("m", [50, 1000, 20_000])
def test_any_number_of_copies_is_found(m: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(1000, 2))
    (found,) = copies_of(Events(x), Events(x[rng.integers(1000, size=m)]))
    assert (found.kind, found.count, found.size) == ("exact", m, m)
    assert 0.0 < found.p < 1e-10


def test_repeats_within_a_sample_hide_no_copies(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 1000, 2))
    y[:300], y[300:500] = x[:300], y[500:700]
    assert _kinds(x, y) == ["exact"]
    assert _kinds(y, x) == ["exact"]


def test_one_shared_event_of_two_continuous_features_is_no_accident(
    rng: np.random.Generator,
) -> None:
    x, y = rng.normal(size=(2, 100, 2))
    y[3] = x[70]
    found = exact_copies(Events(x), Events(y))
    assert found is not None
    assert found.count == 1
    assert exact_copies(Events(x), Events(rng.normal(size=(100, 2)))) is None


def test_a_mixture_of_kinds_is_counted_once_each(rng: np.random.Generator) -> None:
    x = rng.normal(size=(1000, 3))
    y = np.concatenate([
        x[:100],
        x[100:250].astype(np.float32),
        x[250:300, ::-1],
        x[300:600] + 1e-4 * rng.normal(size=(300, 3)),
        rng.normal(size=(400, 3)),
    ])  # fmt: skip
    found = copies_of(Events(x), Events(y))
    assert [(each.kind, each.count) for each in found[:3]] == [
        ("exact", 100), ("float32", 150), ("columns", 50),
    ]  # fmt: skip
    assert found[3].kind == "near"
    assert 285 <= found[3].count <= 310


def test_counts_of_values_and_their_chance() -> None:
    keys = [np.array(values, dtype=np.uint64) for values in ([1, 2, 3, 4, 4], [1, 2, 5, 5])]
    across, first, second = value_pairs(keys[0], keys[1], kept=(5, 4))
    assert (across, first, second) == (2.0, 1.0, 1.0)
    # P(Bin(4, 1/2) >= 2)
    assert chance_of(across, first, second) == pytest.approx(11 / 16)
    assert chance_of(0.0, 5.0) == 1.0


def test_the_law_of_pairs_is_that_of_all_labelings() -> None:
    # Eight events on a line in three close pairs and two that are each other's neighbours too.
    pool = np.array([0.0, 0.1, 10.0, 10.2, 20.0, 20.3, 30.0, 34.0])[:, None]
    rng = np.random.default_rng(1)
    counts = []
    for labels in product([False, True], repeat=8):
        mask = np.array(labels)
        if mask.sum() == 3:
            counts.append(int((mask[::2] != mask[1::2]).sum()))
    assert len(counts) == comb(8, 3)
    mask = np.array([True, False, True, False, True, False, False, False])
    found = twins(pool[mask], pool[~mask], rng)
    assert (found.pairs, found.across) == (4, 3)
    assert found.p == pytest.approx(np.mean(np.array(counts) >= 3))
    assert found.expected == pytest.approx(np.mean(counts))


def test_near_copies_by_chance_are_one_in_a_thousand(rng: np.random.Generator) -> None:
    for d in (1, 2, 6):
        x, y = rng.normal(size=(2, 5000, d))
        found = near_copies(x, y)
        assert found.count < 25
        assert found.p > 1e-5


def test_repeats_that_values_explain_are_none(rng: np.random.Generator) -> None:
    for law in LATTICES.values():
        x, y = law(rng, 1000), law(rng, 700)
        rows = rows_of({"reference": Events(x), "generated": Events(y)})
        assert [each.repeated for each in rows] == [False, False]
    # Another law on a lattice that the reference never visits.
    far = Events((rng.normal(size=(500, 1)) + 30.0).round())
    assert not rows_of({"r": Events(rng.normal(size=(500, 1)).round()), "g": far})[1].repeated


@pytest.mark.parametrize("d", [1, 3])
def test_repeats_of_few_rows_are_found(d: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(1000, d))
    x[:50] = x[50:100]
    first, second = rows_of({"a": Events(x), "b": Events(rng.normal(size=(1000, d)))})
    assert (first.distinct, first.repeated) == (950, True)
    assert "950 different rows" in first.warning
    assert (second.repeated, second.warning) == (False, "")


def test_other_features_are_refused() -> None:
    with pytest.raises(InputError, match="b"):
        copies_of(Events([[0.0], [1.0]], names=("a",)), Events([[0.0], [1.0]], names=("b",)))
