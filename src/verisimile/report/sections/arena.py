"""The arena: a row for each metric, who holds its size, and who sees which defect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from verisimile.ranking.result import Arena, ArenaCosts, Found, Standing
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.numbers import count, percent, plain_number, rough
from verisimile.report.page import Illustration, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, Verdict

_ROW, _COLUMN, _LABELS = 0.24, 0.55, 3.2  # inches
_DARK = 0.55  # power from which figures are written in white


@takes(Arena)
class ArenaTable(Section[Arena]):
    """Metrics of two samples, ranked by size and power."""

    title = "Arena"
    text = (
        "Each metric was asked about hidden pairs of samples: null pairs of one law, and pairs "
        "with a planted defect. Size: null pairs called different. Power: pairs with a defect "
        "called different. A score, and a metric that does not hold its size, is calibrated on "
        "null pairs. Brackets: 95 % intervals of Clopper and Pearson; those of power do not "
        "contain the scatter of that calibration."
    )

    def judge(self, name: str, result: Arena) -> Iterator[Finding]:  # noqa: ARG002
        """Yield a verdict for each metric: whether it holds its size and does not cheat."""
        for one in result.standings:
            verdict = Verdict.PASSED if one.honest else Verdict.FAILED
            said = "; ".join(one.marks)
            sentence = f"{said[:1].upper()}{said[1:]}." if said else "Nothing speaks against it."
            yield Finding(
                one.metric,
                "held size, no cheating",
                verdict,
                sentence,
                outcome="honest" if one.honest else "not honest",
            )

    def tables(self) -> Iterator[Table]:
        """Yield the ranking, the power by defect, and what was asked."""
        for _, result in self.named:
            yield ranking(result)
            yield by_defect(result)
            yield audits(result)
            yield asked(result)

    def figures(self) -> Iterator[Illustration]:
        """Yield the map of power by metric and defect."""
        for place, (name, result) in enumerate(self.named, 1):
            best = result.standings[0]
            yield Illustration(
                name=f"arena-{place}",
                caption=f"{name}: power by metric and defect, over all strengths and the sizes "
                "that each metric was asked about; left: its size. A star: its size is not held, "
                "or it looks at the order of rows.",
                alt=f"Map of the power of {len(result.standings)} metrics for "
                f"{len(result.defects)} defects; first is {best.metric} with "
                f"{percent(best.power.share)}.",
                figure=figure_of(plot_arena, result),
                broad=True,
            )


@takes(ArenaCosts)
class ArenaCost(Section[ArenaCosts]):
    """What the answers took."""

    title = "Cost of the metrics"
    text = "CPU time of one thread, answers only."
    order = 61

    def sentence(self, result: ArenaCosts) -> str:
        """Return the sum."""
        return f"{rough(result.total / 60.0)} minutes of CPU for all answers."

    def tables(self) -> Iterator[Table]:
        """Yield a row for each metric."""
        for _, result in self.named:
            sizes = sorted({int(n) for each in result.per_answer.values() for n in each})
            yield Table(
                "CPU time of each metric: milliseconds of one answer (median) at each size, and "
                "seconds of all answers.",
                ("Metric", *(f"n = {n}" for n in sizes), "all, s"),
                tuple(
                    (
                        name,
                        *(_milliseconds(result.per_answer[name].get(str(n))) for n in sizes),
                        rough(seconds),
                    )
                    for name, seconds in zip(result.metrics, result.seconds, strict=True)
                ),
            )


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else rough(1e3 * seconds)


def size_words(one: Standing) -> str:
    """Return the size of a metric with its interval, or that null pairs calibrate it."""
    return "calibrated" if one.size is None else in_percent(one.size)


def in_percent(found: Found) -> str:
    """Return a share with its interval."""
    if not found.pairs:
        return "–"
    return f"{100 * found.share:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def ranking(result: Arena) -> Table:
    """Return a row for each metric: size, power at each size, and what speaks against it."""
    common = ", ".join(str(n) for n in result.common)
    return Table(
        f"Ranking by power over all defects and strengths at n = {common}, those that "
        "are called dishonest last. Size: of p-values at "
        f"{percent(result.level)}, taken at their word.",
        ("Metric", "Gives", "Size", "Power", *(f"n = {n}" for n in result.sizes), "Marks"),
        tuple(
            (
                one.metric,
                one.returns,
                size_words(one),
                in_percent(one.power),
                *(
                    in_percent(one.found(n=n)) if n in one.sizes else "not asked"
                    for n in result.sizes
                ),
                "; ".join(one.marks) or "none",
            )
            for one in result.standings
        ),
        marks=tuple("passed" if one.honest else "failed" for one in result.standings),
        words=frozenset({1, 2, 4 + len(result.sizes)}),
    )


def by_defect(result: Arena) -> Table:
    """Return the power of each metric for each defect, and the smallest strength found."""
    return Table(
        "Power by defect, over all strengths and sizes; in brackets the smallest strength that is "
        "found in more than half of pairs of the largest size with 97.5 % confidence.",
        ("Metric", *result.defects),
        tuple(
            (one.metric, *(_seen(one, defect) for defect in result.defects))
            for one in result.standings
        ),
        folded=True,
    )


def _seen(one: Standing, defect: str) -> str:
    least = one.smallest(defect)
    found = "–" if least is None else plain_number(least)
    return f"{100 * one.found(defect).share:.0f} % ({found})"


def audits(result: Arena) -> Table:
    """Return what became of null pairs that were shown again."""
    return Table(
        "Null pairs shown again, of the smallest size. Again, shuffled, swapped: whose answer "
        "changed for the same bytes, for rows in another order, for exchanged samples. Moved: "
        "by how much another order changes the answer, over the difference between null pairs. "
        "Sorted: called different when a sample was sorted. Itself: the reference against itself.",
        ("Metric", "Pairs", "Again", "Shuffled", "Moved", "Swapped", "Sorted", "Itself"),
        tuple(
            (
                one.metric,
                count(one.audit.pairs),
                count(one.audit.again),
                count(one.audit.shuffled),
                plain_number(one.audit.moved, digits=2),
                count(one.audit.swapped),
                count(one.audit.ordered.hits),
                count(one.audit.itself.hits),
            )
            for one in result.standings
        ),
        folded=True,
    )


def asked(result: Arena) -> Table:
    """Return what was planted."""
    grades = zip(result.defects, result.strengths, result.units, strict=True)
    return Table(
        f"What was planted, in {', '.join(result.laws)}; {count(result.null_pairs)} null pairs of "
        f"each law and size. Public seed {result.seed}, suite {result.suite[:12]}.",
        ("Defect", "Strengths", "Unit"),
        tuple(
            (name, ", ".join(plain_number(each) for each in strengths), unit)
            for name, strengths, unit in grades
        ),
        words=frozenset({1, 2}),
        folded=True,
    )


@draws(Arena)
def plot_arena(result: Arena, *, ax: Axes | None = None) -> Axes:
    """Draw the power of each metric for each defect as a map, with its size beside it.

    Parameters
    ----------
    result
        The table.
    ax
        Where to draw; None for a new figure.
    """
    rows, columns = len(result.standings), len(result.defects)
    power = np.array(
        [[one.found(defect).share for defect in result.defects] for one in result.standings]
    )
    sizes = np.array([np.nan if one.size is None else one.size.share for one in result.standings])
    width, height = _LABELS + _COLUMN * (columns + 1.5), 1.5 + _ROW * rows
    with canvas(ax, width=width, height=height) as axes:
        axes.imshow(power, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
        for j in range(rows):
            for k in range(columns):
                colour = "white" if power[j, k] > _DARK else style.DATA
                axes.text(
                    k, j, f"{100 * power[j, k]:.0f}", ha="center", va="center", color=colour, size=8
                )
            one = result.standings[j]
            text = "–" if one.size is None else f"{100 * sizes[j]:.1f}"
            colour = style.DATA if one.honest else style.ALTERNATIVE
            axes.text(-1.1, j, text, ha="center", va="center", color=colour, size=8)
        axes.text(-1.1, -0.75, "size, %", ha="center", va="bottom", size=8, rotation=40)
        names = [one.metric + ("" if one.honest else " *") for one in result.standings]
        axes.set_yticks(range(rows), [style.readable(name) for name in names], size=8)
        axes.set_xticks(
            range(columns),
            [style.readable(name) for name in result.defects],
            rotation=40,
            ha="left",
            size=8,
        )
        axes.set_xlabel("planted defect; numbers: power in per cent")
        axes.xaxis.tick_top()
        axes.tick_params(which="both", length=0, pad=2)
        axes.tick_params(axis="y", pad=44)
        axes.spines[:].set_visible(False)
    return axes
