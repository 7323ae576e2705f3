"""Marginals of two samples: bins, yardstick, distances, and the file they are kept in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from physics_samples import draw
from statistical import assert_within
from verisimile.checks.physics.histograms import MarginalPair, marginal_pair, wasserstein
from verisimile.core.errors import InputError
from verisimile.core.result import load, save
from verisimile.data.events import Events
from verisimile.data.feature import Feature


def test_both_samples_share_the_bins(rng: np.random.Generator) -> None:
    features = (Feature("jets", kind="discrete"), Feature("pt", low=0.0), Feature("x"))
    first, second = (
        Events(
            np.column_stack(
                [rng.poisson(3.0, n), rng.lognormal(0, 1, n), rng.normal(0, 1, n)],
            ),
            features=features,
        )
        for n in (4000, 3000)
    )
    jets, pt, x = marginal_pair(first, second, bins=20)
    assert np.diff(jets.edges) == pytest.approx(1.0)
    assert pt.logarithmic
    assert pt.edges[1:] / pt.edges[:-1] == pytest.approx(pt.edges[1] / pt.edges[0])
    assert x.pulls.shape == x.ratio.shape == (20,)
    for one in (jets, pt, x):
        assert one.reference.sumw.sum() == 4000
        assert one.generated.sumw.sum() == 3000
        assert one.p_value > 1e-4
        assert one.train is None


def test_columns_are_matched_by_name(rng: np.random.Generator) -> None:
    first, second = draw(rng, 2000), draw(rng, 2000)
    swapped = second.select(("b", "a"))
    assert [one.chi2 for one in marginal_pair(first, swapped)] == [
        one.chi2 for one in marginal_pair(first, second)
    ]


@pytest.mark.parametrize("kind", ["none", "gamma"])
def test_distance_is_scipys(rng: np.random.Generator, kind: str) -> None:
    first, second = draw(rng, 300, kind), draw(rng, 200, kind, shift=0.3)
    theirs = stats.wasserstein_distance(
        first.x[:, 1], second.x[:, 1], first.weights, second.weights
    )
    u = np.ones(300) if first.weights is None else first.weights
    mean = np.average(first.x[:, 1], weights=u)
    deviation = np.sqrt(np.average((first.x[:, 1] - mean) ** 2, weights=u))
    assert wasserstein(first, second, "b") == pytest.approx(theirs / deviation, rel=1e-10)


def test_distance_of_a_shift_is_the_shift(rng: np.random.Generator) -> None:
    first = draw(rng, 20_000, "signed")
    shifted = Events(first.x + 3.0, first.weights, features=first.features)
    assert wasserstein(first, shifted, "a") >= 3.0 / 1.1


def test_where_the_samples_differ_is_named(rng: np.random.Generator) -> None:
    first, second = draw(rng, 20_000), draw(rng, 20_000)
    x = second.x.copy()
    x[:800, 0] = rng.normal(1.3, 0.02, 800)
    a, b = marginal_pair(first, Events(x, features=second.features))
    assert a.p_value < 1e-6
    assert b.p_value > 1e-4
    low, high = a.worst
    assert low - 0.1 < 1.3 < high + 0.1


def test_yardstick_has_the_size_of_the_generated_sample(rng: np.random.Generator) -> None:
    first, second, train = draw(rng, 5000), draw(rng, 2000, "signed"), draw(rng, 9000)
    a, _ = marginal_pair(first, second, train=train)
    assert a.train is not None
    assert a.train.n == round(second.n_effective)
    assert a.train.contents.sumw.sum() == a.train.n
    assert a.train.ratio.shape == a.ratio.shape
    small, _ = marginal_pair(first, second, train=train.take(np.arange(300)))
    assert small.train is not None
    assert small.train.n == 300


def test_yardstick_shows_what_a_perfect_generator_would(rng: np.random.Generator) -> None:
    ours, theirs = [], []
    for _ in range(60):
        a, _ = marginal_pair(draw(rng, 2000), draw(rng, 1000), train=draw(rng, 4000))
        assert a.train is not None
        ours.append(a.separation)
        theirs.append(a.train.separation)
    apart = np.array(ours) - np.array(theirs)
    assert_within(apart.mean(), 0.0, apart.std(ddof=1) / np.sqrt(60))


def test_results_survive_the_disk(rng: np.random.Generator, tmp_path: Path) -> None:
    a, _ = marginal_pair(draw(rng, 500, "signed"), draw(rng, 400), train=draw(rng, 300))
    again = load(save(a, tmp_path / "a"))
    assert isinstance(again, MarginalPair)
    assert repr(again) == repr(a)
    assert again.train is not None
    assert np.array_equal(again.reference.sumw2, a.reference.sumw2)
    assert np.array_equal(again.pulls, a.pulls, equal_nan=True)


def test_equal_columns_are_compared_without_a_verdict() -> None:
    both = [Events(np.full((n, 1), 2.0)) for n in (50, 60)]
    (one,) = marginal_pair(*both)
    assert np.isnan(one.p_value)
    assert np.isnan(one.distance)
    assert np.isnan(one.worst).all()


def test_samples_that_cannot_be_compared_are_refused(rng: np.random.Generator) -> None:
    good = draw(rng, 50)
    with pytest.raises(InputError, match="generated: got one event"):
        marginal_pair(good, good.take([0]))
    with pytest.raises(InputError, match=r"generated.weights: got a sum of -1"):
        marginal_pair(good, Events(good.x[:3], [1.0, -1.0, -1.0], names=("a", "b")))
    with pytest.raises(InputError, match="columns"):
        marginal_pair(good, good.select(("a",)))
    with pytest.raises(InputError, match="train: got one event"):
        marginal_pair(good, good, train=good.take([0]))
