"""Figure of a coverage study: rates against the nominal one, and pulls."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.coverage.result import Coverage
from verisimile.report import style

__all__ = ["coverage_figure"]

_REACH = 5.0
_ROW = 0.3
_BASE = 2.6
_FEW = 2  # observables whose histograms can be told apart in one panel
_COLOURS = (style.REFERENCE, style.ALTERNATIVE)


def coverage_figure(result: Coverage) -> Figure:
    """Return coverage by observable with its interval, beside the pulls of all data sets.

    References
    ----------
    G. Badaracco et al., sec. 3 (coverage of first moments).
    """

    def paint(figure: Figure) -> None:
        rates, pulls = figure.subplots(1, 2)
        _rates(rates, result)
        _pulls(pulls, result)

    height = _BASE + _ROW * len(result.observables)
    return style.draw(paint, width=7.6, height=height)


def _rates(axes: Axes, result: Coverage) -> None:
    items = result.observables
    places = np.arange(len(items))
    rates = np.array([item.rate for item in items])
    low = rates - [item.low for item in items]
    high = [item.high for item in items] - rates
    axes.axvline(
        result.level, color=style.ALTERNATIVE, ls="--", label=f"nominal {result.level:.4f}"
    )
    axes.errorbar(
        rates,
        places,
        xerr=np.clip(np.array([low, high]), 0.0, None),
        fmt="o",
        color=style.REFERENCE,
        label=f"measured, {result.interval_level:.0%} interval",
    )
    axes.set_yticks(places, [style.readable(item.name) for item in items])
    axes.set_ylim(len(items) - 0.5, -0.5)
    axes.set_xlabel("coverage")
    axes.set_title(f"{result.mode}, {result.datasets} data sets", loc="left", pad=40)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.1)


def _pulls(axes: Axes, result: Coverage) -> None:
    if len(result.observables) <= _FEW:
        _histograms(axes, result)
    else:
        _widths(axes, result)
    axes.set_xlabel("pull (estimate \N{MINUS SIGN} truth) / error")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1)


def _histograms(axes: Axes, result: Coverage) -> None:
    bins = int(np.clip(2.0 * math.sqrt(result.datasets), 10, 40)) // 2 * 2
    edges = np.linspace(-_REACH, _REACH, bins + 1)
    for column, item in enumerate(result.observables):
        pulls = result.pulls[:, column]
        # Pulls beyond the axis are put into its last bins, so that none is hidden.
        kept = np.clip(pulls[np.isfinite(pulls)], edges[0], edges[-1])
        if kept.size:
            axes.stairs(
                np.histogram(kept, edges)[0] / (kept.size * np.diff(edges)),
                edges,
                color=_COLOURS[column],
                label=style.readable(item.name),
            )
    x = np.linspace(edges[0], edges[-1], 201)
    normal = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    axes.plot(x, normal, color=style.DATA, ls="--", label="N(0, 1)")
    axes.set_ylabel("data sets per unit")


def _widths(axes: Axes, result: Coverage) -> None:
    """Draw mean and width of the pulls in the rows of the rates."""
    places = np.arange(len(result.observables))
    mean = np.array([item.pull_mean for item in result.observables])
    width = np.array([item.pull_width for item in result.observables])
    axes.axvspan(-1.0, 1.0, color=style.BAND_2, label="N(0, 1): ±1")
    axes.axvline(0.0, color=style.DATA, ls="--")
    axes.errorbar(mean, places, xerr=width, fmt="o", color=style.REFERENCE, label="mean ± width")
    axes.set_yticks(places, [""] * places.size)
    axes.set_ylim(places.size - 0.5, -0.5)
