"""The figure of precision–recall bands: families with their spread, and where they differ."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.comparison import BandComparison
from verisimile.core.arrays import Array
from verisimile.report import style

__all__ = ["band_figure"]

_COLOURS = (style.REFERENCE, style.ALTERNATIVE)
_LEVEL = 0.05


def band_figure(
    names: tuple[str, ...], bands: tuple[Band, ...], comparison: BandComparison | None
) -> Figure:
    """Return radial bands of one or two families, with the significance of their difference."""
    height = 4.6 if comparison is None else 5.8
    return style.draw(
        lambda figure: _paint(figure, names, bands, comparison), width=5.8, height=height
    )


def _paint(
    figure: Figure,
    names: tuple[str, ...],
    bands: tuple[Band, ...],
    comparison: BandComparison | None,
) -> None:
    if comparison is None:
        upper = figure.subplots()
    else:
        grid = GridSpec(2, 1, figure=figure, height_ratios=(3.2, 1.0))
        upper = figure.add_subplot(grid[0])
        _strip(figure.add_subplot(grid[1]), comparison)
    for name, band, colour in zip(names, bands, _COLOURS, strict=False):
        _band(upper, style.readable(name), band, colour)
    null = bands[0].null
    if null is not None:
        x, y = _plane(bands[0].theta, null.median)
        upper.plot(x, y, color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="perfect generator")
    upper.set_xlim(0.0, 1.03)
    upper.set_ylim(0.0, 1.03)
    upper.set_xlabel("recall")
    upper.set_ylabel("precision")
    upper.legend(loc="lower left")


def _band(axes: Axes, name: str, band: Band, colour: str) -> None:
    inner, outer = (_plane(band.theta, r) for r in (band.radial.low, band.radial.high))
    axes.fill(
        np.concatenate([inner[0], outer[0][::-1]]),
        np.concatenate([inner[1], outer[1][::-1]]),
        color=colour,
        alpha=0.25,
        lw=0.0,
    )
    axes.plot(*_plane(band.theta, band.radial.mean), color=colour, label=name)


def _strip(axes: Axes, comparison: BandComparison) -> None:
    degrees = np.degrees(comparison.theta)
    axes.plot(degrees, comparison.p_familywise, color=style.DATA, label="family-wise")
    axes.plot(degrees, comparison.q, color=style.MUTED, lw=1.0, label="false discovery rate")
    axes.axhline(_LEVEL, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    axes.set_yscale("log")
    axes.set_ylim(top=1.5)
    axes.set_xlim(degrees.min(), degrees.max())
    axes.set_xlabel("angle from the recall axis [degrees]")
    axes.set_ylabel("p, q")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.1)


def _plane(theta: Array, radius: Array) -> tuple[Array, Array]:
    """Return recall and precision of distances at angles from the recall axis."""
    return np.asarray(radius * np.cos(theta)), np.asarray(radius * np.sin(theta))
