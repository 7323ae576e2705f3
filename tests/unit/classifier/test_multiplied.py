"""The area as a function of masses, its null for weights of two laws, groups and angles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from statistical import assert_rate, assert_within
from verisimile.checks.classifier.auc import auc, auc_p_value
from verisimile.checks.classifier.crossfit import ClassifierPool, pool_of
from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis, diagnose_with_classifier
from verisimile.checks.classifier.multiplied import (
    areas_of_masses,
    group_p_value,
    multiplier_p_value,
)
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature, Kind
from verisimile.samples.learners import boosted_trees

REPETITIONS = 200


def test_is_the_area_of_the_weights(rng: np.random.Generator) -> None:
    scores, truth = np.round(rng.normal(size=80), 1), np.arange(80) < 30
    weights = rng.normal(0.5, 1.0, 80)  # signed, and scores tie
    first, second = (np.where(side, weights, 0.0) / weights[side].sum() for side in (truth, ~truth))
    found = areas_of_masses(scores, first[None], second[None])[0]
    assert found == pytest.approx(auc(scores, truth, weights), rel=1e-10)


def heavy(rng: np.random.Generator) -> ClassifierPool:
    """Return 1 000 plain events, and 100 of the same law that are worth some 23."""
    weights = rng.gamma(0.3, 1.0, 100) + 1e-6
    return pool_of(Events(rng.normal(size=(1000, 1))), Events(rng.normal(size=(100, 1)), weights))


def tripled(rng: np.random.Generator) -> ClassifierPool:
    """Return 40 physics events of three equal rows, against 40 others."""
    group = np.repeat(np.arange(40), 3)
    return pool_of(
        *(Events(np.repeat(rng.normal(size=(40, 1)), 3, axis=0), group=group) for _ in range(2))
    )


def rejections(make: object, kind: str) -> int:
    """Count p <= 5 % of true nulls; the feature itself is the score."""
    count = 0
    for repetition in range(REPETITIONS):
        seeds = Seeds(31).at(kind, repetition)
        pool: ClassifierPool = make(seeds.at("events").numpy())  # type: ignore[operator]
        scores, rows, at = pool.x[:, 0], np.arange(pool.truth.size), seeds.at("draws")
        if kind == "multipliers":
            p = multiplier_p_value(scores, pool, rows, at, draws=39)
        elif kind == "groups":
            p = group_p_value(scores, pool, rows, at, draws=39)
        else:
            p = auc_p_value(scores, pool.truth, pool.masses, at.numpy(), permutations=39)
        count += p.value <= 0.05
    return count


def test_size_with_weights_of_one_sample() -> None:
    assert_rate(rejections(heavy, "multipliers"), REPETITIONS, 0.05)


def test_size_with_groups() -> None:
    assert_rate(rejections(tripled, "groups"), REPETITIONS, 0.05)


@pytest.mark.parametrize("make", [heavy, tripled])
def test_permuted_rows_lose_their_size(make: object) -> None:
    # The defective twin, on which the very same check fails.
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(rejections(make, "rows"), REPETITIONS, 0.05)


def test_multipliers_have_the_area_own_variance(rng: np.random.Generator) -> None:
    pool, n = heavy(rng), 2000
    scores, rows = pool.x[:, 0], np.arange(pool.truth.size)
    p = multiplier_p_value(scores, pool, rows, Seeds(3), draws=n)
    sides = [np.where(side, pool.masses, 0.0) for side in (pool.truth, ~pool.truth)]
    a, b = (side / side.sum() for side in sides)
    # The variance of the first order, with pooled ranks in [0, 1]: their own is 1/12.
    sigma = math.sqrt((a @ a + b @ b) / 12.0)
    z = (areas_of_masses(scores, a[None], b[None])[0] - 0.5) / sigma
    exact = 0.5 * math.erfc(z / math.sqrt(2.0))
    assert_within(p.value, exact, math.sqrt(exact * (1 - exact) / n) + 0.02)


def diagnosed(truth: Events, generated: Events) -> ClassifierDiagnosis:
    return diagnose_with_classifier(
        Run(Seeds(3)), truth, generated, learner=LogisticRegression(), folds=2, permutations=199
    )


def test_signed_weights_are_taken(rng: np.random.Generator) -> None:
    signs = np.where(rng.random(3000) < 0.2, -1.0, 1.0)
    truth = Events(rng.normal(size=(1000, 2)))
    same, other = (Events(rng.normal(size=(3000, 2)) + [s, 0.0], signs) for s in (0.0, 0.5))
    found, shifted = diagnosed(truth, same), diagnosed(truth, other)
    assert shifted.p_value.value == pytest.approx(0.005)
    assert abs(found.auc.value - 0.5) < 5 * found.auc.error
    assert (found.p_value.null, found.refusal) == ("multipliers", "")
    assert "some generated events have negative weights" in found.warnings[0]
    assert np.isfinite(found.closure[0].after)


def test_too_few_effective_events_make_no_verdict(rng: np.random.Generator) -> None:
    few = Events(rng.normal(size=(60, 1)), np.where(np.arange(60) < 15, -1.0, 1.0))
    found = diagnosed(Events(rng.normal(size=(300, 1))), few)
    assert "leave 15 effective events, and the null needs 30" in found.refusal


def test_weights_of_one_law_may_be_permuted(rng: np.random.Generator) -> None:
    pair = [Events(rng.normal(size=(60, 1)), rng.gamma(0.2, 1.0, 60) + 1e-9) for _ in range(2)]
    refused, declared = (
        diagnose_with_classifier(
            Run(Seeds(3)), *pair, learner=LogisticRegression(), folds=2, permutations=99,
            exchangeable_weights=exchangeable,
        )
        for exchangeable in (False, True)
    )  # fmt: skip
    assert refused.refusal
    assert (declared.refusal, declared.p_value.null) == ("", "permutations")
    assert declared.auc == refused.auc


def test_folds_keep_groups_whole(rng: np.random.Generator) -> None:
    pool = tripled(rng)
    part = pool.folds(5, rng)
    assert (part.reshape(-1, 3) == part.reshape(-1, 3)[:, :1]).all()
    assert np.bincount(part[pool.truth]).tolist() == [24] * 5


def test_groups_reach_the_diagnosis(rng: np.random.Generator) -> None:
    group = np.repeat(np.arange(60), 2)
    pair = [
        Events(np.repeat(rng.normal(m, 1.0, (60, 1)), 2, axis=0), group=group) for m in (0.0, 2.0)
    ]
    found = diagnosed(pair[0], pair[1])
    assert found.p_value.null == "permutations of groups"
    assert found.p_value.value == pytest.approx(0.005)


def angle_samples(angle: float, kind: Kind) -> tuple[Events, Events]:
    rng = np.random.default_rng(12)
    features = [Feature("phi", kind=kind), Feature("m")]

    def one(mean: float) -> Events:
        phi = (rng.normal(mean, 1.0, 200) + angle) % (2.0 * math.pi)
        return Events(np.column_stack([phi, rng.normal(size=200)]), features=features)

    return one(3.0), one(3.3)


@pytest.mark.parametrize("learner", [LogisticRegression(), boosted_trees(iterations=20)])
def test_turning_an_angle_moves_no_area(learner: object) -> None:
    def areas(angle: float, kind: Kind) -> Array:
        found = diagnose_with_classifier(
            Run(Seeds(3)), *angle_samples(angle, kind), learner=learner, folds=2, permutations=99
        )
        return np.array([found.auc.value, found.cross_fitted_auc, found.p_value.value])

    np.testing.assert_allclose(areas(2.0, "periodic"), areas(0.0, "periodic"), rtol=1e-9)
    # The same feature declared continuous is the twin.
    moved = np.abs(areas(2.0, "continuous") - areas(0.0, "continuous"))
    assert moved[:2].max() > 1e-3
