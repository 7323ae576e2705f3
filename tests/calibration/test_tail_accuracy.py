"""Extrapolated tails cover the true p-value when the family is right, and say so when it is not.

Toys of a chi-square law, 500 for each of 400 tests, are extrapolated to Z = 4, of which 500
toys know nothing.  The interval must cover the truth at its level, and the goodness of fit
must have a uniform p-value.  Both are asymptotic statements, so the allowed error is 5 standard
errors plus 0.03 on the coverage.  Toys from a wider law must be noticed: nearly always if they
are a tenth, and more often than by chance if they are one per cent.  The range of all curves must
contain the truth whatever the law; the interval of one family, its twin, does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_uniform
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.stats.aggregate import min_p
from verisimile.stats.intervals import ONE_SIGMA
from verisimile.stats.tails import FAMILIES, Tail, fit_tail, tail_distances

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

TESTS, TOYS, RESAMPLES = 400, 500, 99
TRUE_P = float(stats.norm.sf(4.0))
LEVEL = 0.01
ASYMPTOTIC = 0.03


def _tails(dof: int, family: str) -> list[Tail]:
    rng = Seeds(20261130).at(dof, family).numpy()
    observed = float(stats.chi2.isf(TRUE_P, dof))
    return [
        fit_tail(rng.chisquare(dof, TOYS), observed, rng, family=family, resamples=RESAMPLES)
        for _ in range(TESTS)
    ]


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("dof", [3, 25])
def test_the_interval_covers_and_the_fit_is_accepted(dof: int, family: str, show: Show) -> None:
    tails = _tails(dof, family)
    covered = np.mean([tail.low <= TRUE_P <= tail.high for tail in tails])
    z = np.array([tail.significance.value for tail in tails])
    fit = np.array([tail.fit.value for tail in tails])
    show(
        f"{family:6s} chi2({dof:2d}), Z = 4: covered {covered:.3f}, "
        f"Z = {z.mean():.3f} ± {z.std():.3f}, "
        f"accepted {np.mean(fit > 0.05):.3f} ({TESTS} tests, {TOYS} toys)"
    )
    allowed = 5 * np.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / TESTS) + ASYMPTOTIC
    assert abs(covered - ONE_SIGMA) < allowed
    assert abs(z.mean() - 4.0) < 5 * z.std() / np.sqrt(TESTS) + ASYMPTOTIC
    spread = Seeds(20261130).at("spread").numpy()
    assert_uniform(fit, alpha=LEVEL, steps=RESAMPLES + 1, rng=spread)


def _unfitted(rng: np.random.Generator) -> float:
    """Return a p-value of the fit whose resamples are judged by the curve that made them."""
    t = np.sort(rng.chisquare(3, TOYS))
    k, scale = FAMILIES["gamma"](t.mean(), np.log(t).mean())

    def distances(sample: Array) -> Array:
        return tail_distances(stats.gamma.logsf(sample, k, scale=scale))

    null = [distances(np.sort(rng.gamma(k, scale, TOYS))) for _ in range(RESAMPLES)]
    return min_p(distances(t), np.array(null)).p_value.value


def test_resamples_that_are_not_fitted_anew_accept_everything(show: Show) -> None:
    # Defective twin, on the same check: the toys were fitted, and their resamples must be.
    rng = Seeds(20261130).at("twin").numpy()
    p = np.array([_unfitted(rng) for _ in range(TESTS)])
    show(f"twin: fit p-values below 0.05 in {(p <= 0.05).mean():.3f} of true families")
    with pytest.raises(AssertionError, match="not uniform"):
        assert_uniform(p, alpha=LEVEL, steps=RESAMPLES + 1, rng=rng)


@pytest.mark.parametrize(
    ("share", "stretch", "toys", "unnoticed"), [(0.1, 3.0, 500, 0.1), (0.01, 2.5, 1000, 0.85)]
)
def test_toys_from_a_wider_law_are_noticed(
    share: float, stretch: float, toys: int, unnoticed: float, show: Show
) -> None:
    rng = Seeds(20261130).at("mixture", toys).numpy()
    accepted, z = [], []
    for _ in range(TESTS // 4):
        t = rng.chisquare(5, toys) * np.where(rng.random(toys) < share, stretch, 1.0)
        tail = fit_tail(t, 60.0, rng, resamples=RESAMPLES)
        assert not tail.agreed
        accepted.append(tail.fit.value > 0.05)
        z.append(tail.significance.value)
    p = (1 - share) * stats.chi2.sf(60, 5) + share * stats.chi2.sf(60 / stretch, 5)
    truth = float(stats.norm.isf(p))
    show(
        f"{share:.0%} of {toys} toys {stretch} times larger: accepted {np.mean(accepted):.2f}; "
        f"Z = {np.mean(z):.2f}, truly {truth:.2f}"
    )
    assert np.mean(z) > truth + 0.5  # what believing the family costs
    assert np.mean(accepted) < unnoticed


LAWS = {
    "chi2(5)": stats.chi2(5),
    "gamma(3)": stats.gamma(3),
    "lognormal(0.3)": stats.lognorm(0.3),
    "lognormal(0.5)": stats.lognorm(0.5),
    "Weibull(1.5)": stats.weibull_min(1.5),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_range_of_all_curves_covers_whatever_the_law(name: str, show: Show) -> None:
    law, rng = LAWS[name], Seeds(20261201).at(name).numpy()
    observed, tests = float(law.isf(TRUE_P)), 100
    tails = [
        fit_tail(law.rvs(1000, random_state=rng), observed, rng, resamples=RESAMPLES)
        for _ in range(tests)
    ]
    covered = sum(tail.range_low <= TRUE_P <= tail.range_high for tail in tails)
    by_family = sum(tail.low <= TRUE_P <= tail.high for tail in tails)
    off = np.median([max(tail.value / TRUE_P, TRUE_P / tail.value) for tail in tails])
    accepted = np.mean([tail.fit.value > 0.05 for tail in tails])
    show(
        f"{name:15s} Z = 4, 1000 toys: range covers {covered / tests:.2f}, one family "
        f"{by_family / tests:.2f}, off by {off:.3g}, fit accepted {accepted:.2f}"
    )
    least = stats.binom.ppf(1e-3, tests, ONE_SIGMA)
    assert covered >= least
    wrong = [tail for tail in tails if tail.agreed and not 1 / 3 < tail.value / TRUE_P < 3]
    assert not wrong
    if "lognormal" in name:
        with pytest.raises(AssertionError):
            assert by_family >= least
