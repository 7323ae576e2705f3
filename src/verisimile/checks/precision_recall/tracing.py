"""The curve of a score: as published, with exact thresholds, or as a bound."""

from __future__ import annotations

import numpy as np

from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.bound import bounded
from verisimile.checks.precision_recall.given_scores import LogDensities
from verisimile.checks.precision_recall.rules import exact_turns, held_out
from verisimile.checks.precision_recall.samples import Sample
from verisimile.checks.precision_recall.scores import Score
from verisimile.checks.precision_recall.swapped import Traced, swapped
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds

__all__ = ["BOUND", "EXACT", "PUBLISHED", "kind_of", "traced"]

PUBLISHED, EXACT, BOUND = "test half", "exact", "held out"


def kind_of(score: Score | BestScore) -> str:
    """Return where a score's thresholds are from: held-out events, densities, or the test half."""
    if isinstance(score, BestScore):
        return BOUND
    return EXACT if isinstance(score, LogDensities) else PUBLISHED


def traced(
    seeds: Seeds,
    truth: Sample,
    fake: Sample,
    *,
    score: Score | BestScore,
    splits: int,
    theta: Array,
) -> Traced:
    """Return the curve, averaged over splits.

    Raises
    ------
    InputError
        If `splits` is not positive, or a bound is asked of fewer than 40 events.
    """
    if isinstance(score, BestScore):
        return bounded(seeds, truth, fake, best=score, splits=splits, theta=theta).traced
    if isinstance(score, LogDensities):
        return _exact(seeds, truth, fake, score, theta)
    return swapped(seeds, truth, fake, score=score, splits=splits, theta=theta)


def _exact(seeds: Seeds, truth: Sample, fake: Sample, score: LogDensities, theta: Array) -> Traced:
    """Return the curve of the likelihood ratio: means over events, without bias."""
    none = np.empty((0, truth.x.shape[1]))
    scores = score.score(none, none, np.concatenate([truth.x, fake.x]), seeds.numpy())
    turns = exact_turns(np.append(scores, np.full(fake.missed, -np.inf)))
    curve = held_out(turns[: truth.n], turns[truth.n :], theta)
    errors = (curve.true.std() / truth.n**0.5, curve.fake.std() / fake.n**0.5)
    return Traced(curve.radii, np.array([[curve.area]]), (float(errors[0]), float(errors[1])))
