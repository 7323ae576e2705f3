"""Amplification along a condition on the page: words, figure, table."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from verisimile.checks.amplification.conditional import ConditionalAmplification
from verisimile.core.arrays import Array
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.numbers import count, interval, percent, plain_number, rough, value_and_error
from verisimile.report.page import Illustration, Table
from verisimile.report.section import Section, takes
from verisimile.report.sections.amplification_first import gain_words
from verisimile.report.verdict import Finding, measurement

_BEYOND = 2.0  # of what is drawn; what reaches farther gets an arrow


@takes(ConditionalAmplification)
class AlongConditions(Section[ConditionalAmplification]):
    """How many events generators are worth, as a function of a condition."""

    title = "Amplification along a condition"
    text = (
        "G in bins of a feature, for the law of the others given the bin. The bands hold in all "
        "bins together; the interval of a bin holds for this bin alone."
    )

    def name(self, result: ConditionalAmplification) -> str:
        """Return the condition."""
        return result.feature

    def judge(self, name: str, result: ConditionalAmplification) -> Iterator[Finding]:
        """Yield where G is smallest and largest, and whether one G would do."""
        yield condition_finding(name, result)

    def figures(self) -> Iterator[Illustration]:
        """Yield the bands of each."""
        for place, result in enumerate(self.results, 1):
            yield condition_illustration(result, f"loose-{place}")

    def tables(self) -> Iterator[Table]:
        """Yield a table for each."""
        yield from map(condition_table, self.results)


def condition_finding(name: str, found: ConditionalAmplification) -> Finding:
    """Return what is measured along a condition, in a sentence."""
    return measurement(name, f"amplification along {found.feature}", condition_sentence(found))


def condition_sentence(found: ConditionalAmplification) -> str:
    """Say between which G the bins are, and whether one constant lies in all of the band."""
    inverse = np.array([point.inverse_gain.value for point in found.points])
    worst, best = (_bin_words(found, int(k)) for k in (inverse.argmax(), inverse.argmin()))
    level = max(found.levels)
    constant = found.constant(level)
    same = (
        "no single G is in the band of every bin"
        if constant is None
        else f"one G of {_reciprocal(constant.high)} to {_reciprocal(constant.low)} is in the "
        "band of every bin"
    )
    return f"Least worth {worst}, most {best}; {same} (all bins together, {percent(level)})."


def _bin_words(found: ConditionalAmplification, number: int) -> str:
    return f"at {found.feature} {_bin_name(found, number)} (G {_joint_gain(found, number)})"


def _reciprocal(inverse: float) -> str:
    return "∞" if inverse <= 0.0 else rough(1.0 / inverse)


def _bin_name(found: ConditionalAmplification, number: int) -> str:
    edges = [plain_number(float(edge), digits=3) for edge in found.edges]
    if number == 0:
        return f"up to {edges[0]}"
    if number == len(edges):
        return f"above {edges[-1]}"
    return f"{edges[number - 1]} to {edges[number]}"


def condition_table(found: ConditionalAmplification) -> Table:
    """Return one row per bin."""
    low, high = found.band(max(found.levels))
    rows = tuple(
        (
            _bin_name(found, k),
            gain_words(point),
            value_and_error(point.inverse_gain.value, point.inverse_gain.error),
            interval(float(low[k]), float(high[k])),
            _joint_gain(found, k),
            count(point.n_train),
            count(point.n_holdout),
        )
        for k, point in enumerate(found.points)
    )
    level = percent(max(found.levels))
    return Table(
        caption=f"Amplification in bins of {found.feature}, at {found.points[0].resolution} "
        "regions in each. The bands hold in all bins at once; G, 68 % is that of the bin alone.",
        columns=(
            f"{found.feature}", "G, 68 %", "1 / G", f"1 / G, band of {level}",
            f"G, band of {level}", "Training", "Held out",
        ),
        rows=rows,
        words=frozenset({0, 1}),
    )  # fmt: skip


def _joint_gain(found: ConditionalAmplification, number: int) -> str:
    low, high = (float(end[number]) for end in found.gain_band(max(found.levels)))
    return f"at least {rough(low)}" if math.isinf(high) else f"{rough(low)} to {rough(high)}"


def condition_illustration(found: ConditionalAmplification, number: str) -> Illustration:
    """Return the bands along a condition, with their words."""
    said = "; ".join(_bin_words(found, k) for k in range(len(found.points)))
    levels = " and ".join(percent(level) for level in found.levels)
    return Illustration(
        name=f"condition-{number}",
        caption=f"G in bins of {found.feature}, at the median of each, with bands of {levels} that "
        "hold in all bins together (boxes) and intervals of each bin alone (lines). What "
        "reaches the upper frame has no bound above, or a far one.",
        alt=f"Amplification along {found.feature}: {said}.",
        figure=figure_of(plot_conditional_gain, found),
    )


@draws(ConditionalAmplification)
def plot_conditional_gain(result: ConditionalAmplification, *, ax: Axes | None = None) -> Axes:
    """Draw G in the bins of a condition with joint bands and the intervals of single bins."""
    with canvas(ax, width=6.2, height=4.2) as axes:
        axes.set_yscale("log")
        bottom, top = _range(result)
        axes.set_ylim(bottom, top)
        left, right = _sides(result)
        for place, level in enumerate(sorted(result.levels, reverse=True)):
            low, high = (np.clip(end, bottom, top) for end in result.gain_band(level))
            axes.bar(
                left, high - low, right - left, low, align="edge", lw=0.0, color=style.DATA,
                alpha=0.15 + 0.2 * place, label=f"all bins, {percent(level)}",
            )  # fmt: skip
        _single(axes, result, (bottom, top))
        axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)), label="the training sample")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.15g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(result.feature)
        axes.set_ylabel("G (times the training sample)")
        style.legend_above(axes, 2)
    return axes


def _single(axes: Axes, result: ConditionalAmplification, limits: tuple[float, float]) -> None:
    level = min(result.levels)
    ends = np.array([point.gain_interval(level) for point in result.points])
    low, high = np.clip(ends, *limits).T
    axes.vlines(
        result.centres, low, high, style.REFERENCE, lw=1.4, label=f"one bin, {percent(level)}"
    )
    gains = [
        1.0 / point.inverse_gain.value if point.inverse_gain.value > 0.0 else math.nan
        for point in result.points
    ]
    axes.plot(result.centres, gains, "o", color=style.REFERENCE, ms=4.5)


def _range(result: ConditionalAmplification) -> tuple[float, float]:
    """Return the limits of the axis: finite ends of bands and intervals, estimates, and one."""
    known = [1.0, *np.ravel([result.gain_band(level) for level in result.levels])]
    known += np.ravel([p.gain_interval(min(result.levels)) for p in result.points]).tolist()
    known += [1.0 / p.inverse_gain.value for p in result.points if p.inverse_gain.value > 0.0]
    finite = [float(value) for value in known if 0.0 < value < math.inf]
    return min(finite) / _BEYOND, max(finite) * _BEYOND


def _sides(result: ConditionalAmplification) -> tuple[Array, Array]:
    """Return both sides of each box; an outer one, without end, has its median in the middle."""
    edges, centres = result.edges, result.centres
    first = 2.0 * centres[0] - edges[0]
    last = 2.0 * centres[-1] - edges[-1]
    return np.array([first, *edges]), np.array([*edges, last])
