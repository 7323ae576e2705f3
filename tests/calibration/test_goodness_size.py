"""The goodness-of-fit p-value is uniform under the null, and that of plug-in toys is not.

Three calibrations, three hypotheses, and a quarter, one and four times as many test
events as weight-fit events; kernels are as wide as the members' satellites.  With 99
toys p = (k + 1) / 100 rejects at 1, 5 and 32 % in exactly that share of true nulls.
All checks of the valid calibrations together fail for a correct program with
probability 5 % at most (Bonferroni); with 400 pseudo-experiments each, the interval
at 5 % then reaches from 2.1 to 9.4 %, and a true rate of 12 % would be found out
with probability 0.95.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from size_study import N_WEIGHTS, TOYS, p_values
from statistical import assert_rate, assert_uniform
from verisimile.checks.goodness.null import Calibration, FluctuatedCentre, PlugIn, Predictive
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(7200)]

EXPERIMENTS = 400
LEVELS = (0.01, 0.05, 0.32)
RATIOS = (0.25, 1.0, 4.0)
VALID = (Predictive(), FluctuatedCentre())
ALPHA = 0.05 / (len(VALID) * len(RATIOS) * len(HYPOTHESES) * (len(LEVELS) + 1))


def _study(null: Calibration, ratio: float) -> Array:
    run = Run(Seeds(20261122), executor="loky:2")
    return p_values(run, null, n_test=round(ratio * N_WEIGHTS), experiments=EXPERIMENTS)


def _print(null: Calibration, ratio: float, table: Array, show: Show) -> None:
    for name, p in zip(HYPOTHESES, table.T, strict=True):
        rates = "  ".join(f"{level:.0%}: {_rejected(p, level) / p.size:.4f}" for level in LEVELS)
        show(f"{null.name:17s} n_D/n_w = {ratio:<5g} {name:21s} rejects at  {rates}")


def _rejected(p: Array, level: float) -> int:
    # p is a multiple of 1 / 100 up to rounding.
    return int((p <= level + 1e-9).sum())


def _check(p: Array, level: float) -> None:
    assert_rate(_rejected(p, level), p.size, level, alpha=ALPHA)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("null", VALID, ids=lambda null: null.name)
def test_valid_calibrations_have_the_right_size(
    null: Calibration, ratio: float, show: Show
) -> None:
    table = _study(null, ratio)
    _print(null, ratio, table, show)
    for p in table.T:
        for level in LEVELS:
            _check(p, level)
        assert_uniform(p, alpha=ALPHA, steps=TOYS + 1, rng=np.random.default_rng(1))


@pytest.mark.parametrize("ratio", RATIOS)
def test_plug_in_toys_reject_true_nulls_too_often(ratio: float, show: Show) -> None:
    # The defective twin: the published calibration.  Where the weights are most
    # uncertain beside the test sample, the very same checks must fail.
    table = _study(PlugIn(), ratio)
    _print(PlugIn(), ratio, table, show)
    single, frozen, profiled = table.T
    _check(single, 0.05)  # without weights there is nothing to get wrong
    assert frozen.mean() < 0.5
    if ratio >= 4.0:
        with pytest.raises(AssertionError, match="outside"):
            _check(frozen, 0.05)
        with pytest.raises(AssertionError, match="outside"):
            _check(profiled, 0.32)
        with pytest.raises(AssertionError, match="not uniform"):
            assert_uniform(frozen, alpha=ALPHA, steps=TOYS + 1, rng=np.random.default_rng(1))
