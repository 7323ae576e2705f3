"""A classifier between truth and generated events, and all that it tells about the generator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from verisimile.checks.classifier.auc import auc, auc_estimate, auc_p_value
from verisimile.checks.classifier.closure import Closure, closure_of
from verisimile.checks.classifier.crossfit import Scored, Scorer, unfinished_note
from verisimile.checks.classifier.curves import Calibration, RocCurve, calibration_of, roc_of
from verisimile.checks.classifier.learners import boosted_trees, check_learner, title
from verisimile.checks.classifier.multiplied import group_p_value, multiplier_p_value
from verisimile.checks.classifier.samples import Pool, pool_of
from verisimile.checks.classifier.tails import WeightTail, tails_of
from verisimile.checks.classifier.weight_histogram import WeightHistogram, weight_histogram
from verisimile.core.arrays import Array, BoolArray, digest, frozen
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.copies import exact_copies
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue

__all__ = ["ClassifierDiagnosis", "diagnose_with_classifier"]

_CALIBRATION_BINS = 20


@register("classifier-diagnosis", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ClassifierDiagnosis:
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
    calibration: Calibration
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
    truth: Events,
    generated: Events,
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
    truth, generated
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
    """
    _check(folds, permutations, refits, tail)
    pool = pool_of(truth, generated, exchangeable_weights=exchangeable_weights)
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
        warnings=(*unfinished_note(half, every), *_warnings(truth, generated, log_weights)),
        refusal="" if pool.samples is None else pool.samples.refusal,
    )


def _p_value(half: Scored, pool: Pool, seeds: Seeds, draws: int) -> PValue:
    """Return the p-value of the area on the test half, by the null that its events allow."""
    if pool.samples is not None and pool.samples.null == "multipliers":
        return multiplier_p_value(half.scores, pool, half.rows, seeds, draws=draws)
    if pool.grouped:
        return group_p_value(half.scores, pool, half.rows, seeds, draws=draws)
    labels, masses = pool.truth[half.rows], pool.masses[half.rows]
    return auc_p_value(half.scores, labels, masses, seeds.numpy(), permutations=draws)


def _content(pool: Pool) -> str:
    groups = (pool.units,) if pool.grouped else ()
    return digest(pool.x, pool.truth, pool.masses, *groups)


def _refit_p_value(scorer: Scorer, area: float, folds: int, refits: int) -> PValue | None:
    if refits == 0:
        return None
    return Empirical(scorer.permuted(folds, refits), "permutations with refits").p_value(area)


def _effective_fraction(pool: Pool, log_weights: Array) -> float:
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


def _check_refits(pool: Pool, refits: int) -> None:
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
