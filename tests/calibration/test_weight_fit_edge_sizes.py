"""Errors of few events, where positivity bounds the weights, and the test that relies on them.

Six nearly collinear Gaussians with equal true weights, pseudo-events at their defaults.
Squared pulls of all weights are compared with chi-squared of five degrees: at most 8 %
above its 95 % point, none beyond 100.  The p-value of the goodness-of-fit test (predictive
toys, all defaults) of true nulls must have its size, by the exact binomial interval; with 39
toys p = (k + 1) / 40 rejects at 5 and 32.5 % in exactly that share.  One edge is known to
be conservative: of the positive densities that twenty members can form, nearly all are less
like each of them than the truth is.  There the level must not be exceeded, and that is all.
All checks of sizes together fail for a correct program with probability 5 % at most.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from edge_study import Edge, collapsed, edge_p_values, six_fit, squared_pulls
from statistical import assert_rate
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(7200)]

DATASETS, EXPERIMENTS = 400, 200
FEW = (50, 100, 200, 400)
POINT = float(stats.chi2.isf(0.05, 5))
EDGES = (
    Edge("six", 25, 200),
    Edge("six", 50, 50),
    Edge("six", 100, 100),
    Edge("twenty", 500, 500),
)
CONSERVATIVE = (EDGES[3],)
LEVELS = (0.05, 0.325)
ALPHA = 0.05 / (len(EDGES) * len(LEVELS))


def _check_pulls(pulls: Array) -> None:
    assert np.mean(pulls > POINT) <= 0.08
    assert pulls.max() < 100.0


@pytest.mark.parametrize("n", [25, *FEW])
def test_squared_pulls_are_those_of_their_degrees_of_freedom(n: int, show: Show) -> None:
    seeds = Seeds(20261201).at("pulls", n)
    fits = [six_fit(n, seeds.at(i).numpy()) for i in range(DATASETS)]
    pulls = squared_pulls(fits)
    twin = squared_pulls([collapsed(fit) for fit in fits])
    for name, values in (("events' information", pulls), ("collapsed twin", twin)):
        show(
            f"n_w = {n:<4d} {name:20s} mean / dof {values.mean() / 5:9.3g}   above 95 % "
            f"{np.mean(values > POINT):.3f}   largest {values.max():9.3g}"
        )
    bound = np.mean([fit.record.free_share < 0.5 for fit in fits])
    show(f"n_w = {n:<4d} positivity binds in {bound:.1%}")
    _check_pulls(pulls)
    if n <= 200:
        with pytest.raises(AssertionError):
            _check_pulls(twin)


def _check_sizes(p: Array, *, conservative: bool) -> None:
    for level in LEVELS:
        rejected = int((p <= level + 1e-9).sum())
        if not conservative:
            assert_rate(rejected, p.size, level, alpha=ALPHA)
        chance = float(stats.binom.sf(rejected - 1, p.size, level))
        assert chance >= ALPHA, f"{rejected} of {p.size} is outside: more than {level} allows"


@pytest.mark.parametrize("edge", EDGES, ids=lambda e: f"{e.family}-{e.n_weights}-{e.n_test}")
def test_true_nulls_are_rejected_at_their_level(edge: Edge, show: Show) -> None:
    p = _p_values(edge, show, twin=False)
    _check_sizes(p, conservative=edge in CONSERVATIVE)


def test_collapsed_errors_reject_true_nulls(show: Show) -> None:
    p = _p_values(EDGES[0], show, twin=True)
    with pytest.raises(AssertionError, match="outside"):
        _check_sizes(p, conservative=True)


def _p_values(edge: Edge, show: Show, *, twin: bool) -> Array:
    run = Run(Seeds(20261202), executor="loky:2")
    p = edge_p_values(run, edge, experiments=EXPERIMENTS, twin=twin)
    rates = "  ".join(f"{level:.1%}: {np.mean(p <= level + 1e-9):.3f}" for level in LEVELS)
    show(f"{edge} {'collapsed twin' if twin else ''} rejects at {rates}")
    return p
