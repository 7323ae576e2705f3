"""The smallest visible effect: against closed forms, with records, columns, failures, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate, assert_within
from two_samples import samples
from verisimile.checks.twosample import permutation, sensitivity
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.sensitivity import (
    Sensitivity,
    rejections,
    smallest_effects,
)
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.mmd import AggregatedMMD
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pool import Labels, MassRows
from verisimile.stats.aggregate import min_p


@dataclass(frozen=True)
class MeanDifference:
    """The absolute difference of weighted means: its power is that of the z test."""

    weights: str = "positive"
    name: str = "mean difference"
    fails: bool = False

    def prepare(self, pooled: Array, weights: Array, rng: object) -> _Means:  # noqa: ARG002
        return _Means(pooled[:, 0], weights, self.fails)


@dataclass(frozen=True)
class _Means:
    x: Array
    w: Array
    fails: bool

    def values(self, labels: Labels) -> Array:
        second = (~labels @ (self.w * self.x)) / (~labels @ self.w)
        gap = np.abs(second - (labels @ (self.w * self.x)) / (labels @ self.w))
        return np.where(self.x[labels.argmax(axis=1)] > 0.0, np.nan, gap) if self.fails else gap

    def of_masses(self, rows: MassRows) -> Array:
        return np.abs(rows.signed @ self.x)


def _found(
    first: Events, second: Events, statistics: Sequence[Statistic], permutations: int = 399
) -> tuple[Sensitivity, ...]:
    run = Run(Seeds(3))
    results = permutation_test(run, first, second, statistics, permutations=permutations)
    return smallest_effects(run, first, second, statistics, results)


def _judge(found: Sensitivity, unit: float) -> None:
    """Compare with the two-sided z test of a mean difference with this standard error."""
    for value, power in ((found.at_half, 0.5), (found.at_ninety, 0.9)):
        assert value is not None
        wanted = (stats.norm.isf(0.025) + stats.norm.ppf(power)) * unit
        # The 95 % point of 399 relabelings has an error of its own.
        quantile = np.sqrt(0.05 * 0.95 / 399) / (2 * stats.norm.pdf(1.96)) * unit
        assert_within(value.value, wanted, np.hypot(value.error, quantile))


@pytest.mark.parametrize("sizes", [(300, 300), (500, 150)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_mean_difference_has_the_power_of_the_z_test(
    sizes: tuple[int, int], weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "_LABELINGS", 100)
    rng = np.random.default_rng(1)
    first, second = (
        Events(rng.normal(size=(n, 1)), rng.uniform(0.2, 1.8, size=n) if weighted else None)
        for n in sizes
    )
    unit = np.sqrt(1 / first.n_effective + 1 / second.n_effective)
    shift, local = _found(first, second, [MeanDifference()])
    assert (shift.effect, local.effect) == ("shift", "local")
    _judge(shift, unit)
    # A twin with one defect: a critical value near the relabelings' median.
    results = permutation_test(Run(Seeds(3)), first, second, [MeanDifference()], permutations=399)
    twin = smallest_effects(Run(Seeds(3)), first, second, [MeanDifference()], results, level=0.45)
    with pytest.raises(AssertionError):
        _judge(twin[0], unit)


def test_without_an_effect_the_power_is_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "_LABELINGS", 300)
    monkeypatch.setattr(sensitivity, "_STEPS", np.array([1e-9]))
    monkeypatch.setattr(sensitivity, "_MOST", 1e-12)
    first, second = samples(n=100)
    for found in _found(first, second, [EnergyDistance(), AggregatedMMD(), IntervalScan()]):
        assert found.effects.shape == (1,)
        # The critical value has an error as well: 399 relabelings, 300 labelings.
        assert_rate(round(float(found.power[0]) * 300 * 0.57), round(300 * 0.57), 0.05)
        assert found.at_half is None


def test_power_grows_and_local_effects_are_for_the_scan() -> None:
    rng = np.random.default_rng(2)
    first, second = Events(rng.normal(size=(4000, 2))), Events(rng.normal(size=(4000, 2)))
    found = _found(first, second, [MarginalKS("max"), IntervalScan()], permutations=99)
    for item in found:
        assert (np.diff(item.effects) >= 0).all()
        assert (np.diff(item.smoothed) >= 0).all()
        assert item.n_failed == 0
        assert item.effects.shape == item.power.shape == item.smoothed.shape
    ks_shift, ks_local, scan_shift, scan_local = found
    assert ks_local.at_half is None or scan_local.at_half is not None
    assert scan_local.at_half is not None
    assert scan_local.at_ninety is not None
    assert scan_local.at_half.value < scan_local.at_ninety.value < 0.02
    assert ks_shift.at_half is not None
    assert scan_shift.at_half is not None
    assert ks_shift.at_half.value < scan_shift.at_half.value


def test_columns_are_ranked_with_the_relabelings(rng: np.random.Generator) -> None:
    null, rows = rng.normal(size=(199, 3)), rng.normal(size=(10, 3)) + 1.0
    found = rejections(rows, null, 0.1)
    wanted = [min_p(row, null).p_value.value <= 0.1 for row in rows]
    assert found.tolist() == wanted
    assert found.any()
    assert not found.all()


def test_records_are_used_and_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = samples(n=80)
    several: list[Statistic] = [EnergyDistance(), AggregatedMMD()]
    run = Run(Seeds(3), store=tmp_path)
    results = permutation_test(run, first, second, several, permutations=99)
    found = smallest_effects(run, first, second, several, results)

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(permutation.Job, "prepared", property(refuse))
    again = smallest_effects(run, first, second, several, results)
    assert [repr(item) for item in again] == [repr(item) for item in found]


def test_workers_give_the_same() -> None:
    first, second = samples(n=80)
    several: list[Statistic] = [EnergyDistance(), AggregatedMMD()]
    results = permutation_test(Run(Seeds(3)), first, second, several, permutations=99)
    serial, parallel = (
        smallest_effects(Run(Seeds(3), executor=name), first, second, several, results)
        for name in ("serial", "loky:2")
    )
    assert [repr(item) for item in serial] == [repr(item) for item in parallel]


def test_an_early_end_is_completed() -> None:
    first, second = samples(n=80)
    run, several = Run(Seeds(3)), [EnergyDistance()]
    (stopped,) = permutation_test(run, first, second, several, permutations=199, stop_after=2)
    assert stopped.null.size < 99
    (full,) = permutation_test(Run(Seeds(3)), first, second, several, permutations=99)
    found = smallest_effects(run, first, second, several, [stopped])
    wanted = smallest_effects(Run(Seeds(3)), first, second, several, [full])
    assert [repr(item) for item in found] == [repr(item) for item in wanted]


def test_labelings_without_a_value_are_not_seen_and_counted() -> None:
    rng = np.random.default_rng(1)
    first, second = Events(rng.normal(size=(200, 1))), Events(rng.normal(size=(200, 1)))
    statistic = MeanDifference(fails=True)
    results = permutation_test(Run(Seeds(3)), first, second, [MeanDifference()], permutations=99)
    found = smallest_effects(Run(Seeds(3)), first, second, [statistic], results)[0]
    assert 0.1 < found.n_failed / (found.labelings * found.power.size) < 0.95
    assert found.power.max() < 0.9
    assert found.at_ninety is None


def test_the_result_survives_the_disk_and_says_what_was_not_reached(tmp_path: Path) -> None:
    for index, item in enumerate(_found(*samples(n=80), [EnergyDistance()], permutations=99)):
        back = load(save(item, tmp_path / str(index)))
        assert isinstance(back, Sensitivity)
        assert repr(back) == repr(item)
        assert back.at_half == item.at_half
    assert "50 %: more than 0.0" in repr(item)


def test_other_results_are_refused() -> None:
    first, second = samples(n=80)
    run, several = Run(Seeds(3)), [EnergyDistance()]
    (result,) = permutation_test(run, first, second, several, permutations=99)
    for wrong in (
        [],
        [result, result],
        [replace(result, statistic="mmd")],
        [replace(result, n_first=3)],
        [replace(result, coordinates="others")],
    ):
        with pytest.raises(InputError, match="results of"):
            smallest_effects(run, first, second, several, wrong)
    for level in (0.0, 0.5, np.nan):
        with pytest.raises(InputError, match="between 0 and 0.5"):
            smallest_effects(run, first, second, several, [result], level=level)
