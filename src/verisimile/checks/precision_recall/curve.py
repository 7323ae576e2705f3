"""The precision–recall curve of one generated sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from verisimile.checks.precision_recall.area import curve_area
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.bound import Bounded, bounded
from verisimile.checks.precision_recall.envelope import angles as grid
from verisimile.checks.precision_recall.envelope import f_beta_pair, points_at
from verisimile.checks.precision_recall.learning import LearningCurve, interval, learning_curve
from verisimile.checks.precision_recall.rules import exact_turns, held_out
from verisimile.checks.precision_recall.samples import Sample, generated_sample, true_sample
from verisimile.checks.precision_recall.scores import LogDensities, Score
from verisimile.checks.precision_recall.swapped import Traced, area_errors, swapped
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import Events

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


_BAND = (0.1, 0.9)
_NULL_DRAWS = 20
_Z = 1.959963984540054


@register("precision-recall-null", 1)
@dataclass(frozen=True, slots=True, eq=False)
class NullCurves:
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

    def __repr__(self) -> str:
        """Return one line: mean and spread of the area."""
        spread = float(self.auc.std(ddof=1)) if self.auc.size > 1 else math.nan
        return f"NullCurves(auc={self.auc.mean():.4f} ± {spread:.2g}, {self.n} events a side)"


@register("precision-recall-candidate", 1)
@dataclass(frozen=True, slots=True)
class CandidateArea:
    """One of several scores.

    Attributes
    ----------
    score
        Its name.
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
class PrecisionRecall:
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
    learning: LearningCurve | None = None

    @property
    def radii(self) -> Array:
        """Distances from the origin ``(L,)``."""
        return np.hypot(self.precision, self.recall)

    def __repr__(self) -> str:
        """Return one line: area and its interval, pair of F, sizes."""
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
    reference: Events,
    generated: Events | npt.ArrayLike,
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

    Parameters
    ----------
    run
        Random streams.
    reference
        True events, none of which the generator has seen; without weights.
    generated
        Generated events, without weights.  An array may hold rows that are not finite: each is
        a generated event where no true one is.
    score
        What orders the events.
    splits
        Random halvings to average over.
    null_draws
        Curves of a perfect generator; 0 for none.  None: twenty of a score drawn as published,
        which is low even for a perfect generator, and none of a bound, which is one.
    angles
        L, odd.

    Errors of a bound are those of its means over held-out events.  Errors of the area as
    published come from the same computation in up to sixteen disjoint pieces, whose
    spread is scaled by the root of their number; NaN below 160 events.

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
    >>> true, fake = Events(rng.normal(size=(800, 1))), rng.normal(1.0, 1.0, size=(800, 1))
    >>> low, high = precision_recall(Run(Seeds(1)), true, fake).interval
    >>> low < 0.679 < high
    True
    """
    truth = true_sample(reference)
    fake = generated_sample(generated, reference)
    theta, at = grid(angles), run.seeds.at("precision-recall")
    if isinstance(score, BestScore):
        bound = bounded(at, truth, fake, best=score, splits=splits, theta=theta)
        found, errors = bound.traced, bound.traced.errors
    else:
        bound, found = None, traced(at, truth, fake, score=score, splits=splits, theta=theta)
        errors = area_errors(at, truth, fake, found, score=score, theta=theta)
    precision, recall = points_at(found.radii, theta)
    area = float(curve_area(found.radii, theta))
    curve = PrecisionRecall(
        score=score.name,
        theta=theta,
        precision=precision,
        recall=recall,
        auc=Estimate(area, math.hypot(*errors)),
        auc_errors=errors,
        f_beta=f_beta_pair(precision, recall),
        fold_auc=found.areas,
        null=null_curves(at.at("null"), truth, score, theta, null_draws),
        n_reference=truth.n,
        n_generated=fake.n,
        n_missed=fake.missed,
        thresholds=kind_of(score),
        interval=_around(area, errors) if kind_of(score) == EXACT else (math.nan, math.nan),
    )
    return curve if bound is None else _with_bound(curve, bound, at.at("learning"))


def _around(area: float, errors: tuple[float, float]) -> tuple[float, float]:
    half = _Z * math.hypot(*errors)
    return max(0.0, area - half), min(1.0, area + half)


def _with_bound(curve: PrecisionRecall, bound: Bounded, seeds: Seeds) -> PrecisionRecall:
    learning = learning_curve(seeds, bound, curve.theta)
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
    halves = bound.halves
    found = []
    for i, score in enumerate(halves[0].candidates):
        curves = [half.curves[i] for half in halves]
        # Halves of a split have different events; splits share them.
        variance = np.mean(
            [c.true.var() / c.true.size + c.fake.var() / c.fake.size for c in curves]
        )
        found.append(
            CandidateArea(
                score.name,
                Estimate(float(np.mean([c.area for c in curves])), math.sqrt(0.5 * variance)),
                float(np.mean([(half.chosen == i).mean() for half in halves])),
            )
        )
    return tuple(found)


def null_curves(
    seeds: Seeds, truth: Sample, score: Score | BestScore, theta: Array, draws: int | None
) -> NullCurves | None:
    """Return curves of halves of the reference, None for no draws.

    Raises
    ------
    InputError
        For a negative number of draws.
    """
    if draws is None:
        draws = 0 if isinstance(score, BestScore) else _NULL_DRAWS
    if draws < 0:
        raise InputError("null_draws", got=draws, expected="None, or an integer >= 0")
    if draws == 0:
        return None
    radii = np.empty((draws, theta.size))
    for i in range(draws):
        one, other = truth.parts(seeds.at("halves", i).numpy(), 2)
        at = seeds.at("draw", i)
        radii[i] = traced(at, one, other, score=score, splits=1, theta=theta).radii
    low, median, high = np.quantile(radii, [_BAND[0], 0.5, _BAND[1]], axis=0)
    return NullCurves(low, median, high, curve_area(radii, theta), truth.n // 2)
