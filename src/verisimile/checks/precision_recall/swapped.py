"""Two samples in swapped halves: the curve averaged over them, and the error of its area."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.precision_recall.envelope import area_variances, curve_area, envelope
from verisimile.checks.precision_recall.scores import NEIGHBOURS, MappedScore, Score
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require, require_at_least
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.data.held import plain_array
from verisimile.data.inputs import EventsLike
from verisimile.data.sources import is_table
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import on_circles

Pair = tuple[Array, Array]

_FEWEST_EVENTS = 8
_PIECES, _FEWEST, _PIECE = 16, 4, 40
_FEW_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Finite events ``(n - missed, d)`` and the number of events that are not finite."""

    x: Array
    missed: int

    @property
    def n(self) -> int:
        """Number of events, missed ones included."""
        return len(self.x) + self.missed

    def parts(self, rng: np.random.Generator, count: int) -> list[Sample]:
        """Return disjoint random parts, the missed events divided at random like all others."""
        order = rng.permutation(self.n)
        edges = self.n * np.arange(count + 1) // count
        return [self.of(order[i:j]) for i, j in zip(edges[:-1], edges[1:], strict=True)]

    def of(self, rows: IntArray) -> Sample:
        """Return the part of these rows, those from the number of finite events on missed."""
        finite = rows[rows < len(self.x)]
        return Sample(self.x[finite], len(rows) - len(finite))


def true_sample(reference: Events) -> Sample:
    """Return the reference, periodic features as cosine and sine; no weights, eight events."""
    return _usable(reference.x, reference, "reference", weighted=reference.weights is not None)


def generated_sample(generated: EventsLike, reference: Events) -> Sample:
    """Return generated events with the reference's columns, those not finite as missed.

    Columns of an array, which have no names, are those of the reference.
    """
    if isinstance(generated, Events) or is_table(generated):
        _, events = comparable(reference=reference, generated=generated)
        x = match_features(events, reference.features).x
        return _usable(x, reference, "generated", weighted=events.weights is not None)
    x = _rows(generated)
    fit, expected = x.ndim == 2 and x.shape[1] == reference.d, f"events of shape (n, {reference.d})"
    require(fit, "generated", got=f"an array of shape {x.shape}", expected=expected)
    finite = np.isfinite(x).all(axis=1)
    if reference.nameless and finite.any():
        comparable(reference=reference, generated=Events(x[finite], names=reference.names))
    return _usable(x, reference, "generated", weighted=False)


def _rows(generated: EventsLike) -> Array:
    """Return an array's numbers, NaN where values are masked."""
    array = plain_array(generated, "generated")
    require(
        array.dtype.kind in "biuf",
        "generated",
        got=f"values of type {array.dtype}",
        expected="numbers",
    )
    return np.asarray(np.ma.filled(np.ma.asarray(array, dtype=np.float64), np.nan))


def _usable(x: Array, reference: Events, name: str, *, weighted: bool) -> Sample:
    require(
        not weighted,
        name,
        got="events with weights",
        expected="events without: neighbours are counted",
        remedy="Draw events in proportion to their weights.",
    )
    finite = np.isfinite(x).all(axis=1)
    count = int(finite.sum())
    expected = f"at least {_FEWEST_EVENTS}"
    require(count >= _FEWEST_EVENTS, name, got=f"{count} finite events", expected=expected)
    return Sample(on_circles(x[finite], reference), len(x) - count)


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """Both samples' halves that a score learns from, and those that are counted."""

    learn_true: Sample
    learn_fake: Sample
    true: Sample
    fake: Sample

    @classmethod
    def swapped(cls, truth: Sample, fake: Sample, rng: np.random.Generator) -> tuple[Halves, ...]:
        """Return random halves, and the same with their roles swapped."""
        (x, u), (y, v) = truth.parts(rng, 2), fake.parts(rng, 2)
        return cls(x, y, u, v), cls(u, v, x, y)

    def scores(self, score: Score, rng: np.random.Generator, *, part: int = 0, of: int = 1) -> Pair:
        """Return scores of the true and of the generated events that are counted.

        The score learns from one event of `of`, beginning with event number `part`.
        """
        points = np.concatenate([self.true.x, self.fake.x])
        found = score.score(self.learn_true.x[part::of], self.learn_fake.x[part::of], points, rng)
        # A miss is where no true event is: the least like the reference of all.
        missed = np.full(self.fake.missed, -np.inf)
        return found[: self.true.n], np.append(found[self.true.n :], missed)


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


def average_swaps(
    seeds: Seeds, truth: Sample, fake: Sample, *, score: Score, splits: int, theta: Array
) -> Traced:
    """Return the curve, averaged over swapped halves and splits."""
    require_at_least(1, splits, "splits")
    folds = []
    for i in range(splits if score.learns else 1):
        rng = seeds.at("split", i).numpy()
        alone = [Halves(truth, fake, truth, fake)]
        halves = Halves.swapped(truth, fake, rng) if score.learns else alone
        folds.append([_fold(each, score, theta, rng) for each in halves])
    radii = np.array([[fold[0] for fold in pair] for pair in folds])
    errors = mean_errors(np.array([[fold[1] for fold in pair] for pair in folds]))
    return Traced(radii.mean(axis=(0, 1)), curve_area(radii, theta), errors)


def _fold(
    halves: Halves, score: Score, theta: Array, rng: np.random.Generator
) -> tuple[Array, tuple[float, float]]:
    """Return radii, and the area's variances from the reference and the generated events."""
    frontier = envelope(*halves.scores(score, rng))
    of_true, of_fake = area_variances(frontier, theta)
    return frontier.radii(theta), (of_true / halves.true.n, of_fake / halves.fake.n)


def mean_errors(variances: Array) -> tuple[float, float]:
    """Return both errors of an area averaged over splits and folds, of ``(S, folds, 2)``."""
    # The folds of a split have different test events; splits share them.
    of_true, of_fake = np.sqrt(variances.sum(axis=1).mean(axis=0)) / variances.shape[1]
    return float(of_true), float(of_fake)


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
        average_swaps(at.at(i), x, y, score=score, splits=1, theta=theta)
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
