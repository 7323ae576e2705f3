"""The figure of an amplification study: 1/G and G against the number of regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.amplification.averaging import Averaging
from verisimile.checks.amplification.result import Amplification
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.report import style

__all__ = ["amplification_figure", "crossing_figure"]

_LEVELS = (0.68, 0.95)
_SHIFT = 1.06  # of neighbouring measures on the logarithmic axis


def amplification_figure(study: AmplificationStudy) -> Figure:
    """Return 1/G of every measure with its intervals, and G on the right-hand axis."""
    return style.draw(lambda figure: _paint(figure, study), width=6.2, height=4.2)


def crossing_figure(found: Averaging) -> Figure:
    """Return the scatter of members against the number of generated events."""
    return style.draw(lambda figure: _crossing(figure.subplots(), found), width=5.6, height=4.2)


def _paint(figure: Figure, study: AmplificationStudy) -> None:
    axes = figure.subplots()
    curves: list[tuple[str, Sequence[Amplification], str]] = [
        ("quantile", study.quantile.points, style.DATA),
        ("averaging", [each.amplification for each in study.averaging], style.ALTERNATIVE),
        ("mixture's own errors", study.analytic, style.REFERENCE),
    ]
    shown = [(name, points, colour) for name, points, colour in curves if points]
    for place, (name, points, colour) in enumerate(shown):
        _curve(axes, points, colour, name, _SHIFT ** (place - 0.5 * (len(shown) - 1)))
    axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="as many as in training")
    axes.axhline(0.0, color=style.MUTED, lw=0.8)
    axes.set_xscale("log")
    ticks = [point.resolution for point in study.quantile.points]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("regions")
    axes.set_ylabel("1 / G  (0: a perfect generator)")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.1)


def _curve(
    axes: Axes, points: Sequence[Amplification], colour: str, name: str, shift: float
) -> None:
    x = np.array([point.resolution for point in points]) * shift
    for level, width in zip(_LEVELS, (2.4, 0.9), strict=True):
        intervals = [point.interval(level) for point in points]
        axes.vlines(x, [i.low for i in intervals], [i.high for i in intervals], colour, lw=width)
    axes.plot(x, [p.inverse_gain.value for p in points], "o", color=colour, ms=4.0, label=name)


def _crossing(axes: Axes, found: Averaging) -> None:
    crossing = found.crossing
    # Root mean square over regions: sums of variances are what the measure pools.
    spread = np.sqrt((crossing.spread**2).mean(axis=1))
    sampling = np.sqrt((crossing.sampling**2).mean(axis=1))
    axes.plot(crossing.sizes, spread, "o-", color=style.DATA, ms=4.0, label="scatter of members")
    axes.plot(crossing.sizes, sampling, color=style.REFERENCE, label="true events of that number")
    axes.axvline(
        found.amplification.n_train, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="training"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("events")
    axes.set_ylabel("standard deviation of a region's share")
    axes.legend(loc="lower left")
