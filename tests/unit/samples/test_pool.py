"""Draws of the null: what they keep, what they vary by, groups, thinning, refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.groups import compact
from verisimile.samples.choices import choose
from verisimile.samples.coordinates import Standardised
from verisimile.samples.pool import (
    Pool,
    multiplier_draws,
    pool_samples,
    stretched_signs,
    units_of_first,
    variance_freedom,
)

DRAWS = 4000


def _weighted(rng: np.random.Generator, n: int, group: IntArray | None = None) -> Events:
    return Events(rng.normal(size=(n, 2)), np.exp(0.5 * rng.normal(size=n)), group=group)


def _pool(rng: np.random.Generator, n: int = 60, m: int = 40) -> Pool:
    return pool_samples(_weighted(rng, n), _weighted(rng, m), Standardised())


def test_masses_sum_to_one_and_each_side_fluctuates_by_itself(rng: np.random.Generator) -> None:
    pool = _pool(rng)
    rows = pool.multiplied(Seeds(1), 0, 50)
    np.testing.assert_allclose(rows.first.sum(axis=1), 1.0)
    np.testing.assert_allclose(rows.second.sum(axis=1), 1.0)
    np.testing.assert_allclose(rows.first[:, 60:], np.tile(pool.centre[60:], (50, 1)))
    np.testing.assert_allclose(rows.second[:, :60], np.tile(pool.centre[:60], (50, 1)))
    observed = pool.observed_masses()
    np.testing.assert_allclose(observed.signed[0], observed.base)
    np.testing.assert_allclose(rows.base, observed.base)


def test_the_variance_is_that_of_a_weighted_mean(rng: np.random.Generator) -> None:
    pool = _pool(rng)
    h = pool.x[:, 0]
    means = pool.multiplied(Seeds(2), 0, DRAWS).first @ h
    masses, values = pool.masses[0], h[:60]
    # Each residual about the mean, made good for what its own event takes from it.
    kept = 1.0 - 2.0 * masses + (masses**2).sum()
    wanted = float((masses**2 * (values - masses @ values) ** 2 / kept).sum())
    found = float(means.var(ddof=1))
    # The mean of multiplied masses is not quite centred: that is of second order.
    assert_within(found, wanted, wanted * np.sqrt(2.0 / DRAWS) + 0.03 * wanted)


def test_draws_are_those_of_a_law_with_the_freedom_of_their_variance() -> None:
    masses = np.exp(np.random.default_rng(4).normal(size=40))
    masses /= masses.sum()
    signed = np.concatenate([masses, -np.full(400, 1 / 400)])
    freedom = variance_freedom(signed, np.arange(440))
    squares = signed**2
    assert freedom == pytest.approx(2.5 * squares.sum() ** 2 / (squares**2).sum())
    rows = stretched_signs(Seeds(5), range(DRAWS), 440, freedom)
    size = np.abs(rows[:, 0])
    assert np.abs(np.abs(rows) - size[:, None]).max() < 1e-12  # one stretch for each draw
    wanted = freedom / (freedom - 2.0)
    assert_within((size**2).mean(), wanted, (size**2).std() / np.sqrt(DRAWS))
    # Equal masses: the variance is known, and draws are signs up to a few per cent.
    assert variance_freedom(np.full(800, 1 / 400), np.arange(800)) == pytest.approx(2000.0)
    # Two units of four rows each are two masses, not eight.
    assert variance_freedom(np.full(8, 0.25), np.repeat([0, 1], 4)) == pytest.approx(5.0)


def test_unweighted_leverages_give_the_unbiased_variance() -> None:
    values = np.random.default_rng(3).normal(size=12)
    masses, units = np.full(12, 1.0 / 12), np.arange(12)
    signs = np.array([[1.0 if b & (1 << k) else -1.0 for k in range(12)] for b in range(2**12)])
    means = multiplier_draws(masses, units, signs) @ values
    # Over all signs, so that nothing is random: the variance of a mean of twelve.
    assert (means**2).mean() == pytest.approx(values.var(ddof=1) / 12)


def test_a_group_has_one_multiplier(rng: np.random.Generator) -> None:
    group = np.repeat(np.arange(20), 3)
    pool = pool_samples(_weighted(rng, 60, group), _weighted(rng, 60, group), Standardised())
    assert pool.n_units == 40  # equal codes of the two samples are different groups
    delta = pool.multiplied(Seeds(1), 0, 9).first[:, :60] - pool.centre[:60]
    ratio = (delta / pool.masses[0]).reshape(9, 20, 3)
    np.testing.assert_allclose(ratio, ratio[:, :, :1] * np.ones(3))
    assert pool.n_effective[0] < 20.0


def test_whole_groups_change_sides(rng: np.random.Generator) -> None:
    sizes = np.array([1, 2, 3, 4, 5])
    group = np.repeat(np.arange(5), sizes)
    first, second = (Events(rng.normal(size=(15, 1)), group=group) for _ in range(2))
    pool = pool_samples(first, second, Standardised())
    assert pool.null == "relabelings"
    labels = pool.relabeled(Seeds(1), 0, 200)
    units = [labels[:, pool.units == unit] for unit in range(10)]
    assert all((part == part[:, :1]).all() for part in units)
    assert (np.sum([part[:, 0] for part in units], axis=0) == 5).all()
    assert len(set(labels.sum(axis=1).tolist())) > 3


def test_equal_weights_are_none_and_others_are_multiplied(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(50, 2))
    plain = pool_samples(Events(x), Events(y), Standardised())
    same = pool_samples(Events(x, np.full(40, 0.1)), Events(y), Standardised())
    assert (plain.null, same.null) == ("relabelings", "relabelings")
    np.testing.assert_array_equal(plain.weights, same.weights)
    weighted = Events(x, rng.uniform(0.9, 1.1, size=40))
    assert pool_samples(weighted, Events(y), Standardised()).null == "multipliers"
    declared = pool_samples(weighted, Events(y), Standardised(), exchangeable_weights=True)
    assert declared.null == "relabelings"


@pytest.mark.parametrize(
    ("sizes", "most", "wanted"),
    [
        ((700, 100), 300, (200, 100)),
        ((100, 700), 300, (100, 200)),
        ((700, 600), 301, (151, 150)),
        ((700, 100), 800, (700, 100)),
    ],
)
def test_only_the_larger_sample_is_thinned(
    sizes: tuple[int, int], most: int, wanted: tuple[int, int], rng: np.random.Generator
) -> None:
    first, second = (Events(rng.normal(size=(n, 1))) for n in sizes)
    pool = pool_samples(first, second, Standardised())
    thin = pool.thinned(most, rng)
    assert thin.sizes == wanted
    assert (thin is pool) == (sizes == wanted)
    np.testing.assert_array_equal(thin.x, pool.x[thin.rows])
    assert ((thin.rows < sizes[0]).sum(), thin.rows.size) == (wanted[0], sum(wanted))
    assert np.unique(thin.rows).size == sum(wanted)


def test_a_thinned_pool_has_the_multipliers_of_the_whole(rng: np.random.Generator) -> None:
    pool = _pool(rng, 600, 400)
    thin = pool.thinned(300, rng)
    whole, part = (one.multiplied(Seeds(4), 0, 3) for one in (pool, thin))
    signs = [
        np.sign((rows.first - rows.second)[:, places])
        for rows, places in ((whole, thin.rows), (part, slice(None)))
    ]
    # But for the centring, which is small, their signs are those of the multipliers.
    assert (signs[0] == signs[1]).mean() > 0.98


def test_too_few_effective_events_are_refused(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 1))
    heavy = np.where(np.arange(200) < 30, 1.0, 1e-3)
    fine = pool_samples(Events(x), Events(x + 0.1, rng.uniform(0.1, 2.0, size=200)), Standardised())
    assert fine.refusal == ""
    few = pool_samples(
        Events(x), Events(x + 0.1, np.where(np.arange(200) < 9, heavy, 1e-4)), Standardised()
    )
    assert "generated sample leave 9" in few.refusal
    assert pool_samples(Events(x[:20]), Events(x[:30] + 0.1), Standardised()).refusal == ""
    grouped = Events(x + 0.1, rng.uniform(0.9, 1.1, size=200), group=np.arange(200) // 10)
    assert "effective groups" in pool_samples(Events(x), grouped, Standardised()).refusal


def test_a_dominating_event_is_refused_and_ordinary_weights_are_not(
    rng: np.random.Generator,
) -> None:
    x = rng.normal(size=(200, 1))
    one = np.where(np.arange(200) == 0, 37.0, 1.0)  # 16 % of the sample, 35 effective events
    pool = pool_samples(Events(x), Events(x + 0.1, one), Standardised())
    assert pool.n_effective[1] > 30.0
    assert "one of the events holds 15.7 % of the generated sample" in pool.refusal
    # With fifty effective events no event can hold that much: the root of 1/50 is 14 %.
    fifty = np.where(np.arange(200) == 0, 30.0, 1.0)
    pool = pool_samples(Events(x), Events(x + 0.1, fifty), Standardised())
    assert pool.n_effective[1] < 50.0
    assert pool.refusal == ""


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([2, 5, 7, 11], [0, 1, 2, 3]),  # of a thinned pool: rows that stand alone
        ([4, 4, 9, 9], [0, 0, 1, 1]),
        ([7, 2, 7, 3], [0, 1, 0, 2]),
    ],
)
def test_codes_are_renumbered_by_first_appearance(codes: list[int], wanted: list[int]) -> None:
    found = compact(np.array(codes))
    assert found.tolist() == wanted
    assert not found.flags.writeable


def test_the_first_sample_keeps_its_number_of_units(rng: np.random.Generator) -> None:
    group = rng.integers(20, size=60)
    pool = pool_samples(_weighted(rng, 60, group), _weighted(rng, 40), Standardised())
    thin = pool.thinned(50, rng)
    for each in (pool, thin):
        units, split = compact(each.units), each.sizes[0]
        assert units_of_first(units, split) == np.unique(each.units[:split]).size


def _subset_counts(
    pick: Callable[[BoolArray, int, np.random.Generator], None], *, of: int, chosen: int
) -> Array:
    """Return how often each choice of some of the places is made, 300 times for each choice."""
    choices = list(itertools.combinations(range(of), chosen))
    number = {choice: k for k, choice in enumerate(choices)}
    rng, counts = np.random.default_rng(4), np.zeros(len(choices))
    for _ in range(300 * len(choices)):
        side = np.ones(of, dtype=np.bool_)
        pick(side, chosen, rng)
        counts[number[tuple(np.flatnonzero(side).tolist())]] += 1
    return counts


def _pick_unevenly(side: BoolArray, count: int, rng: np.random.Generator) -> None:
    """Choose as a twin with one defect: of too many or too few coins the first are turned over."""
    np.less(rng.random(side.size), count / side.size, out=side)
    excess = int(side.sum()) - count
    side[np.flatnonzero(side if excess > 0 else ~side)[: abs(excess)]] = excess < 0


@pytest.mark.parametrize(("of", "chosen"), [(7, 2), (6, 3), (12, 1)])
def test_every_choice_of_places_is_as_likely(of: int, chosen: int) -> None:
    assert stats.chisquare(_subset_counts(choose, of=of, chosen=chosen)).pvalue > 1e-3
    assert stats.chisquare(_subset_counts(_pick_unevenly, of=of, chosen=chosen)).pvalue < 1e-6


@pytest.mark.parametrize("count", [1, 3, 150, 150_000, 200_000, 299_990])
def test_so_many_places_are_chosen(count: int, rng: np.random.Generator) -> None:
    side = np.empty(300_000, dtype=np.bool_)
    for _ in range(3):
        choose(side, count, rng)
        assert np.count_nonzero(side) == count
