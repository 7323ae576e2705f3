"""The significance of the search in a learnt tail: its value, its size, and its defective twin."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from verisimile.core.arrays import Array
from verisimile.stats.intervals import clopper_pearson

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from published.search_work import significance, variations

_CONTENTS = np.exp(-0.5 * np.arange(12.0)) / np.exp(-0.5 * np.arange(12.0)).sum()
_SIGNAL = np.array([0.0] * 6 + [0.1, 0.8, 0.1] + [0.0] * 3)
_EVENTS, _UNIT = 20_000, 20.0
_OPTIONS = {"ftol": 1e-15, "gtol": 1e-6, "maxfun": 100_000}


def _covariance() -> Array:
    """Return errors of a fifth in the tail, correlated between neighbours."""
    relative = 0.2 * np.linspace(0.1, 1.0, _CONTENTS.size)
    near = np.exp(-0.5 * (np.subtract.outer(np.arange(12), np.arange(12)) / 2.0) ** 2)
    return near * np.outer(relative * _CONTENTS, relative * _CONTENTS)


def _least(counts: Array, relative: Array, *, signal: bool) -> tuple[float, float]:
    rank = relative.shape[1]

    def loss(at: Array) -> float:
        mean = _CONTENTS * np.exp(at[0] + relative @ at[1 : 1 + rank]) + _UNIT * at[-1] * _SIGNAL
        return float((mean - counts * np.log(mean)).sum() + 0.5 * (at[1 : 1 + rank] ** 2).sum())

    start = np.array([np.log(counts.sum()), *np.zeros(rank), 1.0 if signal else 0.0])
    bounds = [(None, None)] * (rank + 1) + [(0.0, None if signal else 0.0)]
    found = optimize.minimize(loss, start, bounds=bounds, jac="3-point", options=_OPTIONS)
    return float(found.fun), _UNIT * float(found.x[-1])


def test_the_significance_is_that_of_a_general_minimiser() -> None:
    relative = variations(_CONTENTS, _covariance())
    rng = np.random.default_rng(1)
    counts = rng.poisson(_EVENTS * _CONTENTS + 80.0 * _SIGNAL, (2, 12)).astype(np.float64)
    z, fitted = significance(counts, (_CONTENTS, relative), _SIGNAL)
    for row, value, events in zip(counts, z, fitted, strict=True):
        without, _ = _least(row, relative, signal=False)
        with_it, known = _least(row, relative, signal=True)
        assert value == pytest.approx(np.sqrt(2.0 * (without - with_it)), abs=2e-3)
        assert events == pytest.approx(known, rel=1e-2)


def test_profiling_the_error_holds_the_size_and_freezing_it_does_not() -> None:
    relative = variations(_CONTENTS, _covariance())
    rng = np.random.default_rng(2)
    tests = 1500
    truth = _CONTENTS * np.exp(rng.standard_normal((tests, relative.shape[1])) @ relative.T)
    counts = rng.poisson(_EVENTS * truth).astype(np.float64)
    rejected = {
        name: int((significance(counts, (_CONTENTS, part), _SIGNAL)[0] > 1.6449).sum())
        for name, part in (("profiled", relative), ("frozen", relative[:, :0]))
    }
    low, high = clopper_pearson(rejected["profiled"], tests, level=0.999)
    assert low <= 0.05 <= high
    assert clopper_pearson(rejected["frozen"], tests, level=0.999)[0] > 0.15
