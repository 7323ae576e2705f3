"""Figure of a coverage study: rates against the nominal one, and pulls."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.coverage.result import Coverage
from verisimile.report import style

__all__ = ["coverage_figure"]

_EDGES = np.linspace(-5.0, 5.0, 41)
_ROW = 0.3
_BASE = 2.6
_FEW = 4  # observables whose pulls can be told apart in one panel
_COLOURS = (style.REFERENCE, style.ALTERNATIVE, style.BAND_1, style.MUTED)


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
    few = len(result.observables) <= _FEW
    widths = np.diff(_EDGES)
    for column, item in enumerate(result.observables):
        pulls = result.pulls[:, column]
        # Pulls beyond the axis are put into its last bins, so that none is hidden.
        kept = np.clip(pulls[np.isfinite(pulls)], _EDGES[0], _EDGES[-1])
        if kept.size:
            axes.stairs(
                np.histogram(kept, _EDGES)[0] / (kept.size * widths),
                _EDGES,
                color=_COLOURS[column] if few else style.BAND_1,
                label=style.readable(item.name) if few else None,
            )
    x = np.linspace(_EDGES[0], _EDGES[-1], 201)
    normal = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    axes.plot(x, normal, color=style.DATA, ls="--", label="N(0, 1)")
    axes.set_xlabel("pull (estimate - truth) / error")
    axes.set_ylabel("data sets per unit")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1)
