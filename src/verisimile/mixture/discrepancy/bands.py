"""Claimed errors of every feature's bins, with and without the discrepancy."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.mixture.discrepancy.basis import Axis
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit, FeatureBand

_SHARES = np.array(
    [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0]
)


def feature_bands(fit: DiscrepancyFit, x: Array, rows: Array) -> tuple[FeatureBand, ...]:
    """Return one band per feature, from draws of the mixture ``(R, d)`` with functions `rows`."""
    axes = fit.functions.basis.axes[: x.shape[1]]  # beyond are those of a context
    return tuple(_band(fit, axis, x, j, rows) for j, axis in enumerate(axes))


def _band(fit: DiscrepancyFit, axis: Axis, x: Array, j: int, rows: Array) -> FeatureBand:
    column = x[:, j]
    edges = _edges(axis, column)
    place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, edges.size - 2)
    inside = np.asarray(place[:, None] == np.arange(edges.size - 1), dtype=np.float64)
    corrected, covariance, _ = fit.moments(inside, x, rows)
    plain = inside.mean(axis=0)
    s = rows[:, : fit.functions.free]
    gradient = (s - s.mean(axis=0)).T @ (inside - plain) / len(s)
    return FeatureBand(
        axis.feature.name,
        axis.feature.unit,
        frozen(edges),
        frozen(plain),
        frozen(np.sqrt((gradient * gradient).sum(axis=0))),
        frozen(corrected),
        frozen(np.sqrt(np.diag(covariance))),
        frozen(np.sqrt(corrected * (1.0 - corrected) / fit.record.n_events)),
    )


def _edges(axis: Axis, column: Array) -> Array:
    if axis.scale == "values" and axis.knots.size > 1:
        middle = 0.5 * (axis.knots[1:] + axis.knots[:-1])
        return np.array([column.min(), *middle, column.max()])
    return np.unique(np.quantile(column, _SHARES))
