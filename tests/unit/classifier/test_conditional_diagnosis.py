"""Conditional generators: exact at shared contexts, and what plain permutations do there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from statistical import assert_rate, assert_within
from verisimile.checks.classifier.auc import RankSums, auc_p_value
from verisimile.checks.classifier.conditional import (
    ConditionalDiagnosis,
    diagnose_conditional,
    group_contexts,
    relabel_groups,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.learners import boosted_trees
from verisimile.stats.pvalues import Empirical

NAMES = ("x", "c")
LINEAR = LogisticRegression()


def _at(c: Array, rng: np.random.Generator, shift: float = 0.0) -> Events:
    return Events(np.stack([c + shift + rng.normal(size=c.size), c], axis=1), names=NAMES)


def _few(n: int, rng: np.random.Generator, odds: tuple[float, float, float]) -> Array:
    return rng.choice(3, size=n, p=odds).astype(np.float64)


TRUE_ODDS, OTHER_ODDS = (0.5, 0.3, 0.2), (0.2, 0.3, 0.5)


@pytest.fixture(scope="module")
def shifted() -> ConditionalDiagnosis:
    rng = np.random.default_rng(2)
    c = rng.normal(size=1500)
    generated = _at(np.repeat(c, 2), rng, 0.5)
    learner = boosted_trees(iterations=40)
    return diagnose_conditional(Run(Seeds(1)), _at(c, rng), generated, ["c"], learner=learner)


def test_a_shift_at_shared_contexts_is_found(shifted: ConditionalDiagnosis) -> None:
    assert shifted.exact
    assert shifted.shared == 1.0
    assert shifted.p_value.value == pytest.approx(1 / 1001)
    assert abs(shifted.null_auc - 0.5) < 0.01
    assert shifted.auc > 0.58
    assert shifted.context_auc == 0.5
    assert shifted.warnings == ()


def test_weights_are_the_conditional_ratio(shifted: ConditionalDiagnosis) -> None:
    # E_g[w] = 1 and E_t[log w] = 0.5^2 / 2, with two generated events for each true one.
    assert np.exp(shifted.generated_log_weights).mean() == pytest.approx(1.0, abs=0.1)
    assert shifted.truth_log_weights.mean() == pytest.approx(0.125, abs=0.06)
    assert shifted.generated_log_weights.shape == (3000,)


def test_result_survives_json(shifted: ConditionalDiagnosis) -> None:
    again = from_dict(to_dict(shifted))
    assert isinstance(again, ConditionalDiagnosis)
    assert repr(again) == repr(shifted)


def test_labels_move_within_groups_alone(rng: np.random.Generator) -> None:
    truth, groups = rng.random(60) < 0.4, rng.integers(0, 7, size=60)
    labels = relabel_groups(truth, groups, 4000, rng)
    for group in range(7):
        mine = groups == group
        assert (labels[:, mine].sum(axis=1) == truth[mine].sum()).all()
        rate = truth[mine].mean()
        error = np.sqrt(max(rate * (1 - rate), 1e-9) / 4000)
        assert_within(labels[:, mine].mean(axis=0), rate, error)


def test_folds_keep_small_groups_whole(rng: np.random.Generator) -> None:
    c = rng.normal(size=100)
    pool, _ = group_contexts(_at(c, rng), _at(np.repeat(c, 3), rng), ["c"])
    folds = pool.folds(5, rng)
    assert all(len(set(folds[pool.groups == group])) == 1 for group in range(100))
    few, _ = group_contexts(
        _at(_few(300, rng, TRUE_ODDS), rng), _at(_few(300, rng, OTHER_ODDS), rng), ["c"]
    )
    halves = few.folds(2, rng)
    for group in range(3):
        for side in (few.truth, ~few.truth):
            counts = np.bincount(halves[(few.groups == group) & side])
            assert abs(counts[0] - counts[1]) <= 1


def _rejections(rng: np.random.Generator, experiments: int) -> tuple[int, int]:
    """Count p <= 5 % where scores and labels depend on the context and on nothing else."""
    within = plain = 0
    for _ in range(experiments):
        groups = rng.integers(0, 4, size=120)
        truth = rng.random(120) < np.array([0.2, 0.4, 0.6, 0.8])[groups]
        scores = groups + rng.normal(size=120)
        sums = RankSums.of(scores, np.ones(120))
        null = Empirical(sums.areas(relabel_groups(truth, groups, 99, rng)), "within")
        within += null.p_value(float(sums.areas(truth[None])[0])).value <= 0.05 + 1e-9
        p = auc_p_value(scores, truth, np.ones(120), rng, permutations=99)
        plain += p.value <= 0.05 + 1e-9
    return within, plain


def test_size_within_contexts_and_plain_permutations_lose_it(rng: np.random.Generator) -> None:
    within, plain = _rejections(rng, 500)
    assert_rate(within, 500, 0.05)
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(plain, 500, 0.05)


def test_without_shared_contexts_the_p_value_is_asymptotic(rng: np.random.Generator) -> None:
    run = Run(Seeds(6))
    truth = _at(rng.normal(size=1000), rng)
    same = _at(0.5 + rng.normal(size=1000), rng)
    moved = _at(0.5 + rng.normal(size=1000), rng, 0.5)
    null, found = (
        diagnose_conditional(run, truth, other, ["c"], learner=LINEAR) for other in (same, moved)
    )
    assert not null.exact
    assert "share no contexts" in null.warnings[0]
    assert null.context_auc > 0.6
    assert null.p_value.value > 1e-3
    assert found.p_value.value < 1e-6
    assert np.exp(found.generated_log_weights).mean() == pytest.approx(1.0, abs=0.15)


def test_contexts_that_differ_beyond_the_shared_ones_are_counted(rng: np.random.Generator) -> None:
    c = rng.normal(size=200)
    generated = _at(np.append(c[:150], rng.normal(size=50)), rng)
    found = diagnose_conditional(Run(Seeds(1)), _at(c, rng), generated, ["c"], learner=LINEAR)
    assert found.exact
    assert 0.5 < found.shared < 0.9
    assert "no partner" in found.warnings[0]


def test_certain_scores_are_a_warning(rng: np.random.Generator) -> None:
    c = rng.normal(size=100)
    found = diagnose_conditional(
        Run(Seeds(1)), _at(c, rng), _at(c, rng), ["c"], learner=KNeighborsClassifier(2)
    )
    assert "no finite weight" in found.warnings[-1]


def test_refusals(rng: np.random.Generator) -> None:
    run, c = Run(Seeds(1)), rng.normal(size=60)
    truth, generated = _at(c, rng), _at(c, rng)
    with pytest.raises(InputError, match="no column 'd'"):
        diagnose_conditional(run, truth, generated, ["d"])
    with pytest.raises(InputError, match="all features"):
        diagnose_conditional(run, truth, generated, ["x", "c"])
    weighted = Events(generated.x, np.ones(60), names=NAMES)
    with pytest.raises(InputError, match="generated.weights"):
        diagnose_conditional(run, truth, weighted, ["c"])
    with pytest.raises(InputError, match="folds"):
        diagnose_conditional(run, truth, generated, ["c"], folds=1)
    with pytest.raises(InputError, match="permutations"):
        diagnose_conditional(run, truth, generated, ["c"], permutations=0)
