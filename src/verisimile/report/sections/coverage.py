"""Coverage studies on the page: table, figure, words."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.checks.coverage.result import CONDITIONAL, Coverage, ObservableCoverage
from verisimile.checks.coverage.retrained import Saturation
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of, panels
from verisimile.report.numbers import (
    count,
    fixed,
    percent,
    plain_number,
    value_and_error,
)
from verisimile.report.page import Answer, Illustration, Lead, Part, Question, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, Verdict
from verisimile.stats.intervals import clopper_pearson

_ABOUT = {
    CONDITIONAL: "The members are given; in every data set only their weights are fitted anew. "
    "What another training of the members would change is not in these numbers.",
    "retrained": "Members and weights are made anew in every data set, so that the "
    "fluctuations of the training are in these numbers.",
}


_OUTCOMES = {
    Verdict.PASSED: "the truth is in the intervals as often as stated",
    Verdict.FAILED: "the truth is not in the intervals as often as stated",
}
_HOLD = {
    Verdict.PASSED: "No deviation found.",
    Verdict.FAILED: "No.",
    Verdict.INCONCLUSIVE: "Nothing can be said.",
}
_OF = {CONDITIONAL: "for these members", "retrained": "for the whole procedure"}


@takes(Coverage)
class Studies(Section[Coverage]):
    """Coverage studies: how often intervals contain the truth."""

    order = 20
    field = "coverage"

    def findings(self) -> Iterator[Finding]:
        """Yield one finding per study, at the report's level."""
        for study in self.results:
            verdict, sentence = judge_coverage(study, self.content.level)
            yield Finding(
                f"Coverage, {study.mode}",
                f"coverage, {study.mode}",
                verdict,
                sentence,
                outcome=_OUTCOMES.get(verdict, ""),
                headline_sentence=_headline(study, verdict, sentence),
            )

    def summaries(self) -> Iterator[Table]:
        """Yield one row per study: verdict and what it means."""
        found = tuple(self.findings())
        yield Table(
            caption=f"Verdicts at a significance level of {self.content.level:g}, shared by the "
            "observables of a study (Bonferroni, exact binomial intervals).",
            columns=(
                "Study",
                "Verdict",
                "Nominal",
                "Rates",
                "Data sets",
                "Events each",
                "In words",
            ),
            rows=tuple(_summary_row(*each) for each in zip(found, self.results, strict=True)),
            marks=tuple(finding.mark for finding in found),
            words=frozenset({1, 6}),
        )

    def leads(self) -> Iterator[Lead]:
        """Yield the observables whose rates are farthest from the nominal level."""
        for number, study in enumerate(self.results, 1):
            yield from _leads(study, number, self.content.level)

    def answers(self) -> Iterator[Answer]:
        """Yield whether the stated errors hold."""
        for finding, study in zip(self.findings(), self.results, strict=True):
            subject = study.mode if len(self.results) > 1 else ""
            said = finding.sentence.removeprefix("Nothing can be said: ")
            words = f"{said[:1].upper()}{said[1:]}"
            yield Answer(Question.COVERED, subject, _HOLD[finding.verdict], words, finding.mark)

    def parts(self) -> Iterator[Part]:
        """Yield figure and table of each study."""
        for number, study in enumerate(self.results, 1):
            yield Part(
                f"Coverage, {study.mode}",
                _ABOUT.get(study.mode, ""),
                (_picture(study, number),),
                (coverage_table(study, self.content.level),),
            )


def _headline(study: Coverage, verdict: Verdict, sentence: str) -> str:
    if verdict is not Verdict.FAILED:
        return ""
    rates = sentence.partition(": ")[2]
    stated = f"as often as stated, {percent(study.level)}"
    return f"Coverage, {study.mode}: the truth is not in the intervals {stated}: {rates}"


def _side(z: float) -> str:
    if abs(z) < 1.0:
        return ""
    return f": errors too {'large' if z > 0.0 else 'small'}, if anything"


def _leads(study: Coverage, number: int, level: float) -> Iterator[Lead]:
    """Yield observables by how far off their rates are, the first with the figure of all."""
    nominal, total = study.level, len(study.observables)
    found = [
        ((item.rate - nominal) / math.sqrt(nominal * (1.0 - nominal) / item.trials), item)
        for item in study.observables
    ]
    for place, (z, item) in enumerate(sorted(found, key=lambda each: -abs(each[0]))[:_LEADS]):
        low, high = family_interval(item, total, level)
        several = "" if total == 1 else f", one of {total} observables"
        yield Lead(
            name=f"{item.name}, {study.mode}",
            z=z,
            words=f"The truth is in {percent(item.rate)} of {count(item.trials)} intervals, "
            f"{percent(nominal)} stated{_side(z)}. Rates from {fixed(low, places=3)} to "
            f"{fixed(high, places=3)} are compatible{several}.",
            picture=None if place else _picture(study, number),
            mark="" if _holds(study, item, level) else "failed",
        )


def _summary_row(finding: Finding, study: Coverage) -> tuple[str, ...]:
    rates = [item.rate for item in study.observables]
    span = f"{fixed(min(rates), places=3)} to {fixed(max(rates), places=3)}"
    return (
        finding.sample,
        finding.word,
        fixed(study.level, places=4),
        span if len(rates) > 1 else fixed(rates[0], places=3),
        count(study.datasets),
        count(study.n_events),
        finding.sentence,
    )


def _picture(study: Coverage, number: int) -> Illustration:
    rates = ", ".join(f"{item.name} {item.rate:.3f}" for item in study.observables)
    return Illustration(
        name=f"coverage-{number}-{study.mode}",
        caption=f"Left: share of {count(study.datasets)} data sets whose interval contains the "
        f"truth, with {study.interval_level:.0%} intervals; dashed: the nominal level. Right: "
        "pulls of all data sets against the standard normal.",
        alt=f"Coverage rates ({rates}) against the nominal {study.level:.4f}, and histograms of "
        "the pulls.",
        figure=coverage_figure(study),
        broad=True,
    )


def coverage_table(study: Coverage, level: float) -> Table:
    """Return one row per observable: rate with interval, pull, bias, spread, claimed error."""
    total = len(study.observables)
    confidence = 100.0 * (1.0 - level / max(total, 1))
    return Table(
        caption=f"Coverage by observable. Intervals on the rates are exact, {confidence:.4g}"
        f"\N{NARROW NO-BREAK SPACE}% each. Pull: (estimate \N{MINUS SIGN} truth) / claimed error; "
        "mean 0 and width 1 if all is well. Draws: part of the claimed variance that "
        "comes from the members' finite draws, the same in all data sets.",
        columns=(
            "Observable",
            "Rate",
            "Interval",
            "Pull mean",
            "Pull width",
            "Truth",
            "Bias",
            "Spread",
            "Claimed error",
            "Draws",
            "Failed fits",
        ),
        rows=tuple(_row(item, total, level) for item in study.observables),
    )


def _row(item: ObservableCoverage, total: int, level: float) -> tuple[str, ...]:
    low, high = family_interval(item, total, level)
    truth = (
        value_and_error(item.truth, item.truth_error)
        if item.truth_error > 0.0
        else plain_number(item.truth)
    )
    return (
        item.name,
        fixed(item.rate, places=3),
        f"{fixed(low, places=3)} to {fixed(high, places=3)}",
        value_and_error(item.pull_mean, item.pull_mean_error),
        value_and_error(item.pull_width, item.pull_width_error),
        truth,
        plain_number(item.bias, digits=2),
        plain_number(item.spread, digits=3),
        plain_number(item.mean_error, digits=3),
        percent(item.sampling_share),
        count(item.failed),
    )


def judge_coverage(study: Coverage, level: float) -> tuple[Verdict, str]:
    r"""Return the verdict of a study and one sentence.

    Failed: the nominal level lies outside the exact interval of an observable,
    of confidence :math:`1 - \mathrm{level} / K` for K observables (Bonferroni).
    Inconclusive: so few data sets that even full coverage would pass.
    """
    items = study.observables
    blind = too_few_datasets(study.datasets, len(items), nominal=study.level, level=level)
    if blind or not items:
        blind = blind or "there is no observable"
        return Verdict.INCONCLUSIVE, f"Nothing can be said: {blind}."
    missed = [item for item in items if not _holds(study, item, level)]
    if not missed:
        return Verdict.PASSED, (
            f"The truth is in the intervals as often as stated, {percent(study.level)}, "
            f"{_OF.get(study.mode, study.mode)}: {len(items)} of {len(items)} observables."
        )
    rates = ", ".join(f"{item.name} {percent(item.rate)}" for item in missed)
    return Verdict.FAILED, f"Not {percent(study.level)} as stated: {rates}."


def too_few_datasets(datasets: int, observables: int, *, nominal: float, level: float) -> str:
    """Return why so many data sets can decide nothing; empty if they can."""
    tail = level / max(observables, 1)
    if clopper_pearson(datasets, datasets, level=1.0 - tail)[0] > nominal:
        return ""
    return f"{count(datasets)} data sets cannot tell full coverage from {percent(nominal)}"


def family_interval(
    item: ObservableCoverage, observables: int, level: float
) -> tuple[float, float]:
    """Return the exact interval of a rate that is one of several."""
    return clopper_pearson(item.covered, item.trials, level=1.0 - level / observables)


def _holds(study: Coverage, item: ObservableCoverage, level: float) -> bool:
    low, high = family_interval(item, len(study.observables), level)
    return low <= study.level <= high


_LEADS = 3
_REACH = 5.0
_ROW = 0.3
_BASE = 2.6
_FEW = 2  # observables whose histograms can be told apart in one panel
_COLOURS = (style.REFERENCE, style.ALTERNATIVE)


@draws(Coverage)
def plot_coverage(result: Coverage, *, ax: Axes | None = None) -> Axes:
    """Draw coverage by observable with its interval, beside the pulls of all data sets.

    Parameters
    ----------
    result
        How often intervals contain the truth.
    ax
        Where to draw, divided in two; None for a new figure.

    Returns
    -------
    Axes
        Those of the coverage.

    References
    ----------
    G. Badaracco et al., sec. 3 (coverage of first moments).
    """
    with canvas(ax, width=7.6, height=_BASE + _ROW * len(result.observables)) as axes:
        if np.isfinite(result.pulls).any():
            rates, pulls = panels(axes, widths=(1.0, 1.0))
            _pulls(pulls, result)
        else:  # errors of zero, as those of a single member's weight
            (rates,) = panels(axes, widths=(1.0,))
        _rates(rates, result)
    return axes


def coverage_figure(result: Coverage) -> Figure:
    """Return coverage and pulls as a figure."""
    return figure_of(plot_coverage, result)


def _rates(axes: Axes, result: Coverage) -> None:
    items = result.observables
    places = np.arange(len(items))
    rates = np.array([item.rate for item in items])
    low = rates - [item.low for item in items]
    high = [item.high for item in items] - rates
    axes.axvline(
        result.level, color=style.ALTERNATIVE, ls="--", label=f"nominal {result.level:.4f}"
    )
    axes.errorbar(
        rates,
        places,
        xerr=np.clip(np.array([low, high]), 0.0, None),
        fmt="o",
        color=style.REFERENCE,
        label=f"measured, {result.interval_level:.0%} interval",
    )
    axes.set_yticks(places, [style.readable(item.name) for item in items])
    axes.set_ylim(len(items) - 0.5, -0.5)
    axes.set_xlabel("coverage")
    axes.set_title(f"{result.mode}, {result.datasets} data sets", loc="left", pad=40)
    style.legend_above(axes, 1)


def _pulls(axes: Axes, result: Coverage) -> None:
    if len(result.observables) <= _FEW:
        _histograms(axes, result)
    else:
        _widths(axes, result)
    axes.set_xlabel("pull (estimate \N{MINUS SIGN} truth) / error")
    style.legend_above(axes, 3)


def _histograms(axes: Axes, result: Coverage) -> None:
    bins = int(np.clip(2.0 * math.sqrt(result.datasets), 10, 40)) // 2 * 2
    edges = np.linspace(-_REACH, _REACH, bins + 1)
    for column, item in enumerate(result.observables):
        pulls = result.pulls[:, column]
        # Pulls beyond the axis are put into its last bins, so that none is hidden.
        kept = np.clip(pulls[np.isfinite(pulls)], edges[0], edges[-1])
        if kept.size:
            axes.stairs(
                np.histogram(kept, edges)[0] / (kept.size * np.diff(edges)),
                edges,
                color=_COLOURS[column],
                label=style.readable(item.name),
            )
    x = np.linspace(edges[0], edges[-1], 201)
    normal = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    axes.plot(x, normal, color=style.DATA, ls="--", label="N(0, 1)")
    axes.set_ylabel("data sets per unit")


def _widths(axes: Axes, result: Coverage) -> None:
    """Draw mean and width of the pulls in the rows of the rates."""
    places = np.arange(len(result.observables))
    mean = np.array([item.pull_mean for item in result.observables])
    width = np.array([item.pull_width for item in result.observables])
    axes.axvspan(-1.0, 1.0, color=style.BAND_2, label="N(0, 1): ±1")
    axes.axvline(0.0, color=style.DATA, ls="--")
    axes.errorbar(mean, places, xerr=width, fmt="o", color=style.REFERENCE, label="mean ± width")
    axes.set_yticks(places, [""] * places.size)
    axes.set_ylim(places.size - 0.5, -0.5)


@takes(Saturation)
class Saturations(Section[Saturation]):
    """Observables of a mixture for a growing number of members."""

    title = "Saturation with members"
    question = "enough members"
    text = (
        "Shifts of each observable from its value with all members, in its error: what does not "
        "settle has an error that means little."
    )

    def sentence(self, result: Saturation) -> str:
        """Return which observables are flagged."""
        flagged = ", ".join(result.flagged)
        return f"Errors mean little for {flagged}." if flagged else "All observables settle."

    def figures(self) -> Iterator[Illustration]:
        """Yield the shifts of each against the number of members."""
        for place, result in enumerate(self.results, 1):
            yield Illustration(
                name=f"saturation-{place}",
                caption="Shifts from the value with all members, in its error, with the errors of "
                "shifts that lie in the members' span.",
                alt=f"Shifts of {', '.join(result.names)} with "
                f"{', '.join(map(str, result.sizes[:-1]))} of {result.sizes[-1]} members.",
                figure=figure_of(plot_saturation, result),
            )

    def tables(self) -> Iterator[Table]:
        """Yield a row for each observable."""
        for result in self.results:
            yield Table(
                caption=f"Observables with all {result.sizes[-1]} members. Half: root mean square "
                "shift of halves of the members beyond their errors. Pull: against the events.",
                columns=("Observable", "Value", "Last shift", "Half", "Pull"),
                rows=tuple(
                    (
                        observable,
                        value_and_error(float(result.values[-1, j]), float(result.errors[-1, j])),
                        value_and_error(
                            float(result.shifts[-1, j]), float(result.shift_errors[-1, j])
                        ),
                        fixed(float(result.half_shifts[j])),
                        fixed(float(result.pulls[j])),
                    )
                    for j, observable in enumerate(result.names)
                ),
            )


@draws(Saturation)
def plot_saturation(result: Saturation, *, ax: Axes | None = None) -> Axes:
    """Draw the shifts of all observables against the number of members."""
    with canvas(ax, height=3.8) as axes:
        sizes = np.array(result.sizes[:-1])
        for j, name in enumerate(result.names):
            axes.errorbar(
                sizes, result.shifts[:, j], yerr=result.shift_errors[:, j], fmt="o-", ms=3.5,
                elinewidth=0.9, label=style.readable(name),
            )  # fmt: skip
        axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
        axes.set_xticks(sizes)
        axes.set_xlabel("members")
        axes.set_ylabel("shift / error")
        style.legend_above(axes, 3)
    return axes
