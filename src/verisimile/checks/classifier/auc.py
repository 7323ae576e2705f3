"""The area under the ROC curve with weights, its error, and its exact permutation law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.result import Estimate
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue

__all__ = ["RankSums", "auc", "auc_estimate", "auc_p_value"]

_BLOCK = 32_000_000  # bytes of labels as numbers


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
    observed = float(sums.areas(truth[None])[0])
    # Rounding must not break a tie between the data and a permutation in the data's favour.
    tied = np.isclose(toys, observed, rtol=1e-12, atol=1e-12)
    return Empirical(np.where(tied, observed, toys), "permutations").p_value(observed)


def _permuted(truth: BoolArray, count: int, rng: np.random.Generator) -> BoolArray:
    rows = np.broadcast_to(truth, (count, truth.size))
    return np.asarray(rng.permuted(rows, axis=1), dtype=np.bool_)


def _below(at: Array, others: Array, weights: Array) -> Array:
    order = np.argsort(others, kind="stable")
    content = np.concatenate([[0.0], np.cumsum(weights[order])])
    left = np.searchsorted(others[order], at, "left")
    right = np.searchsorted(others[order], at, "right")
    return np.asarray(0.5 * (content[left] + content[right]) / content[-1])
