"""Figure of what a fit claims: errors beside the counting error, and where members are off."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.core.arrays import Array
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.posterior import DiscrepancySummary, FeatureBand
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, home_of, panels

_IN_A_ROW = 4
_TICKS = 5
_WIDTH, _HEIGHT = 2.9, 3.9  # of one feature, inches
_ROOM = 1.15


@draws(DiscrepancySummary, FeatureBand)
def plot_discrepancy(
    result: DiscrepancySummary | FeatureBand,
    *,
    features: Mapping[str, Feature] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw, for each feature, errors over the counting error, and the change by the correction.

    Bins are drawn equally wide, so that the outermost can be seen: there flows fail.

    Parameters
    ----------
    result
        What a discrepancy says, or the band of one feature.
    features
        By name, for labels; without them axes have the names.
    ax
        Where to draw, divided into panels; None for a new figure.
    """
    bands = [result] if isinstance(result, FeatureBand) else result.bands
    return _plot_bands(bands, {} if features is None else features, ax)


def errors_figure(bands: Sequence[FeatureBand], features: Mapping[str, Feature]) -> Figure:
    """Return errors and changes of these features as a figure."""
    return figure_of(_plot_bands, bands, features, None)


def _plot_bands(
    bands: Sequence[FeatureBand], features: Mapping[str, Feature], ax: Axes | None
) -> Axes:
    columns = min(len(bands), _IN_A_ROW)
    rows = math.ceil(len(bands) / columns)
    size = {"width": _WIDTH * max(columns, 2), "height": _HEIGHT * rows + 0.4}
    with canvas(ax, **size) as axes:
        cells = panels(axes, heights=(1.0,) * (2 * rows), widths=(1.0,) * columns)
        for place in range(rows * columns):
            row, column = divmod(place, columns)
            upper, lower = (cells[(2 * row + below) * columns + column] for below in (0, 1))
            if place >= len(bands):
                upper.set_axis_off()
                lower.set_axis_off()
                continue
            _errors(upper, bands[place])
            _changes(lower, bands[place])
            feature = features.get(bands[place].feature, _bare(bands[place]))
            lower.set_xlabel(style.readable(feature.title))
            if column == 0:
                upper.set_ylabel("error / counting error")
                lower.set_ylabel("change [%]")
        handles, labels = cells[0].get_legend_handles_labels()
        home_of(axes).legend(handles, labels, loc="outside upper left", ncols=3)
    return axes


def _bare(band: FeatureBand) -> Feature:
    return Feature(band.feature, unit=band.unit)


def _errors(axes: Axes, band: FeatureBand) -> None:
    edges = np.arange(band.edges.size)
    axes.axhline(1.0, color=style.MUTED, lw=1.0, ls="--", label="events of the fit, counted")
    for errors, colour, label in (
        (band.errors, style.REFERENCE, "claimed"),
        (band.plain_errors, style.ALTERNATIVE, "claimed without the discrepancy"),
    ):
        if not errors.any():  # of weights, which have no members
            continue
        axes.stairs(errors / band.counted, edges, baseline=None, color=colour, lw=1.6, label=label)
    axes.set_ylim(0.0, _ROOM * max(1.0, float((band.errors / band.counted).max())))
    _edge_ticks(axes, band.edges, labelled=False)


def _changes(axes: Axes, band: FeatureBand) -> None:
    change = 100.0 * (band.corrected / band.plain - 1.0)
    error = 100.0 * band.errors / band.plain
    edges = np.arange(band.edges.size)
    axes.axhline(0.0, color=style.MUTED, lw=0.8)
    for width, colour in ((2.0, style.BAND_2), (1.0, style.BAND_1)):
        axes.stairs(
            change + width * error,
            edges,
            baseline=change - width * error,
            fill=True,
            color=colour,
            lw=0.0,
        )
    axes.stairs(change, edges, baseline=None, color=style.REFERENCE)
    _edge_ticks(axes, band.edges, labelled=True)


def _edge_ticks(axes: Axes, edges: Array, *, labelled: bool) -> None:
    shown = np.unique(np.linspace(0, edges.size - 1, _TICKS).round().astype(int))
    axes.set_xticks(shown, _rounded(edges[shown]) if labelled else [])
    axes.set_xlim(0, edges.size - 1)


def _rounded(edges: Array) -> list[str]:
    """Return edges with three digits, and as zero those that are nothing beside the range."""
    least = 1e-4 * float(np.ptp(edges))
    return [f"{edge:.3g}" if abs(edge) >= least else "0" for edge in edges]
