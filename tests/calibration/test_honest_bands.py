"""Errors of mixtures of trained flows cover, on real events and on known laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from honest_processes import ENSEMBLES, PROCESSES
from honest_study import study

pytestmark = pytest.mark.calibration

SETS = 30


@pytest.mark.parametrize("name", PROCESSES)
def test_coverage(name: str, show: Callable[[str], None]) -> None:
    found = study(name, SETS, range(ENSEMBLES))
    show(found.line(name))
    inside = np.abs(found.pulls)
    # An ensemble's bias is shared by its data sets: the rates are as good as four ensembles are.
    by_ensemble = [(inside < z).mean(axis=(1, 2)) for z in (1.0, 1.96)]
    scatter = [rate.std(ddof=1) / math.sqrt(ENSEMBLES) for rate in by_ensemble]
    assert abs(by_ensemble[0].mean() - 0.6827) < 0.04 + scatter[0]
    assert abs(by_ensemble[1].mean() - 0.95) < 0.02 + scatter[1]
    claimed, actual = (math.sqrt(float((v**2).mean())) for v in (found.claimed, found.actual))
    assert 0.8 < claimed / actual < 1.25
    assert claimed < 1.0
    # The twin: the errors of the weights alone.
    assert (np.abs(found.plain_pulls) < 1.0).mean() < 0.6
    assert (np.abs(found.plain_pulls) < 1.96).mean() < 0.88
