"""The figure of radial bands against the angle, and where two families differ."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.comparison import BandComparison
from verisimile.core.arrays import Array
from verisimile.report import style
from verisimile.report.band_figure import bound_label

__all__ = ["paint_radial", "radial_figure"]

_LEVEL = 0.05
_ROOM = 0.3  # of the range, for what is wider than the members' band


def radial_figure(
    names: tuple[str, ...], bands: tuple[Band, ...], comparison: BandComparison | None
) -> Figure:
    """Return distances from the origin over those of the unit square, above the significance."""
    height = 3.6 if comparison is None else 5.2
    return style.draw(
        lambda figure: paint_radial(figure, names, bands, comparison), width=7.0, height=height
    )


def paint_radial(
    figure: FigureBase,
    names: tuple[str, ...],
    bands: tuple[Band, ...],
    comparison: BandComparison | None,
) -> None:
    """Draw it into a figure or a part of one."""
    if comparison is None:
        upper = lowest = figure.subplots()
    else:
        upper, lowest = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1.0))
        _strip(lowest, comparison)
    for name, band, colour in zip(names, bands, style.FAMILIES, strict=False):
        _band(upper, style.readable(name), band, colour)
    _perfect(upper, bands[0])
    upper.set_ylim(*_range(bands))
    upper.set_ylabel(f"distance / perfect distance{bound_label(bands)}")
    upper.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1)
    lowest.set_xlim(0.0, 90.0)
    lowest.set_xticks(np.arange(0.0, 91.0, 15.0))
    lowest.set_xlabel("angle from the recall axis [degrees]")


def _band(axes: Axes, name: str, band: Band, colour: str) -> None:
    degrees, radial = np.degrees(band.theta), band.radial
    low, mean, high, *ends = (
        _relative(band.theta, radius)
        for radius in (radial.low, radial.mean, radial.high, radial.mean_low, radial.mean_high)
    )
    axes.fill_between(degrees, low, high, color=colour, alpha=0.22, lw=0.0)
    axes.plot(degrees, mean, color=colour, label=name)
    for end in ends:
        axes.plot(degrees, np.where(np.isfinite(end), end, np.nan), color=colour, lw=0.9, ls=":")


def _perfect(axes: Axes, band: Band) -> None:
    axes.axhline(1.0, color=style.MUTED, lw=0.8)
    if band.null is None:
        return
    degrees = np.degrees(band.theta)
    low, median, high = (
        _relative(band.theta, radius)
        for radius in (band.null.low, band.null.median, band.null.high)
    )
    axes.fill_between(degrees, low, high, color=style.MUTED, alpha=0.2, lw=0.0)
    axes.plot(degrees, median, color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="perfect generator")


def _range(bands: tuple[Band, ...]) -> tuple[float, float]:
    low = min(float(_relative(band.theta, band.radial.low).min()) for band in bands)
    room = _ROOM * max(1.0 - low, 0.01)
    return max(0.0, low - room), 1.0 + 0.3 * room


def _strip(axes: Axes, comparison: BandComparison) -> None:
    degrees = np.degrees(comparison.theta)
    axes.plot(degrees, comparison.p_familywise, color=style.DATA, label="family-wise")
    axes.plot(degrees, comparison.q, color=style.MUTED, lw=1.0, label="false discovery rate")
    axes.axhline(_LEVEL, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    axes.set_yscale("log")
    axes.set_ylim(top=1.5)
    axes.set_ylabel("p, q")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.1)


def _relative(theta: Array, radius: Array) -> Array:
    """Return distances over that of the unit square's edge in the same direction."""
    return np.asarray(radius * np.maximum(np.cos(theta), np.sin(theta)))
