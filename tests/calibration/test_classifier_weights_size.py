"""The classifier's p-value where weights of the samples follow different laws, and with groups.

Null: 300 unweighted events of a 2-D normal law against others of the same law, whose weights
are signs, lognormal, or one; or 40 physics events of three equal rows against 40 others.
Half of either sample is tested.  Samples that are worth less than 30 events are refused.
The twin permutes labels of rows, with their weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from statistical import assert_rate
from verisimile.checks.classifier.auc import auc_p_value
from verisimile.checks.classifier.crossfit import ClassifierPool, Scorer, pool_of
from verisimile.checks.classifier.multiplied import group_p_value, multiplier_p_value
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.learners import Classifier

Show = Callable[[str], None]
Law = Callable[[np.random.Generator], Array]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1200)]

SEEDS = Seeds(20261129).at("classifier weights")
REPETITIONS = 500
DRAWS = 199

LAWS: dict[str, Law] = {
    "130 signs, 25 % negative": lambda rng: np.where(rng.random(130) < 0.25, -1.0, 1.0),
    "300 signs, 25 % negative": lambda rng: np.where(rng.random(300) < 0.25, -1.0, 1.0),
    "100 lognormal(1)": lambda rng: np.exp(rng.normal(size=100)),
    "300 lognormal(1)": lambda rng: np.exp(rng.normal(size=300)),
    "60 lognormal(0.3)": lambda rng: np.exp(0.3 * rng.normal(size=60)),
}


def _weighted(law: Law, rng: np.random.Generator) -> ClassifierPool:
    weights = law(rng)
    other = Events(rng.normal(size=(weights.size, 2)), weights)
    return pool_of(Events(rng.normal(size=(300, 2))), other)


def _grouped(rng: np.random.Generator) -> ClassifierPool:
    group = np.repeat(np.arange(40), 3)
    first, second = (
        Events(np.repeat(rng.normal(size=(40, 2)), 3, axis=0), group=group) for _ in range(2)
    )
    return pool_of(first, second)


def _p_value(pool: ClassifierPool, seeds: Seeds, *, by_rows: bool) -> float:
    linear: Classifier = LogisticRegression()
    half = Scorer(Run(seeds), pool, linear).split()
    at = seeds.at("draws")
    if by_rows:
        truth, masses = pool.truth[half.rows], pool.masses[half.rows]
        return auc_p_value(half.scores, truth, masses, at.numpy(), permutations=DRAWS).value
    of = group_p_value if pool.grouped else multiplier_p_value
    return of(half.scores, pool, half.rows, at, draws=DRAWS).value


def _rejections(
    make: Callable[[np.random.Generator], ClassifierPool], name: str, *, by_rows: bool = False
) -> tuple[int, int, int]:
    """Return rejections at 5 % and at 32 %, and how many samples were not refused."""
    five = many = made = 0
    for repetition in range(REPETITIONS):
        seeds = SEEDS.at(name, repetition)
        pool = make(seeds.at("events").numpy())
        assert pool.samples is not None
        if pool.samples.refusal:
            continue
        p = _p_value(pool, seeds, by_rows=by_rows)
        made, five, many = made + 1, five + (p <= 0.05), many + (p <= 0.32)
    return five, many, made


@pytest.mark.parametrize("name", LAWS)
def test_size_with_weights_of_another_law(name: str, show: Show) -> None:
    five, many, made = _rejections(lambda rng: _weighted(LAWS[name], rng), name)
    show(f"300 against {name}: {five} and {many} of {made} at 5 and 32 %")
    assert_rate(five, made, 0.05, alpha=0.01)
    assert_rate(many, made, 0.32, alpha=0.01)
    assert made > 0.4 * REPETITIONS


def test_size_with_groups(show: Show) -> None:
    five, many, made = _rejections(_grouped, "groups")
    show(f"40 against 40 groups of three rows: {five} and {many} of {made} at 5 and 32 %")
    assert made == REPETITIONS
    assert_rate(five, made, 0.05, alpha=0.01)
    assert_rate(many, made, 0.32, alpha=0.01)


@pytest.mark.parametrize("name", ["100 lognormal(1)", "groups"])
def test_permuted_rows_lose_their_size(name: str, show: Show) -> None:
    # The defective twin, on which the very same check fails.
    make = _grouped if name == "groups" else lambda rng: _weighted(LAWS[name], rng)
    five, _, made = _rejections(make, name, by_rows=True)
    show(f"twin, permuted rows, {name}: {five} of {made} at 5 %")
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(five, made, 0.05, alpha=0.01)
