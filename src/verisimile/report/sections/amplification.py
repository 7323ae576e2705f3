"""Amplification studies on the page: summary, section, figures, tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from verisimile.checks.amplification.averaging import Averaging
from verisimile.checks.amplification.memorisation import Memorisation
from verisimile.checks.amplification.result import Amplification, AmplificationCurve
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.report import style
from verisimile.report.content import NamedAmplification
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.numbers import (
    count,
    fixed,
    p_interval,
    p_value,
    percent,
    rough,
    value_and_error,
)
from verisimile.report.page import Answer, Illustration, Lead, Part, Table
from verisimile.report.section import Section, takes, verdict_table
from verisimile.report.sections.amplification_condition import (
    condition_finding,
    condition_illustration,
    condition_table,
)
from verisimile.report.sections.amplification_first import (
    gain_words,
    generator_answers,
    generator_leads,
    study_sentence,
)
from verisimile.report.verdict import Finding, Verdict, measurement

_QUANTILE = {"quantile": "quantile", "quantile-of-trainings": "quantile, of the trainings"}


_MEMORY = {
    Verdict.PASSED: "no memorised events found",
    Verdict.FAILED: "memorises its training events",
}


@takes(AmplificationStudy, NamedAmplification)
class Generators(Section[NamedAmplification]):
    """Studies of amplification: how many events generators are worth."""

    title = "Amplification"
    order = 40
    field = "amplifications"

    @classmethod
    def arranged(cls, results: Sequence[Any]) -> Sequence[NamedAmplification]:
        """Return them with names."""
        loose = [result for result in results if not isinstance(result, NamedAmplification)]
        return [
            *(result for result in results if isinstance(result, NamedAmplification)),
            *(NamedAmplification(f"generator {i}", found) for i, found in enumerate(loose, 1)),
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield a sentence on each gain, which is measured, and a verdict on memorisation."""
        for named in self.results:
            yield measurement(
                named.name, "amplification", study_sentence(named.study), decisive=True
            )
            if named.study.memorisation is not None:
                yield memorisation_finding(named.name, named.study.memorisation)
            if named.study.conditional is not None:
                yield condition_finding(named.name, named.study.conditional)

    def summaries(self) -> Iterator[Table]:
        """Yield one row per finding."""
        yield verdict_table(
            tuple(self.findings()),
            "How many events of the truth the generated sample is worth, in units of its "
            f"training sample, with {percent(0.68)} intervals. The number grows with the "
            "resolution for every smooth generator.",
            first="Generator",
        )

    def leads(self) -> Iterator[Lead]:
        """Yield the finest resolution of each, and whether it remembers."""
        for number, named in enumerate(self.results, 1):
            subject = named.name if len(self.results) > 1 else ""
            yield from generator_leads(
                named.study, gain_illustration(named.study, number), subject=subject, number=number
            )

    def answers(self) -> Iterator[Answer]:
        """Yield what each is worth, and whether it remembers."""
        for named in self.results:
            yield from generator_answers(named, subject=named.name if len(self.results) > 1 else "")

    def parts(self) -> Iterator[Part]:
        """Yield figures and tables of each study."""
        for number, named in enumerate(self.results, 1):
            study = named.study
            tables = [gain_table(study)]
            if study.conditional is not None:
                tables.append(condition_table(study.conditional))
            if study.memorisation is not None:
                tables.append(memorisation_table(study.memorisation))
            yield Part(
                f"{named.name}: amplification",
                f"{count(study.n_generated)} generated events, {count(study.n_train)} training "
                f"events, {count(study.n_holdout)} held-out true events. G times the training "
                "sample: so many true events would be as near to the truth. Entropy label: "
                f"{study.entropy.standing}",
                tuple(_pictures(study, number)),
                tuple(tables),
            )

    def warnings(self) -> Iterator[str]:
        """Yield those of the studies."""
        for named in self.results:
            yield from named.study.warnings


def _pictures(study: AmplificationStudy, number: int) -> Iterator[Illustration]:
    yield gain_illustration(study, number)
    if study.averaging:
        yield crossing_illustration(study.averaging[-1], str(number))
    if study.conditional is not None:
        yield condition_illustration(study.conditional, str(number))


def gain_illustration(study: AmplificationStudy, number: int) -> Illustration:
    """Return G against the number of regions with its words."""
    said = "; ".join(f"{p.resolution} regions: G {gain_words(p)}" for p in study.quantile.points)
    return Illustration(
        name=f"amplification-{number}",
        caption="G with 68 and 95 % intervals against the number of regions. An arrow: the "
        "interval goes on, without a bound if 1/G may be zero. No dot: the estimate of 1/G is "
        "negative by fluctuation.",
        alt=f"Amplification by the quantile measure. {said}.",
        figure=amplification_figure(study),
    )


def crossing_illustration(found: Averaging, number: str) -> Illustration:
    """Return where the scatter of members ends, with its words."""
    return Illustration(
        name=f"crossing-{number}",
        caption=f"Scatter of the members over {found.amplification.resolution} regions "
        "(root mean square) against the number of generated events; where it leaves the line "
        f"of true events, more events bring nothing. {found.cannot_see}",
        alt=f"Scatter of members against the number of events; pooled gain "
        f"{gain_words(found.amplification)}.",
        figure=crossing_figure(found),
    )


def gain_table(study: AmplificationStudy) -> Table:
    """Return one row per measure and resolution."""
    scored = () if study.classifier is None else (study.classifier,)
    return gain_rows(
        [
            *((_QUANTILE[study.quantile.measure], point) for point in study.quantile.points),
            *(("averaging", each.amplification) for each in study.averaging),
            *(("mixture's own errors", each) for each in study.analytic),
            ("energy distance", study.quadratic),
            *(("KS of a classifier's score", each) for each in scored),
            *((f"KS of {name}", each) for name, each in study.kolmogorov.items()),
        ]
    )


def gain_rows(points: Sequence[tuple[str, Amplification]]) -> Table:
    """Return one row per named measure."""
    return Table(
        caption="Amplification by measure. 1/G is what is estimated: it may be negative by "
        "fluctuation, and G has no upper bound where its interval holds zero. k: effective "
        "number of fitted parameters, (regions - 1) / G. A KS distance to one holdout gives a "
        "lower limit and hardly more; no bound: most perfect generators are farther away. A "
        "classifier looks for the difference: copies make its G far too small.",
        columns=("Measure", "Regions", "G, 68 %", "1 / G", "68 %", "95 %", "k"),
        rows=tuple(_row(name, point) for name, point in points),
    )


def _row(name: str, point: Amplification) -> tuple[str, ...]:
    k = point.effective_parameters
    return (
        name,
        count(point.resolution) if point.resolution else "–",
        gain_words(point),
        value_and_error(point.inverse_gain.value, point.inverse_gain.error),
        _interval(point, 0.68),
        _interval(point, 0.95),
        value_and_error(k.value, k.error) if point.resolution else "–",
    )


def _interval(point: Amplification, level: float) -> str:
    found = point.interval(level)
    return f"{rough(found.low)} to {rough(found.high)}"


def memorisation_table(found: Memorisation) -> Table:
    """Return shares, copies and their p-values."""
    rows = (
        (f"Alarm (p at most {found.level:g})", "yes" if found.alarm else "no"),
        (
            f"p of the alarm, with a tolerance of {percent(found.tolerance)}",
            f"{p_value(found.p_value)} ({p_interval(found.p_value)})",
        ),
        (
            "Generated events nearer to training than to held-out events "
            f"({percent(found.expected_share)} expected)",
            f"{percent(found.share.value)} ± {percent(found.share.error)}",
        ),
        ("p of this share alone", p_value(found.share_p)),
        ("Mean log ratio of the distances (0 expected)", fixed(found.log_ratio, places=3)),
        ("p of it alone", p_value(found.log_ratio_p)),
        ("Copies of training events, exact or nearly", percent(found.near_copies)),
        ("p of them alone", p_value(found.copies_p)),
        ("Exact copies of training events, of held-out events",
         f"{count(found.copies)}, {count(found.holdout_copies)}"),
        (
            "Events compared: generated, training, held-out",
            f"{count(found.n_generated)}, {count(found.n_train)}, {count(found.n_holdout)}",
        ),
    )  # fmt: skip
    return Table("Memorisation: is the generator nearer to its training events?",
                 ("Quantity", "Value"), rows)  # fmt: skip


def memorisation_finding(name: str, found: Memorisation) -> Finding:
    """Return the verdict on memorisation: an alarm fails."""
    share = f"{percent(found.share.value)} of generated events are nearer to training than to "
    said = f"{share}held-out events ({percent(found.expected_share)} expected)"
    if found.copies:
        said += f", and {count(found.copies)} are copies of training events"
    said += f"; p = {rough(found.p_value.value)}"
    verdict = Verdict.FAILED if found.alarm else Verdict.PASSED
    sentence = f"{'Memorises' if found.alarm else 'No alarm'}: {said}."
    return Finding(name, "memorisation", verdict, sentence, outcome=_MEMORY[verdict])


_LEVELS = (0.68, 0.95)
_WIDTHS = (2.6, 0.9)
_BEYOND = 2.5  # of the 68 % intervals; what reaches farther gets an arrow
_APART = 0.06  # of the axis: the least distance of two tick labels
_SIDE = 0.022  # of the axis: between measures at one resolution

Curve = tuple[str, Sequence[Amplification], str]


@draws(AmplificationStudy, AmplificationCurve, Amplification)
def plot_amplification(
    result: AmplificationStudy | AmplificationCurve | Amplification, *, ax: Axes | None = None
) -> Axes:
    """Draw G of every measure with its 68 and 95 % intervals, against the number of regions."""
    if isinstance(result, Amplification):
        return plot_gains([(result.measure, [result], style.DATA)], ax=ax)
    if isinstance(result, AmplificationCurve):
        return plot_gains([(result.measure, result.points, style.DATA)], ax=ax)
    curves: list[Curve] = [
        ("quantile", result.quantile.points, style.DATA),
        ("averaging", [each.amplification for each in result.averaging], style.ALTERNATIVE),
        ("mixture's own errors", result.analytic, style.REFERENCE),
    ]
    return plot_gains([curve for curve in curves if curve[1]], ax=ax)


def amplification_figure(study: AmplificationStudy) -> Figure:
    """Return G of every measure with regions as a figure."""
    return figure_of(plot_amplification, study)


def plot_gains(curves: Sequence[Curve], *, ax: Axes | None = None) -> Axes:
    """Draw G of named measures against the number of regions.

    Parameters
    ----------
    curves
        Name, points and colour of each.
    ax
        Where to draw; None for a new figure.
    """
    with canvas(ax, width=6.2, height=4.2) as axes:
        _gains(axes, curves)
    return axes


def gain_figure(curves: Sequence[Curve]) -> Figure:
    """Return G of named measures as a figure."""
    return figure_of(plot_gains, curves)


@draws(Averaging)
def plot_averaging(result: Averaging, *, ax: Axes | None = None) -> Axes:
    """Draw the scatter of members against the number of generated events."""
    with canvas(ax, width=6.2, height=4.2) as axes:
        _crossing(axes, result)
    return axes


def crossing_figure(found: Averaging) -> Figure:
    """Return the scatter of members as a figure."""
    return figure_of(plot_averaging, found)


def _gains(axes: Axes, curves: Sequence[Curve]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    every = [point for _, points, _ in curves for point in points]
    low, high = _range(every)
    axes.set_ylim(low, high)
    axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="the training sample")
    ratio = _regions(axes, sorted({point.resolution for point in every}))
    for place, (name, points, colour) in enumerate(curves):
        shift = ratio ** (_SIDE * (place - 0.5 * (len(curves) - 1)))
        _curve(axes, points, colour, name, shift)
    axes.set_xlabel("regions")
    axes.set_ylabel("G (times the training sample)")
    _plain_ticks(axes)
    _legend(axes)


def _range(points: Sequence[Amplification]) -> tuple[float, float]:
    """Return the limits of the axis: all estimates and 68 % intervals, and one."""
    found = [1.0]
    for point in points:
        found += [*point.gain_interval(_LEVELS[0]), _estimate(point)]
    finite = [value for value in found if 0.0 < value < math.inf]
    return min(finite) / _BEYOND, max(finite) * _BEYOND


def _estimate(point: Amplification) -> float:
    value = point.inverse_gain.value
    return 1.0 / value if value > 0.0 else math.nan


def _regions(axes: Axes, resolutions: Sequence[int]) -> float:
    """Set the axis of regions, labels where there is room, and return its range as a ratio."""
    low, high = resolutions[0] / 1.3, resolutions[-1] * 1.3
    axes.set_xlim(low, high)
    span = math.log(high / low)
    shown: list[int] = []
    for number in resolutions:
        if not shown or math.log(number / shown[-1]) > _APART * span:
            shown.append(number)
    axes.set_xticks(shown, [str(number) for number in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    return high / low


def _curve(
    axes: Axes, points: Sequence[Amplification], colour: str, name: str, shift: float
) -> None:
    bottom, top = axes.get_ylim()
    x = np.array([point.resolution for point in points]) * shift
    for level, width in zip(_LEVELS, _WIDTHS, strict=True):
        ends = np.array([point.gain_interval(level) for point in points])
        lows, highs = np.clip(ends, bottom, top).T
        axes.vlines(x, lows, highs, colour, lw=width)
        for low, sign in ((False, "^"), (True, "v")):
            beyond = ends[:, 0] < bottom if low else ends[:, 1] > top
            edge = np.full(int(beyond.sum()), bottom if low else top)
            if edge.size:  # an empty line that is not clipped upsets the layout
                axes.plot(x[beyond], edge, sign, color=colour, ms=5.0, clip_on=False)
    axes.plot(x, [_estimate(point) for point in points], "o", color=colour, ms=4.5, label=name)


def _plain_ticks(axes: Axes) -> None:
    axes.yaxis.set_major_locator(LogLocator(subs=list(_steps(*axes.get_ylim()))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.15g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _steps(low: float, high: float) -> Iterator[float]:
    """Yield the digits that have a tick: fewer on a long axis."""
    decades = math.log10(high / low)
    yield 1.0
    if decades < 3.0:
        yield from (2.0, 5.0)


def _crossing(axes: Axes, found: Averaging) -> None:
    crossing = found.crossing
    # Root mean square over regions: sums of variances are what the measure pools.
    spread = np.sqrt((crossing.spread**2).mean(axis=1))
    sampling = np.sqrt((crossing.sampling**2).mean(axis=1))
    axes.plot(crossing.sizes, spread, "o-", color=style.DATA, ms=4.0, label="scatter of members")
    axes.plot(crossing.sizes, sampling, color=style.REFERENCE, label="as many true events")
    axes.axvline(
        found.amplification.n_train,
        color=style.MUTED,
        lw=1.0,
        ls=(0, (4, 2)),
        label="the training sample",
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("events")
    axes.set_ylabel("standard deviation of a region's share")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Put the legend above the axes, where no interval is."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=4,
        borderaxespad=0.1,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
    )
