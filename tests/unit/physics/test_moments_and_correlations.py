"""Moments and correlations: SciPy, jackknife, size with weights, and twins without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from physics_samples import KINDS, draw
from statistical import assert_rate, assert_within
from verisimile.checks.physics.correlations import (
    Coefficient,
    CorrelationComparison,
    correlations,
    pearson,
    spearman,
)
from verisimile.checks.physics.histograms import PairMap, pair_map
from verisimile.checks.physics.moments import MomentComparison, moments, weighted_moments
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.data.events import Events
from verisimile.data.expressions import Expression
from verisimile.samples.weighted import shares, spread_of

COEFFICIENTS: list[Coefficient] = [pearson, spearman]


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
        assert estimator(x, v).matrix == pytest.approx(estimator(again, _equal(len(again))).matrix)


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
    rng: np.random.Generator, estimator: Coefficient, kind: str
) -> None:
    events = draw(rng, 300, kind)
    x = np.round(events.x, 1)  # with ties
    u = np.ones(300) if events.weights is None else events.weights
    v = u / u.sum()
    spread = spread_of(v, estimator(x, v).influence(0, 1))
    numerical = _infinitesimal(lambda x, v: estimator(x, v).matrix, x, u)
    assert spread.variance == pytest.approx(numerical[0, 1], rel=1e-5)


def test_errors_are_those_of_the_jackknife(rng: np.random.Generator) -> None:
    # Which differs at the next order in 1/n: 3 % here, for kurtosis more.
    x = draw(rng, 800).x
    for estimator in COEFFICIENTS:
        left_out = _jackknife(lambda x, v, e=estimator: e(x, v).matrix, x, np.ones(800))  # type: ignore[misc]
        ours = spread_of(_equal(800), estimator(x, _equal(800)).influence(0, 1))
        assert ours.variance == pytest.approx(left_out[0, 1], rel=0.03)


def test_matrices_are_numpys_and_scipys(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4))
    assert pearson(x, _equal(400)).matrix == pytest.approx(np.corrcoef(x.T))
    tied = np.round(x)
    assert spearman(tied, _equal(400)).matrix == pytest.approx(stats.spearmanr(tied).statistic)


def _z(rng: np.random.Generator, kind: str, estimator: Coefficient, repetitions: int) -> Array:
    found = []
    for _ in range(repetitions):
        both = correlations(draw(rng, 1500, kind), draw(rng, 800, kind), coefficient=estimator)
        found.append(both.z[0, 1])
    return np.array(found)


@pytest.mark.calibration
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", COEFFICIENTS)
def test_size_of_correlations(rng: np.random.Generator, estimator: Coefficient, kind: str) -> None:
    z = _z(rng, kind, estimator, 500)
    assert_rate(int((2 * stats.norm.sf(np.abs(z)) <= 0.05).sum()), 500, 0.05)


def test_errors_without_weights_lose_the_size(rng: np.random.Generator) -> None:
    # Defective twin: the weights enter the correlation, but 1/n its error.
    z = []
    for _ in range(500):
        events = [draw(rng, n, "signed") for n in (1500, 800)]
        found = [pearson(one.x, shares(one)) for one in events]
        careless = sum(
            spread_of(_equal(one.n), own.influence(0, 1)).variance
            for one, own in zip(events, found, strict=True)
        )
        z.append((found[1].matrix[0, 1] - found[0].matrix[0, 1]) / np.sqrt(careless))
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(int((2 * stats.norm.sf(np.abs(z)) <= 0.05).sum()), 500, 0.05)


def test_gaussian_error_is_wrong_for_other_laws(rng: np.random.Generator) -> None:
    # Defective twin: (1 - r^2)/sqrt(n), which holds for normal features only.
    found, claimed = [], []
    for _ in range(500):
        x = np.exp(0.5 * draw(rng, 1000).x)
        own = pearson(x, _equal(1000))
        r = own.matrix[0, 1]
        found.append(r)
        error = float(spread_of(_equal(1000), own.influence(0, 1)).error)
        claimed.append((error, (1 - r**2) / np.sqrt(1000)))
    deviation, excess = float(np.std(found, ddof=1)), float(stats.kurtosis(found))
    precision = 0.5 * deviation * np.sqrt((excess + 2.0) / 500)
    ours, gaussian = np.mean(claimed, axis=0)
    assert_within(deviation, ours, precision)
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(deviation, gaussian, precision)


@pytest.mark.calibration
@pytest.mark.parametrize("kind", KINDS)
def test_size_of_moments(rng: np.random.Generator, kind: str) -> None:
    # Means and deviations: skewness and kurtosis need far more events than these.
    p = np.array(
        [moments(draw(rng, 1500, kind), draw(rng, 1000, kind))[1].p_values[:2] for _ in range(500)]
    )
    for column in p.T:
        assert_rate(int((column <= 0.05).sum()), 500, 0.05)


LAWS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "student 5": lambda rng, n: rng.standard_t(5, size=n),
}


def _tests_of(law: str, sizes: tuple[int, int], rng: np.random.Generator) -> Array:
    draws = (LAWS[law](rng, n)[:, None] for n in sizes)
    return moments(*map(Events, draws))[0].p_values


@pytest.mark.parametrize(
    ("law", "sizes"),
    [("normal", (60, 300)), ("exponential", (300, 300)), ("student 5", (300, 300))],
)
def test_size_of_moments_of_few_events(
    rng: np.random.Generator, law: str, sizes: tuple[int, int]
) -> None:
    # With each sample's own squares 11, 17 and 14 % of kurtoses were rejected.
    p = np.array([_tests_of(law, sizes, rng) for _ in range(1000)])
    known = np.isfinite(p).sum(axis=0)
    assert known[0] > 900
    for column, count in zip(p.T, known, strict=True):
        assert stats.binom.sf(int((column <= 0.05).sum()) - 1, count, 0.05) > 1e-4


def test_own_squares_of_few_events_lose_the_size(rng: np.random.Generator) -> None:
    # Defective twin: each sample's error from its own events, which know nothing of the tail.
    rejected = known = 0
    for _ in range(1000):
        found = [weighted_moments(rng.exponential(size=300), _equal(300)) for _ in range(2)]
        apart = found[1][0] - found[0][0]
        variance, fourth = (found[0][1][k] + found[1][1][k] for k in range(2))
        if variance[3] ** 2 >= 5.0 * fourth[3]:
            known += 1
            rejected += bool(abs(apart[3]) > 1.96 * np.sqrt(variance[3]))
    assert stats.binom.sf(rejected - 1, known, 0.05) < 1e-6


def test_correlations_of_many_features_of_few_events_keep_the_size(
    rng: np.random.Generator,
) -> None:
    smallest = [
        np.nanmin(correlations(Events(x), Events(y)).adjusted)
        for x, y in ((rng.normal(size=(60, 12)), rng.normal(size=(300, 12))) for _ in range(300))
    ]
    assert stats.binom.sf(int((np.array(smallest) <= 0.05).sum()) - 1, 300, 0.05) > 1e-4


def test_another_location_is_no_other_shape(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 2000, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]])
    (alike, _), (moved, _) = moments(Events(x), Events(y)), moments(Events(x), Events(3.0 * y + 5))
    assert moved.p_values[0] < 1e-6
    assert (np.abs(moved.z[2:]) < np.abs(alike.z[2:]) + 0.1).all()
    for estimator in COEFFICIENTS:
        z = [
            correlations(Events(x), Events(other), coefficient=estimator).z[0, 1]
            for other in (y, y * [3.0, 0.1] + [5.0, -2.0])
        ]
        assert abs(z[1]) < abs(z[0]) + 0.1


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
    r = pearson(events.x, v).matrix
    mean, sigma = v @ events.x, np.sqrt(v @ (events.x - v @ events.x) ** 2)
    assert r[0, 1] == pytest.approx((v @ product - mean.prod()) / sigma.prod())
