"""The figure of a battery: every test's p-value on one logarithmic axis."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure, FigureBase

from verisimile.report import style
from verisimile.validation.result import Validation

__all__ = ["battery_figure", "paint_battery"]


def battery_figure(validation: Validation, level: float) -> Figure:
    """Return p-values with their intervals, and Holm's adjusted ones, test by test."""
    made = [test for test in validation.tests if test.p_value is not None]
    height = 1.3 + 0.27 * max(len(made), 1)
    return style.draw(
        lambda figure: paint_battery(figure, validation, level), width=7.0, height=height
    )


def paint_battery(figure: FigureBase, validation: Validation, level: float) -> None:
    """Draw it into a figure or a part of one."""
    axes = figure.subplots()
    rows = [(t.name, t.p_value, t.adjusted) for t in validation.tests if t.p_value is not None]
    for place, (_, p, adjusted) in enumerate(rows):
        # An interval that reaches zero is drawn to the edge of the figure.
        low = p.low if p.low > 0.0 else 1e-12
        axes.plot([low, p.high], [place, place], color=style.BAND_1, lw=3.0, solid_capstyle="butt")
        axes.plot(p.value, place, "o", color=style.DATA, ms=4.0, label="p" if not place else None)
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
    axes.set_xlim(0.5 * smallest, 1.15)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(np.arange(len(rows)), [style.short(name) for name, _, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("p-value")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1)
