"""The precision–recall curve of one generated sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.bound import (
    Z_95,
    AreaLearningCurve,
    Bounded,
    area_learning_curve,
    bound_curve,
    interval,
)
from verisimile.checks.precision_recall.envelope import (
    angle_grid,
    curve_area,
    exact_turns,
    f_beta_pair,
    held_out,
    points_at,
)
from verisimile.checks.precision_recall.scores import LogDensities, Score
from verisimile.checks.precision_recall.swapped import (
    Halves,
    Sample,
    Traced,
    area_errors,
    average_swaps,
    generated_sample,
    true_sample,
)
from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.data.inputs import EventsLike, as_events

PUBLISHED, EXACT, BOUND = "test half", "exact", "held out"
BAND = (0.1, 0.9)
_NULL_DRAWS = 20


@register("precision-recall-null", 1)
@dataclass(frozen=True, slots=True, eq=False)
class NullCurves(Result):
    """Curves of a perfect generator: random halves of the reference against each other.

    Attributes
    ----------
    low, median, high
        10 %, 50 % and 90 % of their radii at each angle ``(L,)``.
    auc
        Area of each ``(D,)``.
    n
        Events of each half; more events would bring the curves nearer to the unit square.
    """

    low: Array
    median: Array
    high: Array
    auc: Array
    n: int
    listed: ClassVar[tuple[str, ...]] = ("low", "median", "high")

    def __repr__(self) -> str:
        spread = float(self.auc.std(ddof=1)) if self.auc.size > 1 else math.nan
        return f"NullCurves(auc={self.auc.mean():.4f} ± {spread:.2g}, {self.n} events a side)"


@register("precision-recall-candidate", 1)
@dataclass(frozen=True, slots=True)
class CandidateArea(Result):
    """One of several scores.

    Attributes
    ----------
    area
        Held-out area with its own thresholds, and the error of that.
    chosen
        Share of the folds that it was chosen for.
    """

    score: str
    area: Estimate
    chosen: float


@register("precision-recall", 2)
@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecall(Result):
    r"""Precision against recall of one generated sample.

    Attributes
    ----------
    score
        What ordered the events: of several, those that were chosen, the most frequent first.
    theta
        Angles from the recall axis, :math:`\tan\theta = \lambda` ``(L,)``.
    precision, recall
        :math:`\alpha` and :math:`\beta` ``(L,)``.
    auc
        Area below the curve, an **upper bound** of the true one (of exact densities: itself); its
        error is that of both finite samples, and knows nothing of how loose the bound is.
    auc_errors
        Parts of that error: of the reference, and of the generated sample.
    f_beta
        Largest :math:`F_8` (recall) and :math:`F_{1/8}` (precision).
    fold_auc
        Area of each half as the test sample, of each split ``(S, 2)``; ``(1, 1)`` for a score
        that does not learn.
    null
        Curves of a perfect generator; None if not asked for.
    n_reference, n_generated
        Events, missed ones included.
    n_missed
        Generated events that are not finite.
    thresholds
        ``"held out"``: of events apart from those that count, so that the curve is a bound;
        ``"exact"``: of densities; ``"test half"``: the best of the events that count, as published.
    interval
        The true area is in it, at 95 %: low end from the learning curve, high end the bound with
        its error.  NaN for ``"test half"``.
    candidates
        Of several scores, the area of each and how often it was chosen.
    learning
        Area against the number of events, and where it leads; None without a bound.
    """

    score: str
    theta: Array
    precision: Array
    recall: Array
    auc: Estimate
    auc_errors: tuple[float, float]
    f_beta: tuple[float, float]
    fold_auc: Array
    null: NullCurves | None
    n_reference: int
    n_generated: int
    n_missed: int
    thresholds: str = PUBLISHED
    interval: tuple[float, float] = (math.nan, math.nan)
    candidates: tuple[CandidateArea, ...] = ()
    learning: AreaLearningCurve | None = None
    listed: ClassVar[tuple[str, ...]] = ("theta", "recall", "precision")

    @property
    def radii(self) -> Array:
        """Distances from the origin ``(L,)``."""
        return np.hypot(self.precision, self.recall)

    def __repr__(self) -> str:
        recall, precision = self.f_beta
        missed = f", {self.n_missed} of them not finite" if self.n_missed else ""
        bound, (low, high) = "<" if self.thresholds == BOUND else "", self.interval
        inside = "" if math.isnan(low) else f", true area in [{low:.3f}, {high:.3f}]"
        return (
            f"PrecisionRecall({self.score}: "
            f"auc{bound}={self.auc.value:.4f} ± {self.auc.error:.2g}{inside}, "
            f"F8={recall:.4f}, F1/8={precision:.4f}, "
            f"{self.n_reference} against {self.n_generated} events{missed})"
        )


def precision_recall(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    *,
    score: Score | BestScore = BestScore(),  # noqa: B008  (frozen)
    splits: int = 1,
    null_draws: int | None = None,
    angles: int = 201,
) -> PrecisionRecall:
    r"""Return the precision–recall curve of a generated sample.

    .. math:: \alpha(\lambda) = \int \min(\lambda p, q), \quad
              \beta(\lambda) = \alpha(\lambda) / \lambda

    Precision is the mass of q inside of p, recall the mass of p inside of q, and
    :math:`1 - \alpha(1)` the total variation distance.  :math:`\alpha` is a minimum over all
    tests, and any test that the counted events did not shape lies above it: **the curve is an
    upper bound**, as loose as the score is poor.  Each sample is halved at random; scores learn
    from one pair of halves, the best score and its thresholds are chosen on four fifths of the
    other and counted on the fifth, and so on, then the reverse; distances from the origin are
    averaged at equal angles.

    A :class:`BestScore` does that, :class:`LogDensities` has the exact curve, and **any other
    score given alone is drawn as published**: thresholds are the best of the events that count,
    which lowers the curve, unseen differences raise it, and no interval is stated.

    Errors of a bound are those of its means over held-out events.  Errors of the area as
    published come from the same computation in up to sixteen disjoint pieces, whose
    spread is scaled by the root of their number; NaN below 160 events.

    Parameters
    ----------
    reference
        True events, none of which the generator has seen; without weights.
    generated
        Generated events, without weights.  An array may hold rows that are not finite: each is
        a generated event where no true one is.
    splits
        Random halvings to average over.
    null_draws
        Curves of a perfect generator; 0 for none.  None: twenty of a score drawn as published,
        which is low even for a perfect generator, and none of a bound, which is one.
    angles
        L, odd.

    Raises
    ------
    InputError
        For weighted, too few or unequal features of events, or unusable counts.
    NumericsError
        If a score is NaN.

    References
    ----------
    M. Sajjadi et al., NeurIPS 2018; L. Simon et al., ICML 2019; B. Sykes et al.,
    arXiv:2405.01611 (halves, scores); P. Bayle et al., NeurIPS 2020 (errors of cross-validation).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> true, fake = rng.normal(size=(800, 1)), rng.normal(1.0, 1.0, size=(800, 1))
    >>> low, high = precision_recall(Run(Seeds(1)), true, fake).interval
    >>> low < 0.679 < high
    True
    """
    reference = as_events(reference, "reference")
    truth, fake = true_sample(reference), generated_sample(generated, reference)
    recipe, at = CurveRecipe(score, splits, angle_grid(angles)), run.seeds.at("precision-recall")
    bound, limits = None, (math.nan, math.nan)
    if isinstance(score, BestScore):
        bound = bound_curve(at, truth, fake, best=score, splits=splits, theta=recipe.theta)
        found, errors = bound.traced, bound.traced.errors
    else:
        found = recipe.traced(at, truth, fake)
        errors = area_errors(at, truth, fake, found, score=score, theta=recipe.theta)
    precision, recall = points_at(found.radii, recipe.theta)
    area = float(curve_area(found.radii, recipe.theta))
    if recipe.thresholds == EXACT:
        half = Z_95 * math.hypot(*errors)
        limits = max(0.0, area - half), min(1.0, area + half)
    curve = PrecisionRecall(
        score=score.name,
        theta=recipe.theta,
        precision=precision,
        recall=recall,
        auc=Estimate(area, math.hypot(*errors)),
        auc_errors=errors,
        f_beta=f_beta_pair(precision, recall),
        fold_auc=found.areas,
        null=recipe.null_curves(at.at("null"), truth, null_draws),
        n_reference=truth.n,
        n_generated=fake.n,
        n_missed=fake.missed,
        thresholds=recipe.thresholds,
        interval=limits,
    )
    return curve if bound is None else _with_bound(curve, bound, at.at("learning"))


@dataclass(frozen=True, slots=True, eq=False)
class CurveRecipe:
    """How curves are drawn: what orders events, how often they are halved, at which angles."""

    score: Score | BestScore
    splits: int
    theta: Array

    @property
    def thresholds(self) -> str:
        """Where thresholds are from: held-out events, densities, or the test half."""
        if isinstance(self.score, BestScore):
            return BOUND
        return EXACT if isinstance(self.score, LogDensities) else PUBLISHED

    def traced(self, seeds: Seeds, truth: Sample, fake: Sample) -> Traced:
        """Return the curve, averaged over splits."""
        score, theta = self.score, self.theta
        if isinstance(score, BestScore):
            return bound_curve(
                seeds, truth, fake, best=score, splits=self.splits, theta=theta
            ).traced
        if not isinstance(score, LogDensities):
            return average_swaps(seeds, truth, fake, score=score, splits=self.splits, theta=theta)
        # Of the likelihood ratio: means over events, without bias.
        true, made = Halves(truth, fake, truth, fake).scores(score, seeds.numpy())
        curve = held_out(exact_turns(true), exact_turns(made), theta)
        errors = (curve.true.std() / truth.n**0.5, curve.fake.std() / fake.n**0.5)
        return Traced(curve.radii, np.array([[curve.area]]), (float(errors[0]), float(errors[1])))

    def null_curves(self, seeds: Seeds, truth: Sample, draws: int | None) -> NullCurves | None:
        """Return curves of halves of the reference, one split each; None for no draws."""
        if draws is None:
            draws = 0 if self.thresholds == BOUND else _NULL_DRAWS
        require(draws >= 0, "null_draws", got=draws, expected="None, or an integer >= 0")
        if draws == 0:
            return None
        once, radii = replace(self, splits=1), np.empty((draws, self.theta.size))
        for i in range(draws):
            one, other = truth.parts(seeds.at("halves", i).numpy(), 2)
            radii[i] = once.traced(seeds.at("draw", i), one, other).radii
        low, median, high = np.quantile(radii, [BAND[0], 0.5, BAND[1]], axis=0)
        return NullCurves(low, median, high, curve_area(radii, self.theta), truth.n // 2)


def _with_bound(curve: PrecisionRecall, bound: Bounded, seeds: Seeds) -> PrecisionRecall:
    learning = area_learning_curve(seeds, bound, curve.theta)
    candidates = _candidates(bound)
    chosen = sorted((one for one in candidates if one.chosen), key=lambda one: -one.chosen)
    return replace(
        curve,
        score=", ".join(one.score for one in chosen),
        interval=interval(bound, learning),
        candidates=candidates,
        learning=learning,
    )


def _candidates(bound: Bounded) -> tuple[CandidateArea, ...]:
    found = []
    for i, score in enumerate(bound.halves[0].candidates):
        curves = [half.curves[i] for half in bound.halves]
        area = float(np.mean([curve.area for curve in curves]))
        # Halves of a split have different events; splits share them.
        error = math.sqrt(0.5 * np.mean([sum(curve.variances) for curve in curves]))
        chosen = float(np.mean([(half.chosen == i).mean() for half in bound.halves]))
        found.append(CandidateArea(score.name, Estimate(area, error), chosen))
    return tuple(found)
