"""Amplification studies on the page: summary, section, figures, tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from verisimile.checks.amplification.memorisation import Memorisation
from verisimile.checks.amplification.result import Amplification
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.report.amplification_figure import amplification_figure, crossing_figure
from verisimile.report.amplification_verdict import AmplificationFinding, gain_words
from verisimile.report.content import NamedAmplification
from verisimile.report.numbers import (
    count,
    fixed,
    p_interval,
    p_value,
    percent,
    rough,
    value_and_error,
)
from verisimile.report.page import Illustration, Section, Table

__all__ = ["amplification_section", "amplification_summary", "gain_table"]


_QUANTILE = {"quantile": "quantile", "quantile-of-trainings": "quantile, of the trainings"}


def amplification_summary(found: Sequence[AmplificationFinding]) -> Table:
    """Return one row per finding."""
    return Table(
        caption="How many events of the truth the generated sample is worth, in units of its "
        f"training sample, with {percent(0.68)} intervals. The number grows with the resolution "
        "for every smooth generator.",
        columns=("Generator", "Question", "Verdict", "In words"),
        rows=tuple((f.sample, f.hypothesis, _verdict(f), f.sentence) for f in found),
        marks=tuple(_verdict(finding) for finding in found),
        words=frozenset({1, 2, 3}),
    )


def _verdict(finding: AmplificationFinding) -> str:
    """Return the verdict; a gain is a measurement, which neither passes nor fails."""
    return "measured" if finding.hypothesis == "amplification" else finding.verdict.value


def amplification_section(named: NamedAmplification, number: int) -> Section:
    """Return figures and tables of study `number`."""
    study = named.study
    tables = [gain_table(study)]
    if study.memorisation is not None:
        tables.append(_memory_table(study.memorisation))
    return Section(
        f"{named.name}: amplification",
        f"{count(study.n_generated)} generated events, {count(study.n_train)} training events, "
        f"{count(study.n_holdout)} held-out true events. G times the training sample: so many true "
        f"events would be as near to the truth. Entropy label: {study.entropy.standing}",
        tuple(_pictures(study, number)),
        tuple(tables),
    )


def _pictures(study: AmplificationStudy, number: int) -> Iterator[Illustration]:
    said = "; ".join(f"{p.resolution} regions: G {gain_words(p)}" for p in study.quantile.points)
    yield Illustration(
        name=f"amplification-{number}",
        caption="G with 68 and 95 % intervals against the number of regions. An arrow: the "
        "interval goes on, without a bound if 1/G may be zero. No dot: the estimate of 1/G is "
        "negative by fluctuation.",
        alt=f"Amplification by the quantile measure. {said}.",
        figure=amplification_figure(study),
    )
    if study.averaging:
        finest = study.averaging[-1]
        yield Illustration(
            name=f"crossing-{number}",
            caption=f"Scatter of the members over {finest.amplification.resolution} regions "
            "(root mean square) against the number of generated events; where it leaves the line "
            f"of true events, more events bring nothing. {finest.cannot_see}",
            alt=f"Scatter of members against the number of events; pooled gain "
            f"{gain_words(finest.amplification)}.",
            figure=crossing_figure(finest),
        )


def gain_table(study: AmplificationStudy) -> Table:
    """Return one row per measure and resolution."""
    rows = [_row(_QUANTILE[study.quantile.measure], point) for point in study.quantile.points]
    rows += [_row("averaging", each.amplification) for each in study.averaging]
    rows += [_row("mixture's own errors", each) for each in study.analytic]
    rows.append(_row("energy distance", study.quadratic))
    rows += [_row(f"KS of {name}", each) for name, each in study.kolmogorov.items()]
    return Table(
        caption="Amplification by measure. 1/G is what is estimated: it may be negative by "
        "fluctuation, and G has no upper bound where its interval holds zero. k: effective "
        "number of fitted parameters, (regions - 1) / G. A KS distance to one holdout gives a "
        "lower limit and hardly more; no bound: most perfect generators are farther away.",
        columns=("Measure", "Regions", "G, 68 %", "1 / G", "68 %", "95 %", "k"),
        rows=tuple(rows),
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


def _memory_table(found: Memorisation) -> Table:
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
