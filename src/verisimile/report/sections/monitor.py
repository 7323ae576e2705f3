"""A surrogate that is looked at every night: evidence over the nights."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.numbers import count, p_value, signed
from verisimile.report.page import Illustration, Lead, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, decision
from verisimile.validation.monitor import Monitored

_LAST = 10  # nights in the table


@takes(Monitored)
class Nights(Section[Monitored]):
    """Evidence that may be read at any time."""

    title = "All nights"
    text = (
        "Evidence against one law of reference and generated events, over all nights: it may be "
        "read at any time, and the chance that it ever reaches the line of a sound surrogate's "
        "alarm is the level at most, however many nights follow."
    )
    order = 5

    def judge(self, name: str, result: Monitored) -> Iterator[Finding]:
        """Yield whether there has been an alarm; the level is that of the first night."""
        nights = count(len(result.nights))
        yield decision(
            name,
            f"no drift in {nights} nights",
            result.p_value,
            result.level,
            passed="No alarm so far",
            failed="Alarm",
        )

    def leads(self) -> Iterator[Lead]:
        """Yield the feature that has moved most, once there is an alarm."""
        for number, (_, result) in enumerate(self.named, 1):
            if not result.alarm:
                continue
            name = max(result.moved, key=lambda name: abs(result.moved[name]))
            z = result.moved[name]
            yield Lead(
                name,
                z,
                f"the generated mean has moved {'up' if z > 0 else 'down'} over the last nights, "
                f"by {abs(z):.1f} standard errors (of this feature alone)",
                _picture(result, number),
            )

    def figures(self) -> Iterator[Illustration]:
        """Yield the evidence against the nights."""
        for number, result in enumerate(self.results, 1):
            yield _picture(result, number)

    def tables(self) -> Iterator[Table]:
        """Yield the last nights, and what has moved."""
        for _, result in self.named:
            first = max(0, len(result.nights) - _LAST)
            yield Table(
                f"The last {count(len(result.nights) - first)} nights. Evidence e: above "
                f"{1.0 / result.level:g} is an alarm. p = {p_value(result.p_value)} at any time.",
                ("Night", "Pairs", "e", "times the night before's"),
                tuple(
                    (
                        count(first + k + 1),
                        count(night.pairs),
                        f"{math.exp(min(night.log_e, 700.0)):.3g}",
                        f"{math.exp(max(-700.0, min(night.gained, 700.0))):.3g}",
                    )
                    for k, night in enumerate(result.nights[first:])
                ),
            )
            yield Table(
                "How far the mean of each feature's normal scores has moved (generated less "
                "reference), over some last ten nights, in standard errors; not corrected for "
                "their number.",
                ("Feature", "z"),
                tuple((name, signed(z)) for name, z in result.moved.items()),
            )


def _picture(result: Monitored, number: int) -> Illustration:
    return Illustration(
        name=f"nights-{number}",
        caption="Evidence after each night; dashed: alarm.",
        alt=f"Evidence over {count(len(result.nights))} nights; the largest is "
        f"{math.exp(min(float(result.log_e.max()), 700.0)):.3g}, and "
        f"{1.0 / result.level:g} is an alarm.",
        figure=figure_of(plot_nights, result),
        small=True,
    )


@draws(Monitored)
def plot_nights(result: Monitored, *, ax: Axes | None = None) -> Axes:
    """Draw the evidence after each night, and the line of an alarm.

    Parameters
    ----------
    result
        What all nights say.
    ax
        Where to draw; None for a new figure.
    """
    with canvas(ax) as axes:
        nights = np.arange(1, len(result.nights) + 1)
        axes.step(
            nights,
            result.log_e / math.log(10.0),
            where="mid",
            color=style.REFERENCE,
            marker="o",
            ms=3,
        )
        axes.axhline(-math.log10(result.level), color=style.ALTERNATIVE, ls="--", lw=1.2)
        axes.axhline(0.0, color=style.MUTED, lw=0.8)
        axes.set_xlabel("night")
        axes.set_ylabel(r"$\log_{10}$ evidence $e$")
    return axes
