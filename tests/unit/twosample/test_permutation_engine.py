"""Relabelings: exact p-values, blocks, executors, resume, early stopping, weights, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from distance_statistics import ALL
from two_samples import SumOfFirst, samples
from verisimile.checks.twosample import permutation
from verisimile.checks.twosample.permutation import permutation_test, two_sample
from verisimile.checks.twosample.result import TwoSample, tie_threshold
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.mmd import MMD, AggregatedMMD
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.coordinates import NormalScores, Standardised
from verisimile.samples.pool import Labels, pool_samples
from verisimile.stats.aggregate import min_p


def _same(left: Sequence[TwoSample], right: Sequence[TwoSample]) -> None:
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a.null, b.null, rtol=1e-9, atol=1e-12)
        assert a.observed == pytest.approx(b.observed, rel=1e-9)
        assert a.p_value == b.p_value


def test_relabelings_are_uniform_over_the_labels() -> None:
    # 4 choose 2 labels of six: each a sixth of 3000.
    pool = pool_samples(Events([[1.0], [2.0]]), Events([[3.0], [4.0]]), NormalScores())
    labels = pool.relabeled(Seeds(3), 0, 3000)
    assert (labels.sum(axis=1) == 2).all()
    counts = [(labels[:, [i, j]].all(axis=1)).sum() for i, j in itertools.combinations(range(4), 2)]
    assert np.abs(np.array(counts) - 500).max() < 5 * np.sqrt(3000 * 5 / 36)


def test_the_p_value_is_the_add_one_count() -> None:
    first, second = samples(shift=0.3)
    (found,) = permutation_test(Run(Seeds(1)), first, second, [EnergyDistance()], permutations=99)
    count = int((found.null >= found.observed).sum())
    assert found.p_value.value == (count + 1) / 100
    assert found.null.shape == (99,)
    assert found.null_mean == pytest.approx(found.null.mean())
    assert found.null_sd == pytest.approx(found.null.std(ddof=1))


def test_ties_up_to_rounding_count() -> None:
    # Every relabeling of one event against two of the same kind ties with another.
    x = np.array([[0.1], [0.3], [0.1], [0.3], [0.1], [0.3]])
    (found,) = permutation_test(
        Run(Seeds(1)), Events(x[:2]), Events(x[2:]), [EnergyDistance()], permutations=400
    )
    # The observed distance, of equal shares, is the smallest there is.
    assert found.p_value.value == 1.0
    lowered = tie_threshold(np.array([1.0]), np.array([[0.0], [2.0]]))
    assert 1.0 - 2e-6 < lowered[0] < 1.0


@dataclass(frozen=True)
class Rounding:
    """A constant, up to the last bits that sums in another order leave."""

    name: str = "rounding"
    weights: str = "none"

    def prepare(self, pooled: Array, weights: Array, rng: object) -> Rounding:  # noqa: ARG002
        return self

    def values(self, labels: Labels) -> Array:
        return 1e-16 * np.arange(len(labels), 0.0, -1.0)


def test_rounding_is_no_evidence() -> None:
    # The observed value comes first, and is the largest by its last bits.
    first, second = samples()
    (found,) = permutation_test(Run(Seeds(1)), first, second, [Rounding()], permutations=99)
    assert found.observed > found.null.max()
    assert found.p_value.value == 1.0


@pytest.mark.parametrize("block", [7, 50, 10_000])
def test_numbers_do_not_depend_on_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = samples()
    usual = permutation_test(Run(Seeds(1)), first, second, ALL, permutations=60)
    monkeypatch.setattr(permutation, "_BLOCK", block)
    _same(permutation_test(Run(Seeds(1)), first, second, ALL, permutations=60), usual)


def test_numbers_do_not_depend_on_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = samples()
    whole = permutation_test(Run(Seeds(1)), first, second, ALL, permutations=60)
    monkeypatch.setattr(permutation, "_FEWEST_ROWS", 7)
    monkeypatch.setattr(permutation, "_LABELS", 1)
    _same(permutation_test(Run(Seeds(1)), first, second, ALL, permutations=60), whole)


def test_all_statistics_see_the_same_relabelings() -> None:
    first, second = samples()
    up, down = permutation_test(
        Run(Seeds(1)), first, second, [SumOfFirst(), SumOfFirst(signs=-1)], permutations=20
    )
    np.testing.assert_array_equal(up.null, -down.null)


def test_workers_and_the_store_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = samples()
    monkeypatch.setattr(permutation, "_BLOCK", 20)
    serial = permutation_test(Run(Seeds(1)), first, second, ALL, permutations=60)
    run = Run(Seeds(1), executor="loky:2", store=tmp_path)
    _same(permutation_test(run, first, second, ALL, permutations=60), serial)

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(permutation.Job, "prepared", property(refuse))
    again = permutation_test(Run(Seeds(1), store=tmp_path), first, second, ALL, permutations=60)
    _same(again, serial)


def test_other_settings_are_not_taken_from_the_store() -> None:
    first, second = samples()
    run = Run(Seeds(1))
    narrow, wide = (
        permutation_test(run, first, second, [MMD(bandwidth=h)], permutations=9)[0] for h in (1, 2)
    )
    assert narrow.observed != wide.observed


@pytest.mark.parametrize("stop_after", [1, 10])
def test_early_stopping_ends_on_the_same_relabelings(
    stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = samples()

    def found(stop_after: int | None) -> TwoSample:
        run = Run(Seeds(1))
        return permutation_test(run, first, second, [EnergyDistance()], stop_after=stop_after)[0]

    full, stopped = found(None), found(stop_after)
    used = stopped.p_value.n_null
    assert used < 999
    assert stopped.p_value.value == stop_after / used
    np.testing.assert_allclose(stopped.null, full.null[:used], rtol=1e-9)
    assert (full.null[:used] >= full.observed).sum() == stop_after
    monkeypatch.setattr(permutation, "_FIRST_LOOK", 13)
    _same([found(stop_after)], [stopped])


def test_early_stopping_of_a_clear_difference_uses_all() -> None:
    first, second = samples(shift=2.0)
    (found,) = permutation_test(
        Run(Seeds(1)), first, second, [EnergyDistance()], permutations=150, stop_after=10
    )
    assert found.p_value.value == 1 / 151


def test_min_p_is_over_all_relabelings_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = samples(shift=0.2)
    monkeypatch.setattr(permutation, "_BLOCK", 25)
    (found,) = permutation_test(
        Run(Seeds(1)), first, second, [AggregatedMMD()], permutations=99, stop_after=5
    )
    pool = pool_samples(first, second, Standardised())
    prepared = AggregatedMMD().prepare(pool.x, pool.weights, np.random.default_rng(1))
    labels = pool.relabeled(Seeds(1).at("two-sample", "relabel"), 0, 99)
    wanted = min_p(prepared.table(pool.observed())[0], prepared.table(labels))
    assert found.p_value.value == wanted.p_value.value
    assert [value for name, value in found.details.items() if name.startswith("p, ")] == [
        column.value for column in wanted.columns
    ]


def test_one_statistic_is_the_test_of_it_alone() -> None:
    rng = np.random.default_rng(7)
    one, other = Events(rng.normal(size=(60, 2))), Events(rng.normal(0.8, 1.0, (50, 2)))
    alone = two_sample(Run(Seeds(3)), one, other, statistic=MarginalKS("max"), permutations=99)
    (same,) = permutation_test(Run(Seeds(3)), one, other, [MarginalKS("max")], permutations=99)
    assert (alone.p_value, alone.observed) == (same.p_value, same.observed)
    assert two_sample(Run(Seeds(3)), one, other, permutations=99).statistic == "energy"
