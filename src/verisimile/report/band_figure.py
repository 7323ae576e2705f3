"""The figures of precision–recall bands in the plane: at fixed angle, and at fixed recall."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.tracing import BOUND
from verisimile.core.arrays import Array
from verisimile.report import style

__all__ = ["band_figure", "bound_label", "paint_bands", "recall_figure"]


def band_figure(names: tuple[str, ...], bands: tuple[Band, ...]) -> Figure:
    """Return mean curves and bands of one or two families, taken along rays from the origin."""
    return style.draw(lambda figure: paint_bands(figure, names, bands), width=5.4, height=4.6)


def recall_figure(names: tuple[str, ...], bands: tuple[Band, ...]) -> Figure:
    """Return mean curves and bands of precision at fixed recall, as published."""
    return style.draw(lambda figure: _at_recall(figure, names, bands), width=5.4, height=4.6)


def paint_bands(figure: FigureBase, names: tuple[str, ...], bands: tuple[Band, ...]) -> None:
    """Draw the bands along rays into a figure or a part of one."""
    axes = figure.subplots()
    for name, band, colour in zip(names, bands, style.FAMILIES, strict=False):
        inner, outer = (_plane(band.theta, r) for r in (band.radial.low, band.radial.high))
        axes.fill(
            np.concatenate([inner[0], outer[0][::-1]]),
            np.concatenate([inner[1], outer[1][::-1]]),
            color=colour,
            alpha=0.25,
            lw=0.0,
        )
        axes.plot(*_plane(band.theta, band.radial.mean), color=colour, label=style.readable(name))
    null = bands[0].null
    if null is not None:
        x, y = _plane(bands[0].theta, null.median)
        axes.plot(x, y, color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="perfect generator")
    _unit_square(axes, bands)


def _at_recall(figure: Figure, names: tuple[str, ...], bands: tuple[Band, ...]) -> None:
    axes = figure.subplots()
    for name, band, colour in zip(names, bands, style.FAMILIES, strict=False):
        found = band.recall
        axes.fill_between(found.recall, found.low, found.high, color=colour, alpha=0.25, lw=0.0)
        axes.plot(found.recall, found.mean, color=colour, label=style.readable(name))
    _unit_square(axes, bands)


def _unit_square(axes: Axes, bands: tuple[Band, ...]) -> None:
    axes.set_xlim(0.0, 1.03)
    axes.set_ylim(0.0, 1.03)
    axes.set_xlabel(f"recall{bound_label(bands)}")
    axes.set_ylabel(f"precision{bound_label(bands)}")
    axes.legend(loc="lower left")


def bound_label(bands: tuple[Band, ...]) -> str:
    """Return what an axis adds if the curves are upper bounds."""
    return ", upper bound" if any(band.thresholds == BOUND for band in bands) else ""


def _plane(theta: Array, radius: Array) -> tuple[Array, Array]:
    """Return recall and precision of distances at angles from the recall axis."""
    return np.asarray(radius * np.cos(theta)), np.asarray(radius * np.sin(theta))
