"""Moments and correlations: SciPy, jackknife, size with weights, and twins without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from physics_samples import KINDS, draw
from statistical import assert_rate, assert_within
from verisimile.checks.physics.correlations import CorrelationComparison, correlations, pearson
from verisimile.checks.physics.moments import MomentComparison, moments, weighted_moments
from verisimile.checks.physics.pair_map import PairMap, pair_map
from verisimile.checks.physics.ranks import spearman
from verisimile.checks.physics.samples import Spread, shares
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.data.events import Events
from verisimile.data.expressions import Expression

Estimator = Callable[[Array, Array], tuple[Array, Spread]]
COEFFICIENTS = [pearson, spearman]


def _equal(n: int) -> Array:
    return np.full(n, 1.0 / n)


def test_moments_are_scipys(rng: np.random.Generator) -> None:
    x = rng.gamma(2.0, 1.0, 500)
    values, _ = weighted_moments(x, _equal(500))
    assert values == pytest.approx([x.mean(), x.std(), stats.skew(x), stats.kurtosis(x)])


def test_weights_are_repetitions(rng: np.random.Generator) -> None:
    x, counts = rng.normal(size=(80, 3)), rng.integers(1, 5, 80)
    again = np.repeat(x, counts, axis=0)
    v = counts / counts.sum()
    for one in range(3):
        ours = weighted_moments(x[:, one], v)[0]
        assert ours == pytest.approx(weighted_moments(again[:, one], _equal(len(again)))[0])
    for estimator in COEFFICIENTS:
        assert estimator(x, v)[0] == pytest.approx(estimator(again, _equal(len(again)))[0])


def _jackknife(estimate: Callable[[Array, Array], Array], x: Array, u: Array) -> Array:
    """Return the variance from leaving out each event in turn."""
    left_out = []
    for i in range(len(x)):
        keep = np.arange(len(x)) != i
        left_out.append(estimate(x[keep], u[keep] / u[keep].sum()))
    apart = np.array(left_out) - np.mean(left_out, axis=0)
    return np.asarray((apart**2).sum(axis=0))


def _infinitesimal(estimate: Callable[[Array, Array], Array], x: Array, u: Array) -> Array:
    """Return the variance from changing each event's weight by 1e-6 of itself in turn."""
    change = []
    for i in range(len(x)):
        ends = []
        for step in (1e-6, -1e-6):
            moved = u.copy()
            moved[i] *= 1.0 + step
            ends.append(estimate(x, moved / moved.sum()))
        change.append((ends[0] - ends[1]) / 2e-6)
    return np.asarray((np.array(change) ** 2).sum(axis=0))


@pytest.mark.parametrize("kind", KINDS)
def test_moment_errors_are_derivatives(rng: np.random.Generator, kind: str) -> None:
    events = draw(rng, 300, kind)
    u = np.ones(300) if events.weights is None else events.weights
    _, spread = weighted_moments(events.x[:, 1], u / u.sum())
    numerical = _infinitesimal(lambda x, v: weighted_moments(x[:, 1], v)[0], events.x, u)
    assert spread.variance == pytest.approx(numerical, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", COEFFICIENTS)
def test_correlation_errors_are_derivatives(
    rng: np.random.Generator, estimator: Estimator, kind: str
) -> None:
    events = draw(rng, 300, kind)
    x = np.round(events.x, 1)  # with ties
    u = np.ones(300) if events.weights is None else events.weights
    _, spread = estimator(x, u / u.sum())
    numerical = _infinitesimal(lambda x, v: estimator(x, v)[0], x, u)
    assert spread.variance[0, 1] == pytest.approx(numerical[0, 1], rel=1e-5)


def test_errors_are_those_of_the_jackknife(rng: np.random.Generator) -> None:
    # Which differs at the next order in 1/n: 3 % here, for kurtosis more.
    x = draw(rng, 800).x
    for estimator in COEFFICIENTS:
        left_out = _jackknife(lambda x, v, e=estimator: e(x, v)[0], x, np.ones(800))  # type: ignore[misc]
        assert estimator(x, _equal(800))[1].variance[0, 1] == pytest.approx(
            left_out[0, 1], rel=0.03
        )


def test_matrices_are_numpys_and_scipys(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4))
    assert pearson(x, _equal(400))[0] == pytest.approx(np.corrcoef(x.T))
    tied = np.round(x)
    assert spearman(tied, _equal(400))[0] == pytest.approx(stats.spearmanr(tied).statistic)


def _z(rng: np.random.Generator, kind: str, estimator: Estimator, repetitions: int) -> Array:
    found = []
    for _ in range(repetitions):
        both = correlations(draw(rng, 1500, kind), draw(rng, 800, kind), coefficient=estimator)
        found.append(both.z[0, 1])
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", COEFFICIENTS)
def test_size_of_correlations(rng: np.random.Generator, estimator: Estimator, kind: str) -> None:
    z = _z(rng, kind, estimator, 500)
    assert_rate(int((2 * stats.norm.sf(np.abs(z)) <= 0.05).sum()), 500, 0.05)


def test_errors_without_weights_lose_the_size(rng: np.random.Generator) -> None:
    # Defective twin: the weights enter the correlation, but 1/n its error.
    def careless(x: Array, v: Array) -> tuple[Array, Spread]:
        return pearson(x, v)[0], pearson(x, _equal(len(x)))[1]

    z = _z(rng, "signed", careless, 500)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(int((2 * stats.norm.sf(np.abs(z)) <= 0.05).sum()), 500, 0.05)


def test_gaussian_error_is_wrong_for_other_laws(rng: np.random.Generator) -> None:
    # Defective twin: (1 - r^2)/sqrt(n), which holds for normal features only.
    found, claimed = [], []
    for _ in range(500):
        x = np.exp(0.5 * draw(rng, 1000).x)
        r, spread = pearson(x, _equal(1000))
        found.append(r[0, 1])
        claimed.append((spread.error[0, 1], (1 - r[0, 1] ** 2) / np.sqrt(1000)))
    deviation, excess = float(np.std(found, ddof=1)), float(stats.kurtosis(found))
    precision = 0.5 * deviation * np.sqrt((excess + 2.0) / 500)
    ours, gaussian = np.mean(claimed, axis=0)
    assert_within(deviation, ours, precision)
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(deviation, gaussian, precision)


@pytest.mark.parametrize("kind", KINDS)
def test_size_of_moments(rng: np.random.Generator, kind: str) -> None:
    # Means and deviations: skewness and kurtosis need far more events than these.
    p = np.array(
        [moments(draw(rng, 1500, kind), draw(rng, 1000, kind))[1].p_values[:2] for _ in range(500)]
    )
    for column in p.T:
        assert_rate(int((column <= 0.05).sum()), 500, 0.05)


def test_errors_on_a_few_events_give_no_p_value(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 2000, 1))
    x[:, 0] = 50.0
    (one,) = moments(Events(x[0]), Events(x[1]))
    assert one.carriers[3] < 5.0
    assert np.isnan(one.p_values[3])
    assert np.isfinite(one.z[3])
    assert np.isfinite(one.p_values[0])


def test_a_changed_correlation_is_found_and_named(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 8000, 5))
    x[:, 3] += 0.5 * x[:, 1]
    y[:, 3] += 0.3 * y[:, 1]
    first, second = Events(x), Events(y)
    for estimator in COEFFICIENTS:
        both = correlations(first, second, coefficient=estimator)
        ((one, other),) = both.worst(1)
        assert (one.name, other.name) == ("x1", "x3")
        assert both.adjusted[1, 3] < 1e-6
        assert "x1 and x3" in repr(both)
        assert both.coefficient == estimator.__name__
        assert (both.adjusted[np.triu_indices(5, 1)] < 0.05).sum() == 1


def test_constant_and_repeated_columns_are_nan(rng: np.random.Generator) -> None:
    x = np.column_stack([rng.normal(size=100), np.full(100, 0.1)])
    x = np.column_stack([x, x[:, 0]])
    first, second = Events(x), Events(x[::-1] * [1.0, 1.0, 2.0])
    for estimator in COEFFICIENTS:
        both = correlations(first, second, coefficient=estimator)
        assert np.isnan(both.reference[0, 1])
        assert np.isnan(both.z[0, 1])
        assert both.reference[0, 2] == pytest.approx(1.0)
        assert not np.isfinite(both.adjusted[0, 2])
    constant = moments(first, second)[1]
    assert constant.reference[:2] == pytest.approx([0.1, 0.0])
    assert np.isnan(constant.z).all()


def test_one_feature_has_no_correlation() -> None:
    one = Events([[1.0], [2.0]])
    with pytest.raises(InputError, match="two or more for correlations"):
        correlations(one, one)


def test_map_shows_where(rng: np.random.Generator) -> None:
    first, second = draw(rng, 40_000), draw(rng, 40_000)
    x = second.x.copy()
    x[:600] = rng.normal([1.0, -1.0], 0.05, (600, 2))
    found = pair_map(first, Events(x, features=second.features), ("a", "b"), bins=12)
    row, column = np.unravel_index(np.nanargmax(found.z), found.z.shape)
    assert found.edges[0][row] < 1.1
    assert found.edges[0][row + 1] > 0.9
    assert found.edges[1][column] < -0.9
    assert found.edges[1][column + 1] > -1.1
    assert found.reference.sum() == pytest.approx(1.0)
    assert found.difference.sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_map_of_equal_laws_is_quiet(rng: np.random.Generator, kind: str) -> None:
    squares = []
    for _ in range(40):
        z = pair_map(draw(rng, 20_000, kind), draw(rng, 10_000, kind), ("a", "b"), bins=8).z
        assert np.isfinite(z).mean() > 0.5
        squares.append(np.nanmean(z**2))
    assert_within(np.mean(squares), 1.0, np.std(squares, ddof=1) / np.sqrt(40))


def test_map_of_repeated_values_has_fewer_bins(rng: np.random.Generator) -> None:
    x = np.column_stack([rng.integers(0, 3, 300), np.full(300, 2.0)]).astype(float)
    found = pair_map(Events(x), Events(x), ("x0", "x1"))
    assert found.z.shape[0] <= 3
    assert found.z.shape[1] == 1
    assert not np.nan_to_num(found.z).any()


def test_map_refuses_what_is_no_pair(rng: np.random.Generator) -> None:
    events = draw(rng, 100)
    with pytest.raises(InputError, match="repeated"):
        pair_map(events, events, ("a", "a"))
    with pytest.raises(InputError, match="at least one bin"):
        pair_map(events, events, ("a", "b"), bins=0)


def test_results_survive_a_round_trip(rng: np.random.Generator) -> None:
    first, second = draw(rng, 300, "signed"), draw(rng, 200)
    results = [
        *moments(first, second),
        correlations(first, second),
        pair_map(first, second, ("a", "b"), bins=3),
    ]
    for result, kind in zip(
        results, [MomentComparison] * 2 + [CorrelationComparison, PairMap], strict=True
    ):
        again = from_dict(to_dict(result))
        assert isinstance(again, kind)
        assert repr(again) == repr(result)


def test_shares_and_expressions_agree_on_a_mean(rng: np.random.Generator) -> None:
    events = draw(rng, 100, "signed")
    product = Expression("a*b").of(events)
    v = shares(events)
    r, _ = pearson(events.x, v)
    mean, sigma = v @ events.x, np.sqrt(v @ (events.x - v @ events.x) ** 2)
    assert r[0, 1] == pytest.approx((v @ product - mean.prod()) / sigma.prod())
