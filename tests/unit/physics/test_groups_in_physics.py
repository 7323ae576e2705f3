"""Rows that come in groups, in the physics part: size, and what rows alone would say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.physics.constraints import violations
from verisimile.checks.physics.correlations import correlations, spearman
from verisimile.checks.physics.histograms import marginal_pair
from verisimile.checks.physics.moments import moments
from verisimile.checks.physics.selections import efficiencies
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.expressions import Condition
from verisimile.samples.contents import Contents, cells_of

CUT = Condition("x0 > 0.3")
REPETITIONS = 400


def pair(seed: Seeds, *, grouped: bool) -> tuple[Events, Events]:
    """Return 60 physics events of three equal rows, against 60 others."""
    rng, group = seed.numpy(), np.repeat(np.arange(60), 3)
    first, second = (
        Events(np.repeat(rng.normal(size=(60, 1)), 3, axis=0), group=group if grouped else None)
        for _ in range(2)
    )
    return first, second


def rejections(*, grouped: bool) -> int:
    found = (
        efficiencies(*pair(Seeds(5).at(k), grouped=grouped), {"cut": CUT})[0].p_value
        for k in range(REPETITIONS)
    )
    return sum(p <= 0.05 for p in found)


def test_size_of_selections_with_groups() -> None:
    assert_rate(rejections(grouped=True), REPETITIONS, 0.05)


def test_rows_counted_alone_lose_their_size() -> None:
    # The defective twin: groups of three equal rows, not declared.
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejections(grouped=False), REPETITIONS, 0.05)


def test_the_error_is_that_of_groups() -> None:
    first, second = pair(Seeds(6), grouped=True)
    found = efficiencies(first, second, {"cut": CUT})[0]
    value = found.reference.value
    assert found.reference.error == pytest.approx(np.sqrt(value * (1 - value) / 60))
    assert found.method == "normal law"
    assert found.reference.low == pytest.approx(value - found.reference.error)


def test_a_law_is_violated_by_groups() -> None:
    first, second = pair(Seeds(7), grouped=True)
    found = violations(first, second, {"bounded": Condition("x0 < 1.5")})[0]
    assert found.reference.n_groups == 60
    assert found.reference.violated == 3 * found.reference.violated_groups > 0
    alone = violations(*pair(Seeds(7), grouped=False), {"b": Condition("x0 < 1.5")})[0]
    assert alone.reference.violated_groups == alone.reference.violated
    assert alone.reference.n_groups == 180


def alike(seed: Seeds, *, grouped: bool, weighted: bool) -> tuple[Events, Events]:
    """Return two samples of 150 groups of one to six rows that are alike but not equal."""
    rng, found = seed.numpy(), []
    for _ in range(2):
        sizes = rng.integers(1, 7, 150)
        centre = np.repeat(rng.normal(size=(150, 2)), sizes, axis=0)
        x = 0.9 * centre + np.sqrt(0.19) * rng.normal(size=centre.shape)
        weights = np.repeat(rng.uniform(0.5, 1.5, 150), sizes) if weighted else None
        group = np.repeat(np.arange(150), sizes) if grouped else None
        found.append(Events(x, weights, group=group))
    return found[0], found[1]


def p_values(seed: Seeds, *, grouped: bool, weighted: bool) -> list[float]:
    first, second = alike(seed, grouped=grouped, weighted=weighted)
    ranks = correlations(first, second, coefficient=spearman)
    return [
        marginal_pair(first, second)[0].p_value,
        *moments(first, second)[0].p_values[:2],
        correlations(first, second).adjusted[0, 1],
        ranks.adjusted[0, 1],
    ]


@pytest.mark.calibration
@pytest.mark.parametrize("weighted", [False, True])
def test_size_of_marginals_moments_and_correlations_with_groups(weighted: bool) -> None:
    p = np.array([p_values(Seeds(8).at(k), grouped=True, weighted=weighted) for k in range(200)])
    for column in p.T:
        assert np.isfinite(column).mean() > 0.9
        assert stats.binom.sf(int((column <= 0.05).sum()) - 1, len(column), 0.05) > 1e-4
        assert (column <= 0.05).mean() > 0.005


def test_marginals_moments_and_correlations_of_rows_alone_lose_their_size() -> None:
    p = np.array([p_values(Seeds(9).at(k), grouped=False, weighted=False) for k in range(100)])
    assert ((p <= 0.05).sum(axis=0) > stats.binom.isf(1e-4, 100, 0.05)).all()


def test_contents_of_groups_have_the_covariance_of_their_sums() -> None:
    (events, _), edges = alike(Seeds(10), grouped=True, weighted=True), np.linspace(-2, 2, 6)
    assert events.weights is not None
    assert events.group is not None
    cells = cells_of(events.x[:, 0], edges)
    found = Contents.of(cells, events.weights, 7, group=events.group)
    v = events.weights / events.weights.sum()
    terms = v[:, None] * (np.eye(7)[cells] - found.shares)
    sums = np.zeros((events.n_groups, 7))
    np.add.at(sums, events.group, terms)
    assert found.covariance == pytest.approx(sums.T @ sums, rel=1e-10, abs=1e-16)
    merged = np.array([0, 0, 1, 1, 1, 2, 2])
    by_hand = Contents.of(merged[cells], events.weights, 3, group=events.group)
    assert found.merged(merged).covariance == pytest.approx(by_hand.covariance, abs=1e-16)
    alone = Contents.of(cells, events.weights, 7)
    assert (found.errors[1:6] > 1.1 * alone.errors[1:6]).all()
    single = Contents.of(cells, events.weights, 7, group=np.arange(events.n))
    assert single.covariance == pytest.approx(alone.covariance, abs=1e-16)


@pytest.mark.parametrize("count", [12, 49, 50])
def test_few_groups_have_no_p_values_of_moments(count: int) -> None:
    # Of twelve groups against sixty the standard deviation rejected 16 % of what it had.
    rng, group = Seeds(11).numpy(), np.repeat(np.arange(count), 3)
    few = Events(np.repeat(rng.normal(size=(count, 2)), 3, axis=0), group=group)
    first, _ = pair(Seeds(12), grouped=True)
    many = Events(rng.normal(size=(first.n, 2)), group=first.group)
    known = np.isfinite(moments(many, few)[0].p_values[0])
    assert known == np.isfinite(correlations(many, few).adjusted[0, 1]) == (count >= 50)
