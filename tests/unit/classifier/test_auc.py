"""The weighted AUC against counting pairs and SciPy, and its permutation law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from statistical import assert_rate, assert_within
from verisimile.checks.classifier.auc import RankSums, auc, auc_estimate, auc_p_value
from verisimile.core.arrays import Array, BoolArray

N_TRUTH, N_GENERATED = 60, 90


def _scored(rng: np.random.Generator, shift: float = 0.0) -> tuple[Array, BoolArray, Array]:
    truth = np.arange(N_TRUTH + N_GENERATED) < N_TRUTH
    scores = np.round(rng.normal(size=truth.size) + shift * truth, 1)  # with ties
    return np.asarray(scores, dtype=np.float64), truth, np.asarray(rng.gamma(2.0, 0.5, truth.size))


def test_is_the_weighted_count_of_pairs(rng: np.random.Generator) -> None:
    scores, truth, weights = _scored(rng, 0.5)
    above = np.sign(scores[truth][:, None] - scores[~truth][None]) * 0.5 + 0.5
    pairs = weights[truth][:, None] * weights[~truth][None]
    expected = (above * pairs).sum() / pairs.sum()
    assert auc(scores, truth, weights) == pytest.approx(expected, rel=1e-12)
    theirs = roc_auc_score(truth, scores, sample_weight=weights)
    assert auc(scores, truth, weights) == pytest.approx(theirs, rel=1e-12)


def test_every_labelling_is_its_own_auc(rng: np.random.Generator) -> None:
    scores, truth, weights = _scored(rng)
    labels = np.stack([rng.permutation(truth) for _ in range(5)])
    found = RankSums.of(scores, weights).areas(labels)
    assert found == pytest.approx([auc(scores, row, weights) for row in labels], rel=1e-12)


def test_permutation_law_is_that_of_wilcoxon(rng: np.random.Generator) -> None:
    truth = np.arange(N_TRUTH + N_GENERATED) < N_TRUTH
    sums = RankSums.of(rng.normal(size=truth.size), np.ones(truth.size))
    areas = sums.areas(np.stack([rng.permutation(truth) for _ in range(4000)]))
    n, m = N_TRUTH, N_GENERATED
    sigma = np.sqrt((n + m + 1) / (12 * n * m))
    assert_within(areas.mean(), 0.5, sigma / np.sqrt(4000))
    assert_within(areas.std(), sigma, sigma / np.sqrt(8000))


def test_p_value_is_mann_whitneys(rng: np.random.Generator) -> None:
    scores, truth, _ = _scored(rng, 0.3)
    unit = np.ones(truth.size)
    p = auc_p_value(scores, truth, unit, rng, permutations=4000)
    exact = stats.mannwhitneyu(scores[truth], scores[~truth], alternative="greater").pvalue
    assert_within(p.value, exact, np.sqrt(exact * (1 - exact) / 4000) + 0.002)


def test_equal_scores_prove_nothing(rng: np.random.Generator) -> None:
    _, truth, weights = _scored(rng)
    assert auc_p_value(np.zeros(truth.size), truth, weights, rng, permutations=50).value == 1.0


def test_error_covers(rng: np.random.Generator) -> None:
    # Normal scores with a shift of one and weights of their own: AUC = Phi(1/sqrt 2).
    target, found = stats.norm.cdf(np.sqrt(0.5)), []
    for _ in range(400):
        scores = rng.normal(size=300)
        truth = np.arange(300) < 120
        scores[truth] += 1.0
        found.append(auc_estimate(scores, truth, rng.gamma(2.0, 0.5, 300)))
    pulls = np.array([(one.value - target) / one.error for one in found])
    assert_within(pulls.mean(), 0.0, 1 / np.sqrt(400))
    assert_within(pulls.std(), 1.0, 1 / np.sqrt(800))


def test_size_without_weights(rng: np.random.Generator) -> None:
    count, truth, unit = 0, np.arange(150) < 60, np.ones(150)
    for _ in range(500):
        scores = rng.normal(size=150)
        p = auc_p_value(scores, truth, unit, rng, permutations=99)
        count += p.value <= 0.05
    assert_rate(count, 500, 0.05)
