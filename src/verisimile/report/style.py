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
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    MultipleLocator,
    NullFormatter,
)
from PIL import Image  # what matplotlib itself saves PNGs with

from verisimile.core.arrays import Array
from verisimile.data.feature import Feature
from verisimile.report.owned import CREATOR
from verisimile.samples.contents import holds_zeros, is_logarithmic

DATA = "#111111"
REFERENCE = "#0072B2"
ALTERNATIVE = "#D55E00"
BAND_1 = "#6FAFD6"
BAND_2 = "#C9E1F0"
TOYS = "#A8C6DA"
MUTED = "#6B7280"
FAMILIES = (REFERENCE, ALTERNATIVE)

_DPI = 110
_LONG = 300.0  # ratio of the ends from which an axis has powers of ten enough
_LONGEST_TICK, _LONGEST_TITLE = 60, 80
_LEAST = float(np.finfo(np.float64).tiny)


@contextmanager
def styled() -> Iterator[None]:
    """Have the look of all figures within the block."""
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
    with styled():
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG of 110 dots per inch, and fix its layout."""
    stream = io.BytesIO()
    with styled():
        FigureCanvasAgg(figure)
        figure.set_dpi(_DPI)
        engine = figure.get_layout_engine()
        if engine is not None:
            # Here and not by the canvas, which would draw everything once more for it, in each
            # format again.
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(stream, format="raw", dpi=_DPI)
    # 256 colours are all that these figures have, or nearly: a third of the bytes.
    size = FigureCanvasAgg(figure).get_width_height()
    image = Image.frombytes("RGBA", size, stream.getvalue()).convert("RGB")
    packed = io.BytesIO()
    image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        packed, format="png", optimize=True
    )
    return packed.getvalue()


def to_pdf(figure: Figure) -> bytes:
    """Return the figure as a PDF."""
    stream = io.BytesIO()
    with styled():
        figure.savefig(stream, format="pdf", metadata={"Creator": CREATOR, "CreationDate": None})
    return stream.getvalue()


def legend_above(axes: Axes, columns: int = 5) -> None:
    """Put the legend in rows above the axes, where it can hide nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.1)


def centres(edges: Array, *, logarithmic: bool) -> Array:
    """Return where the points of bins are drawn."""
    low, high = edges[:-1], edges[1:]
    middle = 0.5 * (low + high)
    if not logarithmic:
        return middle
    # Bins that begin at zero or below are drawn on the linear part of the axis.
    return np.sqrt(low * high, out=middle, where=low > _LEAST)


def decades(axes: Axes, which: str, low: float, high: float) -> None:
    """Give the axis x or y a logarithmic scale, with plain numbers where it has few decades."""
    scale, axis = {"x": (axes.set_xscale, axes.xaxis), "y": (axes.set_yscale, axes.yaxis)}[which]
    scale("log")
    if high < _LONG * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6) if high < 10.0 * low else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def feature_axis(axes: Axes, feature: Feature, edges: Array) -> None:
    """Give the x axis the range, the scale and the ticks of a feature in bins."""
    zeros = holds_zeros(edges)
    if zeros:
        axes.axvline(0.0, color=MUTED, lw=0.8, ls=(0, (1, 2)))
    if zeros and is_logarithmic(edges):
        axes.set_xscale("symlog", linthresh=edges[2], linscale=0.5)
    elif is_logarithmic(edges):
        decades(axes, "x", edges[0], edges[-1])
    elif feature.kind == "discrete":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    elif feature.kind == "periodic" and _is_angle(feature):
        axes.xaxis.set_major_locator(MultipleLocator(0.5 * np.pi))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _part_of_pi(value)))
    axes.set_xlim(edges[0], edges[-1])


def mark_zeros(axes: Axes, edges: Array) -> None:
    """Say which bin is that of exact zeros, if there is one."""
    if holds_zeros(edges):
        place, where = (0.5 * edges[0], 0.03), axes.get_xaxis_transform()
        text = axes.text(*place, "= 0", transform=where, ha="center", va="bottom", rotation=90)
        text.set(size=7, color=MUTED)


def _is_angle(feature: Feature) -> bool:
    whole = bool(np.isclose(feature.period, 2.0 * np.pi, rtol=1e-3))
    return whole and feature.unit in ("", "rad")


def _part_of_pi(value: float) -> str:
    """Return a multiple of half of π as text."""
    halves = round(value / (0.5 * np.pi))
    sign, size = "\N{MINUS SIGN}" if halves < 0 else "", abs(halves)
    if size == 0:
        return "0"
    number, half = (str(size), "/2") if size % 2 else (str(size // 2), "")
    return f"{sign}{'' if number == '1' else number}π{half}"


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


def tick(feature: Feature) -> str:
    """Return what a row or column of a figure is called: the label if it is short, else the name.

    Examples
    --------
    >>> tick(Feature("pt_ll", unit="GeV", label="$p_T^{ll}$")), tick(Feature("pt_ll"))
    ('$p_T^{ll}$', 'pt_ll')
    """
    label = feature.label if len(feature.label) < _LONGEST_TICK else ""
    math = "$" in label and not math_fault(label)
    return label if math else short(label or feature.name)


def readable(text: str) -> str:
    """Return `text` for an axis: math between dollars if it parses, else the bare characters.

    Labels come from strangers' files, and neither a bad one nor a paragraph must cost a report.
    """
    if "$" not in text:
        return short(text, _LONGEST_TITLE)
    return text.replace("$", r"\$") if math_fault(text) else text


def math_fault(text: str) -> str:
    """Return why the math between dollars in `text` cannot be set; nothing if it can."""
    try:
        MathTextParser("agg").parse(text)
    except ValueError as error:
        return str(error).strip().splitlines()[-1]
    return ""
