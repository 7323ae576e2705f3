"""Size and power of the permutation test of distances, kernels and ranks.

With 99 relabelings p = (k + 1) / 100, so that a true null is rejected at 5 % in five
of a hundred cases, in fewer only if values tie.  P-values with ties broken at random
are uniform whatever ties there are.  All comparisons of a test together fail a correct
program with probability 5 % at most (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from distance_statistics import ALL
from statistical import assert_rate, assert_uniform
from two_sample_study import RELABELINGS, p_values
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import (
    CramerVonMises,
    Lines,
    MarginalKS,
    OverLines,
    ends_of,
)
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan, PreparedScan
from verisimile.checks.twosample.statistics.protocol import Prepared, Statistic
from verisimile.checks.twosample.windows import deviating_windows
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.walks import Reduction

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS = 500
ALPHA = 0.05 / (3 * len(ALL))


def _judge_size(p: Array, spread: Array) -> None:
    rejected = int((p <= 0.05 + 1e-12).sum())
    # Ties make the add-one p-value conservative; that much is allowed, and no more.
    assert stats.binom.sf(rejected - 1, p.size, 0.05) > ALPHA
    assert_rate(int((spread <= 0.05).sum()), p.size, 0.05, alpha=ALPHA)
    assert_uniform(spread, alpha=ALPHA)


@pytest.mark.parametrize("kind", ["none", "both"])
def test_true_nulls_are_rejected_at_the_level(kind: str, show: Show) -> None:
    p, spread = p_values(Seeds(611), ALL, EXPERIMENTS, kind=kind)
    for statistic, column, even in zip(ALL, p.T, spread.T, strict=True):
        show(
            f"size at 5 %, weights {kind:5s}: {(column <= 0.05 + 1e-12).mean():.3f} "
            f"{statistic.name}"
        )
        _judge_size(column, even)


def test_sequential_p_values_keep_the_level(show: Show) -> None:
    several = [statistic for statistic in ALL if statistic.name != "aggregated mmd"]
    p, _ = p_values(Seeds(612), several, EXPERIMENTS, stop_after=10)
    for statistic, column in zip(several, p.T, strict=True):
        rejected = int((column <= 0.05 + 1e-12).sum())
        show(f"size at 5 %, sequential: {rejected / EXPERIMENTS:.3f} {statistic.name}")
        assert stats.binom.sf(rejected - 1, EXPERIMENTS, 0.05) > ALPHA


@dataclass(frozen=True)
class Peeking:
    """A twin with one defect: its direction joins the means of the true samples."""

    first: int
    name: str = "peeking"
    weights: str = "none"

    def prepare(self, pooled: Array, weights: Array, rng: object) -> Prepared:  # noqa: ARG002
        axis = pooled[: self.first].mean(axis=0) - pooled[self.first :].mean(axis=0)
        line = (pooled @ axis)[None]
        order = np.argsort(line, axis=1).astype(np.int32)
        ends = ends_of(np.take_along_axis(line, order, axis=1)).astype(float)
        return OverLines(Lines(order, ends, weights, Reduction.SUPREMUM))


@dataclass(frozen=True)
class PeekingCells:
    """A twin with one defect: two cells, cut where the true samples differ most."""

    first: int
    name: str = "peeking cells"
    weights: str = "none"

    def prepare(self, pooled: Array, weights: Array, rng: object) -> Prepared:  # noqa: ARG002
        below = pooled[None, :, 0] <= pooled[:, None, 0]
        gaps = below[:, : self.first].mean(axis=1) - below[:, self.first :].mean(axis=1)
        return PreparedScan.of(below[[np.argmax(np.abs(gaps))]].T.astype(float), weights, 256)


@pytest.mark.parametrize("twin", [Peeking(40), PeekingCells(40)], ids=lambda twin: twin.name)
def test_a_preparation_that_sees_the_labels_is_found_out(twin: Statistic) -> None:
    p, spread = p_values(Seeds(613), [twin], EXPERIMENTS)
    with pytest.raises(AssertionError):
        _judge_size(p[:, 0], spread[:, 0])


def _hotelling_power(n: int, m: int, shift: float) -> float:
    """Return the power at 5 % of the best invariant test of a shift of two unit normals."""
    distance = 2 * shift**2 * n * m / (n + m)
    total = n + m - 3
    return float(stats.ncf.sf(stats.f.isf(0.05, 2, total), 2, total, distance))


def test_a_shift_is_seen(show: Show) -> None:
    # Both features by 0.5 standard deviations, 40 against 60 events.
    experiments, bound = 300, _hotelling_power(40, 60, 0.5)
    # A scan pays for the many places where it looks; its power is tested below.
    broad = [statistic for statistic in ALL if statistic.name != "interval scan"]
    p, _ = p_values(Seeds(614), broad, experiments, shift=0.5)
    for statistic, column in zip(broad, p.T, strict=True):
        seen = int((column <= 0.05 + 1e-12).sum())
        show(f"power, shift 0.5: {seen / experiments:.3f} {statistic.name} (Hotelling {bound:.3f})")
        # None gives away more than a third of what the optimal test has.
        assert stats.binom.cdf(seen, experiments, bound * 2 / 3) > ALPHA


def _bumps(at: Seeds, n: int, share: float) -> tuple[Events, Events]:
    """Return two samples, in the second of which a share of events sits in 0.05 of x0."""
    x = at.numpy().normal(size=(2, n, 2))
    moved = at.at("moved").numpy().random(n) < share
    x[1, moved, 0] = at.at("place").numpy().uniform(1.0, 1.05, size=int(moved.sum()))
    return Events(x[0]), Events(x[1])


def _known_window_power(n: int, share: float, windows: int) -> float:
    """Return the power at 5 % of the bump's own window, corrected for so many windows."""
    background = float(stats.norm.cdf(1.05) - stats.norm.cdf(1.0))
    rates = background, background * (1 - share) + share
    mean = sum(rates) / 2
    null, true = 2 * mean * (1 - mean) / n, sum(rate * (1 - rate) / n for rate in rates)
    critical = stats.norm.isf(0.025 / windows) * np.sqrt(null)
    return float(stats.norm.sf((critical - (rates[1] - rates[0])) / np.sqrt(true)))


def test_a_narrow_bump_is_seen(show: Show) -> None:
    n, share, experiments = 1000, 0.04, 200
    found, scanned = [], 0
    several: list[Statistic] = [IntervalScan(), MarginalKS("max")]
    for experiment in range(experiments):
        at = Seeds(617).at(experiment)
        first, second = _bumps(at, n, share)
        results = permutation_test(Run(at), first, second, several, permutations=RELABELINGS)
        found.append([result.p_value.value <= 0.05 + 1e-12 for result in results])
        scanned = scanned or deviating_windows(first, second).scanned
    seen, ks = np.sum(found, axis=0)
    bound = _known_window_power(n, share, scanned)
    show(
        f"power, bump of 4 % in 0.05: {seen / experiments:.3f} interval scan, "
        f"{ks / experiments:.3f} max ks "
        f"(its window, Bonferroni for {scanned}: {bound:.3f})"
    )
    assert stats.binom.cdf(seen, experiments, bound * 2 / 3) > ALPHA
    assert seen > ks


class Blind:
    """A twin with one defect: it looks at nothing."""

    name, weights = "blind", "none"

    def __init__(self, statistic: Statistic) -> None:
        self.statistic = statistic

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> Prepared:
        return self.statistic.prepare(pooled[:, :1] * 0.0, weights, rng)


@pytest.mark.parametrize("statistic", [MarginalKS("max"), CramerVonMises()])
def test_a_blind_twin_has_no_power(statistic: Statistic) -> None:
    p, _ = p_values(Seeds(615), [Blind(statistic)], 100, shift=0.5)
    bound = _hotelling_power(40, 60, 0.5) * 2 / 3
    assert stats.binom.cdf(int((p <= 0.05).sum()), 100, bound) < ALPHA


def test_weights_on_one_side_keep_the_level(show: Show) -> None:
    # Multipliers: right for many effective events, of which there are about 40; within 5 +- 3 %.
    p, _ = p_values(Seeds(616), ALL, EXPERIMENTS, sizes=(60, 60), kind="one")
    for statistic, column in zip(ALL, p.T, strict=True):
        size = float((column <= 0.05 + 1e-12).mean())
        show(f"size at 5 %, weights on one side: {size:.3f} {statistic.name}")
        assert 0.02 - 3 * 0.009 < size < 0.08 + 3 * 0.009
