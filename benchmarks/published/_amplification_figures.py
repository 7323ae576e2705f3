"""Figures of the study of amplification, from its numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from published._amplification_page import PUBLISHED, series_of
from published.registry import Json
from verisimile.core.result import from_dict
from verisimile.report import style
from verisimile.report.sections.amplification_condition import plot_conditional_gain


def donut(numbers: Json, figure: Figure) -> None:
    """Draw G against regions: exact, measured, published lines, flows."""
    axes = figure.subplots()
    for size, colour in ((83, style.DATA), (233, style.ALTERNATIVE)):
        runs = series_of(numbers, size)
        regions = np.array([p["regions"] for p in runs[0]["points"]])
        axes.plot(regions, [p["exact"] for p in runs[0]["points"]], color=colour,
                  label=f"K = {size}, exact")  # fmt: skip
        inverse = np.array([[p["inverse"] for p in each["points"]] for each in runs]).mean(axis=0)
        axes.plot(regions, 1.0 / inverse, "o", color=colour, ms=4.0, label="measured")
        name, a, _, b, _ = PUBLISHED[size]
        axes.plot(regions[-8:], a * regions[-8:] ** b, color=colour, ls=":", lw=2.2,
                  label=f"{name}, published")  # fmt: skip
    for key, mark, said in (
        ("scatter", "s", "flows, scatter"),
        ("distance", "D", "flows, distance"),
    ):
        points = [p for p in numbers["flows"][0]["points"] if p[key]["inverse"] > 0.0]
        axes.plot([p["regions"] for p in points], [1.0 / p[key]["inverse"] for p in points], mark,
                  color=style.REFERENCE, mfc="none", ms=5.0, label=said)  # fmt: skip
    axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("regions")
    axes.set_ylabel("G (times the training sample)")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)


def shells(numbers: Json, figure: Figure) -> None:
    """Draw 1/G of three generators against the dimension, by regions and by scatter."""
    panels = figure.subplots(1, 3, sharey=True)
    for axes, name in zip(panels, ("fit", "memoriser", "kernel density"), strict=True):
        for shift, (key, colour) in enumerate(
            (("quantile", style.DATA), ("averaging", style.ALTERNATIVE), ("energy", style.MUTED))
        ):
            d = np.array([each["d"] for each in numbers["shell"]]) + 0.15 * (shift - 1)
            points = [each[name][key] for each in numbers["shell"]]
            low, high = np.array([[p["low"], p["high"]] for p in points]).T
            axes.vlines(d, np.maximum(low, 2e-3), high, colour, lw=1.4)
            value = np.array([p["inverse"] for p in points])
            axes.plot(d[value > 0.0], value[value > 0.0], "o", color=colour, ms=4.0, label=key)
        if name == "fit":
            known = [1.0 / each["exact"] for each in numbers["shell"]]
            axes.plot([e["d"] for e in numbers["shell"]], known, "k_", ms=14, label="exact")
        axes.set_yscale("log")
        axes.set_ylim(2e-3, 20.0)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("d")
        axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    panels[0].set_ylabel("1 / G")
    marks = {text: line for line, text in zip(*panels[0].get_legend_handles_labels(), strict=True)}
    panels[2].legend(marks.values(), marks.keys(), loc="lower left", fontsize=9)


def along(numbers: Json, figure: Figure) -> None:
    """Draw G along the radius of the known generator and of a flow."""
    left, right = figure.subplots(1, 2)
    found = numbers["along"][0]
    rings = from_dict(found["rings"])
    plot_conditional_gain(rings, ax=left)  # type: ignore[arg-type]
    top = left.get_ylim()[1]
    for centre, truth in zip(rings.centres, found["truth"], strict=True):  # type: ignore[attr-defined]
        above = 1.0 / truth > top
        left.plot(centre, min(1.0 / truth, top), "k^" if above else "kx", ms=7, clip_on=False)
    plot_conditional_gain(from_dict(found["flow"]), ax=right)  # type: ignore[arg-type]
    for axes, said in ((left, "angle; crosses: true G"), (right, "a flow: its radius")):
        axes.text(0.97, 0.04, said, transform=axes.transAxes, ha="right", fontsize=10)


FIGURES: dict[str, Callable[[Json, Figure], None]] = {
    "donut": donut, "shells": shells, "along": along,
}  # fmt: skip
