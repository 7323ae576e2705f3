"""Coverage studies on the page: table, figure, words."""

from __future__ import annotations

from collections.abc import Sequence

from verisimile.checks.coverage.result import CONDITIONAL, Coverage, ObservableCoverage
from verisimile.report.coverage_figure import coverage_figure
from verisimile.report.coverage_verdict import CoverageFinding, family_interval
from verisimile.report.numbers import (
    count,
    fixed,
    percent,
    plain_number,
    value_and_error,
)
from verisimile.report.page import Illustration, Section, Table

__all__ = ["coverage_section", "coverage_summary", "coverage_table"]

_ABOUT = {
    CONDITIONAL: "The members are given; in every data set only their weights are fitted anew. "
    "What another training of the members would change is not in these numbers.",
    "retrained": "Members and weights are made anew in every data set, so that the "
    "fluctuations of the training are in these numbers.",
}


def coverage_summary(found: Sequence[CoverageFinding], level: float) -> Table:
    """Return one row per study: verdict and what it means."""
    return Table(
        caption=f"Verdicts at a significance level of {level:g}, shared by the observables of a "
        "study (Bonferroni, exact binomial intervals).",
        columns=("Study", "Verdict", "Nominal", "Rates", "Data sets", "Events each", "In words"),
        rows=tuple(_summary_row(finding) for finding in found),
        marks=tuple(finding.verdict.value for finding in found),
        words=frozenset({1, 6}),
    )


def _summary_row(finding: CoverageFinding) -> tuple[str, ...]:
    study = finding.coverage
    rates = [item.rate for item in study.observables]
    span = f"{fixed(min(rates), places=3)} to {fixed(max(rates), places=3)}"
    return (
        finding.sample,
        finding.verdict.value,
        fixed(study.level, places=4),
        span if len(rates) > 1 else fixed(rates[0], places=3),
        count(study.datasets),
        count(study.n_events),
        finding.sentence,
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


def coverage_section(finding: CoverageFinding, level: float, number: int) -> Section:
    """Return figure and table of study `number`."""
    study = finding.coverage
    rates = ", ".join(f"{item.name} {item.rate:.3f}" for item in study.observables)
    picture = Illustration(
        name=f"coverage-{number}-{study.mode}",
        caption=f"Left: share of {count(study.datasets)} data sets whose interval contains the "
        f"truth, with {study.interval_level:.0%} intervals; dashed: the nominal level. Right: "
        "pulls of all data sets against the standard normal.",
        alt=f"Coverage rates ({rates}) against the nominal {study.level:.4f}, and histograms of "
        "the pulls.",
        figure=coverage_figure(study),
        broad=True,
    )
    about = _ABOUT.get(study.mode, "")
    return Section(finding.sample, about, (picture,), (coverage_table(study, level),))
