"""Figures of families of generators: bands, radial bands, one sample beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.comparison import BandComparison
from verisimile.checks.precision_recall.curve import BOUND, PrecisionRecall
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.result import Result, register
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, panels
from verisimile.samples.contents import is_logarithmic


@draws(Band)
def plot_band(result: Band, *, name: str = "family", ax: Axes | None = None) -> Axes:
    """Draw mean curve and band of one family, taken along rays from the origin."""
    return plot_bands({name: result}, ax=ax)


def plot_bands(bands: Mapping[str, Band], *, ax: Axes | None = None) -> Axes:
    """Draw mean curves and bands of one or two families, taken along rays from the origin.

    Parameters
    ----------
    bands
        By the names of the families.
    ax
        Where to draw; None for a new figure.
    """
    with canvas(ax, width=5.4, height=4.6) as axes:
        _along_rays(axes, tuple(bands), tuple(bands.values()))
    return axes


def band_figure(names: tuple[str, ...], bands: tuple[Band, ...]) -> Figure:
    """Return curves and bands along rays as a figure."""
    return figure_of(plot_bands, dict(zip(names, bands, strict=True)))


def plot_recall_bands(bands: Mapping[str, Band], *, ax: Axes | None = None) -> Axes:
    """Draw mean curves and bands of precision at fixed recall, as published."""
    with canvas(ax, width=5.4, height=4.6) as axes:
        _at_recall(axes, tuple(bands), tuple(bands.values()))
    return axes


def recall_figure(names: tuple[str, ...], bands: tuple[Band, ...]) -> Figure:
    """Return curves and bands at fixed recall as a figure."""
    return figure_of(plot_recall_bands, dict(zip(names, bands, strict=True)))


def _along_rays(axes: Axes, names: tuple[str, ...], bands: tuple[Band, ...]) -> None:
    for name, band, colour in zip(names, bands, style.FAMILIES, strict=False):
        inner, outer = (_plane(band.theta, r) for r in (band.radial.low, band.radial.high))
        axes.fill(
            np.concatenate([inner[0], outer[0][::-1]]),
            np.concatenate([inner[1], outer[1][::-1]]),
            color=colour,
            alpha=0.25,
            lw=0.0,
        )
        axes.plot(*_plane(band.theta, band.radial.mean), color=colour, label=style.readable(name))
    null = bands[0].null
    if null is not None:
        x, y = _plane(bands[0].theta, null.median)
        axes.plot(x, y, color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="perfect generator")
    _unit_square(axes, bound_label(bands))


def _at_recall(axes: Axes, names: tuple[str, ...], bands: tuple[Band, ...]) -> None:
    for name, band, colour in zip(names, bands, style.FAMILIES, strict=False):
        found = band.recall
        axes.fill_between(found.recall, found.low, found.high, color=colour, alpha=0.25, lw=0.0)
        axes.plot(found.recall, found.mean, color=colour, label=style.readable(name))
    _unit_square(axes, bound_label(bands))


def _unit_square(axes: Axes, bound: str) -> None:
    axes.set_xlim(0.0, 1.03)
    axes.set_ylim(0.0, 1.03)
    axes.set_xlabel(f"recall{bound}")
    axes.set_ylabel(f"precision{bound}")
    axes.legend(loc="lower left")


def bound_label(bands: tuple[Band, ...]) -> str:
    """Return what an axis adds if the curves are upper bounds."""
    return ", upper bound" if any(band.thresholds == BOUND for band in bands) else ""


def _plane(theta: Array, radius: Array) -> tuple[Array, Array]:
    """Return recall and precision of distances at angles from the recall axis."""
    return np.asarray(radius * np.cos(theta)), np.asarray(radius * np.sin(theta))


_LEVEL = 0.05
_ROOM = 0.3  # of the range, for what is wider than the members' band


def radial_figure(
    names: tuple[str, ...], bands: tuple[Band, ...], comparison: BandComparison | None
) -> Figure:
    """Return distances from the origin over those of the unit square, above the significance."""
    named = dict(zip(names, bands, strict=True))
    return figure_of(plot_radial_bands, named, comparison=comparison)


def plot_radial_bands(
    bands: Mapping[str, Band],
    *,
    comparison: BandComparison | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw distances from the origin over those of the unit square, above the significance.

    Parameters
    ----------
    bands
        By the names of the families.
    comparison
        Of the first with the second: a panel of its own below.
    ax
        Where to draw, divided if there is a comparison; None for a new figure.
    """
    with canvas(ax, width=7.0, height=3.6 if comparison is None else 5.2) as axes:
        _radial(axes, tuple(bands), tuple(bands.values()), comparison)
    return axes


def _radial(
    upper: Axes,
    names: tuple[str, ...],
    bands: tuple[Band, ...],
    comparison: BandComparison | None,
) -> None:
    lowest = upper
    if comparison is not None:
        upper, lowest = panels(upper, heights=(2.4, 1.0), share=True)
        upper.tick_params(labelbottom=False)
        _strip(lowest, comparison)
    for name, band, colour in zip(names, bands, style.FAMILIES, strict=False):
        _band(upper, style.readable(name), band, colour)
    _perfect(upper, bands[0])
    upper.set_ylim(*_range(bands))
    upper.set_ylabel(f"distance / perfect distance{bound_label(bands)}")
    style.legend_above(upper, 3)
    _degrees(lowest)


def _degrees(axes: Axes) -> None:
    axes.set_xlim(0.0, 90.0)
    axes.set_xticks(np.arange(0.0, 91.0, 15.0))
    axes.set_xlabel("angle from the recall axis [degrees]")


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


@draws(BandComparison)
def plot_band_comparison(result: BandComparison, *, ax: Axes | None = None) -> Axes:
    """Draw the corrected p-values and the false-discovery rate at all angles."""
    with canvas(ax, height=3.0) as axes:
        _strip(axes, result)
        _degrees(axes)
    return axes


def angle_figure(comparison: BandComparison) -> Figure:
    """Return p-values and rates at all angles as a figure."""
    return figure_of(plot_band_comparison, comparison)


@draws(PrecisionRecall)
def plot_precision_recall(result: PrecisionRecall, *, ax: Axes | None = None) -> Axes:
    """Draw the curve of one sample, beside that of a perfect generator."""
    with canvas(ax, width=5.4, height=4.6) as axes:
        axes.plot(result.recall, result.precision, color=style.REFERENCE, label="sample")
        if result.null is not None:
            x, y = _plane(result.theta, result.null.median)
            axes.plot(x, y, color=style.MUTED, ls=(0, (4, 2)), lw=1.0, label="perfect generator")
        _unit_square(axes, ", upper bound" if result.thresholds == BOUND else "")
    return axes


def curve_figure(found: PrecisionRecall) -> Figure:
    """Return the curve of one sample as a figure."""
    return figure_of(plot_precision_recall, found)


def _strip(axes: Axes, comparison: BandComparison) -> None:
    degrees = np.degrees(comparison.theta)
    axes.plot(degrees, comparison.p_familywise, color=style.DATA, label="family-wise")
    axes.plot(degrees, comparison.q, color=style.MUTED, lw=1.0, label="false discovery rate")
    axes.axhline(_LEVEL, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    axes.set_yscale("log")
    axes.set_ylim(top=1.5)
    axes.set_ylabel("p, q")
    style.legend_above(axes, 2)


def _relative(theta: Array, radius: Array) -> Array:
    """Return distances over that of the unit square's edge in the same direction."""
    return np.asarray(radius * np.maximum(np.cos(theta), np.sin(theta)))


_ROOT = 0.5  # exponent of the colour scale: few events between modes stay visible
_HEADROOM = 1.25  # over the truth's fullest bin


def sample_figure(panels: SamplePanels, shown: SamplePanel) -> Figure:
    """Return the density of `shown`: a map of two features, or a histogram of one."""
    paint = _histogram if len(panels.edges) == 1 else _map
    return style.draw(lambda figure: paint(figure, panels, shown), width=3.8, height=3.4)


def _map(figure: Figure, panels: SamplePanels, shown: SamplePanel) -> None:
    axes = figure.subplots()
    share = _share(shown)
    axes.pcolormesh(
        *panels.edges,
        np.where(share > 0.0, share, np.nan).T,
        cmap="viridis_r",
        norm=PowerNorm(_ROOT, vmin=0.0, vmax=_HEADROOM * _share(panels.truth).max() or 1.0),
        rasterized=True,
    )
    first, second = (style.readable(feature.title) for feature in panels.features)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    _scales(axes, panels)


def _histogram(figure: Figure, panels: SamplePanels, shown: SamplePanel) -> None:
    axes = figure.subplots()
    (edges,) = panels.edges
    axes.stairs(_share(panels.truth), edges, fill=True, color=style.BAND_2, label="truth")
    if shown is not panels.truth:
        axes.stairs(_share(shown), edges, color=style.DATA, label="generated")
    axes.set_xlabel(style.readable(panels.features[0].title))
    axes.set_ylabel("share of events")
    style.legend_above(axes, 2)
    _scales(axes, panels)


def _scales(axes: Axes, panels: SamplePanels) -> None:
    for edges, which in zip(panels.edges, "xy", strict=False):
        if is_logarithmic(edges):
            style.decades(axes, which, edges[0], edges[-1])
    axes.set_xlim(panels.edges[0][0], panels.edges[0][-1])


def _share(panel: SamplePanel) -> Array:
    return np.asarray(panel.counts / panel.n)


_SHOWN = 2
_COARSEST, _FINEST = 20, 48
_TAIL = 0.001  # of the truth, outside the frame at each end before it is widened
_MARGIN = 0.08
_STEEP = 20.0  # range over median from which a positive feature has logarithmic bins


@register("sample-panel", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SamplePanel(Result):
    """Counts of one sample in the frame of a panel.

    Attributes
    ----------
    source
        Name of the sample.
    auc
        Area under its curve; None for the truth.
    counts
        Events in each bin ``(G,)`` or ``(G, G)``.
    n
        Events, those outside and those that are not finite included.
    n_missed
        Events that are not finite.
    """

    source: str
    auc: float | None
    counts: IntArray
    n: int
    n_missed: int

    @property
    def n_outside(self) -> int:
        """Finite events outside the frame."""
        return self.n - self.n_missed - int(self.counts.sum())


@register("sample-panels", 1)
@dataclass(frozen=True, slots=True, eq=False)
class SamplePanels(Result):
    """The truth, and the samples of largest and of smallest area of each family.

    Attributes
    ----------
    features
        One or two: the first ones of the truth.
    n_features
        Features that were compared.
    edges
        Bin edges of each feature shown ``(G + 1,)``.
    truth
        The truth.
    best, worst
        One of each family.
    """

    features: tuple[Feature, ...]
    n_features: int
    edges: tuple[Array, ...]
    truth: SamplePanel
    best: tuple[SamplePanel, ...]
    worst: tuple[SamplePanel, ...]


def sample_panels(
    truth: Events,
    groups: Sequence[Sequence[Events | npt.ArrayLike]],
    bands: Sequence[Band],
    sources: Sequence[Sequence[str]],
) -> SamplePanels:
    """Return the counts of the truth, and of each family's best and worst sample.

    Parameters
    ----------
    truth
        The reference of the bands.
    groups
        Samples of each family, in the order of its band; arrays may hold rows that are not
        finite.
    bands
        One per family.
    sources
        Names of the samples of each family.

    Raises
    ------
    InputError
        If there are not as many names and curves as samples.
    """
    for group, band, names in zip(groups, bands, sources, strict=True):
        if not len(group) == len(band.auc) == len(names):
            raise InputError(
                "sources",
                got=f"{len(names)} names, {len(group)} samples, {len(band.auc)} curves",
                expected="as many of each",
            )
    smallest = min(len(_rows(sample, truth)) for group in groups for sample in group)
    bins = int(np.clip(np.sqrt(min(smallest, truth.n)) / 1.5, _COARSEST, _FINEST))
    edges = tuple(_edges(column, bins) for column in truth.x.T[:_SHOWN])

    def panel(family: int, member: int) -> SamplePanel:
        x, auc = _rows(groups[family][member], truth), float(bands[family].auc[member])
        return _panel(sources[family][member], auc, x, edges)

    return SamplePanels(
        features=truth.features[:_SHOWN],
        n_features=truth.d,
        edges=edges,
        truth=_panel("truth", None, truth.x, edges),
        best=tuple(panel(i, band.best) for i, band in enumerate(bands)),
        worst=tuple(panel(i, band.worst) for i, band in enumerate(bands)),
    )


def _rows(sample: Events | npt.ArrayLike, truth: Events) -> Array:
    if isinstance(sample, Events):
        return match_features(sample, truth.features).x
    return np.asarray(sample, dtype=np.float64)


def _edges(column: Array, bins: int) -> Array:
    low, middle, high = np.quantile(column, (_TAIL, 0.5, 1.0 - _TAIL))
    if low > 0.0 and high > _STEEP * middle:
        return np.geomspace(low, high, bins + 1)
    margin = _MARGIN * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, bins + 1)


def _panel(source: str, auc: float | None, x: Array, edges: tuple[Array, ...]) -> SamplePanel:
    finite = x[np.isfinite(x).all(axis=1)]
    counts, _ = np.histogramdd(finite[:, : len(edges)], bins=edges)
    return SamplePanel(source, auc, counts.astype(np.int64), len(x), len(x) - len(finite))
