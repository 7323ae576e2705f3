"""Size of two-sample tests whose samples have weights of different laws; groups of rows.

Five hundred true nulls of each pair in `weighted_pairs`, 199 draws, five statistics and the
smallest of their p-values.  Rejections at 5 % lie inside the exact binomial interval wherever both
samples are worth 30 events; fewer are refused.  The twin relabels events with
their weights.  All comparisons together fail a correct program with probability 5 % at most.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from surrogates import signed
from verisimile.checks.twosample.permutation import Exchangeable, permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import CramerVonMises, MarginalKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.kernel_distance import KernelDistance
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.validation.battery import global_p_value
from weighted_pairs import PAIRS, Pair

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(7200)]

SEEDS = Seeds(20261129).at("weighted nulls")
EXPERIMENTS, DRAWS = 500, 199
STATISTICS: tuple[Statistic, ...] = (
    EnergyDistance(),
    MarginalKS("max"),
    CramerVonMises(),
    KernelDistance(degree=2),
    IntervalScan(),
)
OF_MANY: tuple[Statistic, ...] = (EnergyDistance(most=1000), *STATISTICS[1:])
NAMES = (*(statistic.name for statistic in STATISTICS), "smallest p")
ALPHA = 0.05 / (len(PAIRS) * len(NAMES))


def _p_values(at: Seeds, pair: Pair, *, relabel: bool) -> tuple[list[float], str]:
    """Return each p-value, that of all together, and why they would be refused."""
    first, second = pair(at.at("events").numpy())
    draws = Exchangeable(DRAWS) if relabel else DRAWS
    found = permutation_test(Run(at), first, second, STATISTICS, permutations=draws)
    together = global_p_value(found, ())
    assert together is not None
    return [*(one.p_value.value for one in found), together.value], found[0].refusal


@lru_cache
def _study(name: str, experiments: int, *, relabel: bool) -> tuple[Array, int]:
    """Return p-values ``(E, S + 1)`` of the pairs that are not refused, and how many are."""
    table, refused = [], 0
    for experiment in range(experiments):
        p, refusal = _p_values(SEEDS.at(name, experiment), PAIRS[name], relabel=relabel)
        refused += bool(refusal)
        if not refusal:
            table.append(p)
    return np.array(table).reshape(-1, len(NAMES)), refused


def _inside(rejected: int, total: int, rate: float) -> bool:
    low, high = stats.binom.ppf([ALPHA / 2, 1 - ALPHA / 2], total, rate)
    return bool(low <= rejected <= high)


def _rejected(p: Array, level: float) -> Array:
    return np.asarray((p <= level + 1e-12).sum(axis=0))


@pytest.mark.parametrize("name", PAIRS)
def test_true_nulls_are_rejected_at_the_level_or_refused(name: str, show: Show) -> None:
    p, refused = _study(name, EXPERIMENTS, relabel=False)
    show(f"{name}: {refused} of {EXPERIMENTS} refused")
    if not len(p):
        return
    for level in (0.05, 0.32):
        rates = _rejected(p, level) / len(p)
        show(
            f"    {level:g}: "
            + ", ".join(f"{n} {r:.3f}" for n, r in zip(NAMES, rates, strict=True))
        )
    if refused > EXPERIMENTS // 2:
        # What is left was chosen by its weights: it must not reject too often.
        assert (stats.binom.sf(_rejected(p, 0.05) - 1, len(p), 0.05) > ALPHA).all()
        return
    counts = dict(zip(NAMES, _rejected(p, 0.05).tolist(), strict=True))
    # Windows hold few heavy events: with a few of them the scan may reject less.
    scan = counts.pop("interval scan")
    assert stats.binom.sf(scan - 1, len(p), 0.05) > ALPHA
    assert all(_inside(count, len(p), 0.05) for count in counts.values())


def test_the_twin_that_relabels_weights_rejects_true_nulls(show: Show) -> None:
    for name in ("300 against 60 signed, 25 %", "1500 uniform(.9, 1.1) against 300 signed, 25 %"):
        p, refused = _study(name, 100, relabel=True)
        rejected = _rejected(p, 0.05)
        show(f"relabeled, {name}: {rejected / 100}")
        assert refused == 0
        assert stats.binom.sf(rejected[-1] - 1, 100, 0.05) < 1e-6


def test_real_events_with_signs_keep_the_level(show: Show) -> None:
    # 10 000 unweighted events against 1 000, of which 15 % weigh -1: both of one real sample.
    truth, rejected = load_example()["truth"], []
    for experiment in range(100):
        at = SEEDS.at("real", experiment)
        rng = at.at("events").numpy()
        rows = rng.choice(truth.n, 11_000, replace=False)
        second = signed(truth.take(rows[10_000:]), rng)
        found = permutation_test(
            Run(at), truth.take(rows[:10_000]), second, OF_MANY, permutations=DRAWS
        )
        together = global_p_value(found, ())
        assert together is not None
        rejected.append([*(one.p_value.value <= 0.05 for one in found), together.value <= 0.05])
    counts = np.sum(rejected, axis=0)
    show(f"real events, 15 % signed: {counts / 100}")
    low, high = stats.binom.ppf([0.005 / len(counts), 1 - 0.005 / len(counts)], 100, 0.05)
    assert ((low <= counts) & (counts <= high)).all()


def _one_law(at: Seeds, *, relabel: bool) -> Array:
    rng = at.at("events").numpy()
    x, w = rng.normal(size=(2, 200, 2)), rng.uniform(0.2, 1.8, size=(2, 200))
    x[1] += 0.17
    draws = Exchangeable(DRAWS) if relabel else DRAWS
    found = permutation_test(
        Run(at), Events(x[0], w[0]), Events(x[1], w[1]), STATISTICS, permutations=draws
    )
    return np.array([one.p_value.value <= 0.05 for one in found])


def test_weights_of_one_law_lose_little_power(show: Show) -> None:
    experiments = 300
    seen = np.array(
        [
            [_one_law(SEEDS.at("power", k), relabel=relabel) for relabel in (False, True)]
            for k in range(experiments)
        ]
    ).astype(float)
    power = seen.mean(axis=0)
    # The same events: only those that one of the two sees say anything.
    error = (seen[:, 0] - 0.95 * seen[:, 1]).std(axis=0, ddof=1) / np.sqrt(experiments)
    for name, multiplied, relabeled in zip(NAMES[:-1], *power, strict=True):
        show(f"power, weights of one law: {name} {multiplied:.3f}, relabeled {relabeled:.3f}")
    assert (power[0] - 0.95 * power[1] > -3.0 * error).all()


def _triples(rng: np.random.Generator, events: int, *, grouped: bool) -> Events:
    """Return three rows of each physics event, which are nearly the same."""
    x = np.repeat(rng.normal(size=(events, 2)), 3, axis=0) + 0.1 * rng.normal(size=(3 * events, 2))
    return Events(x, group=np.repeat(np.arange(events), 3) if grouped else None)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_one_physics_event_are_drawn_together(weighted: bool, show: Show) -> None:
    def rejected(*, grouped: bool) -> int:
        count = 0
        for experiment in range(300):
            at = SEEDS.at("groups", experiment)
            rng = at.at("events").numpy()
            first, second = (_triples(rng, n, grouped=grouped) for n in (50, 40))
            if weighted:
                heavy = np.repeat(rng.uniform(0.5, 1.5, size=40), 3)
                second = Events(second.x, heavy, group=second.group)
            (found,) = permutation_test(
                Run(at), first, second, [EnergyDistance()], permutations=DRAWS
            )
            count += found.p_value.value <= 0.05
        return count

    right, twin = rejected(grouped=True), rejected(grouped=False)
    show(f"rows in groups, weighted {weighted}: {right / 300:.3f}, as if alone {twin / 300:.3f}")
    assert stats.binom.ppf(0.005, 300, 0.05) <= right <= stats.binom.ppf(0.995, 300, 0.05)
    assert stats.binom.sf(twin - 1, 300, 0.05) < 1e-6
