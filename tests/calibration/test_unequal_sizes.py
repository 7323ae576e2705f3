"""More reference events never make a two-sample test worse.

A shift of one feature by a quarter of a standard deviation, 200 generated events against more and
more reference events, statistics that take a thousand: power at 5 % stays at 65 % or more.
The twin thins the pooled events without regard to the samples, and keeps ten of the 200.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import SlicedWasserstein
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.mmd import MMD, AggregatedMMD
from verisimile.checks.twosample.statistics.nplm import NPLM
from verisimile.checks.twosample.statistics.protocol import Prepared, Statistic
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.pool import Labels

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(7200)]

SEEDS = Seeds(20261129).at("unequal sizes")
EXPERIMENTS, GENERATED, MOST, POWER = 60, 200, 1000, 0.65
LINEAR: tuple[Statistic, ...] = (
    EnergyDistance(most=MOST),
    MMD(most=MOST),
    AggregatedMMD(most=MOST),
)
THINNED: tuple[Statistic, ...] = (SlicedWasserstein(20, most=MOST), NPLM(most=MOST))


def _seen(
    n: int, statistics: Sequence[Statistic], *, shift: float = 0.25, experiments: int = EXPERIMENTS
) -> Array:
    """Return how many experiments each statistic rejects at 5 %."""
    rejected = []
    for experiment in range(experiments):
        at = SEEDS.at(n, experiment)
        rng = at.numpy()
        first = Events(rng.normal(size=(n, 2)))
        second = Events(rng.normal(size=(GENERATED, 2)) + np.array([shift, 0.0]))
        found = permutation_test(Run(at), first, second, statistics, permutations=99)
        rejected.append([one.p_value.value <= 0.05 + 1e-12 for one in found])
    return np.asarray(np.sum(rejected, axis=0))


@pytest.mark.parametrize("n", [800, 5_000, 20_000, 200_000])
def test_a_small_shift_is_seen_at_every_reference_size(n: int, show: Show) -> None:
    # Thinned statistics use a thousand events at any size: two sizes show it.
    large = n > 20_000
    statistics = LINEAR[:2] if large else (*LINEAR, *THINNED)
    experiments = 20 if large else EXPERIMENTS
    seen = _seen(n, statistics, experiments=experiments)
    said = zip(statistics, seen, strict=True)
    show(
        f"{n} against {GENERATED}: " + ", ".join(f"{s.name} {k / experiments:.2f}" for s, k in said)
    )
    assert (stats.binom.cdf(seen, experiments, POWER) > 0.01 / 20).all()


def test_the_level_is_kept_with_features_and_subsets(show: Show) -> None:
    statistics = (*LINEAR, *THINNED)
    rejected = _seen(3_000, statistics, shift=0.0)
    show(f"size at 5 %, 3000 against {GENERATED}: {rejected / EXPERIMENTS}")
    assert (stats.binom.sf(rejected - 1, EXPERIMENTS, 0.05) > 0.01 / len(statistics)).all()


@dataclass(frozen=True)
class PooledThinning:
    """A twin with one defect: it takes random pooled events, whatever sample they are of."""

    name: str = "pooled thinning"
    weights: str = "none"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> _Part:
        rows = np.sort(rng.choice(len(pooled), MOST, replace=False))
        return _Part(rows, EnergyDistance().prepare(pooled[rows], weights[rows], rng))


@dataclass(frozen=True)
class _Part:
    rows: IntArray
    energy: Prepared

    def values(self, labels: Labels) -> Array:
        return self.energy.values(labels[:, self.rows])


def test_the_twin_that_thins_the_pool_sees_little(show: Show) -> None:
    seen = _seen(20_000, [PooledThinning()])
    show(f"pooled thinning, 20000 against {GENERATED}: {seen[0] / EXPERIMENTS:.2f}")
    assert stats.binom.cdf(seen[0], EXPERIMENTS, POWER) < 1e-6
