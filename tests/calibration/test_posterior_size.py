"""Checks of posteriors: size at 5 %, and power against the errors that they are for.

A conjugate normal model with two parameters whose posterior is known.  Size with few simulations
and draws, where a wrong law of discrete ranks shows; power with 500 simulations and 200 draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from posterior_study import Posterior, conjugate
from statistical import assert_rate, assert_uniform
from verisimile.checks.posterior.local import PosteriorPoints, local_posterior_test
from verisimile.checks.posterior.sbc import sbc
from verisimile.checks.posterior.tarp import (
    Neighbours,
    References,
    ShiftedCentres,
    UniformBox,
    tarp,
)
from verisimile.checks.posterior.uniformity import StatisticName, UniformTest
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

TRIALS = 1000
POWER_TRIALS = 100
STATISTICS: tuple[StatisticName, ...] = ("kolmogorov", "anderson-darling")
PLACED = ("shifted", "shifted, one", "neighbours", "uniform")


def _rng(*words: str | int) -> np.random.Generator:
    return Seeds(20261122).at(*words).numpy()


def _references(name: str, rng: np.random.Generator) -> References:
    if name == "neighbours":
        _, truths, contexts = conjugate(500, 1, rng)
        return Neighbours(truths, contexts)
    rules: dict[str, References] = {
        "shifted": ShiftedCentres(),
        "shifted, one": ShiftedCentres(count=1),
        "uniform": UniformBox(),
    }
    return rules[name]


def _tarp(
    name: str, trials: int, statistic: StatisticName, sizes: tuple[int, int], **case: float
) -> Array:
    rng, test = _rng("tarp", name, statistic, str(case)), UniformTest(statistic, 99, grid=10)
    p = []
    for k in range(trials):
        given = conjugate(*sizes, rng, width=case.get("width", 1.0), prior="prior" in case)
        found = tarp(Run(Seeds(k)), *given, references=_references(name, rng), test=test)
        p.append(found.p_value.value)
    return np.array(p)


def _sbc(trials: int, statistic: StatisticName, sizes: tuple[int, int], **case: float) -> Array:
    rng, test = _rng("sbc", statistic, str(case)), UniformTest(statistic, 99, grid=10)
    p = []
    for k in range(trials):
        draws, truths, _ = conjugate(
            *sizes, rng, width=case.get("width", 1.0), prior="prior" in case
        )
        found = sbc(Run(Seeds(k)), draws, truths, test=test)
        p.append([one.p_value.value for one in found.quantities] + [found.p_value.value])
    return np.array(p)


def _rate(p: Array) -> float:
    return float((p <= 0.05).mean())


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("name", PLACED)
def test_tarp_has_its_size(name: str, statistic: StatisticName, show: Show) -> None:
    p = _tarp(name, TRIALS, statistic, (40, 9))
    show(f"tarp {name:14} {statistic:18} n=40 S=9 size {_rate(p):.3f}")
    exact = statistic == "kolmogorov" and name != "shifted"
    assert_uniform(p, steps=None if exact else 100, rng=_rng("steps"))
    assert_rate(int((p <= 0.05).sum()), TRIALS, 0.05)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_sbc_has_its_size(statistic: StatisticName, show: Show) -> None:
    p = _sbc(TRIALS, statistic, (40, 9))
    show(f"sbc {statistic:18} n=40 S=9 size {_rate(p[:, 0]):.3f}, Holm of two {_rate(p[:, 2]):.3f}")
    for column in p.T[:2]:
        assert_rate(int((column <= 0.05).sum()), TRIALS, 0.05)
    assert_rate(int((p[:, 2] <= 0.05).sum()), TRIALS, 0.05)


@pytest.mark.parametrize("name", PLACED)
def test_tarp_power(name: str, show: Show) -> None:
    narrow, wide, prior = (
        _rate(_tarp(name, POWER_TRIALS, "kolmogorov", (500, 200), **case))
        for case in ({"width": 0.8}, {"width": 1.25}, {"prior": 1.0})
    )
    less = _rate(_tarp(name, POWER_TRIALS, "kolmogorov", (500, 200), width=0.9))
    show(
        f"tarp {name:14} 20 % too narrow {narrow:.2f}, 10 % {less:.2f}, 25 % too wide {wide:.2f}, "
        f"prior {prior:.2f}"
    )
    assert narrow >= 0.8
    assert wide >= 0.8
    if name == "uniform":
        assert_rate(round(prior * POWER_TRIALS), POWER_TRIALS, 0.05)
    elif name != "shifted, one":
        assert prior >= 0.8


@pytest.mark.parametrize("statistic", STATISTICS)
def test_sbc_power(statistic: StatisticName, show: Show) -> None:
    narrow, less, wide, prior = (
        _rate(_sbc(POWER_TRIALS, statistic, (500, 200), **case)[:, 2])
        for case in ({"width": 0.8}, {"width": 0.9}, {"width": 1.25}, {"prior": 1.0})
    )
    show(
        f"sbc {statistic:18} 20 % too narrow {narrow:.2f}, 10 % {less:.2f}, "
        f"25 % too wide {wide:.2f}, prior {prior:.2f}"
    )
    assert narrow >= 0.8
    assert wide >= 0.8
    assert_rate(round(prior * POWER_TRIALS), POWER_TRIALS, 0.05)


def test_the_local_test_has_its_size(show: Show) -> None:
    where, rng = np.array([[-1.5], [0.0], [1.5]]), _rng("local")
    found = []
    for k in range(500):
        draws, truths, contexts = conjugate(40, 1, rng, d=1)
        there = Posterior(d=1).sample(np.repeat(where, 50, axis=0), rng).reshape(3, 50, 1)
        found.append(
            local_posterior_test(
                Run(Seeds(k)),
                draws,
                truths,
                contexts,
                at=PosteriorPoints(where, there),
                permutations=19,
            )
        )
    alone = np.array([[p.value <= 0.05 for p in one.points] for one in found])
    together = np.array([one.p_value.value <= 0.05 for one in found])
    adjusted = np.array([one.adjusted.min() <= 0.05 for one in found])
    show(
        f"local n=40 B=19: points {alone.mean(axis=0).round(3)}, any point "
        f"{alone.any(axis=1).mean():.3f}, corrected {together.mean():.3f}"
    )
    for column in (*alone.T, together):
        assert_rate(int(column.sum()), 500, 0.05)
    assert (adjusted == together).all()
    assert alone.any(axis=1).sum() > together.sum()
