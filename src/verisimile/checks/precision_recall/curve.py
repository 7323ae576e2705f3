"""The precision–recall curve of one generated sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.precision_recall.area import curve_area
from verisimile.checks.precision_recall.envelope import angles as grid
from verisimile.checks.precision_recall.envelope import f_beta_pair, points_at
from verisimile.checks.precision_recall.samples import Sample, generated_sample, true_sample
from verisimile.checks.precision_recall.scores import PooledNeighbours, Score
from verisimile.checks.precision_recall.tracing import area_errors, traced
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import Events

__all__ = ["NullCurves", "PrecisionRecall", "null_curves", "precision_recall"]

_BAND = (0.1, 0.9)


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


@register("precision-recall", 1)
@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecall:
    r"""Precision against recall of one generated sample.

    Attributes
    ----------
    score
        What ordered the events.
    theta
        Angles from the recall axis, :math:`\tan\theta = \lambda` ``(L,)``.
    precision, recall
        :math:`\alpha` and :math:`\beta` ``(L,)``.
    auc
        Area below the curve; its error is that of both finite samples.
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

    @property
    def radii(self) -> Array:
        """Distances from the origin ``(L,)``."""
        return np.hypot(self.precision, self.recall)

    def __repr__(self) -> str:
        """Return one line: area, pair of F, sizes."""
        recall, precision = self.f_beta
        missed = f", {self.n_missed} of them not finite" if self.n_missed else ""
        return (
            f"PrecisionRecall({self.score}: auc={self.auc.value:.4f} ± {self.auc.error:.2g}, "
            f"F8={recall:.4f}, F1/8={precision:.4f}, "
            f"{self.n_reference} against {self.n_generated} events{missed})"
        )


def precision_recall(
    run: Run,
    reference: Events,
    generated: Events | npt.ArrayLike,
    *,
    score: Score = PooledNeighbours(),  # noqa: B008  (frozen)
    splits: int = 1,
    null_draws: int = 20,
    angles: int = 201,
) -> PrecisionRecall:
    r"""Return the precision–recall curve of a generated sample.

    .. math:: \alpha(\lambda) = \int \min(\lambda p, q), \quad
              \beta(\lambda) = \alpha(\lambda) / \lambda

    Precision is the mass of q inside of p, recall the mass of p inside of q, and
    :math:`1 - \alpha(1)` the total variation distance.  Each sample is halved at random; the
    score learns from one pair of halves and orders the other, then the reverse; distances from
    the origin are averaged at equal angles.  Thresholds are the best of the test halves, which
    lowers the curve, and unseen differences raise it: compare with `null`, not with one.

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
        Curves of a perfect generator; 0 for none.
    angles
        L, odd.

    Errors of the area come from the same computation in up to sixteen disjoint pieces, whose
    spread is scaled by the root of their number; NaN below 160 events.  A score that does not
    learn has its exact first-order error.

    Raises
    ------
    InputError
        For weighted, too few or unequal features of events, or unusable counts.
    NumericsError
        If a score is NaN.

    References
    ----------
    M. Sajjadi et al., NeurIPS 2018; L. Simon et al., ICML 2019; B. Sykes et al.,
    arXiv:2405.01611 (halves, scores).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> true, fake = Events(rng.normal(size=(2000, 1))), rng.normal(1.0, 1.0, size=(2000, 1))
    >>> precision_recall(Run(Seeds(1)), true, fake, null_draws=2).auc
    Estimate(0.691233 ± 0.026)
    """
    truth = true_sample(reference)
    fake = generated_sample(generated, reference)
    theta, at = grid(angles), run.seeds.at("precision-recall")
    found = traced(at, truth, fake, score=score, splits=splits, theta=theta)
    errors = area_errors(at, truth, fake, found, score=score, theta=theta)
    precision, recall = points_at(found.radii, theta)
    return PrecisionRecall(
        score=score.name,
        theta=theta,
        precision=precision,
        recall=recall,
        auc=Estimate(float(curve_area(found.radii, theta)), math.hypot(*errors)),
        auc_errors=errors,
        f_beta=f_beta_pair(precision, recall),
        fold_auc=found.areas,
        null=null_curves(at.at("null"), truth, score, theta, null_draws),
        n_reference=truth.n,
        n_generated=fake.n,
        n_missed=fake.missed,
    )


def null_curves(
    seeds: Seeds, truth: Sample, score: Score, theta: Array, draws: int
) -> NullCurves | None:
    """Return curves of halves of the reference, None for no draws.

    Raises
    ------
    InputError
        For a negative number of draws.
    """
    if draws < 0:
        raise InputError("null_draws", got=draws, expected="an integer >= 0")
    if draws == 0:
        return None
    radii = np.empty((draws, theta.size))
    for i in range(draws):
        one, other = truth.parts(seeds.at("halves", i).numpy(), 2)
        at = seeds.at("draw", i)
        radii[i] = traced(at, one, other, score=score, splits=1, theta=theta).radii
    low, median, high = np.quantile(radii, [_BAND[0], 0.5, _BAND[1]], axis=0)
    return NullCurves(low, median, high, curve_area(radii, theta), truth.n // 2)
