"""Figures of pairs of features: the matrix of correlation differences, and maps of planes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from verisimile.checks.physics.correlations import CorrelationComparison
from verisimile.checks.physics.pair_map import PairMap
from verisimile.core.arrays import Array
from verisimile.report import style

__all__ = ["NUMBERS_UP_TO", "correlation_figure", "plane_figure"]

_CLIP = 5.0  # standard deviations at the ends of the colour scale
NUMBERS_UP_TO = 12  # features; names get smaller beyond
_LABELS = 40  # as many as can be read
_UNKNOWN = "#E5E7EB"  # cells that say nothing
_STEEP = 5.0  # range over median from which an axis is logarithmic


def correlation_figure(found: CorrelationComparison) -> Figure:
    """Return the significance of every pair's difference as a matrix."""
    size = 2.4 + 0.42 * min(len(found.features), NUMBERS_UP_TO)
    return style.draw(lambda figure: _matrix(figure, found), width=size + 0.8, height=size)


def plane_figure(found: PairMap) -> Figure:
    """Return the significance of the local difference in the plane of two features."""
    return style.draw(lambda figure: _plane(figure, found), width=5.0, height=4.2)


def _matrix(figure: Figure, found: CorrelationComparison) -> None:
    axes = figure.subplots()
    names = [style.short(feature.name) for feature in found.features]
    image = axes.imshow(_clipped(found.z), cmap="RdBu_r", vmin=-_CLIP, vmax=_CLIP)
    step = -(-len(names) // _LABELS)
    places = np.arange(0, len(names), step)
    font = 9.0 if len(names) <= NUMBERS_UP_TO else 6.5
    axes.set_xticks(
        places, names[::step], rotation=45, ha="right", fontsize=font, rotation_mode="anchor"
    )
    axes.set_yticks(places, names[::step], fontsize=font)
    axes.tick_params(length=0)
    if len(names) <= NUMBERS_UP_TO:
        for j, k in zip(*np.nonzero(np.isfinite(found.z)), strict=True):
            colour = "white" if abs(found.z[j, k]) > 0.6 * _CLIP else "black"
            text = f"{found.z[j, k]:+.1f}".replace("-", "\N{MINUS SIGN}")
            axes.text(k, j, text, ha="center", va="center", color=colour, size=7)
    figure.colorbar(image, ax=axes, shrink=0.8, label="difference / error")


def _plane(figure: Figure, found: PairMap) -> None:
    axes = figure.subplots()
    image = axes.pcolormesh(
        *found.edges, _clipped(found.z).T, cmap="RdBu_r", vmin=-_CLIP, vmax=_CLIP
    )
    first, second = (style.readable(feature.title) for feature in found.features)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    axes.set_facecolor(_UNKNOWN)
    if _steep(found.edges[0]):
        axes.set_xscale("log")
    if _steep(found.edges[1]):
        axes.set_yscale("log")
    figure.colorbar(image, ax=axes, label="(generated \N{MINUS SIGN} reference) / error")


def _steep(edges: Array) -> bool:
    return bool(edges[0] > 0.0 and edges[-1] > _STEEP * np.median(edges))


def _clipped(z: Array) -> Array:
    return np.asarray(np.clip(z, -_CLIP, _CLIP))
