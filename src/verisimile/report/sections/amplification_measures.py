"""Single measures of amplification, memorisation, learning curves, worth of a mixture's errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes

from verisimile.checks.amplification.analytic import MixtureWorth
from verisimile.checks.amplification.averaging import Averaging
from verisimile.checks.amplification.calibrated_errors import ErrorScale
from verisimile.checks.amplification.forecast import Forecast
from verisimile.checks.amplification.learning_curve import LearningCurve
from verisimile.checks.amplification.memorisation import Memorisation
from verisimile.checks.amplification.result import Amplification, AmplificationCurve, Interval
from verisimile.checks.amplification.study import EntropyLabel
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.numbers import (
    count,
    estimate,
    fixed,
    interval,
    percent,
    plain_number,
    rough,
    value_and_error,
)
from verisimile.report.page import Illustration, Table
from verisimile.report.section import Section, listing, takes
from verisimile.report.sections.amplification import (
    Curve,
    crossing_illustration,
    gain_figure,
    gain_rows,
    memorisation_finding,
    memorisation_table,
)
from verisimile.report.sections.amplification_first import gain_words
from verisimile.report.verdict import Finding, measurement

_COLOURS = (style.DATA, style.ALTERNATIVE, style.REFERENCE, style.MUTED)


@takes(Amplification, AmplificationCurve, Averaging)
class Gains(Section[Amplification | AmplificationCurve | Averaging]):
    """How many events generators are worth, by single measures."""

    title = "Amplification"
    text = (
        "G times the training sample: so many true events would be as near to the truth. The "
        "number grows with the resolution for every smooth generator."
    )

    def name(self, result: Amplification | AmplificationCurve | Averaging) -> str:
        """Return the measure."""
        found = result.amplification if isinstance(result, Averaging) else result
        return found.measure

    def judge(
        self, name: str, result: Amplification | AmplificationCurve | Averaging
    ) -> Iterator[Finding]:
        """Yield the gain at the finest resolution."""
        finest = _points(result)[-1]
        at = f" at {count(finest.resolution)} regions" if finest.resolution else ""
        said = f"Worth {gain_words(finest)} times the training sample{at}."
        yield measurement(name, "amplification", said, decisive=True)

    def figures(self) -> Iterator[Illustration]:
        """Yield the gains against the number of regions, and where the scatter of members ends."""
        curves: list[Curve] = [
            (name, [point for point in _points(result) if point.resolution], colour)
            for (name, result), colour in zip(self.named, _COLOURS, strict=False)
        ]
        curves = [curve for curve in curves if curve[1]]
        if curves:
            said = "; ".join(f"{name}: G {gain_words(points[-1])}" for name, points, _ in curves)
            yield Illustration(
                name="gains",
                caption="G with 68 and 95 % intervals against the number of regions. An arrow: "
                "the interval goes on.",
                alt=f"Amplification against the number of regions. {said}.",
                figure=gain_figure(curves),
            )
        for place, (_, result) in enumerate(self.named, 1):
            if isinstance(result, Averaging):
                yield crossing_illustration(result, f"loose-{place}")

    def tables(self) -> Iterator[Table]:
        """Yield a row for each measure and resolution."""
        yield gain_rows([(name, point) for name, r in self.named for point in _points(r)])

    def warnings(self) -> Iterator[str]:
        """Yield those of all points."""
        for result in self.results:
            yield from getattr(result, "warnings", ())
            for point in _points(result):
                yield from point.warnings


def _points(result: Amplification | AmplificationCurve | Averaging) -> Sequence[Amplification]:
    if isinstance(result, AmplificationCurve):
        return result.points
    return (result.amplification,) if isinstance(result, Averaging) else (result,)


@takes(EntropyLabel)
class EntropyLabels(Section[EntropyLabel]):
    """Labels of resolution, which know nothing of the generator."""

    title = "Entropy label"
    question = "numbers of events"
    caption = "Generated over training events, beside the entropy bound at M = 3."
    columns: ClassVar = {
        "M": lambda r: fixed(r.exponent),
        "Oversampling": lambda r: rough(r.oversampling),
        "Bound": lambda r: rough(r.largest_gain),
        "Generated": "n_generated",
        "Training": "n_train",
    }

    def sentence(self, result: EntropyLabel) -> str:
        """Return where the sample stands."""
        return result.sentence


@takes(Memorisation)
class Memories(Section[Memorisation]):
    """Whether generators repeat their training events."""

    title = "Memorisation"

    def judge(self, name: str, result: Memorisation) -> Iterator[Finding]:
        """Yield a verdict: an alarm fails."""
        yield memorisation_finding(name, result)

    def tables(self) -> Iterator[Table]:
        """Yield a table for each."""
        for result in self.results:
            yield memorisation_table(result)


@takes(LearningCurve)
class LearningCurves(Section[LearningCurve]):
    """Distances from the truth as training events are added."""

    title = "Learning curve"
    text = "1/n_equiv = a/n_train + b: b is what no training sample removes."
    question = "what more training events do not remove"
    caption = "Fits of the two terms. Crossing: training events at which they are equal."
    columns: ClassVar = {
        "b": "floor",
        "a": "amplitude",
        "Crossing": lambda r: rough(r.crossing),
        "Crossing, 95 %": lambda r: _ends(r.crossing_interval()),
        "χ² / dof": lambda r: f"{plain_number(r.chi2, digits=3)} / {r.dof}",
        "p": lambda r: plain_number(r.p_value, digits=3),
        "Points": lambda r: count(r.n_train.size),
    }

    def figures(self) -> Iterator[Illustration]:
        """Yield points and fit of each."""
        for place, result in enumerate(self.results, 1):
            yield Illustration(
                name=f"learning-{place}",
                caption="1/n_equiv of the trained generators and the two terms; dashed: the floor.",
                alt=f"1/n_equiv at {result.n_train.size} numbers of training events; chi-square "
                f"{plain_number(result.chi2, digits=3)} for {result.dof} degrees of freedom.",
                figure=figure_of(plot_learning_curve, result),
            )


@takes(Forecast)
class Forecasts(Section[Forecast]):
    """Learning curves beyond their largest sample."""

    title = "More training events"
    text = "How n_equiv would grow, if the error has a part ~ 1/n_train and a floor, and no other."
    question = "what more training events would bring"
    caption = "Gains: n_equiv with the larger training sample over n_equiv with the largest of the "
    caption += "curve. Floor: the part of its error that no training events remove."
    columns: ClassVar = {
        "Training events": lambda r: f"{rough(r.n_train)} x {plain_number(r.factor)}",
        "1/n_equiv": "inverse_n_equiv",
        "Gain": lambda r: _ends(r.gains[-1]),
        "Level": lambda r: percent(r.gains[-1].level),
        "n_equiv": lambda r: _ends(r.n_equiv[-1]),
        "Floor": lambda r: _ends(r.floor_shares[-1]),
        "In words": "verdict",
    }


@takes(MixtureWorth)
class Worths(Section[MixtureWorth]):
    """Events that a mixture's errors of observables are worth."""

    title = "Worth of a mixture"
    question = "equivalent events"

    def sentence(self, result: MixtureWorth) -> str:
        """Return the events of each observable."""
        said = ", ".join(f"{each.name} {rough(each.n_equivalent)}" for each in result.observables)
        return f"Worth in events: {said}."

    def tables(self) -> Iterator[Table]:
        """Yield a row for each observable."""
        for result in self.results:
            yield listing(
                "Observables of the mixture, and events of the truth whose mean has the same "
                "error.",
                ((each.name, each) for each in result.observables),
                {
                    "Mean": lambda r: value_and_error(r.mean, r.error),
                    "Deviation": "deviation",
                    "Events": lambda r: rough(r.n_equivalent),
                    "1 / events": "inverse_size",
                },
                first="Observable",
            )


@takes(ErrorScale)
class ErrorScales(Section[ErrorScale]):
    """Factors that claimed errors would need."""

    title = "Scale of claimed errors"
    question = "scale of the errors"

    def sentence(self, result: ErrorScale) -> str:
        """Return the factor."""
        return f"Errors would need a factor {estimate(result.scale)}."

    def tables(self) -> Iterator[Table]:
        """Yield a row for each level of each."""
        for name, result in self.named:
            yield listing(
                f"{name}: {estimate(result.scale)}, from "
                f"{count(result.bins)} bins in {count(result.runs)} runs. Share of bins within the "
                "band of each level.",
                ((percent(each.level), each) for each in result.coverage),
                {"as claimed": "claimed", "scaled": "scaled"},
                first="Level",
            )


def _ends(found: Interval) -> str:
    return interval(found.low, found.high)


@draws(LearningCurve)
def plot_learning_curve(result: LearningCurve, *, ax: Axes | None = None) -> Axes:
    """Draw the measured points with the fit and its floor."""
    with canvas(ax, height=3.8) as axes:
        axes.errorbar(
            result.n_train, result.inverse_n_equiv, yerr=result.errors, fmt="o", color=style.DATA,
            ms=4.0, elinewidth=0.9, label="measured",
        )  # fmt: skip
        n = np.geomspace(result.n_train.min() / 1.3, result.n_train.max() * 1.3, 101)
        curve = result.amplitude.value / n + result.floor.value
        axes.plot(n, curve, color=style.REFERENCE, label="a / n + b")
        axes.axhline(result.floor.value, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="b")
        axes.set_xscale("log")
        axes.set_xlabel("training events")
        axes.set_ylabel("1 / equivalent events")
        style.legend_above(axes, 3)
    return axes
