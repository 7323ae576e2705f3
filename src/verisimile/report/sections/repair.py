"""Weights that repair a generated sample, templates with their errors, and strengths of signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes

from verisimile.core.arrays import Array
from verisimile.mixture.discrepancy.posterior import BinShift
from verisimile.mixture.templates import Templates
from verisimile.repair.reweight import Reweighting
from verisimile.repair.signal import SignalFit
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, panels
from verisimile.report.numbers import (
    count,
    fixed,
    p_value,
    percent,
    plain_number,
    value_and_error,
)
from verisimile.report.page import Illustration, Lead, Part, Table
from verisimile.report.section import Section, takes
from verisimile.report.sections.discrepancy_figure import errors_figure, plot_discrepancy
from verisimile.report.verdict import Finding, decision, measurement

_MOST_FEATURES = 12
_MOST_SHIFTS = 8


@takes(Reweighting)
class ReweightingSection(Section[Reweighting]):
    """Density ratios with errors, and the tests of the reweighted sample."""

    title = "Reweighting"
    text = (
        "Weights w(x) = reference / generated were learnt on one part of both samples; tests of "
        "the other part, without and with weights, never saw an event of the fit. The null of the "
        "tests with weights holds the weights' own errors."
    )
    order = 20

    def judge(self, name: str, result: Reweighting) -> Iterator[Finding]:
        """Yield whether the reweighted sample holds, and what it costs."""
        yield decision(
            name,
            "reweighted sample on fresh events",
            result.p_value,
            self.level,
            passed="Compatible with the reference once it is reweighted",
            failed="Still different from the reference with weights",
        )
        if result.gaps:
            yield measurement(
                name, "regions without a ratio", f"No weights where {result.gaps[0]}."
            )
        share = result.effective_size / result.n_weighted
        yield measurement(
            name,
            "what the weights cost",
            f"{count(result.n_weighted)} weighted events are worth {count(result.effective_size)} "
            f"({percent(share)}).",
        )

    def leads(self) -> Iterator[Lead]:
        """Yield the bins whose contents the weights move most, of three features."""
        for number, (_, result) in enumerate(self.named, 1):
            worst: dict[str, BinShift] = {}
            for shift in result.notable():
                worst.setdefault(shift.feature, shift)
            for shift in list(worst.values())[:3]:
                unit = f" [{shift.unit}]" if shift.unit else ""
                yield Lead(
                    f"{shift.feature}{unit} {shift.low:.4g} to {shift.high:.4g}",
                    -shift.change / shift.error,
                    f"the generator has {'too few' if shift.change > 0 else 'too many'} events: "
                    f"weights change the content by {100.0 * shift.change:+.2g} ± "
                    f"{100.0 * shift.error:.2g} %",
                    self._band(result, number, shift.feature),
                )

    def parts(self) -> Iterator[Part]:
        """Yield one part for each reweighting."""
        for number, (name, result) in enumerate(self.named, 1):
            yield Part(
                name,
                self.text,
                (self._bands(result, number),),
                (_tests(result), _shifts(result)),
            )

    def _band(self, result: Reweighting, number: int, feature: str) -> Illustration | None:
        """Return the bins of one feature; None for what is none, a classifier."""
        for place, band in enumerate(result.ratio.bands):
            if band.feature == feature:
                specs = {spec.name: spec for spec in result.features}
                return Illustration(
                    name=f"weights-{number}-feature-{place + 1}",
                    caption="Below: by how much the weights change the content of the bins, with "
                    "1σ and 2σ bands. Above: errors of the bins over those of counted events.",
                    alt=f"Changes of the bins of {feature} by the weights, and their errors.",
                    figure=errors_figure([band], specs),
                )
        return None

    def _bands(self, result: Reweighting, number: int) -> Illustration:
        bands = result.ratio.bands[:_MOST_FEATURES]
        specs = {spec.name: spec for spec in result.features}
        return Illustration(
            name=f"weights-{number}",
            caption="Below: by how much the weights change the content of bins of each feature, "
            "with 1σ and 2σ bands. Above: errors of the bins over those of the reference events, "
            "if these are only counted. Bins are drawn equally wide.",
            alt=f"Changes of the bins of {len(bands)} features by the weights, with errors that "
            f"are {fixed(result.ratio.claimed)} of the counting error as a root mean square.",
            figure=errors_figure(bands, specs),
            broad=True,
        )


@draws(Reweighting)
def plot_reweighting(result: Reweighting, *, ax: Axes | None = None) -> Axes:
    """Draw, for each feature, errors over the counting error, and the change by the weights.

    Parameters
    ----------
    result
        The weights.
    ax
        Where to draw, divided into panels; None for a new figure.
    """
    return plot_discrepancy(
        result.ratio, features={spec.name: spec for spec in result.features}, ax=ax
    )


def _tests(result: Reweighting) -> Table:
    return Table(
        f"Tests of {count(result.n_checked[0])} reference and {count(result.n_checked[1])} "
        f"generated events that the fit did not see. All of them together, after {result.looks} "
        f"{'look' if result.looks == 1 else 'looks'}: p = {p_value(result.p_value)}.",
        ("Test", "p without weights", "p with weights"),
        tuple(
            (before.statistic, p_value(before.p_value), p_value(after.p_value))
            for before, after in zip(result.before, result.after, strict=True)
        ),
    )


def _shifts(result: Reweighting) -> Table:
    rows = [("Moved by more than three errors", str(each)) for each in result.notable()]
    rows = rows[:_MOST_SHIFTS] or [("Bins", "none is moved by more than three errors")]
    rows += [("Without generated events", str(gap)) for gap in result.gaps[:_MOST_SHIFTS]]
    r = result.ratio.record
    rows += [
        ("Learnt from", f"{count(result.n_reference)} and {count(result.n_generated)} events"),
        ("Functions, of them determined", f"{count(r.n_functions)}, {plain_number(r.effective)}"),
        (
            "Weights",
            f"{fixed(float(np.exp(r.smallest_log_ratio)))} to "
            f"{fixed(float(np.exp(r.largest_log_ratio)))}",
        ),
    ]
    return Table("What the weights do.", ("Quantity", "Value"), tuple(rows), words=frozenset({1}))


def _relative(templates: Templates, change: Array) -> Array:
    """Return changes over contents ``(G,)``, NaN where a bin is empty."""
    filled = templates.nominal > 0.0
    nothing = np.full(filled.size, np.nan)
    return np.asarray(np.divide(change, templates.nominal, out=nothing, where=filled))


@takes(Templates)
class TemplateSection(Section[Templates]):
    """Histograms with their errors as independent variations."""

    title = "Templates"
    question = "contents of the bins"
    text = (
        "Contents of the bins, with variations by one standard deviation that are independent of "
        "each other. The statistical part is independent between bins."
    )
    caption = "Errors are those of the sum of all bins' contents, relative."
    columns: ClassVar = {
        "Events": lambda t: plain_number(float(t.nominal.sum())),
        "Bins": lambda t: count(t.nominal.size),
        "Variations": lambda t: count(len(t.variations)),
        "Empty bins": lambda t: count(int((t.nominal <= 0.0).sum())),
        "Largest error of a bin": lambda t: percent(float(np.nanmax(_relative(t, t.errors)))),
        "Largest statistical error": lambda t: percent(
            float(np.nanmax(_relative(t, t.statistical)))
        ),
    }
    order = 22

    def name(self, result: Templates) -> str:
        """Return its features."""
        return " × ".join(axis.feature.name for axis in result.axes)

    def figures(self) -> Iterator[Illustration]:
        """Yield contents and variations."""
        for number, (name, result) in enumerate(self.named, 1):
            yield Illustration(
                name=f"templates-{number}",
                caption="Above: contents of the bins with all errors. Below: the largest "
                "variations, relative, and the statistical errors (grey).",
                alt=f"Template of {name} in {count(result.nominal.size)} bins and its "
                f"{count(len(result.variations))} variations.",
                figure=figure_of(plot_templates, result),
            )


@draws(Templates)
def plot_templates(result: Templates, *, ax: Axes | None = None, most: int = 5) -> Axes:
    """Draw the contents with errors, and below the largest variations relative to them.

    Parameters
    ----------
    result
        The templates.
    ax
        Where to draw, divided into panels; None for a new figure.
    most
        Variations that are drawn.
    """
    one = len(result.axes) == 1
    edges = result.axes[0].edges if one else np.arange(result.nominal.size + 1.0)
    with canvas(ax, width=6.4, height=5.2) as axes:
        upper, lower = panels(axes, heights=(1.5, 1.0), share=True)
        upper.stairs(
            result.nominal + result.errors,
            edges,
            baseline=result.nominal - result.errors,
            fill=True,
            color=style.BAND_1,
            lw=0.0,
            label="all errors",
        )
        upper.stairs(result.nominal, edges, color=style.REFERENCE, baseline=None, label="nominal")
        upper.set_ylabel("events per bin")
        upper.legend()
        spread = 100.0 * _relative(result, result.statistical)
        lower.stairs(spread, edges, baseline=-spread, fill=True, color=style.BAND_2, lw=0.0)
        for change in result.variations[:most]:
            lower.stairs(100.0 * _relative(result, change), edges, baseline=None, lw=1.2)
        lower.axhline(0.0, color=style.MUTED, lw=0.8)
        lower.set_ylabel("variation [%]")
        title = result.axes[0].feature.title if one else "bin"
        lower.set_xlabel(style.readable(title))
        upper.tick_params(labelbottom=False)
    return axes


@takes(SignalFit)
class Signals(Section[SignalFit]):
    """Strengths of signals above templates."""

    title = "Signal strength"
    question = "strength above the background"
    text = "Profile likelihood of the strength of a signal; intervals where it falls by ½ and 1.92."
    caption = "Strength of the signal, and significance of an excess."
    columns: ClassVar = {
        "Strength": lambda f: value_and_error(f.mu, f.error),
        "68 %": lambda f: f"{plain_number(f.interval68[0])} to {plain_number(f.interval68[1])}",
        "95 %": lambda f: f"{plain_number(f.interval95[0])} to {plain_number(f.interval95[1])}",
        "Z": lambda f: fixed(f.z),
    }
    order = 23
