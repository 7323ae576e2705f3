"""The scale of claimed errors is found, with an interval that covers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from camel_fits import camel_draws, camel_edges, fit_camels
from statistical import assert_rate, assert_within
from verisimile.checks.amplification.calibrated_errors import ErrorScale, calibrate_errors
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict

RUNS, BINS, N = 40, 25, 5_000
TAU = 2.0


def _rng(*words: str | int) -> np.random.Generator:
    return Seeds(20261202).at(*words).numpy()


def _independent(
    rng: np.random.Generator, runs: int = RUNS, tau: float = TAU
) -> tuple[Array, Array, Array, Array]:
    """Return counts, totals, contents and claimed errors that are too small by `tau`."""
    truth = np.full((runs, BINS), 1.0 / (BINS + 5))
    sigma = np.full((runs, BINS), 1.5e-3) * rng.uniform(0.5, 1.5, (runs, BINS))
    contents = truth + tau * sigma * rng.normal(size=truth.shape)
    counts = rng.binomial(N, truth)
    return counts.astype(np.float64), np.full(runs, float(N)), contents, sigma


def test_errors_too_small_by_two_have_scale_two() -> None:
    found = calibrate_errors(*_independent(_rng("two")))
    assert_within(found.scale.value, TAU, found.scale.error)
    assert found.scale.error < 0.15
    narrow, wide = found.intervals
    assert wide.low < narrow.low < found.scale.value < narrow.high < wide.high
    assert (wide.high - wide.low) / found.scale.error == pytest.approx(2 * 1.96, rel=0.05)
    for band in found.coverage:
        assert_within(band.scaled, band.level, math.sqrt(0.25 / RUNS / BINS))
        with pytest.raises(AssertionError, match="off by"):
            assert_within(band.claimed, band.level, math.sqrt(0.25 / RUNS / BINS))


def _without_binomial_noise(c: Array, n: Array, p: Array, sigma: Array) -> float:
    """Return the scale that takes the counts for the truth."""
    return float(np.sqrt(np.mean(((c / n[:, None] - p) / sigma) ** 2)))


def test_the_binomial_noise_is_no_error_of_the_generator() -> None:
    data = _independent(_rng("noise"))
    found = calibrate_errors(*data)
    with pytest.raises(AssertionError, match="off by"):
        assert_within(_without_binomial_noise(*data), TAU, found.scale.error)


def test_the_intervals_cover() -> None:
    rng = _rng("cover")
    repetitions = [calibrate_errors(*_independent(rng, runs=4)) for _ in range(300)]
    for index, level in enumerate((0.68, 0.95)):
        limits = [found.intervals[index] for found in repetitions]
        inside = sum(each.low <= TAU <= each.high for each in limits)
        assert_rate(inside, 300, level)


def test_likelihood_and_profile_against_a_general_minimiser() -> None:
    c, n, p, sigma = _independent(_rng("general"), runs=2)

    def deviance(tau: float) -> float:
        variance = n[:, None] * p * (1 - p) + (tau * n[:, None] * sigma) ** 2
        return float((np.log(variance) + (c - n[:, None] * p) ** 2 / variance).sum())

    found = calibrate_errors(c, n, p, sigma)
    best = optimize.minimize_scalar(deviance, bounds=(0.1, 10), method="bounded")
    assert found.scale.value == pytest.approx(best.x, rel=1e-4)
    assert deviance(found.intervals[1].high) - best.fun == pytest.approx(3.841459, rel=1e-5)
    assert deviance(found.intervals[1].low) - best.fun == pytest.approx(3.841459, rel=1e-5)


def _correlated(rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Return held-out counts and camel fits whose covariance is claimed four times too small."""
    edges = camel_edges(20)
    fits = fit_camels(camel_draws((300 * 3, 1000), rng)).contents(edges)
    counts = rng.multinomial(30_000, np.full(20, 0.05), size=len(fits)).astype(np.float64)
    covariance = np.broadcast_to(np.cov(fits.T) / TAU**2, (len(fits), 20, 20))
    return counts, np.full(len(fits), 30_000.0), fits, covariance


def test_correlated_bins_need_their_covariance() -> None:
    c, n, p, covariance = _correlated(_rng("correlated"))
    sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    parts = [slice(k, k + 3) for k in range(0, 900, 3)]
    full = [calibrate_errors(c[k], n[k], p[k], covariance[k]) for k in parts]
    plain = [calibrate_errors(c[k], n[k], p[k], sigma[k]) for k in parts]
    covered = [_covered(found) for found in (full, plain)]
    assert_rate(covered[0], 300, 0.95)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(covered[1], 300, 0.95)
    assert full[0].correlated
    assert not full[0].warnings
    assert "independent" in plain[0].warnings[0]


def _covered(found: list[ErrorScale]) -> int:
    return sum(each.intervals[1].low <= TAU <= each.intervals[1].high for each in found)


def test_errors_that_do_not_matter_leave_the_scale_open() -> None:
    c, n, p, sigma = _independent(_rng("perfect"), tau=0.0)
    found = calibrate_errors(c, n, p, 1e-9 * sigma)
    assert found.intervals[1].low == 0.0
    assert found.intervals[1].high > 1e6
    again = from_dict(to_dict(found))
    assert isinstance(again, ErrorScale)
    assert again.intervals == found.intervals


def test_nothing_but_binomial_noise_gives_zero() -> None:
    c, n, p, sigma = _independent(_rng("zero"), tau=0.0)
    found = calibrate_errors(n[:, None] * p, n, p, sigma)
    assert found.scale.value == 0.0
    assert found.intervals[0].low == 0.0
    assert math.isnan(found.scale.error)


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (1, np.ones(3), "totals"),
        (2, np.zeros((RUNS, BINS)), "contents"),
        (3, np.zeros((RUNS, BINS)), "not all zero"),
        (3, -np.ones((RUNS, BINS)), "not all zero"),
    ],
)
def test_what_cannot_be_is_named(index: int, value: Array, message: str) -> None:
    data = list(_independent(_rng("bad")))
    data[index] = value
    with pytest.raises(InputError, match=message):
        calibrate_errors(*data)
