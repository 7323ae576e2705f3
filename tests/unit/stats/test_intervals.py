"""Intervals: closed forms, scipy, and their exact coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from verisimile.core.errors import InputError
from verisimile.stats.intervals import ONE_SIGMA, clopper_pearson, garwood, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 10), (3, 10), (10, 10), (17, 99), (284, 300)])
@pytest.mark.parametrize("level", [0.5, ONE_SIGMA, 0.95])
def test_intervals_agree_with_scipy(k: int, n: int, level: float) -> None:
    reference = stats.binomtest(k, n)
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        theirs = reference.proportion_ci(level, method=method)
        assert ours(k, n, level=level) == pytest.approx((theirs.low, theirs.high), abs=1e-10)


@pytest.mark.parametrize("n", [5, 40])
def test_clopper_pearson_never_undercovers(n: int) -> None:
    intervals = [clopper_pearson(k, n, level=0.9) for k in range(n + 1)]
    for rate in np.linspace(0.01, 0.99, 99):
        covered = [low <= rate <= high for low, high in intervals]
        assert stats.binom.pmf(np.arange(n + 1), n, rate) @ np.array(covered) >= 0.9


def test_wald_interval_would_fail_that_test() -> None:
    # Defective twin: the textbook interval p +- z sqrt(p(1-p)/n).
    n, rate = 40, 0.02
    k = np.arange(n + 1)
    half = stats.norm.isf(0.05) * np.sqrt(k / n * (1 - k / n) / n)
    covered = np.abs(k / n - rate) <= half
    assert stats.binom.pmf(k, n, rate) @ covered < 0.9


@pytest.mark.parametrize("mean", [0.5, 3.0, 20.0])
def test_garwood_covers_poisson_means(mean: float) -> None:
    counts = np.arange(200)
    covered = [low <= mean <= high for low, high in (garwood(int(c)) for c in counts)]
    assert stats.poisson.pmf(counts, mean) @ np.array(covered) >= ONE_SIGMA


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(InputError, match="binomial counts: got"):
        clopper_pearson(k, n)
