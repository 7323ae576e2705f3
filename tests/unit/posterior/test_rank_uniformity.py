"""Discrete ranks: exact laws, bands that agree with their p-values, the twin without jitter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate, assert_uniform, assert_within
from verisimile.checks.posterior.uniformity import (
    UniformNull,
    UniformTest,
    anderson_darling,
    jitter,
    kolmogorov,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict

EXPERIMENTS = 600
FAST = UniformTest(toys=19, grid=15)


def test_statistics_are_those_of_scipy(rng: np.random.Generator) -> None:
    u = np.sort(rng.random((3, 40)), axis=1)
    assert kolmogorov(u) == pytest.approx([stats.kstest(row, "uniform").statistic for row in u])
    normal = stats.norm.ppf(u)
    theirs = [
        stats.goodness_of_fit(
            stats.norm,
            row,
            known_params={"loc": 0.0, "scale": 1.0},
            statistic="ad",
            n_mc_samples=1,
            rng=rng,
        ).statistic
        for row in normal
    ]
    assert anderson_darling(u) == pytest.approx(theirs)


def test_anderson_darling_has_its_law(rng: np.random.Generator) -> None:
    # Mean 1 at every n; 2.492 is the asymptotic 5 % point, reached from n = 5 on.
    found = anderson_darling(np.sort(rng.random((20_000, 30)), axis=1))
    assert_within(found.mean(), 1.0, found.std() / np.sqrt(found.size))
    assert_rate(int((found > 2.492).sum()), found.size, 0.05)


def test_all_tests_have_their_size(rng: np.random.Generator) -> None:
    found = []
    for _ in range(EXPERIMENTS):
        null = UniformNull.simulate(40, FAST, rng)
        one = null.compare(jitter(rng.integers(8, size=40), 7, rng), "theta", n_draws=7)
        each = (one.kolmogorov, one.anderson_darling, one.chi_square, one.ecdf)
        found.append([p.value for p in each])
        assert one.inside == (one.ecdf.value > 0.05)
    p = np.array(found)
    assert_uniform(p[:, 0])
    assert_uniform(p[:, 1], steps=20, rng=rng)
    for column in p.T[:2]:
        assert_rate(int((column <= 0.05).sum()), EXPERIMENTS, 0.05)
    for column in p.T[2:]:  # discrete statistics: at most
        assert (column <= 0.05).mean() < 0.05 + 5 * np.sqrt(0.05 * 0.95 / EXPERIMENTS)


def _rejected(u: Array) -> bool:
    return bool(stats.kstwo.sf(kolmogorov(np.sort(u)[None])[0], u.size) <= 0.05)


def test_ranks_without_jitter_are_rejected_far_too_often(rng: np.random.Generator) -> None:
    # 0 … L against the continuous uniform law on (0, L): 57 % at N = 10 000, L = 100.
    trials, n, count = 300, 10_000, 100
    plain, spread = 0, 0
    for _ in range(trials):
        ranks = rng.integers(count + 1, size=n)
        plain += _rejected(ranks / count)
        spread += _rejected(jitter(ranks, count, rng))
    assert_rate(spread, trials, 0.05)
    assert_rate(plain, trials, 0.57)
    with pytest.raises(AssertionError, match="expected rate"):
        assert_rate(plain, trials, 0.05)


@pytest.mark.parametrize("n", [20, 137, 1000])
def test_leaving_the_band_is_a_small_p_value(n: int, rng: np.random.Generator) -> None:
    test = UniformTest(statistic="ecdf", toys=59, grid=20, level=0.2)
    null = UniformNull.simulate(n, test, rng)
    found = [null.compare(rng.random(n), "u", n_draws=9) for _ in range(100)]
    assert {one.inside for one in found} == {True, False}
    assert all(one.inside == (one.p_value.value > 0.2) for one in found)


def test_curve_counts_and_round_trip(rng: np.random.Generator) -> None:
    u = rng.random(50)
    test = UniformTest(statistic="chi-square", toys=19, bins=4, grid=3)
    one = UniformNull.simulate(50, test, rng).compare(u, "u", n_draws=9)
    assert one.counts == pytest.approx(np.histogram(u, bins=4, range=(0, 1))[0])
    assert one.curve == pytest.approx([(u <= a).mean() for a in (0.25, 0.5, 0.75)])
    assert one.p_value is one.chi_square
    assert repr(from_dict(to_dict(one))) == repr(one)


@pytest.mark.parametrize(
    "settings",
    [{"statistic": "kuiper"}, {"toys": 18}, {"level": 0.0}, {"bins": 1}, {"grid": 0}],
)
def test_settings_out_of_range(settings: dict[str, object]) -> None:
    with pytest.raises(InputError):
        UniformTest(**settings)  # type: ignore[arg-type]
