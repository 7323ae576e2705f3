"""Bands of precision–recall curves over an ensemble of generated samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from verisimile.checks.precision_recall.best import BestScore, chosen_score, set_apart
from verisimile.checks.precision_recall.curve import BAND, BOUND, PUBLISHED, CurveRecipe, NullCurves
from verisimile.checks.precision_recall.envelope import angle_grid, curve_area, points_at
from verisimile.checks.precision_recall.scores import Score
from verisimile.checks.precision_recall.swapped import (
    Sample,
    Traced,
    generated_sample,
    true_sample,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.data.inputs import EventsLike, as_events, require_samples

_RECALLS = 1000
_FEWEST = 3
_WHOLE = 8  # members that tell the variance of the reference, which is one for all
_FEWEST_EVENTS = 160
_RESAMPLES = 999


@register("precision-recall-recall-band", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RecallBand(Result):
    """Precision at fixed recall, as published: curves interpolated, zero beyond their end.

    Attributes
    ----------
    recall
        Grid from 0.001 to 1 ``(G,)``.
    precision
        Precision of each member ``(J, G)``.
    low, mean, high
        10 % quantile, mean and 90 % quantile over members ``(G,)``.  Where curves fall
        vertically, near recall one, the width is that of the interpolation.
    """

    recall: Array
    precision: Array
    low: Array
    mean: Array
    high: Array
    listed: ClassVar[tuple[str, ...]] = ("recall", "low", "mean", "high")


@register("precision-recall-radial-band", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RadialBand(Result):
    """Distances from the origin at fixed angle, without interpolation, ``(L,)``.

    Attributes
    ----------
    low, mean, high
        10 % quantile, mean and 90 % quantile over members: where members lie.
    mean_low, mean_high
        Simultaneous 95 % band of the mean curve: where the family's mean lies, at all angles
        together.
    """

    low: Array
    mean: Array
    high: Array
    mean_low: Array
    mean_high: Array
    listed: ClassVar[tuple[str, ...]] = ("low", "mean", "high", "mean_low", "mean_high")


@register("precision-recall-area-spread", 1)
@dataclass(frozen=True, slots=True)
class AreaSpread(Result):
    """Where the spread of the members' areas comes from, as variances.

    Attributes
    ----------
    total
        Variance of the areas over members.
    evaluation
        Its part from finite generated samples and from random halves.
    model
        The rest: of training.  May be negative by fluctuation; NaN, like `evaluation`, below
        160 events a sample.
    reference
        Variance from the finite reference, which all members share: no part of `total`.
    resplit
        Variance of an area over random halves of the same events, part of `evaluation`; NaN
        for a single split.
    """

    total: Estimate
    evaluation: Estimate
    model: Estimate
    reference: float
    resplit: float


@register("precision-recall-band", 2)
@dataclass(frozen=True, slots=True, eq=False)
class Band(Result):
    """Precision–recall curves of J generated samples of one family.

    Attributes
    ----------
    theta
        Angles from the recall axis ``(L,)``.
    radii
        Distances from the origin ``(J, L)``.
    auc
        Areas ``(J,)``: upper bounds of the true ones, unless `thresholds` are ``"exact"``.
    missed
        Share of generated events that are not finite ``(J,)``.
    recall
        The published band.
    radial
        The band without interpolation.
    spread
        Training against evaluation.
    null
        Curves of a perfect generator; None if not asked for.
    thresholds
        As of :class:`~verisimile.checks.precision_recall.curve.PrecisionRecall`.
    """

    score: str
    theta: Array
    radii: Array
    auc: Array
    missed: Array
    recall: RecallBand
    radial: RadialBand
    spread: AreaSpread
    null: NullCurves | None
    thresholds: str = PUBLISHED
    listed: ClassVar[tuple[str, ...]] = ("theta", "radial")

    @property
    def best(self) -> int:
        """Member of the largest area."""
        return int(self.auc.argmax())

    @property
    def worst(self) -> int:
        """Member of the smallest area."""
        return int(self.auc.argmin())

    def __repr__(self) -> str:
        most = "at most " if self.thresholds == BOUND else ""
        model = float(np.sqrt(np.maximum(self.spread.model.value, 0.0)))  # NaN stays NaN
        return (
            f"Band({len(self.auc)} curves by {self.score}: auc {most}{self.auc.mean():.4f} ± "
            f"{self.auc.std(ddof=1):.2g}, {model:.2g} of it from training)"
        )


def precision_recall_band(
    run: Run,
    reference: EventsLike,
    generated: Sequence[EventsLike],
    *,
    score: Score | BestScore = BestScore(),  # noqa: B008  (frozen)
    splits: int = 1,
    null_draws: int | None = None,
    angles: int = 201,
) -> Band:
    r"""Return the band of curves of generated samples, one per trained generator.

    The spread of areas is divided: :math:`s^2_\mathrm{model} = s^2 - \overline{v}`, where
    :math:`\overline v` is the members' mean variance from their own finite sample and random
    halves.  The members' samples must be independent, and of independently trained generators
    if `model` is to be of training.

    The best of several scores is chosen **once for all members**, on a fifth of the reference and
    as many generated events, alike from all members; no curve is counted on them.

    There are at least three samples, and a random stream for each; no generator has seen the
    reference.  The rest is as of
    :func:`~verisimile.checks.precision_recall.curve.precision_recall`.

    References
    ----------
    G. Morales et al., "Towards uncertainty quantification in generative model learning",
    section 3 (`recall`) and appendix B (`radial`).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> truth, score = rng.normal(size=(400, 1)), vs.checks.precision_recall.LinearScore()
    >>> samples = [rng.normal(shift, 1.0, (400, 1)) for shift in (0.9, 1.0, 1.1)]
    >>> band = vs.precision_recall_band(vs.Run(vs.Seeds(1)), truth, samples, score=score)
    >>> band.auc.shape
    (3,)
    """
    recipe = CurveRecipe(score, splits, angle_grid(angles))
    (band,) = _bands([run], reference, [generated], recipe, null_draws)
    return band


def precision_recall_bands(
    run: Run,
    reference: EventsLike,
    families: Sequence[Sequence[EventsLike]],
    *,
    score: Score | BestScore = BestScore(),  # noqa: B008  (frozen)
    splits: int = 1,
    null_draws: int | None = None,
    angles: int = 201,
) -> tuple[Band, ...]:
    """Return the bands of several families by **one** score, so that they can be compared.

    The choice among several scores sees generated events of all families together, without their
    labels: if two families are one, their curves are exchangeable whatever was chosen.

    Family i has the random streams of ``run.at("family", i)``; the rest is as of
    :func:`precision_recall_band`.
    """
    runs = [run.at("family", i) for i in range(len(families))]
    recipe = CurveRecipe(score, splits, angle_grid(angles))
    return _bands(runs, reference, families, recipe, null_draws)


def _bands(
    runs: Sequence[Run],
    reference: EventsLike,
    families: Sequence[Sequence[EventsLike]],
    recipe: CurveRecipe,
    null_draws: int | None,
) -> tuple[Band, ...]:
    for family in families:
        require_samples(family, "generated")
    for count in map(len, families):
        got, expected = f"{count} samples", f"at least {_FEWEST}"
        require(count >= _FEWEST, "generated", got=got, expected=expected)
    reference = as_events(reference, "reference")
    truth = true_sample(reference)
    groups = [[generated_sample(x, reference) for x in generated] for generated in families]
    best = recipe.score
    if isinstance(best, BestScore) and best.chooses:
        at = runs[0].seeds.at("choose a score")
        (true, fake), truth, groups = set_apart(at, truth, groups)
        best = chosen_score(at.at("choice"), true, fake, best, recipe.theta)
    recipe = replace(recipe, score=best)
    return tuple(
        _band(run.seeds, truth, fakes, recipe, null_draws)
        for run, fakes in zip(runs, groups, strict=True)
    )


def _band(
    seeds: Seeds,
    truth: Sample,
    fakes: Sequence[Sample],
    recipe: CurveRecipe,
    null_draws: int | None,
) -> Band:
    streams = [seeds.at("member", j, "precision-recall") for j in range(len(fakes))]
    null = recipe.null_curves(streams[0].at("null"), truth, null_draws)
    curves = [recipe.traced(at, truth, fake) for at, fake in zip(streams, fakes, strict=True)]
    parts = [
        _evaluation(at, truth, fake, curve, recipe, whole=j < _WHOLE)
        for j, (at, fake, curve) in enumerate(zip(streams, fakes, curves, strict=True))
    ]
    radii = np.array([curve.radii for curve in curves])
    areas = curve_area(radii, recipe.theta)
    low, high = np.quantile(radii, BAND, axis=0)
    mean_low, mean_high = simultaneous_band(seeds.at("simultaneous"), radii)
    return Band(
        score=recipe.score.name,
        theta=recipe.theta,
        radii=radii,
        auc=areas,
        missed=np.array([fake.missed / fake.n for fake in fakes]),
        recall=_recall_band(radii, recipe.theta),
        radial=RadialBand(low, radii.mean(axis=0), high, mean_low, mean_high),
        spread=_spread(areas, curves, parts),
        null=null,
        thresholds=recipe.thresholds,
    )


def _recall_band(radii: Array, theta: Array) -> RecallBand:
    grid = np.arange(1, _RECALLS + 1) / _RECALLS
    points = [points_at(each, theta) for each in radii]
    # Recall falls with the angle; beyond the end of a curve there is no precision.
    precision = np.array(
        [np.interp(grid, recall[::-1], high[::-1], right=0.0) for high, recall in points]
    )
    low, high = np.quantile(precision, BAND, axis=0)
    return RecallBand(grid, precision, low, precision.mean(axis=0), high)


def _spread(
    areas: Array, curves: Sequence[Traced], parts: Sequence[tuple[float, float]]
) -> AreaSpread:
    count, splits = len(areas), len(curves[0].areas)
    of_fake, of_true = (np.array(each) for each in zip(*parts, strict=True))
    total, evaluation = float(areas.var(ddof=1)), float(of_fake.mean())
    total_error = total * math.sqrt(2.0 / (count - 1))
    evaluation_error = float(of_fake.std(ddof=1)) / math.sqrt(count)
    resplit = math.nan
    if splits > 1:
        resplit = float(np.mean([each.areas.mean(axis=1).var(ddof=1) / splits for each in curves]))
    return AreaSpread(
        total=Estimate(total, total_error),
        evaluation=Estimate(evaluation, evaluation_error),
        model=Estimate(total - evaluation, math.hypot(total_error, evaluation_error)),
        reference=float(of_true[:_WHOLE].mean()),
        resplit=resplit,
    )


def _evaluation(
    seeds: Seeds, truth: Sample, fake: Sample, curve: Traced, recipe: CurveRecipe, *, whole: bool
) -> tuple[float, float]:
    r"""Return an area's variances from the finite generated sample and the finite reference.

    .. math:: v = r \left\langle \tfrac12 (A_{1b} - A_{2b})^2 \right\rangle_b, \qquad
              r = \min\left(\frac12, \frac{h^2}{h_\mathrm{half}^2}\right)

    from areas A of halves of the two samples, those of the generated sample first, h the error
    with the scores held, and the mean over halves b of the reference (one, and no variance of its
    own, unless it is wanted `whole`).  Noisy for one generator, right within about a fifth in the
    mean over a family; the spread over smaller pieces is not, where the neighbours of a piece see
    less than those of the whole.  Random halves are in the first; NaN below 160 events.
    """
    if not recipe.score.learns:
        return curve.errors[1] ** 2, curve.errors[0] ** 2
    if min(len(truth.x), len(fake.x)) < _FEWEST_EVENTS:
        return math.nan, math.nan
    at = seeds.at("halves")
    references = truth.parts(at.at("reference").numpy(), 2)[: 2 if whole else 1]
    halves = [
        [recipe.traced(at.at(a, b), true, made) for b, true in enumerate(references)]
        for a, made in enumerate(fake.parts(at.at("generated").numpy(), 2))
    ]
    areas = np.array([[curve_area(each.radii, recipe.theta) for each in row] for row in halves])
    held = np.mean([[np.square(each.errors) for each in row] for row in halves], axis=(0, 1))
    of_true, of_fake = (
        min(0.5, error**2 / part) if part else 0.5
        for error, part in zip(curve.errors, held, strict=True)
    )
    generated = of_fake * (0.5 * float(np.square(areas[0] - areas[1]).mean()))
    if not whole:
        return generated, math.nan
    # Between halves of the reference, interaction and random halves taken off.
    rest = 0.25 * float(areas[0, 0] - areas[0, 1] - areas[1, 0] + areas[1, 1]) ** 2
    return generated, of_true * (0.5 * float(np.square(areas[:, 0] - areas[:, 1]).mean()) - rest)


def simultaneous_band(
    seeds: Seeds, curves: Array, *, level: float = 0.95, resamples: int = _RESAMPLES
) -> tuple[Array, Array]:
    r"""Return lower and upper ends ``(L,)`` of the mean of independent curves ``(J, L)``.

    .. math:: \bar R(\theta) \pm c\, s(\theta) / \sqrt J, \quad
              c = \text{quantile of } \max_\theta
              \frac{|\bar R^*(\theta) - \bar R(\theta)|}{s^*(\theta) / \sqrt J}

    over bootstrap resamples of whole curves, each with its own deviation s*.  Points where all
    curves agree have no width.  Below about ten curves c is large and unsteady, and infinite
    for three or four.

    References
    ----------
    A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), section 4.2.4.
    """
    count = len(curves)
    mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=1)
    moves = spread > 1e-9 * np.abs(mean).max()
    if not moves.any():
        return mean, mean
    deviations = curves[:, moves] - mean[moves]
    rows = seeds.numpy().multinomial(count, np.full(count, 1.0 / count), size=resamples)
    shares = rows / count
    shift = shares @ deviations
    scale = np.sqrt(np.maximum(shares @ deviations**2 - shift**2, 0.0) / (count - 1))
    ratio = np.divide(np.abs(shift), scale, out=np.full_like(shift, np.inf), where=scale > 0.0)
    # A resample of one curve alone has no spread, and is infinite; so is the band with many: no
    # interpolation.
    largest = np.where((rows > 0).sum(axis=1) > 1, ratio.max(axis=1), np.inf)
    factor = float(np.quantile(largest, level, method="higher"))
    width = np.zeros_like(mean)
    width[moves] = factor * spread[moves] / math.sqrt(count)
    return mean - width, mean + width
