"""The figure of one feature in two samples: densities above, their ratio with errors below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from verisimile.checks.physics.contents import Contents
from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.twosample.windows import Window
from verisimile.core.arrays import Array
from verisimile.data.feature import Feature
from verisimile.report import style

__all__ = ["paint_pair", "pair_figure"]

_STEEP = 100.0
_SMALLEST_RANGE, _LARGEST_RANGE = 0.06, 1.0
_WELL_MEASURED = 0.3
_SHADE = "#F3DFA2"


def pair_figure(pair: MarginalPair, windows: Sequence[Window] = ()) -> Figure:
    """Return the densities of both samples over the ratio; significant windows are shaded."""
    return style.draw(lambda figure: paint_pair(figure, pair, windows), width=5.6, height=4.6)


def paint_pair(figure: FigureBase, pair: MarginalPair, windows: Sequence[Window]) -> None:
    """Draw it into a figure or a part of one."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
    for axes in (upper, lower):
        for window in windows:
            for turn in _turns(pair.feature):
                ends = window.low + turn, window.high + turn
                axes.axvspan(*ends, color=_SHADE, lw=0.0, zorder=0)
    _densities(upper, pair)
    _ratio(lower, pair)
    if pair.logarithmic:
        upper.set_xscale("log")
    upper.set_xlim(pair.edges[0], pair.edges[-1])
    upper.tick_params(labelbottom=False)
    upper.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1, columnspacing=1.2
    )
    lower.set_xlabel(style.readable(pair.feature.title))


def _turns(feature: Feature) -> tuple[float, ...]:
    """Return where a window is drawn again: of a periodic feature it may end in the next period."""
    if feature.kind != "periodic":
        return (0.0,)
    return (-feature.period, 0.0, feature.period)


def _densities(axes: Axes, pair: MarginalPair) -> None:
    reference, error = pair.reference.density(pair.edges)
    _band(axes, pair.edges, reference, error)
    axes.stairs(reference, pair.edges, baseline=None, color=style.REFERENCE, label="reference")
    generated, theirs = pair.generated.density(pair.edges)
    _points(axes, pair, generated, theirs, "generated")
    if pair.train is not None:
        train = _density(pair.train.contents, pair.edges)
        axes.stairs(train, pair.edges, baseline=None, color=style.MUTED, lw=1.0, label="training")
    axes.set_ylabel("density")
    positive = reference[reference > 0.0]
    top = _top(reference + error, generated + theirs)
    if positive.size and positive.max() > _STEEP * positive.min():
        axes.set_yscale("log")
        axes.set_ylim(0.4 * positive.min(), 1.8 * top)
    else:
        axes.set_ylim(min(0.0, 1.05 * float(generated.min())), 1.08 * top)


def _ratio(axes: Axes, pair: MarginalPair) -> None:
    reference, error = pair.reference.density(pair.edges)
    own = np.full(reference.size, np.nan)
    np.divide(error, reference, out=own, where=reference > 0.0)
    _band(axes, pair.edges, np.ones(own.size), own)
    axes.axhline(1.0, color=style.REFERENCE, lw=1.0)
    if pair.train is not None:
        axes.stairs(pair.train.ratio, pair.edges, baseline=None, color=style.MUTED, lw=1.0)
    # The reference's own error is the band: here only that of the generated sample.
    generated, theirs = pair.generated.density(pair.edges)
    relative = np.full(own.size, np.nan)
    np.divide(theirs, reference, out=relative, where=reference > 0.0)
    _points(axes, pair, pair.ratio, relative, None)
    half = _half_range(pair, relative)
    _off_scale(axes, pair, half)
    axes.set_ylim(1.0 - half, 1.0 + half)
    axes.set_ylabel("ratio")


def _band(axes: Axes, edges: Array, centre: Array, error: Array) -> None:
    known = np.isfinite(error)
    low, high = (np.where(known, centre + sign * error, np.nan) for sign in (-1.0, 1.0))
    axes.stairs(high, edges, baseline=low, fill=True, color=style.BAND_1, lw=0.0)


def _points(
    axes: Axes, pair: MarginalPair, values: Array, errors: Array, label: str | None
) -> None:
    axes.errorbar(
        _centres(pair),
        values,
        yerr=errors,
        fmt="o",
        color=style.DATA,
        ms=2.8,
        elinewidth=0.9,
        label=label,
    )


def _off_scale(axes: Axes, pair: MarginalPair, half: float) -> None:
    """Mark points beyond the ratio panel at its edge, so that none is missing."""
    for beyond, marker, y in (
        (pair.ratio > 1.0 + half, "^", 1.0 + 0.88 * half),
        (pair.ratio < 1.0 - half, "v", 1.0 - 0.88 * half),
    ):
        x = _centres(pair)[beyond]
        axes.plot(x, np.full(x.size, y), marker, color=style.DATA, ms=4.0, mfc="none")


def _top(*reaches: Array) -> float:
    finite = np.concatenate(reaches)
    return float(finite[np.isfinite(finite)].max(initial=0.0)) or 1.0


def _half_range(pair: MarginalPair, error: Array) -> float:
    measured = np.isfinite(pair.ratio) & (np.nan_to_num(error, nan=np.inf) < _WELL_MEASURED)
    reach = (np.abs(pair.ratio - 1.0) + error)[measured]
    return float(np.clip(1.1 * reach.max(initial=0.0), _SMALLEST_RANGE, _LARGEST_RANGE))


def _density(contents: Contents, edges: Array) -> Array:
    return contents.density(edges)[0]


def _centres(pair: MarginalPair) -> Array:
    low, high = pair.edges[:-1], pair.edges[1:]
    return np.sqrt(low * high) if pair.logarithmic else 0.5 * (low + high)
