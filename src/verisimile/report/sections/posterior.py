"""Posteriors: expected coverage, ranks of simulations, local tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes

from verisimile.checks.posterior.local import LocalTest
from verisimile.checks.posterior.sbc import Sbc
from verisimile.checks.posterior.tarp import Tarp
from verisimile.checks.posterior.uniformity import Uniformity
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, panels
from verisimile.report.numbers import count, p_value, percent, plain_number
from verisimile.report.page import Illustration, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, decision

_COVERAGE = "expected coverage"


@takes(Tarp)
class ExpectedCoverage(Section[Tarp]):
    """Expected coverage of posteriors at all credibility levels (TARP)."""

    title = "Posterior coverage"
    text = (
        "Share of simulations whose truth is in the credible region, at every level: on the "
        "diagonal for an exact posterior."
    )
    caption = (
        "Expected coverage. Excess: of coverage over level beyond one half, positive for a "
        "posterior that is too wide."
    )
    columns: ClassVar = {
        "p": "p_value",
        "Excess": "excess",
        "References": lambda r: f"{count(len(r.references))} {r.rule}",
        "Simulations": "n",
        "Draws": "n_draws",
    }

    def judge(self, name: str, result: Tarp) -> Iterator[Finding]:
        """Yield a verdict; the sign of the excess says in which direction a posterior fails."""
        width = "too wide" if result.excess.value > 0.0 else "too narrow"
        failed = f"Not exact, {width} by the excess"
        yield decision(name, "expected coverage", result.p_value, self.level, failed=failed)

    def figures(self) -> Iterator[Illustration]:
        """Yield the coverage against the level, for the first reference of each."""
        for place, (name, result) in enumerate(self.named, 1):
            yield _curve(f"tarp-{place}", name, _COVERAGE, result.references[0])


@takes(Sbc)
class RankTests(Section[Sbc]):
    """Simulation-based calibration: ranks of the truth among draws."""

    title = "Simulation-based calibration"
    text = "Ranks of the truth among draws of the posterior are uniform for an exact one."

    def judge(self, name: str, result: Sbc) -> Iterator[Finding]:
        """Yield a verdict on all quantities together."""
        worst = result.quantities[int(np.argmin(result.adjusted))].name
        failed = f"Not exact, by {worst}"
        yield decision(name, "uniform ranks", result.p_value, self.level, failed=failed)

    def figures(self) -> Iterator[Illustration]:
        """Yield the distribution of each quantity's ranks."""
        for place, result in enumerate(self.results, 1):
            for number, each in enumerate(result.quantities, 1):
                yield _curve(f"sbc-{place}-{number}", each.name, "share of ranks", each)

    def tables(self) -> Iterator[Table]:
        """Yield a row for each quantity."""
        for _, result in self.named:
            found = zip(result.quantities, result.adjusted, strict=True)
            yield Table(
                f"Ranks of {count(result.n)} simulations among {count(result.n_draws)} draws. "
                "p: of the test that decides; corrected: for all quantities (Holm).",
                ("Quantity", "Test", "p", "corrected", "Inside the band"),
                tuple(
                    (
                        each.name,
                        each.statistic,
                        p_value(each.p_value),
                        plain_number(float(adjusted), digits=3),
                        "yes" if each.inside else "no",
                    )
                    for each, adjusted in found
                ),
                words=frozenset({1, 4}),
            )


@takes(LocalTest)
class LocalTests(Section[LocalTest]):
    """Posteriors at single observations."""

    title = "Local posterior test"
    question = "posterior at all points"
    text = "A classifier tells draws of the posterior from the truth, at points of the data."

    def tables(self) -> Iterator[Table]:
        """Yield a row for each point."""
        for _, result in self.named:
            found = zip(
                result.contexts, result.observed, result.points, result.adjusted, strict=True
            )
            yield Table(
                f"{count(result.n)} simulations; corrected: for all points (min-p). "
                f"Fits that did not converge: {count(result.unfinished)}.",
                ("Point", "Statistic", "p", "corrected"),
                tuple(
                    (
                        ", ".join(plain_number(float(x)) for x in np.atleast_1d(point)),
                        plain_number(float(observed)),
                        p_value(p),
                        plain_number(float(adjusted), digits=3),
                    )
                    for point, observed, p, adjusted in found
                ),
            )


def _curve(name: str, subject: str, what: str, found: Uniformity) -> Illustration:
    inside = "inside" if found.inside else "not inside"
    return Illustration(
        name=name,
        caption=f"{subject}: {what} minus the level; shaded: the band that holds the whole curve "
        f"of uniform ranks with probability {percent(1.0 - found.band_level)}.",
        alt=f"Difference of {what} from the level for {subject}: {inside} the band; "
        f"p = {p_value(found.p_value)} by {found.statistic}.",
        figure=figure_of(plot_ranks, found, what=what),
        small=True,
    )


@draws(Uniformity)
def plot_ranks(result: Uniformity, *, what: str = "share of ranks", ax: Axes | None = None) -> Axes:
    """Draw the curve of the ranks over its diagonal, with its simultaneous band.

    Parameters
    ----------
    result
        Ranks of one quantity.
    what
        What the curve is a share of, for the axis.
    ax
        Where to draw; None for a new figure.
    """
    with canvas(ax, width=4.2, height=3.4) as axes:
        levels = result.levels
        axes.fill_between(
            levels, result.low - levels, result.high - levels, color=style.BAND_2, lw=0.0
        )
        axes.axhline(0.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
        axes.plot(levels, result.curve - levels, color=style.DATA)
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel("level")
        axes.set_ylabel(f"{what} \N{MINUS SIGN} level")
    return axes


@draws(Tarp)
def plot_tarp(result: Tarp, *, ax: Axes | None = None) -> Axes:
    """Draw the expected coverage over the level, for the first reference."""
    return plot_ranks(result.references[0], what=_COVERAGE, ax=ax)


@draws(Sbc)
def plot_sbc(result: Sbc, *, ax: Axes | None = None) -> Axes:
    """Draw the ranks of all quantities over the diagonal, with the band of each.

    Parameters
    ----------
    result
        Ranks of the truth among draws.
    ax
        Where to draw, divided into a panel for each quantity; None for a new figure.
    """
    several = len(result.quantities)
    with canvas(ax, width=4.2 * several, height=3.4) as axes:
        for each, place in zip(
            result.quantities, panels(axes, widths=(1.0,) * several), strict=True
        ):
            plot_ranks(each, ax=place)
            place.set_title(style.readable(each.name), loc="left")
    return axes
