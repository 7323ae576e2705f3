"""The distribution of log w in both samples: small enough for a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.result import register

__all__ = ["WeightHistogram", "weight_histogram"]

_BINS = 60
_TAIL = 1e-3


@register("weight-histogram", 1)
@dataclass(frozen=True, slots=True, eq=False)
class WeightHistogram:
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


def weight_histogram(log_weights: Array, truth: BoolArray, weights: Array) -> WeightHistogram:
    """Return the histogram of log w ``(N,)``; `truth` tells true events, `weights` counts them."""
    finite = np.isfinite(log_weights)
    values, side, counted = log_weights[finite], truth[finite], weights[finite]
    low, high = np.quantile(values, (_TAIL, 1.0 - _TAIL)) if values.size else (0.0, 0.0)
    margin = 0.0 if high > low else 0.5
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    clipped = np.clip(values, edges[0], edges[-1])
    shares = [
        np.histogram(clipped[mask], edges, weights=counted[mask])[0] for mask in (side, ~side)
    ]
    scaled = [share / share.sum() if share.sum() > 0.0 else share for share in shares]
    return WeightHistogram(
        frozen(edges), frozen(scaled[0]), frozen(scaled[1]), int((~finite).sum())
    )
