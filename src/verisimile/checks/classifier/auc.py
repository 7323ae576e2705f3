"""ROC curves with weights: the area, its error and permutation law, calibration curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.result import Estimate, Result, register
from verisimile.samples.choices import choose
from verisimile.stats.intervals import ONE_SIGMA
from verisimile.stats.pvalues import Empirical, PValue

_BLOCK = 32_000_000  # bytes of labels as numbers
_TIE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class RankSums:
    r"""The AUC of any labeling of the same scores, as matrix products.

    With :math:`R_i = \sum_j u_j ([s_j < s_i] + \tfrac12 [s_j = s_i])` the weighted
    midrank and T the true events,

    .. math:: A = \frac{\sum_T u_i R_i - \tfrac12 (\sum_T u_i)^2}{\sum_T u \sum_G u},

    because the pairs inside T add up to :math:`\tfrac12 (\sum_T u)^2` whatever the
    scores.

    Attributes
    ----------
    ranks
        :math:`R` ``(n,)``.
    weights
        u ``(n,)``.
    """

    ranks: Array
    weights: Array

    @classmethod
    def of(cls, scores: Array, weights: Array) -> RankSums:
        """Return the rank sums of scores ``(n,)``."""
        _, group = np.unique(scores, return_inverse=True)
        content = np.bincount(group, weights=weights)
        below = np.cumsum(content) - 0.5 * content
        return cls(below[group], weights)

    def areas(self, labels: BoolArray) -> Array:
        """Return the AUC of each labeling ``(R,)``, from labels ``(R, n)``."""
        first = labels.astype(np.float64)
        own = first @ self.weights
        above = first @ (self.weights * self.ranks) - 0.5 * own**2
        return np.asarray(above / (own * (self.weights.sum() - own)))


def auc(scores: Array, truth: BoolArray, weights: Array) -> float:
    """Return the probability that a true event scores above a generated one, ties half."""
    return float(RankSums.of(scores, weights).areas(truth[None])[0])


def auc_estimate(scores: Array, truth: BoolArray, weights: Array) -> Estimate:
    r"""Return the AUC of independent test events, with DeLong's error for weighted events.

    .. math:: \sigma^2 = \sum_T \Big(\frac{u_i}{U_T}\Big)^2 (V_i - A)^2
              + \sum_G \Big(\frac{u_i}{U_G}\Big)^2 (V_i - A)^2

    where :math:`V_i` is the share of the other sample on the right side of event i.
    Not for cross-fitted scores, whose folds depend on each other.

    References
    ----------
    E. R. DeLong et al., Biometrics 44 (1988) 837.
    """
    area = auc(scores, truth, weights)
    variance = 0.0
    for side in (truth, ~truth):
        share = weights[side] / weights[side].sum()
        shares = _below(scores[side], scores[~side], weights[~side])
        variance += float((share**2 * (shares - share @ shares) ** 2).sum())
    return Estimate(area, float(np.sqrt(variance)))


def auc_p_value(
    scores: Array,
    truth: BoolArray,
    weights: Array,
    rng: np.random.Generator,
    *,
    permutations: int,
) -> PValue:
    r"""Return :math:`(k + 1)/(B + 1)` from permuted labels of independent test events.

    Exact for every B and every classifier: given the training half, the scores of the
    test half are exchangeable under the null, with their weights if one law made these.
    """
    sums = RankSums.of(scores, weights)
    rows = max(1, _BLOCK // (8 * truth.size))
    parts = [
        sums.areas(_permuted(truth, min(rows, permutations - done), rng))
        for done in range(0, permutations, rows)
    ]
    toys = np.concatenate(parts)
    return tied_p_value(toys, float(sums.areas(truth[None])[0]), "permutations")


def tied_p_value(toys: Array, observed: float, null: str) -> PValue:
    """Return the p-value of an area among draws of it, which tie with it up to rounding."""
    # Rounding must not break a tie between the data and a draw in the data's favour.
    tied = np.isclose(toys, observed, rtol=_TIE, atol=_TIE)
    return Empirical(np.where(tied, observed, toys), null).p_value(observed)


def _permuted(truth: BoolArray, count: int, rng: np.random.Generator) -> BoolArray:
    rows, true = np.empty((count, truth.size), dtype=np.bool_), int(np.count_nonzero(truth))
    for row in rows:
        choose(row, true, rng)
    return rows


def _below(at: Array, others: Array, weights: Array) -> Array:
    order = np.argsort(others, kind="stable")
    content = np.concatenate([[0.0], np.cumsum(weights[order])])
    left = np.searchsorted(others[order], at, "left")
    right = np.searchsorted(others[order], at, "right")
    return np.asarray(0.5 * (content[left] + content[right]) / content[-1])


_POINTS = 101


@register("roc-curve", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RocCurve(Result):
    """Efficiencies of a cut on the score, on events the classifier was not trained on.

    Attributes
    ----------
    generated, truth
        Fractions above the cut ``(P,)``; the diagonal if nothing tells the samples apart.
    low, high
        68.27 % Wilson interval of `truth` at each cut.
    """

    generated: Array
    truth: Array
    low: Array
    high: Array
    listed: ClassVar[tuple[str, ...]] = ("generated", "truth", "low", "high")


@register("classifier-calibration", 1)
@dataclass(frozen=True, slots=True, eq=False)
class CalibrationCurve(Result):
    r"""Predicted and observed shares of true events in bins of the score.

    Attributes
    ----------
    predicted, observed
        Mean score and fraction of true events in each bin ``(G,)``.
    low, high
        68.27 % Wilson interval of `observed`.
    share
        Share of all events in each bin ``(G,)``.
    error
        Expected calibration error :math:`\sum_b h_b |o_b - p_b|`.
    error_if_calibrated
        What counting alone makes of it: its mean if every score were right.
    """

    predicted: Array
    observed: Array
    low: Array
    high: Array
    share: Array
    error: float
    error_if_calibrated: float
    listed: ClassVar[tuple[str, ...]] = ("predicted", "observed", "low", "high", "share")


def roc_of(scores: Array, truth: BoolArray, weights: Array) -> RocCurve:
    """Return the ROC curve at cuts spread evenly over the pooled scores."""
    cuts = np.quantile(scores, np.linspace(1.0, 0.0, _POINTS), method="lower")
    above = [_above(scores[side], weights[side], cuts) for side in (truth, ~truth)]
    low, high = _wilson(above[0], _effective(weights[truth]))
    return RocCurve(frozen(above[1]), frozen(above[0]), frozen(low), frozen(high))


def calibration_of(
    scores: Array, truth: BoolArray, weights: Array, *, bins: int
) -> CalibrationCurve:
    r"""Return the calibration curve in bins of equal population.

    Without miscalibration the observed share of bin b scatters by
    :math:`\sigma_b = \sqrt{\sum_b u^2 D (1 - D)} / \sum_b u`, so that the
    expected calibration error has the mean :math:`\sum_b h_b \sigma_b \sqrt{2/\pi}`.

    References
    ----------
    C. Guo et al., ICML 2017 (arXiv:1706.04599), eq. 3.
    """
    group = equal_cells(scores, bins)
    content = np.bincount(group, weights=weights)
    predicted = np.bincount(group, weights=weights * scores) / content
    observed = np.bincount(group, weights=weights * truth) / content
    spread = np.bincount(group, weights=weights**2 * scores * (1.0 - scores))
    share = content / content.sum()
    low, high = _wilson(observed, content**2 / np.bincount(group, weights=weights**2))
    return CalibrationCurve(
        frozen(predicted),
        frozen(observed),
        frozen(low),
        frozen(high),
        frozen(share),
        error=float(share @ np.abs(observed - predicted)),
        error_if_calibrated=float(share @ (np.sqrt(spread) / content)) * float(np.sqrt(2 / np.pi)),
    )


def equal_cells(column: Array, bins: int) -> IntArray:
    """Return bin numbers of equal pooled population; repeated values share a bin."""
    edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    _, group = np.unique(np.searchsorted(edges, column, "right"), return_inverse=True)
    return np.asarray(group, dtype=np.int64)


def _above(scores: Array, weights: Array, cuts: Array) -> Array:
    order = np.argsort(scores)
    content = np.concatenate([[0.0], np.cumsum(weights[order])])
    below = content[np.searchsorted(scores[order], cuts, "left")]
    return np.asarray(1.0 - below / content[-1])


def _effective(weights: Array) -> Array:
    return np.asarray(weights.sum() ** 2 / (weights**2).sum())


def _wilson(rate: Array, trials: Array) -> tuple[Array, Array]:
    """Return Wilson's interval with effective instead of whole numbers of trials."""
    z = float(stats.norm.isf(0.5 * (1.0 - ONE_SIGMA)))
    shrink = 1.0 + z * z / trials
    centre = (rate + 0.5 * z * z / trials) / shrink
    scatter = np.clip(rate * (1.0 - rate), 0.0, None) / trials
    half = z / shrink * np.sqrt(scatter + 0.25 * (z / trials) ** 2)
    # The interval holds the rate, but for rounding at 0 and 1.
    return np.minimum(rate, centre - half).clip(0.0), np.maximum(rate, centre + half).clip(max=1.0)
