"""One curve, averaged over swapped halves of random splits, and the error of its area."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.precision_recall.area import area_variances, curve_area
from verisimile.checks.precision_recall.envelope import envelope
from verisimile.checks.precision_recall.samples import Sample
from verisimile.checks.precision_recall.scores import NEIGHBOURS, MappedScore, Score
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds

_PIECES, _FEWEST, _PIECE = 16, 4, 40
_FEW_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A curve.

    Attributes
    ----------
    radii
        Distances from the origin ``(L,)``.
    areas
        Of each fold of each split ``(S, folds)``.
    errors
        Of the area with the scores held, from the reference and from the generated sample.
    """

    radii: Array
    areas: Array
    errors: tuple[float, float]


def swapped(
    seeds: Seeds, truth: Sample, fake: Sample, *, score: Score, splits: int, theta: Array
) -> Traced:
    """Return the curve, averaged over folds and splits.

    Raises
    ------
    InputError
        If `splits` is not positive.
    """
    if splits < 1:
        raise InputError("splits", got=splits, expected="an integer >= 1")
    count = splits if score.learns else 1
    folds = [_folds(seeds.at("split", i), truth, fake, score, theta) for i in range(count)]
    radii = np.array([[fold[0] for fold in pair] for pair in folds])
    variances = np.array([[fold[1] for fold in pair] for pair in folds])
    # The folds of a split have different test events; splits share them.
    errors = np.sqrt(variances.sum(axis=1).mean(axis=0)) / radii.shape[1]
    return Traced(
        radii.mean(axis=(0, 1)),
        curve_area(radii, theta),
        (float(errors[0]), float(errors[1])),
    )


def area_errors(
    seeds: Seeds, truth: Sample, fake: Sample, curve: Traced, *, score: Score, theta: Array
) -> tuple[float, float]:
    r"""Return the errors of the area from the reference and from the generated sample.

    What the learning half does to the score goes with what it does as a test half, so that
    holding the scores understates the error by a fifth or more.  The spread over disjoint
    pieces contains it, and falls with the number of events as the error with the scores held
    does: like :math:`n^{-1/2}` in general, like :math:`1/n` for a perfect generator, where only
    angles near the diagonal matter and they get fewer.

    .. math:: s = \frac{s_\mathrm{pieces}}{\sqrt{K}} \min\left(1,
              \frac{\sqrt{K}\, h}{h_\mathrm{pieces}}\right)
    """
    if not score.learns:
        return curve.errors
    held = math.hypot(*curve.errors)
    finite = min(len(truth.x), len(fake.x))
    count = min(_PIECES, finite // _PIECE)
    if count < _FEWEST:
        return math.nan, math.nan
    at, score = seeds.at("pieces"), _smaller(score, count, finite // count)
    pairs = zip(
        truth.parts(at.at("reference").numpy(), count),
        fake.parts(at.at("generated").numpy(), count),
        strict=True,
    )
    pieces = [
        swapped(at.at(i), x, y, score=score, splits=1, theta=theta)
        for i, (x, y) in enumerate(pairs)
    ]
    areas = np.array([curve_area(piece.radii, theta) for piece in pieces])
    error = float(areas.std(ddof=1)) / math.sqrt(count)
    of_pieces = float(np.sqrt(np.mean([np.square(piece.errors).sum() for piece in pieces])))
    if held and of_pieces:
        error *= min(1.0, math.sqrt(count) * held / of_pieces)
    of_true, of_fake = (error / held * each for each in curve.errors) if held else (error, error)
    return of_true, of_fake


def _smaller(score: Score, count: int, size: int) -> Score:
    """Return the score with a given number of neighbours reduced like its default."""
    if isinstance(score, MappedScore):
        return replace(score, inner=_smaller(score.inner, count, size))
    if isinstance(score, NEIGHBOURS) and score.k is not None:
        k = max(min(score.k, _FEW_NEIGHBOURS), round(score.k / math.sqrt(count)))
        return replace(score, k=min(k, size // 4))
    return score


_Fold = tuple[Array, tuple[float, float]]


def _folds(seeds: Seeds, truth: Sample, fake: Sample, score: Score, theta: Array) -> list[_Fold]:
    rng = seeds.numpy()
    if not score.learns:
        return [_fold(truth, fake, truth, fake, score=score, theta=theta, rng=rng)]
    (x, u), (y, v) = truth.parts(rng, 2), fake.parts(rng, 2)
    return [
        _fold(x, y, u, v, score=score, theta=theta, rng=rng),
        _fold(u, v, x, y, score=score, theta=theta, rng=rng),
    ]


def _fold(
    learn_true: Sample,
    learn_fake: Sample,
    truth: Sample,
    fake: Sample,
    *,
    score: Score,
    theta: Array,
    rng: np.random.Generator,
) -> _Fold:
    points = np.concatenate([truth.x, fake.x])
    scores = score.score(learn_true.x, learn_fake.x, points, rng)
    # A miss is where no true event is: the least like the reference of all.
    missed = np.full(fake.missed, -np.inf)
    frontier = envelope(scores[: truth.n], np.append(scores[truth.n :], missed))
    of_true, of_fake = area_variances(frontier, theta)
    return frontier.radii(theta), (of_true / truth.n, of_fake / fake.n)
