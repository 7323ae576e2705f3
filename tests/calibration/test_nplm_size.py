"""NPLM's permutation p-value has its size, with power; an asymptotic law has not.

Null: two samples of a 2-D normal law, 50 and 70 events.  Rates at p <= 5 % with 39
permutations: (k + 1)/40 <= 1/20 has probability 1/20 exactly.  Alternative: a tenth
of the data is moved into a narrow bump.  The twin takes t for chi-squared with as
many degrees of freedom as kernels, as if the reference did not fluctuate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.twosample.nplm import NPLM, PreparedNPLM
from verisimile.checks.twosample.statistic import Labels
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.stats.nulls import Empirical

Show = Callable[[str], None]
OfData = Callable[[PreparedNPLM, Labels], float]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1200)]

SEEDS = Seeds(20261122).at("nplm")
REPETITIONS, PERMUTATIONS = 600, 39
N_REFERENCE, N_DATA = 50, 70
NARROW_AND_WIDE = (0.1, 0.5, 0.9)


def _by_permutation(bound: PreparedNPLM, labels: Labels) -> float:
    values = bound.values(labels)
    return Empirical(values[1:], "permutations").p_value(float(values[0])).value


def _by_min_p(bound: PreparedNPLM, labels: Labels) -> float:
    return bound.combined(labels).p_value.value


def _by_chi2(bound: PreparedNPLM, labels: Labels) -> float:
    t = bound.columns(labels[:1])[0, 0]
    return float(stats.chi2.sf(t, bound.bases[0].penalty.size))


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


def _rejections(
    name: str,
    statistic: NPLM,
    draw: Callable[[np.random.Generator], tuple[Array, Array]],
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


@pytest.mark.parametrize(
    ("name", "statistic", "draw", "of_data"),
    [
        pytest.param("one", NPLM(), _null, _by_permutation, id="one-width"),
        pytest.param("weighted", NPLM(), _weighted, _by_permutation, id="weighted"),
        pytest.param(
            "several", NPLM(quantiles=NARROW_AND_WIDE, pilots=20), _null, _by_permutation,
            id="several-widths",
        ),
    ],
)  # fmt: skip
def test_size(
    name: str,
    statistic: NPLM,
    draw: Callable[[np.random.Generator], tuple[Array, Array]],
    of_data: OfData,
    show: Show,
) -> None:
    count = _rejections(name, statistic, draw, of_data=of_data)
    show(f"NPLM {name:10s} rejects {count} of {REPETITIONS} true nulls at 5 %")
    assert_rate(count, REPETITIONS, 0.05, alpha=0.01)


def test_min_p_is_not_above_its_size(show: Show) -> None:
    # Ranks are shared between widths, so that min-p is conservative with few permutations.
    count = _rejections("min-p", NPLM(quantiles=NARROW_AND_WIDE), _null, of_data=_by_min_p)
    show(f"NPLM min-p      rejects {count} of {REPETITIONS} true nulls at 5 %")
    assert count <= stats.binom.isf(0.005, REPETITIONS, 0.05)


def test_asymptotic_law_rejects_true_nulls(show: Show) -> None:
    # The defective twin, on which the very same check fails.
    count = _rejections("one", NPLM(), _null, 100, _by_chi2)
    show(f"NPLM chi2 twin  rejects {count} of 100 true nulls at 5 %")
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(count, 100, 0.05, alpha=0.01)


def test_power_on_a_narrow_bump(show: Show) -> None:
    wide = _rejections("bump", NPLM(), _bump, 100)
    several = _rejections("bump", NPLM(quantiles=NARROW_AND_WIDE, pilots=20), _bump, 100)
    show(f"NPLM power on a 10 % bump: {wide} % with one width, {several} % with three")
    assert several >= 60
