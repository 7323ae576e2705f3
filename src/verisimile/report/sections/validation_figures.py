"""Figures of a validation: the battery, one feature, pairs of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.physics.correlations import CorrelationComparison
from verisimile.checks.physics.histograms import MarginalPair, PairMap
from verisimile.checks.twosample.windows import Window
from verisimile.core.arrays import Array
from verisimile.data.feature import Feature
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, home_of, panels
from verisimile.samples.contents import Contents
from verisimile.stats.pvalues import PValue
from verisimile.validation.result import Validation

NamedP: TypeAlias = tuple[str, PValue, float | None]
"""A name, a p-value, and the same corrected for all tests, if it is."""


@draws(Validation)
def plot_validation(result: Validation, *, level: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw p-values with their intervals, and Holm's adjusted ones, test by test.

    Parameters
    ----------
    result
        A validation; tests without a p-value are left out.
    level
        Significance level that is marked.
    ax
        Where to draw; None for a new figure.
    """
    return plot_p_values(_made(result), level=level, ax=ax)


def battery_figure(validation: Validation, level: float) -> Figure:
    """Return the p-values of a validation as a figure."""
    return figure_of(plot_validation, validation, level=level)


def plot_p_values(rows: Sequence[NamedP], *, level: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw named p-values with their intervals, and corrected ones where there are any.

    Parameters
    ----------
    rows
        Name, p-value and corrected p-value (or None) of each.
    level
        Significance level that is marked.
    ax
        Where to draw; None for a new figure.
    """
    with canvas(ax, width=7.0, height=1.3 + 0.27 * max(len(rows), 1)) as axes:
        _paint_p_values(axes, rows, level)
    return axes


def p_value_figure(rows: Sequence[NamedP], level: float) -> Figure:
    """Return named p-values as a figure."""
    return figure_of(plot_p_values, rows, level=level)


def _made(validation: Validation) -> list[NamedP]:
    return [(t.name, t.p_value, t.adjusted) for t in validation.tests if t.p_value is not None]


def _paint_p_values(axes: Axes, rows: Sequence[NamedP], level: float) -> None:
    for place, (_, p, adjusted) in enumerate(rows):
        # An interval that reaches zero is drawn to the edge of the figure.
        low = p.low if p.low > 0.0 else 1e-12
        axes.plot([low, p.high], [place, place], color=style.BAND_1, lw=3.0, solid_capstyle="butt")
        axes.plot(p.value, place, "o", color=style.DATA, ms=4.0, label="p" if not place else None)
        if adjusted is not None:
            axes.plot(
                adjusted,
                place,
                "|",
                color=style.ALTERNATIVE,
                ms=10.0,
                mew=2.0,
                label="Holm-adjusted" if not place else None,
            )
    axes.axvline(level, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label=f"level {level:g}")
    axes.set_xscale("log")
    smallest = min([level, *(p.value for _, p, _ in rows)])
    # An exact law may give the smallest number that there is, whose half is zero.
    axes.set_xlim(max(0.5 * smallest, float(np.finfo(np.float64).tiny)), 1.15)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(np.arange(len(rows)), [style.short(name) for name, _, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("p-value")
    style.legend_above(axes, 3)


_STEEP_COLOURS = 100.0
_SMALLEST_RANGE, _LARGEST_RANGE = 0.06, 1.0
_WELL_MEASURED = 0.3
_SHADE = "#F3DFA2"


@draws(MarginalPair)
def plot_marginal_pair(
    result: MarginalPair, *, windows: Sequence[Window] = (), ax: Axes | None = None
) -> Axes:
    """Draw the densities of both samples above their ratio, each with its errors.

    Parameters
    ----------
    result
        One feature of both samples.
    windows
        Intervals of the feature to shade.
    ax
        Where to draw, divided for the ratio; None for a new figure.

    Returns
    -------
    Axes
        Those of the densities.
    """
    with canvas(ax) as axes:
        paint_pair(axes, result, windows)
    return axes


def pair_figure(pair: MarginalPair, windows: Sequence[Window] = ()) -> Figure:
    """Return the densities of both samples over the ratio as a figure."""
    return figure_of(plot_marginal_pair, pair, windows=windows)


def glance_figure(pair: MarginalPair, windows: Sequence[Window]) -> Figure:
    """Return it small, for the first screen."""
    return style.draw(
        lambda figure: paint_pair(figure.add_subplot(), pair, windows), width=3.9, height=3.1
    )


def paint_pair(upper: Axes, pair: MarginalPair, windows: Sequence[Window]) -> None:
    """Draw the densities into axes that are divided for the ratio."""
    upper, lower = panels(upper, heights=(2.2, 1.0), share=True)
    for axes in (upper, lower):
        for window in windows:
            for turn in _turns(pair.feature):
                ends = window.low + turn, window.high + turn
                axes.axvspan(*ends, color=_SHADE, lw=0.0, zorder=0)
    _densities(upper, pair)
    _ratio(lower, pair)
    style.feature_axis(upper, pair.feature, pair.edges)
    style.mark_zeros(upper, pair.edges)
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
    if positive.size and positive.max() > _STEEP_COLOURS * positive.min():
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
    x = style.centres(pair.edges, logarithmic=pair.logarithmic)
    style.mark_off_scale(axes, x, pair.ratio, half, inside=0.88)
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
        style.centres(pair.edges, logarithmic=pair.logarithmic),
        values,
        yerr=errors,
        fmt="o",
        color=style.DATA,
        ms=2.8,
        elinewidth=0.9,
        label=label,
    )


def _top(*reaches: Array) -> float:
    finite = np.concatenate(reaches)
    return float(finite[np.isfinite(finite)].max(initial=0.0)) or 1.0


def _half_range(pair: MarginalPair, error: Array) -> float:
    measured = np.isfinite(pair.ratio) & (np.nan_to_num(error, nan=np.inf) < _WELL_MEASURED)
    reach = (np.abs(pair.ratio - 1.0) + error)[measured]
    return float(np.clip(1.1 * reach.max(initial=0.0), _SMALLEST_RANGE, _LARGEST_RANGE))


def _density(contents: Contents, edges: Array) -> Array:
    return contents.density(edges)[0]


_CLIP = 5.0  # standard deviations at the ends of the colour scale
NUMBERS_UP_TO = 12  # features; names get smaller beyond
_LABELS = 40  # as many as can be read
_UNKNOWN = "#E5E7EB"  # cells that say nothing
_STEEP = 5.0  # range over median from which an axis is logarithmic


@draws(CorrelationComparison)
def plot_correlations(result: CorrelationComparison, *, ax: Axes | None = None) -> Axes:
    """Draw the significance of every pair's difference as a matrix."""
    size = 2.4 + 0.42 * min(len(result.features), NUMBERS_UP_TO)
    with canvas(ax, width=size + 0.8, height=size) as axes:
        _matrix(axes, result)
    return axes


def correlation_figure(found: CorrelationComparison) -> Figure:
    """Return the matrix of differences as a figure."""
    return figure_of(plot_correlations, found)


@draws(PairMap)
def plot_pair_map(result: PairMap, *, ax: Axes | None = None) -> Axes:
    """Draw the significance of the local difference in the plane of two features."""
    with canvas(ax, width=5.0, height=4.2) as axes:
        _plane(axes, result)
    return axes


def plane_figure(found: PairMap) -> Figure:
    """Return the map of two features as a figure."""
    return figure_of(plot_pair_map, found)


def _matrix(axes: Axes, found: CorrelationComparison) -> None:
    names = [style.tick(feature) for feature in found.features]
    image = axes.imshow(_clipped(found.z), cmap="RdBu_r", vmin=-_CLIP, vmax=_CLIP)
    step = -(-len(names) // _LABELS)
    places = np.arange(0, len(names), step)
    font = 9.0 if len(names) <= NUMBERS_UP_TO else 6.5
    axes.set_xticks(
        places, names[::step], rotation=45, ha="right", fontsize=font, rotation_mode="anchor"
    )
    axes.set_yticks(places, names[::step], fontsize=font)
    axes.tick_params(length=0)
    if len(names) <= NUMBERS_UP_TO:
        for j, k in zip(*np.nonzero(np.isfinite(found.z)), strict=True):
            colour = "white" if abs(found.z[j, k]) > 0.6 * _CLIP else "black"
            text = f"{found.z[j, k]:+.1f}".replace("-", "\N{MINUS SIGN}")
            axes.text(k, j, text, ha="center", va="center", color=colour, size=7)
    home_of(axes).colorbar(image, ax=axes, shrink=0.8, label="difference / error")


def _plane(axes: Axes, found: PairMap) -> None:
    image = axes.pcolormesh(
        *found.edges, _clipped(found.z).T, cmap="RdBu_r", vmin=-_CLIP, vmax=_CLIP
    )
    first, second = (style.readable(feature.title) for feature in found.features)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    axes.set_facecolor(_UNKNOWN)
    if _steep(found.edges[0]):
        style.decades(axes, "x", found.edges[0][0], found.edges[0][-1])
    if _steep(found.edges[1]):
        style.decades(axes, "y", found.edges[1][0], found.edges[1][-1])
    home_of(axes).colorbar(image, ax=axes, label="(generated \N{MINUS SIGN} reference) / error")


def _steep(edges: Array) -> bool:
    return bool(edges[0] > 0.0 and edges[-1] > _STEEP * np.median(edges))


def _clipped(z: Array) -> Array:
    return np.asarray(np.clip(z, -_CLIP, _CLIP))
