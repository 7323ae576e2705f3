"""Forced choice: exact laws, coverage, and the twins that ignore small n or clusters."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import special, stats

from human_ratings import choices
from statistical import FIVE_SIGMA
from verisimile.checks.ratings.clusters import Clusters
from verisimile.checks.ratings.forced_choice import ForcedChoice, flip_p_value, forced_choice
from verisimile.checks.ratings.table import Ratings
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.stats.intervals import clopper_pearson

EXPERIMENTS = 500


def _assert_covers(count: int, level: float) -> None:
    """Require coverage of at least `level`; more is allowed, since counts are discrete."""
    if stats.binom.cdf(count, EXPERIMENTS, level) < FIVE_SIGMA:
        raise AssertionError(f"{count} of {EXPERIMENTS} is less than {level}")


def _simple(taken: int, n: int) -> Ratings:
    names = tuple(map(str, range(n)))
    answers = ("generated",) * taken + ("real",) * (n - taken)
    return Ratings(names, names, ("flow",) * n, answers)


@pytest.mark.parametrize(("taken", "n"), [(6, 20), (1, 12), (0, 15), (15, 15), (50, 100)])
def test_one_answer_each_is_the_exact_binomial(taken: int, n: int) -> None:
    (found,) = forced_choice(_simple(taken, n))
    assert found.interval == pytest.approx(clopper_pearson(taken, n, level=0.95), abs=1e-12)
    assert found.binomial_interval == pytest.approx(found.interval, abs=1e-12)
    assert found.p_value.value == pytest.approx(stats.binomtest(taken, n).pvalue, rel=1e-10)
    assert found.warnings == ()


def test_flips_are_those_counted_by_hand(rng: np.random.Generator) -> None:
    for _ in range(20):
        apart = rng.integers(-3, 4, size=8)
        signs = np.array(list(product((-1, 1), repeat=8)))
        expected = (np.abs(signs @ apart) >= abs(apart.sum())).mean()
        assert flip_p_value(apart).value == pytest.approx(expected, rel=1e-12)
    assert flip_p_value(np.zeros(3, dtype=np.int64)).value == 1.0
    assert flip_p_value(np.full(200, 2)).value == pytest.approx(2.0**-199)


def test_equal_raters_are_one_answer_each() -> None:
    # Five raters who always agree know no more than one of them.
    items = tuple(str(i) for i in range(20)) * 5
    raters = tuple(str(i // 20) for i in range(100))
    answers = tuple("generated" if int(i) < 6 else "real" for i in items)
    (found,) = forced_choice(Ratings(raters, items, ("flow",) * 100, answers))
    assert found.p_value.value == pytest.approx(stats.binomtest(6, 20).pvalue)
    assert found.binomial_p_value.value == pytest.approx(stats.binomtest(30, 100).pvalue)
    assert found.design_effect == pytest.approx(99 / 19)
    assert "too narrow" in found.warnings[0]
    low, high = clopper_pearson(6, 20, level=0.95)
    assert found.interval[0] < low < high < found.interval[1]


def test_systems_apart_and_json() -> None:
    ratings = Ratings(
        ("a", "b", "a", "b"), ("1", "2", "3", "4"), ("x", "x", "y", "y"),
        ("real", "Generated", "real", "real"),
    )  # fmt: skip
    found = forced_choice(ratings)
    assert [one.system for one in found] == ["x", "y"]
    assert [one.rate for one in found] == [0.5, 0.0]
    again = from_dict(to_dict(found[0]))
    assert isinstance(again, ForcedChoice)
    assert again == found[0]
    (few,) = forced_choice(choices(np.random.default_rng(1), (2, 9), (0.0, 0.0), 0.0))
    assert "Only 2 clusters" in few.warnings[-1]


def test_refusals() -> None:
    with pytest.raises(InputError, match="'maybe' by 'a' on '1'"):
        forced_choice(Ratings(("a",), ("1",), ("x",), ("maybe",)))
    with pytest.raises(InputError, match="one rater and one item"):
        Clusters.of(Ratings(("a",), ("1",), ("x",), ("real",))).covariance(np.ones((1, 1)))
    with pytest.raises(InputError, match="level"):
        forced_choice(_simple(3, 9), level=1.0)


@pytest.fixture(scope="module")
def clustered() -> tuple[list[ForcedChoice], float]:
    rng = np.random.default_rng(41)
    spread, centre = (0.6, 0.6), -0.5
    normal = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    mean = special.expit(centre + np.hypot(*spread) * normal).mean()
    found = [forced_choice(choices(rng, (15, 25), spread, centre))[0] for _ in range(EXPERIMENTS)]
    return found, float(mean)


def test_interval_covers_with_clusters(clustered: tuple[list[ForcedChoice], float]) -> None:
    found, rate = clustered
    _assert_covers(sum(one.interval[0] <= rate <= one.interval[1] for one in found), 0.95)


def test_ignoring_clusters_is_found_out(clustered: tuple[list[ForcedChoice], float]) -> None:
    found, rate = clustered
    inside = [one.binomial_interval[0] <= rate <= one.binomial_interval[1] for one in found]
    with pytest.raises(AssertionError, match="less than"):
        _assert_covers(sum(inside), 0.95)


def test_interval_covers_at_small_n_and_walds_does_not(rng: np.random.Generator) -> None:
    n, rate, exact, wald = 12, 0.95, 0, 0
    for taken in rng.binomial(n, rate, EXPERIMENTS).tolist():
        (found,) = forced_choice(_simple(taken, n))
        exact += found.interval[0] <= rate <= found.interval[1]
        half = 1.96 * np.sqrt(taken / n * (1 - taken / n) / n)
        wald += abs(taken / n - rate) <= half
    _assert_covers(exact, 0.95)
    with pytest.raises(AssertionError, match="less than"):
        _assert_covers(wald, 0.95)


def test_flips_hold_their_level_where_the_binomial_does_not(rng: np.random.Generator) -> None:
    # Items look more or less real, as often one way as the other; ten raters see each.
    flips = binomial = 0
    for _ in range(EXPERIMENTS):
        (found,) = forced_choice(choices(rng, (10, 30), (0.0, 1.5), 0.0))
        flips += found.p_value.value <= 0.05
        binomial += found.binomial_p_value.value <= 0.05
    _assert_covers(EXPERIMENTS - flips, 0.95)
    assert flips > 0.02 * EXPERIMENTS
    with pytest.raises(AssertionError, match="less than"):
        _assert_covers(EXPERIMENTS - binomial, 0.95)
