"""The look of all figures: colours that the colour-blind can tell apart, quiet axes, no TeX."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from verisimile.core.arrays import Array

DATA = "#111111"
REFERENCE = "#0072B2"
ALTERNATIVE = "#D55E00"
BAND_1 = "#6FAFD6"
BAND_2 = "#C9E1F0"
TOYS = "#A8C6DA"
MUTED = "#6B7280"
FAMILIES = (REFERENCE, ALTERNATIVE)

_DPI = 110


@contextmanager
def _styled() -> Iterator[None]:
    with matplotlib.rc_context(
        {
            "font.family": ["DejaVu Sans"],
            "font.size": 9.5,
            "axes.labelsize": 10,
            "axes.titlesize": 10.5,
            "axes.linewidth": 0.8,
            "axes.edgecolor": "#333333",
            "axes.axisbelow": True,
            "xtick.direction": "in",
            "ytick.direction": "in",
            "xtick.top": True,
            "ytick.right": True,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "lines.linewidth": 1.4,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "text.usetex": False,
            "mathtext.fontset": "dejavusans",
        }
    ):
        yield


def draw(paint: Callable[[Figure], None], *, width: float = 5.6, height: float = 4.6) -> Figure:
    """Return a new figure of the given inches, painted in the common style."""
    with _styled():
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG of 110 dots per inch, and fix its layout."""
    stream = io.BytesIO()
    with _styled():
        FigureCanvasAgg(figure)
        figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    figure.set_layout_engine("none")  # half of the drawing time, and nothing will change
    return stream.getvalue()


def to_pdf(figure: Figure) -> bytes:
    """Return the figure as a PDF."""
    stream = io.BytesIO()
    with _styled():
        figure.savefig(stream, format="pdf", metadata={"CreationDate": None})
    return stream.getvalue()


def legend_above(axes: Axes, columns: int = 5) -> None:
    """Put the legend in rows above the axes, where it can hide nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.1)


def centres(edges: Array, *, logarithmic: bool) -> Array:
    """Return where the points of bins are drawn."""
    low, high = edges[:-1], edges[1:]
    return np.sqrt(low * high) if logarithmic else 0.5 * (low + high)


def mark_off_scale(axes: Axes, x: Array, ratio: Array, half: float, *, inside: float) -> None:
    """Mark points beyond a panel of half height `half` about one at its edge: none is missing."""
    for beyond, marker, y in (
        (ratio > 1.0 + half, "^", 1.0 + inside * half),
        (ratio < 1.0 - half, "v", 1.0 - inside * half),
    ):
        there = x[beyond]
        axes.plot(there, np.full(there.size, y), marker, color=DATA, ms=4.0, mfc="none")


def short(name: str, most: int = 28) -> str:
    """Return a name for a row or column of a figure: bare characters, the middle left out if long.

    Examples
    --------
    >>> short("selection with a name of many words", 20)
    'selection …any words'
    """
    if len(name) > most:
        half = (most - 1) // 2
        name = name[: most - 1 - half] + "\N{HORIZONTAL ELLIPSIS}" + name[-half:]
    return name.replace("$", r"\$")


def readable(text: str) -> str:
    """Return `text` for an axis: math between dollars if it parses, else the bare characters.

    Labels come from strangers' files, and one bad label must not cost a report.
    """
    return text.replace("$", r"\$") if math_fault(text) else text


def math_fault(text: str) -> str:
    """Return why the math between dollars in `text` cannot be set; nothing if it can."""
    try:
        MathTextParser("agg").parse(text)
    except ValueError as error:
        return str(error).strip().splitlines()[-1]
    return ""
