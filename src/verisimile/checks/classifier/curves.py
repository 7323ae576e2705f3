"""ROC and calibration curves of a classifier, with intervals for weighted events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.result import register
from verisimile.stats.intervals import ONE_SIGMA

__all__ = ["Calibration", "RocCurve", "calibration_of", "roc_of"]

_POINTS = 101


@register("roc-curve", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
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


@register("classifier-calibration", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
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


def roc_of(scores: Array, truth: BoolArray, weights: Array) -> RocCurve:
    """Return the ROC curve at cuts spread evenly over the pooled scores."""
    cuts = np.quantile(scores, np.linspace(1.0, 0.0, _POINTS), method="lower")
    above = [_above(scores[side], weights[side], cuts) for side in (truth, ~truth)]
    low, high = _wilson(above[0], _effective(weights[truth]))
    return RocCurve(frozen(above[1]), frozen(above[0]), frozen(low), frozen(high))


def calibration_of(scores: Array, truth: BoolArray, weights: Array, *, bins: int) -> Calibration:
    r"""Return the calibration curve in bins of equal population.

    Without miscalibration the observed share of bin b scatters by
    :math:`\sigma_b = \sqrt{\sum_b u^2 D (1 - D)} / \sum_b u`, so that the
    expected calibration error has the mean :math:`\sum_b h_b \sigma_b \sqrt{2/\pi}`.

    References
    ----------
    C. Guo et al., ICML 2017 (arXiv:1706.04599), eq. 3.
    """
    edges = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    _, group = np.unique(np.searchsorted(edges, scores, "right"), return_inverse=True)
    content = np.bincount(group, weights=weights)
    predicted = np.bincount(group, weights=weights * scores) / content
    observed = np.bincount(group, weights=weights * truth) / content
    spread = np.bincount(group, weights=weights**2 * scores * (1.0 - scores))
    share = content / content.sum()
    low, high = _wilson(observed, content**2 / np.bincount(group, weights=weights**2))
    return Calibration(
        frozen(predicted),
        frozen(observed),
        frozen(low),
        frozen(high),
        frozen(share),
        error=float(share @ np.abs(observed - predicted)),
        error_if_calibrated=float(share @ (np.sqrt(spread) / content)) * float(np.sqrt(2 / np.pi)),
    )


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
