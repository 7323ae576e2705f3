"""The p-value of the test in bins of context is right, and that of its defective twin is not.

Eight bins share one uncertain weight, with forty times as many test events as
weight-fit events.  The twin draws the weight of its toys for each bin apart: the
bins' statistics then look independent, and their sum fluctuates too little.  With
320 pseudo-experiments the 99 % binomial interval around 5 % reaches from 2.2 to 8.8 %.

Numbers of bins and events were chosen after trials in which the weight was less
uncertain, and the twin hardly differed from the test: docs/conditional.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from context_study import TOYS, p_values
from statistical import assert_rate, assert_uniform
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

EXPERIMENTS = 320
LEVEL = 0.01  # of each check, two-sided
LEVELS = (0.05, 0.10, 0.325)


def _study(hypothesis: str, show: Show) -> Array:
    run = Run(Seeds(20261125), executor="loky:2")
    table = p_values(run, hypothesis, experiments=EXPERIMENTS)
    for name, p in zip(("shared weights", "twin: weights by bin"), table.T, strict=True):
        rates = "  ".join(f"{level:.1%}: {_rejected(p, level) / p.size:.4f}" for level in LEVELS)
        show(f"{hypothesis:21s} {name:21s} rejects at  {rates}")
    return table


def _rejected(p: Array, level: float) -> int:
    # p is a multiple of 1 / 40 up to rounding.
    return int((p <= level + 1e-9).sum())


def _check(p: Array) -> None:
    for level in LEVELS:
        assert_rate(_rejected(p, level), p.size, level, alpha=LEVEL)


def test_profiled_weights_have_the_right_size(show: Show) -> None:
    p = _study("ensemble+uncertainty", show)[:, 0]
    _check(p)
    assert_uniform(p, alpha=LEVEL, steps=TOYS + 1, rng=np.random.default_rng(1))


def test_frozen_weights_have_the_right_size_and_the_twin_has_not(show: Show) -> None:
    right, twin = _study("ensemble", show).T
    _check(right)
    assert_uniform(right, alpha=LEVEL, steps=TOYS + 1, rng=np.random.default_rng(1))
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(_rejected(twin, 0.05), twin.size, 0.05, alpha=LEVEL)
