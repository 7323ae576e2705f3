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
from two_sample_study import p_values
from verisimile.checks.twosample.marginal import CramerVonMises, MarginalKS
from verisimile.checks.twosample.sliced import MeanOverLines
from verisimile.checks.twosample.statistic import Prepared, Statistic
from verisimile.checks.twosample.steps import Lines, ends_of, supremum
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds

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
        order = np.argsort(line, axis=1)
        ends = ends_of(np.take_along_axis(line, order, axis=1)).astype(float)
        return MeanOverLines(Lines(order, ends, weights, supremum))


def test_a_preparation_that_sees_the_labels_is_found_out() -> None:
    p, spread = p_values(Seeds(613), [Peeking(40)], EXPERIMENTS)
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
    p, _ = p_values(Seeds(614), ALL, experiments, shift=0.5)
    for statistic, column in zip(ALL, p.T, strict=True):
        seen = int((column <= 0.05 + 1e-12).sum())
        show(f"power, shift 0.5: {seen / experiments:.3f} {statistic.name} (Hotelling {bound:.3f})")
        # None gives away more than a third of what the optimal test has.
        assert stats.binom.cdf(seen, experiments, bound * 2 / 3) > ALPHA


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


def test_weights_on_one_side_are_nearly_exchangeable(show: Show) -> None:
    # Not covered by the theorem; sizes within 5 +- 3 %, as the page says.
    p, _ = p_values(Seeds(616), ALL, EXPERIMENTS, sizes=(60, 60), kind="one")
    for statistic, column in zip(ALL, p.T, strict=True):
        size = float((column <= 0.05 + 1e-12).mean())
        show(f"size at 5 %, weights on one side: {size:.3f} {statistic.name}")
        assert 0.02 - 3 * 0.009 < size < 0.08 + 3 * 0.009
