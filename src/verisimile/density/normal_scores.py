r"""Marginal Gaussianisation: each feature through its own quantiles to a normal score.

.. math:: z_j = S_j(y_j), \qquad S_j(q_k) = \Phi^{-1}(p_k) \ \text{at the quantiles } q_k
          \text{ of the training sample}

with a monotone rational-quadratic spline between the knots.  A resonance 2 GeV
wide in a window of 60 GeV then fills the flow's box as evenly as any other
feature, no event lies far outside, and what is left for the flow to learn is
the dependence between features.

References
----------
Chen and Gopinath, *Gaussianization* (2000).
Gregory and Delbourgo (1982); slopes by the harmonic mean of Fritsch and Butland (1984).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from verisimile.core.arrays import Array, frozen
from verisimile.density import rational_quadratic as rq
from verisimile.density.score_tails import excess_of, score_of, slope_at

__all__ = ["NormalScores"]

_EVENTS_PER_BIN = 1000.0  # keeps the statistical error of a bin's density near 3 %
_FEWEST_BINS = 8
_TAIL_EVENTS = 20.0  # beyond each outer knot
_RESOLVED = 1e-9  # smallest gap of two knots in units of their range
_HUGE = 1e18  # scores are cut there: their squares still fit into float32
_ENDS = ((0, -1.0), (-1, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """The map of one feature.

    `knots` ``(3, K + 1)`` holds abscissae, ordinates and slopes; `rates` ``(2,)``
    the rates of the exponential tails below and above, zero for a tangent.
    """

    knots: Array
    rates: Array

    def forward(self, values: Array) -> tuple[Array, Array]:
        """Return scores and log-slopes, both ``(n,)``."""
        score, log_slope = (
            part.numpy() for part in rq.evaluate(torch.from_numpy(values), self._bins(values, 0))
        )
        for end, sign in _ENDS:
            rows = sign * (values - self.knots[0, end]) > 0.0
            if self.rates[end] > 0.0 and rows.any():
                excess = sign * (values[rows] - self.knots[0, end])
                tail, log_slope[rows] = score_of(excess, self.rates[end], self._share(end))
                score[rows] = sign * tail
        return score, log_slope

    def inverse(self, scores: Array) -> Array:
        """Return the values ``(n,)`` of given scores."""
        values: Array = rq.invert(torch.from_numpy(scores), self._bins(scores, 1)).numpy()
        for end, sign in _ENDS:
            rows = sign * (scores - self.knots[1, end]) > 0.0
            if self.rates[end] > 0.0 and rows.any():
                excess = excess_of(sign * scores[rows], self.rates[end], self._share(end))
                values[rows] = self.knots[0, end] + sign * excess
        return values

    def _share(self, end: int) -> float:
        return float(ndtr(-abs(self.knots[1, end])))

    def _bins(self, values: Array, axis: int) -> rq.Bins:
        index = np.searchsorted(self.knots[axis, 1:-1], values, side="right")
        x, y, slope = (torch.from_numpy(part) for part in self.knots[:, index])
        right, top, high_slope = (torch.from_numpy(part) for part in self.knots[:, index + 1])
        return rq.Bins(x, right - x, y, top - y, slope, high_slope)


@dataclass(frozen=True, slots=True, eq=False)
class NormalScores:
    """One map for each of d features; no columns at all: the identity."""

    columns: tuple[_Column, ...]

    @classmethod
    def fit(
        cls,
        values: Array,
        weights: Array | None,
        *,
        most_bins: int,
        exponential: Sequence[bool],
    ) -> NormalScores:
        """Return the map that makes each column of `values` ``(n, d)`` standard normal.

        Parameters
        ----------
        values
            Training sample.
        weights
            Non-negative event weights ``(n,)`` or None.
        most_bins
            Largest number of bins; small samples get fewer.  Zero: the identity.
        exponential
            For each feature, whether its tails are continued as exponentials
            (right for power laws in a logarithm, safe for unknown tails) or by
            their tangents (right for an edge seen through the probit).
        """
        if most_bins == 0:
            return cls(())
        return cls(
            tuple(
                _fit(column, weights, most_bins, tails)
                for column, tails in zip(values.T, exponential, strict=True)
            )
        )

    @classmethod
    def of(cls, arrays: Sequence[Array]) -> NormalScores:
        """Return the map whose `arrays` are given."""
        parts = [frozen(values) for values in arrays]
        columns = zip(parts[0::2], parts[1::2], strict=True)
        return cls(tuple(_Column(knots, rates) for knots, rates in columns))

    @property
    def arrays(self) -> list[Array]:
        """Knots and tail rates of the first feature, of the second, ..."""
        return [part for column in self.columns for part in (column.knots, column.rates)]

    def forward(self, values: Array) -> tuple[Array, Array]:
        """Return scores ``(n, d)``, cut at 1e18, and the log-Jacobian ``(n,)``."""
        scores, total = values.copy(), np.zeros(len(values))
        for j, column in enumerate(self.columns):
            # A copy: torch warns of read-only memory, which a single column would share.
            scores[:, j], log_slope = column.forward(np.array(values[:, j]))
            total += log_slope
        return np.clip(scores, -_HUGE, _HUGE), total

    def inverse(self, scores: Array) -> Array:
        """Return the values ``(n, d)`` of given scores."""
        values = scores.copy()
        for j, column in enumerate(self.columns):
            values[:, j] = column.inverse(np.array(scores[:, j]))
        return values


def _fit(column: Array, weights: Array | None, most_bins: int, exponential: bool) -> _Column:  # noqa: FBT001
    n = float(len(column)) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())
    bins = int(np.clip(n / _EVENTS_PER_BIN, min(_FEWEST_BINS, most_bins), most_bins))
    edge = -float(ndtri(min(max(_TAIL_EVENTS / n, 1e-4), 0.1)))
    scores = np.linspace(-edge, edge, bins + 1)
    quantiles = _quantiles(column, ndtr(scores), weights)
    kept = _distinct(quantiles)
    if len(kept) < 2:
        return _Column(frozen([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]), frozen([0.0, 0.0]))
    x, y = quantiles[kept], scores[kept]
    slope, rates = _slopes(x, y), np.zeros(2)
    for end, sign in _ENDS:
        rates[end] = _rate(sign * (column - x[end]), weights) if exponential else 0.0
        if rates[end] > 0.0:
            slope[end] = slope_at(sign * y[end], rates[end])
    return _Column(frozen([x, y, slope]), frozen(rates))


def _quantiles(column: Array, shares: Array, weights: Array | None) -> Array:
    if weights is None:
        return np.asarray(np.quantile(column, shares, method="hazen"))
    return np.asarray(np.quantile(column, shares, weights=weights, method="inverted_cdf"))


def _distinct(quantiles: Array) -> list[int]:
    """Return the numbers of knots that lie apart: ties make quantiles coincide."""
    gap = _RESOLVED * float(quantiles[-1] - quantiles[0])
    kept = [0]
    for k in range(1, len(quantiles)):
        if quantiles[k] - quantiles[kept[-1]] > gap:
            kept.append(k)
    return kept


def _rate(excess: Array, weights: Array | None) -> float:
    """Return one over the mean positive excess, the likeliest rate; zero if there is none."""
    rows = excess > 0.0
    total = float(rows.sum() if weights is None else weights[rows].sum())
    if total == 0.0:
        return 0.0
    mean = float(np.average(excess[rows], weights=None if weights is None else weights[rows]))
    return 1.0 / mean if np.isfinite(1.0 / mean) else 0.0


def _slopes(x: Array, y: Array) -> Array:
    """Return the weighted harmonic means of neighbouring secants, the secants at the ends."""
    width = np.diff(x)
    secant = np.diff(y) / width
    left, right = width[:-1] + 2 * width[1:], 2 * width[:-1] + width[1:]
    inner = (left + right) / (right / secant[:-1] + left / secant[1:])
    return np.concatenate([secant[:1], inner, secant[-1:]])
