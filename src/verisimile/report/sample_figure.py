"""The figure of one sample: where its events lie, beside those of the truth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from verisimile.core.arrays import Array
from verisimile.report import style
from verisimile.report.sample_panels import SamplePanel, SamplePanels

__all__ = ["sample_figure"]

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
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.1)
    _scales(axes, panels)


def _scales(axes: Axes, panels: SamplePanels) -> None:
    for edges, scale in zip(panels.edges, (axes.set_xscale, axes.set_yscale), strict=False):
        widths = np.diff(edges)
        if not np.allclose(widths, widths[0]):
            scale("log")
    axes.set_xlim(panels.edges[0][0], panels.edges[0][-1])


def _share(panel: SamplePanel) -> Array:
    return np.asarray(panel.counts / panel.n)
