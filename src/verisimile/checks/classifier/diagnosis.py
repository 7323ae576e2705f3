"""A classifier between truth and generated events, and all that it tells about the generator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import special

from verisimile.checks.classifier.auc import (
    CalibrationCurve,
    RocCurve,
    auc,
    auc_estimate,
    auc_p_value,
    calibration_of,
    equal_cells,
    roc_of,
)
from verisimile.checks.classifier.crossfit import (
    ClassifierPool,
    Scored,
    Scorer,
    pool_of,
    unfinished_note,
)
from verisimile.checks.classifier.multiplied import group_p_value, multiplier_p_value
from verisimile.checks.classifier.tails import WeightTail, tails_of
from verisimile.core.arrays import Array, BoolArray, IntArray, digest, frozen
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.contents import share_covariance
from verisimile.samples.copies import exact_copies
from verisimile.samples.learners import boosted_trees, check_learner, title
from verisimile.stats.linalg import solve_spd, whitening
from verisimile.stats.pvalues import Empirical, PValue

_CALIBRATION_BINS = 20


@register("classifier-diagnosis", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ClassifierDiagnosis(Result):
    r"""What a classifier finds between truth and generated events.

    Attributes
    ----------
    auc
        Area under the ROC curve on a half that was not trained on, with DeLong's
        error; 0.5 if nothing is found.
    p_value
        Of `auc`: from permuted labels of that half, whole groups of them, which is exact;
        with weights, from a multiplier bootstrap of the half's masses.
    cross_fitted_auc
        The area of the out-of-fold scores of all events.  More events, but its folds
        depend on each other: it has no simple error.
    refit
        Of `cross_fitted_auc`, from permuted labels with refits; None if not asked for.
    roc
        The curve on the test half.
    calibration
        Of the out-of-fold scores.
    closure
        Each feature's marginal before and after reweighting.
    tails
        Where the largest weights lie, then where the smallest.
    truth_log_weights, generated_log_weights
        :math:`\log w(x) = \log \frac{D}{1 - D} + \log \frac{n_g}{n_t}` of either
        sample, in its order: the log of truth over generated density.
    histogram
        Both as shares in bins.
    effective_fraction
        :math:`(\sum u w)^2 / \sum (u w)^2` of the generated events over that of their
        own weights: what reweighting would leave of them.
    n_truth, n_generated, folds, learner, events_digest
        Sizes, folds of the cross-fit, class of the learner, content key of both samples.
    warnings
        What a reader must know.
    refusal
        Why the p-value makes no verdict; empty if it does.
    """

    auc: Estimate
    p_value: PValue
    cross_fitted_auc: float
    refit: PValue | None
    roc: RocCurve
    calibration: CalibrationCurve
    closure: tuple[Closure, ...]
    tails: tuple[WeightTail, ...]
    truth_log_weights: Array
    generated_log_weights: Array
    histogram: WeightHistogram
    effective_fraction: float
    n_truth: int
    n_generated: int
    folds: int
    learner: str
    events_digest: str
    warnings: tuple[str, ...] = ()
    refusal: str = ""

    def __repr__(self) -> str:
        """Return one line: sizes, area, p-value."""
        return (
            f"ClassifierDiagnosis(n={self.n_truth}+{self.n_generated}, "
            f"AUC={self.auc.value:.4f}±{self.auc.error:.2g}, {self.p_value!r})"
        )

    def without_events(self) -> ClassifierDiagnosis:
        """Return the same without the weights of single events, for reports and records."""
        none = frozen(np.empty(0))
        return replace(self, truth_log_weights=none, generated_log_weights=none)


def diagnose_with_classifier(  # noqa: PLR0913  (samples, learner, and four sizes with defaults)
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    *,
    learner: object = None,
    folds: int = 5,
    permutations: int = 1000,
    refits: int = 0,
    tail: float = 0.02,
    exchangeable_weights: bool = False,
) -> ClassifierDiagnosis:
    r"""Train a classifier to tell generated from true events, and report what it learned.

    The p-value comes from one split: trained on one half, the area under the ROC
    curve on the other is compared with that of permuted labels.  Weights, calibration,
    closure and tails use cross-fitted scores,

    .. math:: w(x) = \frac{D(x)}{1 - D(x)} \frac{n_g}{n_t},

    each event's D from a classifier that never saw it.  Event weights may be negative.  A
    classifier learns with their absolute values, a valid choice as any score is, and with
    it weights, calibration, closure and tails are those of the absolute weights; the area
    and its p-value are those of the weights.  With weights the null multiplies each
    sample's masses, because samples whose weights follow different laws are not
    exchangeable (:func:`~verisimile.checks.classifier.multiplied.multiplier_p_value`).
    Groups are kept whole by folds and null.

    Parameters
    ----------
    run
        Random streams (``"classifier"``), execution and storage of the fits.
    reference, generated
        The samples; features are matched by name.
    learner
        A scikit-learn classifier, by default :func:`boosted_trees`.  It is cloned, and
        every ``random_state`` is set from the run's seeds.
    folds
        Of the cross-fit.
    permutations
        Of the test half's labels, or draws of its multipliers.
    refits
        Permutations of all labels, each with a cross-fit of its own: `folds` fits each.
    tail
        Fraction of all events in either tail of the weights.
    exchangeable_weights
        The declaration that one law made the weights of both samples: labels are then
        permuted with them.

    Raises
    ------
    InputError
        For features that do not match, fewer than 40 events (or groups) in a sample, a
        learner that cannot be used, or refits with weights.

    References
    ----------
    D. Lopez-Paz, M. Oquab, ICLR 2017 (arXiv:1610.06545); weights on both samples:
    R. Das et al., SciPost Phys. 16 (2024) 031 (arXiv:2305.16774).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> truth, generated = rng.normal(size=(300, 1)), rng.normal(1.0, 1.0, (300, 1))
    >>> run = vs.Run(vs.Seeds(1))
    >>> found = vs.diagnose_with_classifier(run, truth, generated, permutations=99, folds=2)
    >>> 0.7 < found.auc.value < 0.85
    True
    """
    reference, generated = comparable(reference=reference, generated=generated)
    _check(folds, permutations, refits, tail)
    pool = pool_of(reference, generated, exchangeable_weights=exchangeable_weights)
    _check_refits(pool, refits)
    classifier = check_learner(learner or boosted_trees(), weighted=pool.weighted)
    scorer = Scorer(run.at("classifier"), pool, classifier)
    half, every = scorer.split(), scorer.cross_fitted(folds)
    test = (half.scores, pool.truth[half.rows], pool.masses[half.rows])
    _check_half(test[1], test[2])
    scores = every.scores
    log_weights = special.logit(scores) + math.log(pool.n_generated / pool.n_truth)
    area = auc(scores, pool.truth, pool.masses)
    return ClassifierDiagnosis(
        auc=auc_estimate(*test),
        p_value=_p_value(half, pool, run.seeds.at("classifier", "permutations"), permutations),
        cross_fitted_auc=area,
        refit=_refit_p_value(scorer, area, folds, refits),
        roc=roc_of(*test),
        calibration=calibration_of(scores, pool.truth, pool.weights, bins=_CALIBRATION_BINS),
        closure=closure_of(pool, np.exp(log_weights)),
        tails=tails_of(pool, log_weights, fraction=tail),
        truth_log_weights=frozen(log_weights[pool.truth]),
        generated_log_weights=frozen(log_weights[~pool.truth]),
        histogram=weight_histogram(log_weights, pool.truth, pool.weights),
        effective_fraction=_effective_fraction(pool, log_weights),
        n_truth=pool.n_truth,
        n_generated=pool.n_generated,
        folds=folds,
        learner=title(classifier),
        events_digest=_content(pool),
        warnings=(*unfinished_note(half, every), *_warnings(reference, generated, log_weights)),
        refusal="" if pool.samples is None else pool.samples.refusal,
    )


def _p_value(half: Scored, pool: ClassifierPool, seeds: Seeds, draws: int) -> PValue:
    """Return the p-value of the area on the test half, by the null that its events allow."""
    if pool.samples is not None and pool.samples.null == "multipliers":
        return multiplier_p_value(half.scores, pool, half.rows, seeds, draws=draws)
    if pool.grouped:
        return group_p_value(half.scores, pool, half.rows, seeds, draws=draws)
    labels, masses = pool.truth[half.rows], pool.masses[half.rows]
    return auc_p_value(half.scores, labels, masses, seeds.numpy(), permutations=draws)


def _content(pool: ClassifierPool) -> str:
    groups = (pool.units,) if pool.grouped else ()
    return digest(pool.x, pool.truth, pool.masses, *groups)


def _refit_p_value(scorer: Scorer, area: float, folds: int, refits: int) -> PValue | None:
    if refits == 0:
        return None
    return Empirical(scorer.permuted(folds, refits), "permutations with refits").p_value(area)


def _effective_fraction(pool: ClassifierPool, log_weights: Array) -> float:
    side = ~pool.truth & np.isfinite(log_weights)
    before, after = pool.weights[side], pool.weights[side] * np.exp(log_weights[side])
    sizes = [float(u.sum() ** 2 / (u**2).sum()) if u.any() else 0.0 for u in (before, after)]
    return sizes[1] / sizes[0] if sizes[0] > 0.0 else 0.0


def _warnings(truth: Events, generated: Events, log_weights: Array) -> tuple[str, ...]:
    found = []
    signed = " and ".join(
        name for name, events in (("true", truth), ("generated", generated)) if events.signed
    )
    if signed:
        found.append(
            f"some {signed} events have negative weights: the classifier learned with absolute"
            " weights, and its w, calibration, closure and tails are those of absolute weights;"
            " the area and its p-value are not."
        )
    certain = int((~np.isfinite(log_weights)).sum())
    if certain:
        found.append(
            f"{certain} events have a score of exactly 0 or 1 and no finite weight; generated"
            " ones with infinite weight are left out of the closure. Use a learner whose"
            " probabilities are smoothed, such as the boosted trees."
        )
    shared = exact_copies(truth, generated)
    if shared is not None:
        found.append(
            f"{shared.count} generated events are copies of true ones: the samples are not"
            " independent, and no p-value here is valid."
        )
    return tuple(found)


def _check_refits(pool: ClassifierPool, refits: int) -> None:
    if refits and pool.samples is not None and pool.samples.null == "multipliers":
        raise InputError(
            "refits",
            got=f"{refits} with weighted events",
            expected="none: labels of events with weights cannot be permuted",
            remedy="The p-value of the test half needs no refits.",
        )


def _check_half(truth: BoolArray, masses: Array) -> None:
    for name, side in (("truth", truth), ("generated", ~truth)):
        if not masses[side].sum() > 0.0:
            raise InputError(
                f"{name}.weights",
                got=f"a sum of {masses[side].sum():.4g} in the half that is tested",
                expected="a positive sum",
                remedy="Take more events: their weights cancel.",
            )


def _check(folds: int, permutations: int, refits: int, tail: float) -> None:
    if folds < 2:
        raise InputError("folds", got=folds, expected="two or more")
    if permutations < 1:
        raise InputError("permutations", got=permutations, expected="one or more")
    if refits < 0:
        raise InputError("refits", got=refits, expected="zero or more")
    if not 0.0 < tail <= 0.5:
        raise InputError("tail", got=tail, expected="a fraction in (0, 0.5]")


_CLOSURE_BINS, _PER_BIN = 20, 20
_NOTHING = 1e-6  # of a difference: rounding


@register("classifier-closure", 1)
@dataclass(frozen=True, slots=True)
class Closure(Result):
    """One feature's marginal of the truth against the generated events, before and after weights.

    Attributes
    ----------
    feature
        Its name.
    before, after
        Chi-squared of the shapes, with the errors of both samples' weights.  The
        first follows its law if the samples agree; the second is descriptive,
        since the weights were learned from these events' neighbours.
    dof
        Bins minus one.
    """

    feature: str
    before: float
    after: float
    dof: int


def closure_of(pool: ClassifierPool, ratios: Array) -> tuple[Closure, ...]:
    """Return the closure of each feature; `ratios` ``(N,)`` weight generated events to truth."""
    usable = pool.truth | np.isfinite(ratios)
    generated = ~pool.truth & usable
    reweighted = pool.weights[generated] * ratios[generated]
    bins = max(2, min(_CLOSURE_BINS, min(pool.n_truth, pool.n_generated) // _PER_BIN))
    out = []
    for j, name in enumerate(pool.names):
        cell = equal_cells(pool.x[:, j], bins)
        count = int(cell.max()) + 1
        theirs = (cell[pool.truth], pool.weights[pool.truth])
        before = shape_chi2(theirs, (cell[~pool.truth], pool.weights[~pool.truth]), count)
        after = shape_chi2(theirs, (cell[generated], reweighted), count)
        out.append(Closure(name, before, after, count - 1))
    return tuple(out)


def shape_chi2(first: tuple[IntArray, Array], second: tuple[IntArray, Array], bins: int) -> float:
    r"""Return chi-squared of two normalised histograms of weighted events.

    .. math:: \chi^2 = \Delta^T C^{-1} \Delta, \quad
              C_{ab} = \sum_i \frac{u_i^2}{U^2} ([i \in a] - p_a)([i \in b] - p_b)

    summed over the samples, without the last bin, which the others determine.
    Each argument is (cell numbers, weights).  Infinite if the shapes differ in a direction
    without any error, as those of samples without a common cell do; NaN if weights sum to
    nothing.
    """
    if bins < 2:
        return 0.0
    if not all(weights.sum() > 0.0 for _, weights in (first, second)):
        return math.nan
    apart, covariance = np.zeros(bins - 1), np.zeros((bins - 1, bins - 1))
    for sign, (cell, weights) in ((1.0, first), (-1.0, second)):
        share = np.bincount(cell, weights=weights, minlength=bins) / weights.sum()
        square = np.bincount(cell, weights=weights**2, minlength=bins) / weights.sum() ** 2
        apart += sign * share[:-1]
        covariance += share_covariance(share, square)[:-1, :-1]
    try:
        return float(apart @ solve_spd(covariance, apart))
    except NumericsError:
        return _singular(covariance, apart)


def _singular(covariance: Array, apart: Array) -> float:
    """Return chi-squared in the directions that have an error, if there is nothing in others."""
    root = whitening(covariance)
    scaled = np.linalg.lstsq(root, apart, rcond=None)[0]
    left = np.linalg.norm(apart - root @ scaled)
    return math.inf if left > _NOTHING * np.linalg.norm(apart) else float(scaled @ scaled)


_WEIGHT_BINS = 60
_TAIL = 1e-3


@register("weight-histogram", 1)
@dataclass(frozen=True, slots=True, eq=False)
class WeightHistogram(Result):
    """Shares of either sample in bins of log w.

    Attributes
    ----------
    edges
        Of the bins ``(G + 1,)``; they hold both samples but 0.1 % on either side, and
        what lies beyond is in the outermost bins.
    truth, generated
        Weighted shares ``(G,)``, infinite weights left out.
    infinite
        Events without a finite log w.
    """

    edges: Array
    truth: Array
    generated: Array
    infinite: int
    listed: ClassVar[tuple[str, ...]] = ("edges", "truth", "generated")


def weight_histogram(log_weights: Array, truth: BoolArray, weights: Array) -> WeightHistogram:
    """Return the histogram of log w ``(N,)``; `truth` tells true events, `weights` counts them."""
    finite = np.isfinite(log_weights)
    values, side, counted = log_weights[finite], truth[finite], weights[finite]
    low, high = np.quantile(values, (_TAIL, 1.0 - _TAIL)) if values.size else (0.0, 0.0)
    margin = 0.0 if high > low else 0.5
    edges = np.linspace(low - margin, high + margin, _WEIGHT_BINS + 1)
    clipped = np.clip(values, edges[0], edges[-1])
    shares = [
        np.histogram(clipped[mask], edges, weights=counted[mask])[0] for mask in (side, ~side)
    ]
    scaled = [share / share.sum() if share.sum() > 0.0 else share for share in shares]
    return WeightHistogram(
        frozen(edges), frozen(scaled[0]), frozen(scaled[1]), int((~finite).sum())
    )
