"""KS distance of a classifier's score: known distances, and what a copied sample does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

import verisimile as vs
from verisimile.checks.amplification.result import Amplification
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.samples.learners import boosted_trees, scores

REPETITIONS = 100
N_TRAIN = 1000
_MEAN_SQUARE = math.pi**2 / 12.0


class FirstFeature(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A score that was fixed before: the smaller the first feature, the truer."""

    def fit(self, x: Array, y: BoolArray) -> FirstFeature:  # noqa: ARG002
        """Learn nothing."""
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, x: Array) -> Array:
        """Return the logistic function of the first feature."""
        false = 1.0 / (1.0 + np.exp(-x[:, 0]))
        return np.column_stack([false, 1.0 - false])


def _measured(seed: int, shift: float) -> Amplification:
    rng = np.random.default_rng([9, seed])
    generated = rng.normal(size=(1500, 2)) + [shift, 0.0]
    return vs.amplification.kolmogorov_classifier(
        vs.Run(vs.Seeds(seed)),
        generated,
        rng.normal(size=(800, 2)),
        N_TRAIN,
        learner=FirstFeature(),
        levels=(0.68, 0.95),
    )


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_intervals_cover_a_known_distance_at_the_least(shift: float) -> None:
    distance = 2.0 * stats.norm.cdf(0.5 * shift) - 1.0
    truth = N_TRAIN * distance**2 / _MEAN_SQUARE
    hits = np.zeros(3, dtype=int)
    for seed in range(REPETITIONS):
        found = _measured(seed, shift)
        hits += [each.low <= truth <= each.high for each in found.intervals] + [
            truth <= 1.0 / found.details["gain_above_95"]
        ]
    for count, level in zip(hits, (0.68, 0.95, 0.95), strict=True):
        assert stats.binom.cdf(count, REPETITIONS, level) > 1e-3


def test_scores_of_the_events_learnt_from_find_a_difference_that_is_none() -> None:
    """The twin: a classifier that is asked about its own events."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 400, 5))
    found = vs.amplification.kolmogorov_classifier(vs.Run(vs.Seeds(1)), x[0], x[1], N_TRAIN)
    assert found.interval(0.95).low == 0.0
    both, truth = np.concatenate(x), np.arange(800) < 400
    seen, _ = scores(boosted_trees(), vs.Seeds(1), both, truth, None, both)
    twin = vs.amplification.kolmogorov(seen[400:], seen[:400], N_TRAIN, levels=(0.95,))
    assert twin.intervals[0].low > 0.0


def test_a_shift_of_two_features_is_seen_by_a_line() -> None:
    rng = np.random.default_rng(4)
    generated, holdout = rng.normal(size=(4000, 2)) + 0.4, rng.normal(size=(2000, 2))
    found = vs.amplification.kolmogorov_classifier(
        vs.Run(vs.Seeds(1)), generated, holdout, N_TRAIN, learner=LogisticRegression()
    )
    distance = 2.0 * stats.norm.cdf(0.5 * 0.4 * math.sqrt(2.0)) - 1.0
    truth = N_TRAIN * distance**2 / _MEAN_SQUARE
    assert found.interval(0.95).low < truth < found.interval(0.95).high
    assert found.n_holdout == 1000
    assert found.n_generated == 3000


def test_a_sample_drawn_again_and_again_is_found_beyond_its_own_distance() -> None:
    rng = np.random.default_rng(5)
    sample = rng.normal(size=(300, 2))
    generated = sample[rng.integers(300, size=4000)]
    found = vs.amplification.kolmogorov_classifier(
        vs.Run(vs.Seeds(1)), generated, rng.normal(size=(2000, 2)), 300
    )
    assert found.details["gain_above_95"] < 1.0
    assert found.interval(0.95).low > 1.0


def test_weights_are_refused() -> None:
    x = np.random.default_rng(6).normal(size=(100, 2))
    with pytest.raises(InputError, match="weights"):
        vs.amplification.kolmogorov_classifier(
            vs.Run(vs.Seeds(1)), vs.Events(x, weights=np.ones(100)), vs.Events(x), 50
        )
