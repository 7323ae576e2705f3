"""Intervals from the spread of members hold what they say, and their twins do not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.checks.coverage.spread import (
    BinErrors,
    BinIntervals,
    density_intervals,
    normal_intervals,
    spread_intervals,
    summarise_bins,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict

LEVELS = (0.68, 0.95)
TRUTH, SIGMA = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 2.0, 3.0, 2.0]) * 1e-3
BINOMIAL = np.array([2.0, 2.0, 6.0, 4.0]) * 1e-3
MEMBERS, R = 5, 1500
Method = Callable[[Array], BinIntervals]


def _spread(contents: Array) -> BinIntervals:
    return spread_intervals(contents, LEVELS)


def _plain(contents: Array) -> BinIntervals:
    """As if five members knew their spread."""
    return normal_intervals(contents.mean(axis=0), contents.std(axis=0, ddof=1), LEVELS)


def _of_the_mean(contents: Array) -> BinIntervals:
    """As if the members were measurements of the truth."""
    error = contents.std(axis=0, ddof=1) / math.sqrt(len(contents))
    return normal_intervals(contents.mean(axis=0), error, LEVELS)


def study(
    method: Method, *, bias: float = 0.0, common: bool = False, repetitions: int = R
) -> BinErrors:
    """Repeat a normal estimate, and members that scatter around it as it does around the truth."""
    rng = Seeds(20261205).at("spread").numpy()
    width = 1 if common else TRUTH.size
    found = []
    for _ in range(repetitions):
        estimate = TRUTH + SIGMA * (bias + rng.normal(size=width))
        found.append(method(estimate + SIGMA * rng.normal(size=(MEMBERS, width))))
    return summarise_bins(found, TRUTH, BINOMIAL)


def assert_covers(found: BinErrors) -> None:
    for rate, level in zip(found.rates, LEVELS, strict=True):
        assert_within(rate.value, level, rate.error)


def test_a_normal_estimator_is_covered() -> None:
    found = study(_spread)
    assert_covers(found)
    size = math.sqrt(((SIGMA / BINOMIAL) ** 2).mean() * (1 + 1 / MEMBERS))
    assert_within(found.claimed.value, size, found.claimed.error)
    assert_within(found.actual.value, size, found.actual.error)
    assert_within(found.scale.value, 1.0, found.scale.error)
    assert_within(found.bias_share.value, 0.0, found.bias_share.error)
    assert found.rates[0].error < 0.012


@pytest.mark.parametrize("twin", [_plain, _of_the_mean])
def test_other_spreads_are_noticed(twin: Method) -> None:
    found = study(twin)
    with pytest.raises(AssertionError, match="off by"):
        assert_covers(found)
    if twin is _of_the_mean:
        assert found.scale.value > 2.0
        expected = 2 * stats.t.cdf(stats.norm.isf(0.16) / math.sqrt(MEMBERS + 1), MEMBERS - 1) - 1
        assert_within(found.rates[0].value, expected, found.rates[0].error)


def test_a_bias_is_seen_and_named() -> None:
    found = study(_spread, bias=2.0)
    with pytest.raises(AssertionError, match="off by"):
        assert_covers(found)
    share = 4.0 / (4.0 + 1.0 + 1.0 / MEMBERS)
    assert_within(found.bias_share.value, share, found.bias_share.error)


def test_bins_that_move_together_are_one_bin() -> None:
    apart, together = study(_spread), study(_spread, common=True)
    single = math.sqrt(0.68 * 0.32 / R)
    assert together.rates[0].error == pytest.approx(single, rel=0.1)
    assert apart.rates[0].error == pytest.approx(single / 2, rel=0.1)


def test_the_errors_are_those_of_repeated_studies() -> None:
    values = []
    for k in range(60):
        rng = np.random.default_rng(k)
        draws = [TRUTH + SIGMA * (rng.normal() + rng.normal(size=(MEMBERS, 1))) for _ in range(30)]
        values.append(summarise_bins([_spread(x) for x in draws], TRUTH, BINOMIAL))
    for name in ("claimed", "actual", "scale", "bias_share"):
        estimates = [getattr(each, name) for each in values]
        seen = np.std([e.value for e in estimates], ddof=1)
        stated = math.sqrt(np.mean([e.error**2 for e in estimates]))
        # Both are estimates from 60 studies of 30 repetitions.
        assert_within(stated / seen, 1.0, 1 / math.sqrt(2 * 59))


def _events_of_posterior(repetition: int) -> tuple[Array, Array]:
    """Return log-densities of posterior draws of a mean at five events, and the true ones."""
    rng, x = np.random.default_rng([7, repetition]), np.linspace(-2.0, 1.0, 5)
    measured = 0.05 * rng.normal()
    draws = measured + 0.05 * rng.normal(size=(MEMBERS, 1))
    return stats.norm.logpdf(x, draws), stats.norm.logpdf(x, 0.0)


def test_log_densities_of_posterior_draws_hold_the_truth_event_by_event() -> None:
    pairs = [_events_of_posterior(r) for r in range(600)]
    truth, unit = pairs[0][1], np.ones(5)
    assert_covers(summarise_bins([density_intervals(p, LEVELS) for p, _ in pairs], truth, unit))
    with pytest.raises(AssertionError):  # the twin: a spread of five that counts as known
        assert_covers(summarise_bins([_plain(p) for p, _ in pairs], truth, unit))


def test_claims_of_no_error_need_an_infinite_factor() -> None:
    found = summarise_bins([normal_intervals(TRUTH + 0.01, 0 * TRUTH, LEVELS)], TRUTH, BINOMIAL)
    assert found.scale.value == math.inf
    assert found.rates[0].value == 0.0


def test_one_repetition_has_no_error() -> None:
    found = study(_spread, repetitions=1)
    assert math.isnan(found.claimed.error)
    assert math.isnan(found.bias_share.value)
    again = from_dict(to_dict(found))
    assert isinstance(again, BinErrors)
    assert again.claimed.value == found.claimed.value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spread_intervals(np.ones((1, 3)), LEVELS), "two or more"),
        (lambda: spread_intervals(np.ones((3, 3)), (1.0,)), "numbers in"),
        (lambda: density_intervals([[0.0, -np.inf], [0.0, 1.0]], LEVELS), "1 of 4"),
        (lambda: normal_intervals([0.1], [-0.1], LEVELS), "standard errors"),
        (lambda: summarise_bins([], TRUTH, BINOMIAL), "one or more"),
        (lambda: summarise_bins([_spread(np.ones((3, 3)))], TRUTH, BINOMIAL), "4 bins"),
        (lambda: summarise_bins([_spread(np.ones((3, 4)))], TRUTH, 0 * TRUTH), "positive"),
    ],
)
def test_what_cannot_be_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
