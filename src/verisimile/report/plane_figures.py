"""Figures of pairs of features: the matrix of correlation differences, and maps of planes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from verisimile.checks.physics.correlations import CorrelationComparison
from verisimile.checks.physics.pair_map import PairMap
from verisimile.core.arrays import Array
from verisimile.report import style

__all__ = ["correlation_figure", "plane_figure"]

_CLIP = 5.0  # standard deviations at the ends of the colour scale
_NUMBERS_UP_TO = 12  # features


def correlation_figure(found: CorrelationComparison) -> Figure:
    """Return the significance of every pair's difference as a matrix."""
    size = 2.4 + 0.42 * len(found.features)
    return style.draw(lambda figure: _matrix(figure, found), width=size + 0.8, height=size)


def plane_figure(found: PairMap) -> Figure:
    """Return the significance of the local difference in the plane of two features."""
    return style.draw(lambda figure: _plane(figure, found), width=5.0, height=4.2)


def _matrix(figure: Figure, found: CorrelationComparison) -> None:
    axes = figure.subplots()
    names = [feature.name for feature in found.features]
    image = axes.imshow(_clipped(found.z), cmap="RdBu_r", vmin=-_CLIP, vmax=_CLIP)
    places = np.arange(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right")
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    if len(names) <= _NUMBERS_UP_TO:
        for j, k in zip(*np.nonzero(np.isfinite(found.z)), strict=True):
            colour = "white" if abs(found.z[j, k]) > 0.6 * _CLIP else "black"
            axes.text(k, j, f"{found.z[j, k]:.1f}", ha="center", va="center", color=colour, size=7)
    figure.colorbar(image, ax=axes, shrink=0.8, label="difference / error")


def _plane(figure: Figure, found: PairMap) -> None:
    axes = figure.subplots()
    image = axes.pcolormesh(
        *found.edges, _clipped(found.z).T, cmap="RdBu_r", vmin=-_CLIP, vmax=_CLIP
    )
    first, second = (style.readable(feature.title) for feature in found.features)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    figure.colorbar(image, ax=axes, label="(generated \N{MINUS SIGN} reference) / error")


def _clipped(z: Array) -> Array:
    return np.asarray(np.clip(z, -_CLIP, _CLIP))
