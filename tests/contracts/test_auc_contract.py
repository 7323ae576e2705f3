"""What the classifier's area keeps, which is no statistic of events but of their scores."""

from __future__ import annotations

import numpy as np
import pytest

from distance_statistics import random_labels
from verisimile.checks.classifier.auc import RankSums
from verisimile.checks.classifier.multiplied import areas_of_masses
from verisimile.core.arrays import Array, BoolArray

N, FIRST = 60, 25

KINDS = pytest.mark.parametrize("kind", ["labels", "masses"])


def _problem(rng: np.random.Generator) -> tuple[Array, Array, BoolArray]:
    scores = np.round(rng.random(N), 1)  # with ties
    return scores, rng.gamma(3.0, size=N), random_labels(N, FIRST, 5, rng)


def _values(kind: str, scores: Array, weights: Array, labels: BoolArray) -> Array:
    if kind == "labels":
        return RankSums.of(scores, weights).areas(labels)
    sides = [np.where(side, weights, 0.0) for side in (labels, ~labels)]
    first, second = (side / side.sum(axis=1, keepdims=True) for side in sides)
    return areas_of_masses(scores, first, second)


@KINDS
def test_one_finite_value_for_each_relabeling(kind: str, rng: np.random.Generator) -> None:
    found = _values(kind, *_problem(rng))
    assert found.shape == (5,)
    assert np.isfinite(found).all()


@KINDS
def test_the_order_of_events_does_not_matter(kind: str, rng: np.random.Generator) -> None:
    (scores, weights, labels), order = _problem(rng), rng.permutation(N)
    np.testing.assert_allclose(
        _values(kind, scores[order], weights[order], labels[:, order]),
        _values(kind, scores, weights, labels),
        rtol=1e-9,
    )


@KINDS
def test_exchanged_samples_lie_on_the_other_side(kind: str, rng: np.random.Generator) -> None:
    scores, weights, labels = _problem(rng)
    both = _values(kind, scores, weights, labels) + _values(kind, scores, weights, ~labels)
    np.testing.assert_allclose(both, 1.0, atol=1e-12)


@KINDS
def test_an_increasing_map_of_the_scores_changes_nothing(
    kind: str, rng: np.random.Generator
) -> None:
    scores, weights, labels = _problem(rng)
    np.testing.assert_array_equal(
        _values(kind, np.exp(3.0 * scores), weights, labels),
        _values(kind, scores, weights, labels),
    )


@KINDS
def test_the_scale_of_weights_does_not_matter(kind: str, rng: np.random.Generator) -> None:
    scores, weights, labels = _problem(rng)
    np.testing.assert_allclose(
        _values(kind, scores, 1e-6 * weights, labels),
        _values(kind, scores, weights, labels),
        rtol=1e-9,
    )


@KINDS
def test_a_relabeling_is_valued_without_its_neighbours(kind: str, rng: np.random.Generator) -> None:
    scores, weights, labels = _problem(rng)
    apart = [_values(kind, scores, weights, row[None])[0] for row in labels]
    np.testing.assert_allclose(apart, _values(kind, scores, weights, labels), rtol=1e-9)


@KINDS
def test_true_labels_of_different_samples_stand_out(kind: str, rng: np.random.Generator) -> None:
    scores, weights, _ = _problem(rng)
    scores[:FIRST] += 0.5
    labels = np.vstack([np.arange(N) < FIRST, random_labels(N, FIRST, 50, rng)])
    found = _values(kind, scores, weights, labels)
    assert found[0] > found[1:].max()


@KINDS
def test_nothing_given_is_changed(kind: str, rng: np.random.Generator) -> None:
    scores, weights, labels = _problem(rng)
    for array in (scores, weights, labels):
        array.setflags(write=False)
    first = _values(kind, scores, weights, labels)
    np.testing.assert_array_equal(_values(kind, scores, weights, labels), first)
