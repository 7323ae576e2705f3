"""Claimed errors of every feature's bins, with and without the discrepancy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.mixture.discrepancy.basis import Axis
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit, FeatureBand

_SHARES = np.array(
    [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0]
)


def feature_bands(
    fit: DiscrepancyFit, x: Array, rows: Array, axes: Sequence[Axis] | None = None
) -> tuple[FeatureBand, ...]:
    """Return one band per feature, from draws of the mixture ``(R, d)`` with functions `rows`.

    Of the axes of the basis, unless others are given.
    """
    if axes is None:
        axes = fit.functions.basis.axes[: x.shape[1]]  # beyond are those of a context
    edges = [_edges(axis, column) for axis, column in zip(axes, x.T, strict=True)]
    inside = np.hstack([_inside(ends, column) for ends, column in zip(edges, x.T, strict=True)])
    corrected, covariance, _ = fit.moments(inside, x, rows)
    plain = inside.mean(axis=0)
    s = rows[:, : fit.functions.free]
    gradient = (s - s.mean(axis=0)).T @ (inside - plain) / len(s)
    columns = np.array(
        [
            plain,
            np.sqrt((gradient * gradient).sum(axis=0)),
            corrected,
            np.sqrt(np.diag(covariance)),
            np.sqrt(corrected * (1.0 - corrected) / fit.record.n_events),
        ]
    )
    parts = np.split(columns, np.cumsum([ends.size - 1 for ends in edges])[:-1], axis=1)
    return tuple(
        FeatureBand(axis.feature.name, axis.feature.unit, frozen(ends), *map(frozen, part))
        for axis, ends, part in zip(axes, edges, parts, strict=True)
    )


def _inside(edges: Array, column: Array) -> Array:
    place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, edges.size - 2)
    return np.asarray(place[:, None] == np.arange(edges.size - 1), dtype=np.float64)


def _edges(axis: Axis, column: Array) -> Array:
    if axis.scale == "values" and axis.knots.size > 1:
        middle = 0.5 * (axis.knots[1:] + axis.knots[:-1])
        return np.array([column.min(), *middle, column.max()])
    return np.unique(np.quantile(column, _SHARES))
