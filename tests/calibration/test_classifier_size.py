"""The classifier's p-values have their size, with power; scores of the training half have not.

Null: 100 + 100 events of a 2-D normal law, or 150 plain and 100 weighted events whose
weights turn their own law into that of the others.  Alternative: a shift of 0.5.
The twin takes the scores of the events that the classifier was trained on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from statistical import assert_rate
from verisimile.checks.classifier.auc import auc, auc_p_value
from verisimile.checks.classifier.crossfit import ClassifierPool, Scorer, pool_of
from verisimile.checks.classifier.multiplied import multiplier_p_value
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.learners import Classifier, boosted_trees, scores
from verisimile.stats.pvalues import Empirical

Show = Callable[[str], None]
PValueOf = Callable[[Seeds, ClassifierPool], float]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1200)]

SEEDS = Seeds(20261122).at("classifier")
REPETITIONS = 500
# Few refits know nothing below 1/(refits + 1): the size is checked at that level.
LEVELS = {
    "_split": 0.05,
    "_linear_split": 0.05,
    "_refit": 0.2,
    "_refit_often": 0.05,
    "_trained_on": 0.05,
}
TREES = boosted_trees(iterations=15)


def _plain(rng: np.random.Generator, shift: float = 0.0) -> ClassifierPool:
    generated = rng.normal(size=(100, 2)) + [shift, 0.0]
    return pool_of(Events(rng.normal(size=(100, 2))), Events(generated))


def _weighted(rng: np.random.Generator) -> ClassifierPool:
    x = rng.normal(size=(100, 2)) + [0.7, 0.0]
    mended = Events(x, np.exp(-0.7 * x[:, 0] + 0.245))
    return pool_of(Events(rng.normal(size=(150, 2))), mended)


def _shifted(rng: np.random.Generator) -> ClassifierPool:
    return _plain(rng, 0.5)


def _split(seeds: Seeds, pool: ClassifierPool, learner: Classifier = TREES) -> float:
    half = Scorer(Run(seeds), pool, learner).split()
    at = seeds.at("permutations")
    if pool.weighted:
        return multiplier_p_value(half.scores, pool, half.rows, at, draws=199).value
    truth, unit = pool.truth[half.rows], pool.weights[half.rows]
    return auc_p_value(half.scores, truth, unit, at.numpy(), permutations=199).value


def _refit(seeds: Seeds, pool: ClassifierPool, refits: int = 4) -> float:
    linear: Classifier = LogisticRegression()
    scorer = Scorer(Run(seeds), pool, linear)
    observed = auc(scorer.cross_fitted(2).scores, pool.truth, pool.weights)
    return Empirical(scorer.permuted(2, refits), "refits").p_value(observed).value


def _refit_often(seeds: Seeds, pool: ClassifierPool) -> float:
    return _refit(seeds, pool, 19)


def _linear_split(seeds: Seeds, pool: ClassifierPool) -> float:
    return _split(seeds, pool, LogisticRegression())


def _trained_on(seeds: Seeds, pool: ClassifierPool) -> float:
    found, _ = scores(TREES, seeds, pool.x, pool.truth, None, pool.x)
    rng = seeds.at("permutations").numpy()
    p = auc_p_value(found, pool.truth, pool.weights, rng, permutations=199)
    return p.value


def _rejections(
    draw: Callable[[np.random.Generator], ClassifierPool],
    p_value: PValueOf,
    repetitions: int = REPETITIONS,
) -> int:
    count = 0
    for repetition in range(repetitions):
        seeds = SEEDS.at(p_value.__name__, draw.__name__, repetition)
        count += p_value(seeds, draw(seeds.at("events").numpy())) <= LEVELS[p_value.__name__]
    return count


@pytest.mark.parametrize(
    ("draw", "p_value"),
    [
        pytest.param(_plain, _split, id="split"),
        pytest.param(_weighted, _split, id="split-weighted"),
        pytest.param(_plain, _refit, id="refits"),
    ],
)
def test_size(
    draw: Callable[[np.random.Generator], ClassifierPool], p_value: PValueOf, show: Show
) -> None:
    count = _rejections(draw, p_value)
    show(f"{p_value.__name__} {draw.__name__}: {count} of {REPETITIONS} true nulls")
    assert_rate(count, REPETITIONS, LEVELS[p_value.__name__], alpha=0.01)


def test_scores_of_the_training_events_reject_true_nulls(show: Show) -> None:
    # The defective twin, on which the very same check fails.
    count = _rejections(_plain, _trained_on, 50)
    show(f"in-sample twin: {count} of 50 true nulls at 5 %")
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(count, 50, 0.05, alpha=0.01)


def test_power_on_a_shift(show: Show) -> None:
    ways = (_split, _linear_split, _refit_often)
    counts = {way.__name__: _rejections(_shifted, way, 100) for way in ways}
    show(f"power on a shift of 0.5 with 100 + 100 events, per cent: {counts}")
    assert counts["_split"] >= 30
    assert counts["_refit_often"] >= counts["_linear_split"]
