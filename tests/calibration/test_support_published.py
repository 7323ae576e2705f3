"""The published values of the support metrics for two samples of N(0, I_1000)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from statistical import assert_within
from verisimile.checks.support.study import NAMES, expected_coverage, support_metrics

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

# README of the authors' implementation: 10 000 events each, five neighbours, one draw.
PUBLISHED = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}
N, D, K = 10_000, 1000, 5


def test_one_draw_agrees_with_the_published_draw(show: Callable[[str], None]) -> None:
    rng = np.random.default_rng(1)
    found = support_metrics(rng.normal(size=(N, D)), rng.normal(size=(N, D)), rng, neighbours=K)
    for name in NAMES:
        metric = found.named(name)
        show(repr(metric))
        if name in PUBLISHED:
            # Two evaluations of n / 2 events have the error of one of n; two draws differ.
            error = np.sqrt(2) * metric.value.error
            assert_within(metric.full, PUBLISHED[name], error)
    coverage = found.named("coverage")
    assert_within(coverage.full, expected_coverage(N, N, K), coverage.value.error)
    # A generator as good as this one has nothing near one: without a null value it looks bad.
    assert found.named("precision").null.value < 0.6
