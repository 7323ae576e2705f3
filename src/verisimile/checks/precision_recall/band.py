"""Bands of precision–recall curves over an ensemble of generated samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.precision_recall.area import curve_area
from verisimile.checks.precision_recall.best import BestScore, chosen_score, set_apart
from verisimile.checks.precision_recall.curve import (
    BOUND,
    PUBLISHED,
    NullCurves,
    kind_of,
    null_curves,
    traced,
)
from verisimile.checks.precision_recall.envelope import angles as grid
from verisimile.checks.precision_recall.envelope import points_at
from verisimile.checks.precision_recall.evaluation import Evaluation, evaluation_variances
from verisimile.checks.precision_recall.samples import Sample, generated_sample, true_sample
from verisimile.checks.precision_recall.scores import Score
from verisimile.checks.precision_recall.swapped import Traced
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import Events

_BAND = (0.1, 0.9)
_RECALLS = 1000
_FEWEST = 3
_WHOLE = 8  # members that tell the variance of the reference, which is one for all


@register("precision-recall-recall-band", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RecallBand:
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


@register("precision-recall-radial-band", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RadialBand:
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


@register("precision-recall-area-spread", 1)
@dataclass(frozen=True, slots=True)
class AreaSpread:
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
class Band:
    """Precision–recall curves of J generated samples of one family.

    Attributes
    ----------
    score
        What ordered the events.
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

    @property
    def best(self) -> int:
        """Member of the largest area."""
        return int(self.auc.argmax())

    @property
    def worst(self) -> int:
        """Member of the smallest area."""
        return int(self.auc.argmin())

    def __repr__(self) -> str:
        """Return one line: members, areas, and the deviation that is of training."""
        most = "at most " if self.thresholds == BOUND else ""
        model = float(np.sqrt(np.maximum(self.spread.model.value, 0.0)))  # NaN stays NaN
        return (
            f"Band({len(self.auc)} curves by {self.score}: auc {most}{self.auc.mean():.4f} ± "
            f"{self.auc.std(ddof=1):.2g}, {model:.2g} of it from training)"
        )


def precision_recall_band(
    run: Run,
    reference: Events,
    generated: Sequence[Events | npt.ArrayLike],
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

    Parameters
    ----------
    run
        Random streams; member j has its own.
    reference
        True events that no generator has seen.
    generated
        At least three samples; arrays may hold rows that are not finite.
    score, splits, null_draws, angles
        As of :func:`~verisimile.checks.precision_recall.curve.precision_recall`.

    Raises
    ------
    InputError
        For fewer than three samples, or unusable ones.
    NumericsError
        If a score is NaN.

    References
    ----------
    G. Morales et al., "Towards uncertainty quantification in generative model learning",
    section 3 (`recall`) and appendix B (`radial`).
    """
    (band,) = _bands(
        [run],
        reference,
        [generated],
        score=score,
        splits=splits,
        null_draws=null_draws,
        angles=angles,
    )
    return band


def precision_recall_bands(
    run: Run,
    reference: Events,
    families: Sequence[Sequence[Events | npt.ArrayLike]],
    *,
    score: Score | BestScore = BestScore(),  # noqa: B008  (frozen)
    splits: int = 1,
    null_draws: int | None = None,
    angles: int = 201,
) -> tuple[Band, ...]:
    """Return the bands of several families by **one** score, so that they can be compared.

    The choice among several scores sees generated events of all families together, without their
    labels: if two families are one, their curves are exchangeable whatever was chosen.

    Parameters
    ----------
    run
        Random streams; family i has its own.
    reference
        True events that no generator has seen.
    families
        Generated samples of each, as of :func:`precision_recall_band`.
    score, splits, null_draws, angles
        As of :func:`precision_recall_band`.

    Raises
    ------
    InputError
        For a family of fewer than three samples, or unusable ones.
    NumericsError
        If a score is NaN.
    """
    runs = [run.at("family", i) for i in range(len(families))]
    return _bands(
        runs,
        reference,
        families,
        score=score,
        splits=splits,
        null_draws=null_draws,
        angles=angles,
    )


def _bands(
    runs: Sequence[Run],
    reference: Events,
    families: Sequence[Sequence[Events | npt.ArrayLike]],
    *,
    score: Score | BestScore,
    splits: int,
    null_draws: int | None,
    angles: int,
) -> tuple[Band, ...]:
    for generated in families:
        if len(generated) < _FEWEST:
            raise InputError(
                "generated", got=f"{len(generated)} samples", expected=f"at least {_FEWEST}"
            )
    truth, theta = true_sample(reference), grid(angles)
    groups = [[generated_sample(x, reference) for x in generated] for generated in families]
    if isinstance(score, BestScore) and score.chooses:
        at = runs[0].seeds.at("choose a score")
        (true, fake), truth, groups = set_apart(at, truth, groups)
        score = chosen_score(at.at("choice"), true, fake, score, theta)
    return tuple(
        _band(run, truth, fakes, score=score, splits=splits, null_draws=null_draws, theta=theta)
        for run, fakes in zip(runs, groups, strict=True)
    )


def _band(
    run: Run,
    truth: Sample,
    fakes: Sequence[Sample],
    *,
    score: Score | BestScore,
    splits: int,
    null_draws: int | None,
    theta: Array,
) -> Band:
    streams = [run.seeds.at("member", j, "precision-recall") for j in range(len(fakes))]
    null = null_curves(streams[0].at("null"), truth, score, theta, null_draws)
    members = [
        _member(at, truth, fake, score=score, splits=splits, theta=theta, whole=j < _WHOLE)
        for j, (at, fake) in enumerate(zip(streams, fakes, strict=True))
    ]
    radii = np.array([curve.radii for curve, _ in members])
    low, high = np.quantile(radii, _BAND, axis=0)
    mean_low, mean_high = simultaneous_band(run.seeds.at("simultaneous"), radii)
    return Band(
        score=score.name,
        theta=theta,
        radii=radii,
        auc=curve_area(radii, theta),
        missed=np.array([fake.missed / fake.n for fake in fakes]),
        recall=_recall_band(radii, theta),
        radial=RadialBand(low, radii.mean(axis=0), high, mean_low, mean_high),
        spread=_spread(curve_area(radii, theta), members),
        null=null,
        thresholds=kind_of(score),
    )


_Member = tuple[Traced, Evaluation]


def _member(
    seeds: Seeds,
    truth: Sample,
    fake: Sample,
    *,
    score: Score | BestScore,
    splits: int,
    theta: Array,
    whole: bool,
) -> _Member:
    curve = traced(seeds, truth, fake, score=score, splits=splits, theta=theta)
    return curve, evaluation_variances(
        seeds, truth, fake, curve, score=score, splits=splits, theta=theta, with_reference=whole
    )


def _recall_band(radii: Array, theta: Array) -> RecallBand:
    grid_of_recalls = np.arange(1, _RECALLS + 1) / _RECALLS
    points = [points_at(each, theta) for each in radii]
    # Recall falls with the angle; beyond the end of a curve there is no precision.
    precision = np.array(
        [np.interp(grid_of_recalls, recall[::-1], high[::-1], right=0.0) for high, recall in points]
    )
    low, high = np.quantile(precision, _BAND, axis=0)
    return RecallBand(grid_of_recalls, precision, low, precision.mean(axis=0), high)


def _spread(areas: Array, members: Sequence[_Member]) -> AreaSpread:
    count = len(members)
    parts = np.array([each.generated for _, each in members])
    total = float(areas.var(ddof=1))
    total_error = total * math.sqrt(2.0 / (count - 1))
    evaluation_error = float(parts.std(ddof=1)) / math.sqrt(count)
    evaluation = float(parts.mean())
    return AreaSpread(
        total=Estimate(total, total_error),
        evaluation=Estimate(evaluation, evaluation_error),
        model=Estimate(total - evaluation, math.hypot(total_error, evaluation_error)),
        reference=float(np.mean([each.reference for _, each in members[:_WHOLE]])),
        resplit=float(np.mean([_resplit(curve.areas) for curve, _ in members])),
    )


def _resplit(areas: Array) -> float:
    if len(areas) < 2:
        return math.nan
    return float(areas.mean(axis=1).var(ddof=1)) / len(areas)


_RESAMPLES = 999


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
    largest = _largest(rows / count, deviations, _varied(rows))
    # No interpolation: a resample without spread is infinite, and so is the band with many.
    factor = float(np.quantile(largest, level, method="higher"))
    width = np.zeros_like(mean)
    width[moves] = factor * spread[moves] / math.sqrt(count)
    return mean - width, mean + width


def _largest(shares: Array, deviations: Array, usable: BoolArray) -> Array:
    """Return the largest studentised deviation of each resample, infinite where unusable."""
    count = len(deviations)
    shift = shares @ deviations
    variance = np.maximum(shares @ deviations**2 - shift**2, 0.0) / (count - 1)
    scale = np.sqrt(variance)
    ratio = np.divide(np.abs(shift), scale, out=np.full_like(shift, np.inf), where=scale > 0.0)
    return np.where(usable, ratio.max(axis=1), np.inf)


def _varied(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> BoolArray:
    # A resample of one curve alone has no spread.
    return np.asarray((rows > 0).sum(axis=1) > 1)
