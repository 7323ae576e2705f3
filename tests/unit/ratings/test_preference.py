"""Bradley-Terry: closed form, published league, a second optimiser, coverage, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special

from human_ratings import preferences
from statistical import assert_rate, assert_within
from verisimile.checks.ratings.preference import (
    Preference,
    bradley_terry,
    inverse_information,
    preference,
)
from verisimile.checks.ratings.table import Ratings
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict

# A. Agresti, Categorical Data Analysis (2002), table 10.10: wins in the American League 1987 of
# Milwaukee, Detroit, Toronto, New York, Boston, Cleveland and Baltimore, and strengths.
LEAGUE = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    dtype=np.float64,
)
STRENGTHS = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0.0]


def _answers(wins: int, losses: int, ties: int) -> Ratings:
    answers = ("a",) * wins + ("b",) * losses + ("Tie",) * ties
    names = tuple(map(str, range(len(answers))))
    first = tuple("a" if i % 2 else "b" for i in range(len(answers)))
    second = tuple("b" if i % 2 else "a" for i in range(len(answers)))
    return Ratings(names, names, first, answers, second)


def test_published_league() -> None:
    found = bradley_terry(LEAGUE)
    assert found - found[-1] == pytest.approx(STRENGTHS, abs=6e-4)
    assert found.sum() == pytest.approx(0.0, abs=1e-12)


def test_a_second_optimiser_agrees(rng: np.random.Generator) -> None:
    wins = rng.integers(1, 20, size=(5, 5)) * (1 - np.eye(5))

    def loss(free: np.ndarray) -> float:
        all_of_them = np.append(free, 0.0)
        return -float((wins * special.log_expit(all_of_them[:, None] - all_of_them)).sum())

    theirs = optimize.minimize(loss, np.zeros(4), method="BFGS", tol=1e-10)
    found = bradley_terry(wins)
    assert found[:4] - found[4] == pytest.approx(theirs.x, abs=1e-5)
    apart = np.hstack([np.eye(4), -np.ones((4, 1))])
    ours = apart @ inverse_information(wins, found) @ apart.T
    second = [
        optimize.approx_fprime(
            theirs.x, lambda at, i=i: optimize.approx_fprime(at, loss, 1e-4)[i], 1e-4
        )
        for i in range(4)
    ]
    assert ours == pytest.approx(np.linalg.inv(np.array(second)), rel=0.01, abs=1e-4)


def test_two_systems_have_a_closed_form() -> None:
    found = preference(_answers(30, 12, 0))
    apart = found.strengths[0] - found.strengths[1]
    assert apart == pytest.approx(np.log(30 / 12), rel=1e-9)
    difference = np.array([1.0, -1.0])
    variance = difference @ found.independent_covariance @ difference
    assert variance == pytest.approx(1 / 30 + 1 / 12, rel=1e-9)
    clustered = difference @ found.covariance @ difference
    assert clustered == pytest.approx(variance * 42 / 41, rel=1e-9)
    (pair,) = found.pairs
    assert (pair.wins, pair.losses, pair.ties) == (30, 12, 0)
    assert pair.rate == pytest.approx(30 / 42)


def test_ties_are_half_wins_and_tell_more_than_coins() -> None:
    found = preference(_answers(20, 10, 30))
    assert found.strengths[0] - found.strengths[1] == pytest.approx(np.log(35 / 25), rel=1e-9)
    assert found.covariance[0, 0] < found.independent_covariance[0, 0]
    assert found.pairs[0].ties == 30


def test_groups_that_never_meet_both_ways_are_refused() -> None:
    with pytest.raises(InputError, match=r"\['a'\]"):
        preference(_answers(9, 0, 0))
    islands = np.zeros((4, 4))
    islands[0, 1] = islands[1, 0] = islands[2, 3] = islands[3, 2] = 3.0
    with pytest.raises(InputError, match="grows without end"):
        bradley_terry(islands)
    chain = np.zeros((3, 3))
    chain[0, 1] = chain[1, 2] = chain[2, 0] = 1.0
    assert bradley_terry(chain) == pytest.approx(np.zeros(3))


def test_ties_alone_leave_an_error() -> None:
    found = preference(_answers(0, 0, 12))
    assert found.covariance.tolist() == found.independent_covariance.tolist()
    assert found.low[0] < 0.0 < found.high[0]


def test_pairs_that_met_once_are_kept() -> None:
    sides = ("x", "y", "z"), ("y", "z", "x")
    who = ("a", "b", "c")
    found = preference(Ratings(who, ("1", "2", "3"), sides[0], ("tie", "y", "tie"), sides[1]))
    assert [pair.rate for pair in found.pairs] == [0.5, 0.5, 1.0]
    assert found.pairs[2].interval == pytest.approx((0.025, 1.0))
    assert found.pairs[0].interval[0] < 0.05


def test_other_refusals() -> None:
    with pytest.raises(InputError, match="two: the columns first and second"):
        preference(Ratings(("r",), ("1",), ("a",), ("a",)))
    with pytest.raises(InputError, match="'c' in row 1"):
        preference(Ratings(("r",), ("1",), ("a",), ("c",), ("b",)))


def test_result_survives_json() -> None:
    found = preference(_answers(5, 4, 3))
    again = from_dict(to_dict(found))
    assert isinstance(again, Preference)
    assert repr(again) == repr(found)
    assert again.pairs == found.pairs


@pytest.fixture(scope="module")
def studies() -> tuple[list[Preference], float]:
    """Studies of two systems whose raters differ, and the strength of the first over both."""
    rng, taste, strengths = np.random.default_rng(5), 0.9, np.array([0.4, -0.4])
    draws = 0.8 + taste * np.sqrt(2) * rng.normal(size=400_000)
    target = 0.5 * float(special.logit(special.expit(draws).mean()))
    found = [
        preference(preferences(rng, strengths, raters=25, items=20, taste=taste))
        for _ in range(500)
    ]
    return found, target


def test_strengths_are_covered(studies: tuple[list[Preference], float]) -> None:
    found, target = studies
    inside = sum(bool(one.low[0] <= target <= one.high[0]) for one in found)
    assert_rate(inside, 500, 0.95)
    values = np.array([one.strengths[0] for one in found])
    error = np.sqrt(np.mean([one.covariance[0, 0] for one in found]))
    assert_within(values.std(), error, 1.2 * error / np.sqrt(1000))


def test_independent_errors_are_found_out(studies: tuple[list[Preference], float]) -> None:
    found, target = studies
    errors = [np.sqrt(one.independent_covariance[0, 0]) for one in found]
    inside = [abs(s.strengths[0] - target) <= 1.96 * e for s, e in zip(found, errors, strict=True)]
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(int(sum(inside)), 500, 0.95)
    assert "too small" in found[0].warnings[0]
