"""What is known in bins: histograms of a mixture, gains of regions, areas against events."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from verisimile.checks.amplification.averaging import RegionMap
from verisimile.checks.precision_recall.bound import AreaLearningCurve
from verisimile.core.arrays import Array
from verisimile.mixture.model import HistogramEstimate
from verisimile.report import style
from verisimile.report.drawing import canvas, draws


@draws(HistogramEstimate)
def plot_histogram(result: HistogramEstimate, *, ax: Axes | None = None) -> Axes:
    """Draw the density of a mixture in bins of a feature, with bands of one and two errors."""
    widths = np.diff(result.edges)
    centre, error = result.values / widths, result.errors / widths
    with canvas(ax, height=3.8) as axes:
        for sigmas, colour in ((2.0, style.BAND_2), (1.0, style.BAND_1)):
            axes.stairs(
                centre + sigmas * error,
                result.edges,
                baseline=centre - sigmas * error,
                fill=True,
                color=colour,
                lw=0.0,
                label=f"±{sigmas:.0f}σ",
            )
        axes.stairs(centre, result.edges, baseline=None, color=style.REFERENCE, label="mixture")
        if result.feature is None:
            axes.set_xlim(result.edges[0], result.edges[-1])
        else:
            style.feature_axis(axes, result.feature, result.edges)
            axes.set_xlabel(style.readable(result.feature.title))
        axes.set_ylabel("density")
        style.legend_above(axes, 3)
    return axes


@draws(RegionMap)
def plot_regions(result: RegionMap, *, ax: Axes | None = None) -> Axes:
    """Draw G of each region with its interval, in the order of the regions' probabilities."""
    order = np.argsort(result.probability)
    places = np.arange(1, order.size + 1)
    low, gain, high = (each[order] for each in (result.gain_low, result.gain, result.gain_high))
    with canvas(ax, height=3.6) as axes:
        axes.set_yscale("log")
        axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="the training sample")
        axes.plot(places, _positive(gain), "o", color=style.DATA, ms=3.5, label="region")
        bottom, top = axes.get_ylim()
        ends = np.clip(np.nan_to_num(low, nan=bottom), bottom, top), np.clip(high, bottom, top)
        axes.vlines(places, *ends, color=style.REFERENCE, lw=1.6, zorder=1)
        axes.set_xlabel("region, by its probability")
        axes.set_ylabel("G (times the training sample)")
        style.legend_above(axes, 2)
    return axes


def _positive(values: Array) -> Array:
    return np.where(np.isfinite(values) & (values > 0.0), values, np.nan)


@draws(AreaLearningCurve)
def plot_areas(result: AreaLearningCurve, *, ax: Axes | None = None) -> Axes:
    """Draw the area under precision and recall against the events that its scores learnt from."""
    limit = result.limit
    with canvas(ax, height=3.6) as axes:
        axes.plot(result.n, result.area, "o-", color=style.DATA, ms=4.0, label="area")
        axes.axhline(limit.value, color=style.REFERENCE, label="limit")
        axes.axhspan(
            limit.value - limit.error, limit.value + limit.error, color=style.BAND_2, lw=0.0
        )
        axes.set_xscale("log")
        axes.set_xlabel("events")
        axes.set_ylabel("area")
        style.legend_above(axes, 2)
    return axes
