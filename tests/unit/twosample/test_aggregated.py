"""Several widths: the smallest p-value by its definition, and what it is without recalibration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from verisimile.checks.twosample.permutation import Job, permutation_test
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistics.mmd import AggregatedMMD
from verisimile.checks.twosample.statistics.nplm import AggregatedNPLM
from verisimile.checks.twosample.statistics.protocol import Statistic, Tabulated
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.coordinates import Standardised
from verisimile.samples.pool import pool_samples

STATISTICS = pytest.mark.parametrize(
    "statistic",
    [AggregatedMMD(), AggregatedNPLM(quantiles=(0.05, 0.3, 0.9))],
    ids=lambda statistic: statistic.name,
)
REPETITIONS, RELABELINGS = 300, 19


def _samples(rng: np.random.Generator, n: int, shift: float = 0.0) -> tuple[Events, Events]:
    return Events(rng.normal(size=(n, 2))), Events(rng.normal(size=(n, 2)) + shift)


def _tested(seed: int, statistic: Statistic, n: int, shift: float, count: int) -> TwoSample:
    run = Run(Seeds(seed))
    first, second = _samples(run.seeds.at("events").numpy(), n, shift)
    return permutation_test(run, first, second, [statistic], permutations=count)[0]


def _by_definition(table: Array) -> float:
    """Return the recalibrated p-value of the first row by loops.

    Rows of equal smallest p are ordered by how far out they lie where they have it; ties count.
    """
    centre, spread = table.mean(axis=0), table.std(axis=0)
    keys = []
    for row in table:
        p = [sum(other[j] >= row[j] for other in table) / len(table) for j in range(len(row))]
        out = max((row[j] - centre[j]) / spread[j] for j in range(len(row)) if p[j] == min(p))
        keys.append((min(p), -out))
    return float(sum(key <= keys[0] for key in keys) / len(keys))


@STATISTICS
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_p_value_is_its_definition(statistic: Statistic, seed: int) -> None:
    run = Run(Seeds(seed))
    first, second = _samples(run.seeds.at("events").numpy(), 30, 0.4)
    (found,) = permutation_test(run, first, second, [statistic], permutations=79)
    pool = pool_samples(first, second, Standardised())
    at = run.at("two-sample").seeds
    prepared = Job(pool, statistic, at).prepared
    assert isinstance(prepared, Tabulated)
    labels = np.concatenate([pool.observed(), pool.relabeled(at.at("relabel"), 0, 79)])
    assert found.p_value.value == pytest.approx(_by_definition(prepared.table(labels)))


def _judge_size(rejected: int) -> None:
    # Ranks tie between the widths, which makes the p-value conservative and never too small.
    assert stats.binom.sf(rejected - 1, REPETITIONS, 0.05) > 1e-4


def _smallest(found: TwoSample) -> float:
    return min(value for name, value in found.details.items() if name.startswith("p, "))


@pytest.mark.calibration
@STATISTICS
def test_the_smallest_p_value_is_none_until_it_is_recalibrated(statistic: Statistic) -> None:
    results = [_tested(1000 + seed, statistic, 30, 0.0, RELABELINGS) for seed in range(REPETITIONS)]
    _judge_size(sum(found.p_value.value <= 0.05 + 1e-12 for found in results))
    # The defective twin, on which the very same check fails.
    uncorrected = sum(_smallest(found) <= 0.05 + 1e-12 for found in results)
    with pytest.raises(AssertionError):
        _judge_size(uncorrected)
