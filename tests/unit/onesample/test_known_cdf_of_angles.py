"""Known distribution functions of angles: SciPy's Kuiper and Watson by simulation, and turns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.known_truth import cdf as known_cdf
from verisimile.checks.known_truth.cdf import OneSample, one_sample_tests
from verisimile.core.arrays import Array
from verisimile.data.events import Events
from verisimile.data.feature import Feature

PHI = Feature("phi", kind="periodic", low=0.0, high=2.0 * np.pi)


def compared(turns: Array, *, kind: str = "periodic") -> tuple[OneSample, ...]:
    feature = PHI if kind == "periodic" else Feature("phi")
    events = Events(2.0 * np.pi * turns[:, None], features=[feature])
    return one_sample_tests(events, {"phi": lambda x: x / (2.0 * np.pi)})


@pytest.mark.parametrize("n", [10, 300])
def test_size(n: int, rng: np.random.Generator) -> None:
    p = np.array([[one.p_value.value for one in compared(rng.random(n))] for _ in range(1500)])
    for column in p.T:
        for level in (0.05, 0.32):
            assert_rate(int((column <= level).sum()), 1500, level)


def test_where_the_circle_is_cut_moves_nothing(rng: np.random.Generator) -> None:
    turns = 0.3 * rng.normal(size=80) % 1.0
    here, there = compared(turns), compared((turns + 0.37) % 1.0)
    assert [one.statistic for one in here] == ["Kuiper", "Watson"]
    for one, other in zip(here, there, strict=True):
        assert one.observed == pytest.approx(other.observed, rel=1e-9)
        assert one.p_value.value == pytest.approx(other.p_value.value, rel=1e-6)
        assert one.excess == pytest.approx(other.excess, abs=1e-9)
    assert (here[0].at / (2 * np.pi) + 0.37) % 1.0 == pytest.approx(there[0].at / (2 * np.pi))
    # The twin: the same angles as numbers on a line.
    line = [compared(t, kind="line")[0].observed for t in (turns, (turns + 0.37) % 1.0)]
    assert abs(line[0] - line[1]) > 0.01


def test_an_excess_over_the_cut_is_found(rng: np.random.Generator) -> None:
    turns = np.concatenate([rng.random(200), (0.02 * rng.normal(size=40)) % 1.0])
    found = compared(turns)
    assert max(one.p_value.value for one in found) < 1e-3
    assert stats.kstest(turns, "uniform").pvalue > found[0].p_value.value


def test_values_of_tables() -> None:
    # Stephens (1970), upper 5 % points of the corrected statistics.
    n = 10_000
    even = (np.arange(n) + 0.5) / n
    assert compared(even)[0].p_value.value == 1.0
    assert known_cdf._kuiper_sf(1.747) == pytest.approx(0.05, abs=2e-4)
    assert known_cdf._kuiper_sf(2.001) == pytest.approx(0.01, abs=1e-4)
    assert known_cdf._watson_sf(0.187) == pytest.approx(0.05, abs=3e-4)
    assert known_cdf._watson_sf(0.268) == pytest.approx(0.01, abs=2e-4)
