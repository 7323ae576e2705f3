"""The squared distance is free of bias, and its noise is the covariance written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from statistical import assert_within
from verisimile.checks.amplification.shares import Difference, Shares, difference, shares_of
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError

Make = Callable[[np.random.Generator, Array, int], Shares]

P = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
Q = np.array([0.44, 0.26, 0.15, 0.08, 0.07])


def _weighted(rng: np.random.Generator, p: Array, n: int) -> Shares:
    return shares_of(rng.choice(5, size=n, p=p), 5, rng.random(n), "events")


def _plain(rng: np.random.Generator, p: Array, n: int) -> Shares:
    return shares_of(rng.choice(5, size=n, p=p), 5, None, "events")


def _full(shares: Shares) -> Array:
    diagonal, factors, middle = shares.low_rank()
    return np.asarray(np.diag(diagonal) + factors @ middle @ factors.T)


def test_covariance_of_plain_shares() -> None:
    shares = _plain(np.random.default_rng(0), P, 400)
    g = shares.values
    np.testing.assert_allclose(_full(shares), (np.diag(g) - np.outer(g, g)) / 399, atol=1e-14)
    np.testing.assert_allclose(shares.diagonal, g * (1 - g) / 399)


def test_traces_without_matrices() -> None:
    rng = np.random.default_rng(1)
    first, second = _weighted(rng, P, 300), _plain(rng, Q, 200)
    covariance = _full(first) + _full(second)
    np.testing.assert_allclose(np.diag(_full(first)), first.diagonal)
    found = difference(first, second)
    d = first.values - second.values
    noise = np.trace(covariance)
    np.testing.assert_allclose(found.noise, noise)
    np.testing.assert_allclose(found.distance, d @ d - noise)
    np.testing.assert_allclose(found.trace2, np.trace(covariance @ covariance))
    typical = np.trace(np.linalg.matrix_power(covariance, 3)) / found.trace2
    np.testing.assert_allclose(found.along, max(d @ covariance @ d / (d @ d), typical))


def test_equal_regions_have_the_textbook_noise() -> None:
    equal = Shares(np.full(20, 0.05), np.full(20, 0.05) / 1000)
    found = difference(equal, equal)
    scale = 2.0 / 999 / 20
    np.testing.assert_allclose([found.noise, found.trace2], [19 * scale, 19 * scale**2])
    np.testing.assert_allclose(found.along, scale)


@pytest.mark.parametrize("make", [_plain, _weighted])
def test_distance_and_spread_are_free_of_bias(make: Make) -> None:
    rng = np.random.default_rng(2)
    holdouts = [make(rng, P, 100) for _ in range(2000)]
    distances = np.array([difference(make(rng, Q, 200), each).distance for each in holdouts])
    spreads = np.array([each.spread for each in holdouts])
    # A ratio of weighted sums is biased at second order in 1/n only.
    assert_within(distances.mean(), ((P - Q) ** 2).sum(), distances.std(ddof=1) / 2000**0.5)
    assert_within(spreads.mean(), (P * (1 - P)).sum(), spreads.std(ddof=1) / 2000**0.5)


def test_distance_with_its_noise_is_biased() -> None:
    # The defective twin: the same check on the plain square.
    rng = np.random.default_rng(2)
    found = np.array([_square(_pair(_plain, rng)) for _ in range(2000)])
    with pytest.raises(AssertionError):
        assert_within(found.mean(), ((P - Q) ** 2).sum(), found.std(ddof=1) / 2000**0.5)


def _pair(make: Make, rng: np.random.Generator) -> Difference:
    return difference(make(rng, Q, 200), make(rng, P, 100))


def _square(found: Difference) -> float:
    return found.distance + found.noise


def test_refusals() -> None:
    labels = np.array([0, 1, 1])
    with pytest.raises(InputError, match="negative"):
        shares_of(labels, 2, np.array([1.0, -1.0, 1.0]), "generated")
    with pytest.raises(InputError, match="effective"):
        shares_of(labels[:1], 2, None, "generated")
    one = shares_of(np.zeros(10, dtype=np.int64), 3, None, "generated")
    with pytest.raises(NumericsError, match="one region"):
        difference(one, one)
