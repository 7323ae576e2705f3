"""NPLM's permutation p-value has its size, with power; an asymptotic law has not.

Null: two samples of a 2-D normal law, 50 and 70 events.  Rates at p <= 5 % with 39
permutations: (k + 1)/40 <= 1/20 has probability 1/20 exactly.  Alternative: a tenth
of the data is moved into a narrow bump.  The twin takes t for chi-squared with as
many degrees of freedom as kernels, which the penalty and the reference change.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.twosample.statistics.nplm import (
    NPLM,
    AggregatedNPLM,
    PreparedNPLM,
    PreparedNPLMs,
)
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.samples.pool import Labels
from verisimile.stats.pvalues import Empirical

Show = Callable[[str], None]
Bound = PreparedNPLM | PreparedNPLMs
Draw = Callable[[np.random.Generator], tuple[Array, Array]]
OfData = Callable[[Bound, Labels], float]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1200)]

SEEDS = Seeds(20261122).at("nplm")
REPETITIONS, PERMUTATIONS = 600, 39
N_REFERENCE, N_DATA = 50, 70


def _by_permutation(bound: Bound, labels: Labels) -> float:
    values = bound.values(labels)
    return Empirical(values[1:], "relabelings").p_value(float(values[0])).value


def _by_chi2(bound: Bound, labels: Labels) -> float:
    assert isinstance(bound, PreparedNPLM)
    return float(stats.chi2.sf(bound.values(labels[:1])[0], bound.ridge.size))


def _null(rng: np.random.Generator) -> tuple[Array, Array]:
    n = N_REFERENCE + N_DATA
    return rng.normal(size=(n, 2)), np.ones(n)


def _weighted(rng: np.random.Generator) -> tuple[Array, Array]:
    x, _ = _null(rng)
    return x, np.asarray(rng.gamma(2.0, 0.5, x.shape[0]))


def _bump(rng: np.random.Generator) -> tuple[Array, Array]:
    x = rng.normal(size=(800, 2))
    x[-40:] = 1.0 + 0.1 * rng.normal(size=(40, 2))
    return x, np.ones(800)


def _shift(rng: np.random.Generator) -> tuple[Array, Array]:
    x = rng.normal(size=(200, 2))
    x[100:] += 0.4
    return x, np.ones(200)


def _rejections(
    name: str,
    statistic: NPLM | AggregatedNPLM,
    draw: Draw,
    repetitions: int = REPETITIONS,
    of_data: OfData = _by_permutation,
) -> int:
    count = 0
    for repetition in range(repetitions):
        rng = SEEDS.at(name, repetition).numpy()
        x, weights = draw(rng)
        n = x.shape[0]
        first = np.arange(n) < (N_REFERENCE if n == N_REFERENCE + N_DATA else n // 2)
        labels = np.stack([first, *(rng.permutation(first) for _ in range(PERMUTATIONS))])
        count += of_data(statistic.prepare(x, weights, rng), labels) <= 0.05
    return count


@pytest.mark.parametrize(("name", "draw"), [("plain", _null), ("weighted", _weighted)])
def test_size(name: str, draw: Draw, show: Show) -> None:
    count = _rejections(name, NPLM(), draw)
    show(f"nplm {name:9s} rejects {count} of {REPETITIONS} true nulls at 5 %")
    assert_rate(count, REPETITIONS, 0.05, alpha=0.01)


def test_min_p_is_not_above_its_size(show: Show) -> None:
    # Ranks are shared between widths, so that min-p is conservative with few permutations.
    count = _rejections("min-p", AggregatedNPLM(), _null)
    show(f"nplm min-p     rejects {count} of {REPETITIONS} true nulls at 5 %")
    assert 0 < count <= stats.binom.isf(0.005, REPETITIONS, 0.05)


def test_asymptotic_law_has_not_its_size(show: Show) -> None:
    # The defective twin, on which the very same check fails.
    count = _rejections("plain", NPLM(), _null, of_data=_by_chi2)
    show(f"nplm chi2 twin rejects {count} of {REPETITIONS} true nulls at 5 %")
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(count, REPETITIONS, 0.05, alpha=0.01)


def test_power_on_a_narrow_bump(show: Show) -> None:
    wide = _rejections("bump", NPLM(), _bump, 100)
    narrow = _rejections("bump", NPLM(quantile=0.1), _bump, 100)
    several = _rejections("bump", AggregatedNPLM(), _bump, 100)
    show(f"nplm power on a 10 % bump: {wide} % wide, {narrow} % narrow, {several} % min-p")
    assert narrow >= 80
    assert several >= 50


def test_power_on_a_shift(show: Show) -> None:
    # Both features by 0.4, 100 against 100 events; Hotelling's test is optimal here.
    noncentral = 2 * 0.4**2 * 50
    bound = stats.ncf.sf(stats.f.isf(0.05, 2, 197), 2, 197, noncentral)
    for statistic in (NPLM(), AggregatedNPLM()):
        seen = _rejections("shift", statistic, _shift, 100)
        show(f"nplm power on a shift: {seen} of 100 by {statistic.name} (Hotelling {bound:.2f})")
        # Neither gives away more than a third of it.
        assert stats.binom.cdf(seen, 100, bound * 2 / 3) > 0.01
