"""Evidence of many nights: false alarms over 500 looks, and the twin that looks afresh."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor_study import night, watched

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(3600)]

RUNS, LOOKS, PAIRS = 400, 500, 60


def test_false_alarms_over_five_hundred_looks_are_five_per_cent_at_most() -> None:
    alarms = sum(watched(seed, LOOKS, PAIRS).alarm for seed in range(RUNS))
    assert stats.binomtest(alarms, RUNS, 0.05, alternative="greater").pvalue > 0.01


def test_a_fresh_p_value_each_night_fails() -> None:
    """The twin: within forty nights most sound surrogates have an alarm."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        nights = (night(rng, PAIRS) for _ in range(40))
        alarms += any(stats.ks_2samp(x[:, 0], y[:, 0]).pvalue <= 0.05 for x, y in nights)
    assert stats.binomtest(alarms, 100, 0.05, alternative="greater").pvalue < 1e-6


def test_a_drift_of_one_per_cent_is_found() -> None:
    found = [watched(seed, 60, 500, scale=1.01, since=20) for seed in range(40)]
    late = [len(each.nights) > 20 for each in found if each.alarm]
    assert sum(late) >= 36
