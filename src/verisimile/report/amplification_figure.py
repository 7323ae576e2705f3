"""The figures of an amplification study: G against regions, scatter of members against events."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from verisimile.checks.amplification.averaging import Averaging
from verisimile.checks.amplification.result import Amplification
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.report import style

__all__ = ["amplification_figure", "crossing_figure", "gain_axes"]

_LEVELS = (0.68, 0.95)
_WIDTHS = (2.6, 0.9)
_BEYOND = 2.5  # of the 68 % intervals; what reaches farther gets an arrow
_APART = 0.06  # of the axis: the least distance of two tick labels
_SIDE = 0.022  # of the axis: between measures at one resolution

Curve = tuple[str, Sequence[Amplification], str]


def amplification_figure(study: AmplificationStudy) -> Figure:
    """Return G of every measure with regions, with its intervals."""
    return style.draw(lambda figure: gain_axes(figure, _curves(study)), width=6.2, height=4.2)


def crossing_figure(found: Averaging) -> Figure:
    """Return the scatter of members against the number of generated events."""
    return style.draw(lambda figure: _crossing(figure.subplots(), found), width=6.2, height=4.2)


def _curves(study: AmplificationStudy) -> list[Curve]:
    curves: list[Curve] = [
        ("quantile", study.quantile.points, style.DATA),
        ("averaging", [each.amplification for each in study.averaging], style.ALTERNATIVE),
        ("mixture's own errors", study.analytic, style.REFERENCE),
    ]
    return [curve for curve in curves if curve[1]]


def gain_axes(figure: Figure, curves: Sequence[Curve]) -> None:
    """Draw G against the number of regions: names, points and colours of `curves`."""
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    every = [point for _, points, _ in curves for point in points]
    low, high = _range(every)
    axes.set_ylim(low, high)
    axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="the training sample")
    ratio = _regions(axes, sorted({point.resolution for point in every}))
    for place, (name, points, colour) in enumerate(curves):
        shift = ratio ** (_SIDE * (place - 0.5 * (len(curves) - 1)))
        _curve(axes, points, colour, name, shift)
    axes.set_xlabel("regions")
    axes.set_ylabel("G (times the training sample)")
    _plain_ticks(axes)
    _legend(axes)


def _range(points: Sequence[Amplification]) -> tuple[float, float]:
    """Return the limits of the axis: all estimates and 68 % intervals, and one."""
    found = [1.0]
    for point in points:
        found += [*point.gain_interval(_LEVELS[0]), _estimate(point)]
    finite = [value for value in found if 0.0 < value < math.inf]
    return min(finite) / _BEYOND, max(finite) * _BEYOND


def _estimate(point: Amplification) -> float:
    value = point.inverse_gain.value
    return 1.0 / value if value > 0.0 else math.nan


def _regions(axes: Axes, resolutions: Sequence[int]) -> float:
    """Set the axis of regions, labels where there is room, and return its range as a ratio."""
    low, high = resolutions[0] / 1.3, resolutions[-1] * 1.3
    axes.set_xlim(low, high)
    span = math.log(high / low)
    shown: list[int] = []
    for number in resolutions:
        if not shown or math.log(number / shown[-1]) > _APART * span:
            shown.append(number)
    axes.set_xticks(shown, [str(number) for number in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    return high / low


def _curve(
    axes: Axes, points: Sequence[Amplification], colour: str, name: str, shift: float
) -> None:
    bottom, top = axes.get_ylim()
    x = np.array([point.resolution for point in points]) * shift
    for level, width in zip(_LEVELS, _WIDTHS, strict=True):
        ends = np.array([point.gain_interval(level) for point in points])
        lows, highs = np.clip(ends, bottom, top).T
        axes.vlines(x, lows, highs, colour, lw=width)
        for low, sign in ((False, "^"), (True, "v")):
            beyond = ends[:, 0] < bottom if low else ends[:, 1] > top
            edge = np.full(int(beyond.sum()), bottom if low else top)
            axes.plot(x[beyond], edge, sign, color=colour, ms=5.0, clip_on=False)
    axes.plot(x, [_estimate(point) for point in points], "o", color=colour, ms=4.5, label=name)


def _plain_ticks(axes: Axes) -> None:
    axes.yaxis.set_major_locator(LogLocator(subs=list(_steps(*axes.get_ylim()))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.15g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _steps(low: float, high: float) -> Iterator[float]:
    """Yield the digits that have a tick: fewer on a long axis."""
    decades = math.log10(high / low)
    yield 1.0
    if decades < 3.0:
        yield from (2.0, 5.0)


def _crossing(axes: Axes, found: Averaging) -> None:
    crossing = found.crossing
    # Root mean square over regions: sums of variances are what the measure pools.
    spread = np.sqrt((crossing.spread**2).mean(axis=1))
    sampling = np.sqrt((crossing.sampling**2).mean(axis=1))
    axes.plot(crossing.sizes, spread, "o-", color=style.DATA, ms=4.0, label="scatter of members")
    axes.plot(crossing.sizes, sampling, color=style.REFERENCE, label="as many true events")
    axes.axvline(
        found.amplification.n_train,
        color=style.MUTED,
        lw=1.0,
        ls=(0, (4, 2)),
        label="the training sample",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("events")
    axes.set_ylabel("standard deviation of a region's share")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Put the legend above the axes, where no interval is."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=4,
        borderaxespad=0.1,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
    )
