"""Tables of a validation: summary, windows, thresholds, and the physics part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from verisimile.checks.known_truth.likelihood import LikelihoodTest
from verisimile.checks.physics.constraints import ConstraintComparison, Violations
from verisimile.checks.physics.correlations import CorrelationComparison
from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.physics.moments import MOMENTS, MomentComparison
from verisimile.checks.physics.selections import EfficiencyComparison
from verisimile.checks.support.study import Support
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.sensitivity import Sensitivity
from verisimile.checks.twosample.windows import Windows
from verisimile.report.content import NamedValidation
from verisimile.report.labels import measured
from verisimile.report.numbers import (
    count,
    fixed,
    p_interval,
    p_value,
    percent,
    plain_number,
    signed,
    small_p,
    value_and_error,
    z_value,
)
from verisimile.report.page import Table
from verisimile.report.sections.validation_verdict import ALL, judge_validation
from verisimile.report.verdict import Finding
from verisimile.samples.copies import KINDS
from verisimile.stats.pvalues import PValue
from verisimile.validation.result import Alike, BatteryTest, Validation

_NONE = "–"
ABOUT_SUPPORT = (
    "Precision: generated events near true ones. Recall: true events near generated ones. "
    "None of these is one for a perfect generator; compare with the null."
)
_WINDOWS = 8
_SEES = {"shift": 0, "local": 1}


def independence_table(found: Validation) -> Table:
    """Return what the samples share, how alike they are, and how many different rows they have."""
    rows = [
        (
            f"Different rows of the {each.role} sample",
            f"{count(each.distinct)} of {count(each.n)}"
            f"{', repeated beyond its values' if each.repeated else ''}",
        )
        for each in found.rows
    ]
    rows += [
        (
            f"Events of the {each.second} sample that are copies of {each.first} events, "
            f"{KINDS[each.kind]}",
            f"{count(each.shared)} ({percent(each.fraction)}; "
            f"{plain_number(each.expected, digits=3)} by chance)",
        )
        for each in found.overlaps
    ]
    if found.alike is not None:
        rows += _alike_rows(found.alike)
    return Table(
        caption="Are the samples independent? Copies are counted where they are more than values "
        "coincide by chance. A small p of the last row: the samples are more alike than "
        "independent samples are.",
        columns=("Question", "Answer"),
        rows=tuple(rows),
        words=frozenset({0}),
    )


def _alike_rows(alike: Alike) -> list[tuple[str, str]]:
    tail = _NONE if alike.tail_p is None else p_value(alike.tail_p)
    return [
        (
            "Pairs of nearest neighbours with one event of each sample",
            f"{count(alike.across)} of {count(alike.pairs)}, expected "
            f"{plain_number(alike.expected, digits=4)} (p: {small_p(alike.pair_p)})",
        ),
        ("p of distances so small, on the same relabelings", tail),
        ("p of both: more alike than independent samples", small_p(alike.p)),
    ]


def validation_summary(named: NamedValidation, level: float) -> Table:
    """Return one row for all tests together, then one for each test and each threshold."""
    found = judge_validation(named.validation, level, name=named.name)
    effects = _effects(named.validation)
    tests = {test.name: test for test in named.validation.tests}
    return Table(
        caption=f"{named.name}: verdicts at a significance level of {level:g} for all tests "
        "together.",
        columns=(
            "Test", "Verdict", "p", "Z", "Holm", "Visible shift", "Visible excess", "In words",
        ),
        rows=tuple(_row(finding, named.validation, tests, effects) for finding in found),
        marks=tuple(finding.mark for finding in found),
        words=frozenset({1, 7}),
        note="Z: significance of p; where p is the least that the draws of the null can give, a "
        "lower bound. Holm: p corrected for the number of tests. Visible: the smallest shift of "
        "one feature, and the smallest excess in a narrow interval, for which the test's verdict "
        "would have been failed with a probability of 90 % or more at this number of events and "
        "after this correction; none where so few draws of the null cannot give such a verdict."
        f"{bundled(named.validation.sensitivities)}",
    )  # fmt: skip


def bundled(found: Iterable[Sensitivity]) -> str:
    """Return a sentence on events that tilted labelings exchanged together; empty if none."""
    most = max((each.together for each in found), default=1)
    if most == 1:
        return ""
    return (
        f" Effects are those of labelings that exchange random bundles of {count(most)} events; "
        "the tests themselves exchange single events."
    )


def _row(
    finding: Finding,
    validation: Validation,
    tests: Mapping[str, BatteryTest],
    effects: Mapping[tuple[str, str], Sensitivity],
) -> tuple[str, ...]:
    test = tests.get(finding.hypothesis)
    p = validation.p_value if finding.hypothesis == ALL else test.p_value if test else None
    verdict = finding.verdict.value
    return (
        finding.hypothesis,
        verdict if finding.decisive else "not made",
        _NONE if p is None else p_value(p),
        _NONE if p is None else z_value(p),
        plain_number(test.adjusted, digits=3) if test and test.p_value else _NONE,
        *(_visible(effects.get((finding.hypothesis, kind))) for kind in _SEES),
        finding.sentence,
    )


def _effects(validation: Validation) -> dict[tuple[str, str], Sensitivity]:
    """Return sensitivities by the battery's name of the test and by the effect."""
    names = {t.outcome.statistic: t.name for t in validation.tests if t.outcome is not None}
    return {
        (names[each.statistic], each.effect): each
        for each in validation.sensitivities
        if each.statistic in names
    }


def _visible(found: Sensitivity | None) -> str:
    if found is None:
        return _NONE
    if found.at_ninety is None:
        return f"> {_effect(float(found.effects[-1]), found)}" if found.effects.size else _NONE
    return _effect(found.at_ninety.value, found)


def _effect(value: float, found: Sensitivity) -> str:
    if found.effect == "local":
        return percent(value)
    return f"{plain_number(value, digits=2)} σ"


def battery_table(validation: Validation) -> Table:
    """Return what each two-sample test computed."""
    made = [
        (test.name, test.outcome, test.p_value)
        for test in validation.tests
        if test.outcome is not None and test.p_value is not None
    ]
    return replace(two_sample_table(made), folded=True)


def two_sample_table(made: Sequence[tuple[str, TwoSample, PValue]]) -> Table:
    """Return one row per named outcome and its p-value."""
    return Table(
        caption="Two-sample tests: the statistic, its mean and standard deviation over "
        "draws of the null (what it is when nothing is wrong), p with the 68 % interval from the "
        "finite number of draws. Draws are exact relabelings, or with weights multipliers of each "
        "sample's masses. Events: those of the reference and of the generated sample that were "
        "used; in brackets what the samples are worth with their weights and groups.",
        columns=("Test", "Value", "Null", "p", "Z", "Draws", "Events", "Coordinates"),
        rows=tuple(
            (
                f"{name} ({outcome.form})" if outcome.form else name,
                plain_number(outcome.observed),
                value_and_error(outcome.null_mean, outcome.null_sd),
                f"{p_value(p)} ({p_interval(p)})",
                z_value(p),
                f"{count(p.n_null)} {p.null}",
                _events(outcome),
                outcome.coordinates,
            )
            for name, outcome, p in made
        ),
        words=frozenset({5, 6, 7}),
    )


def _events(outcome: TwoSample) -> str:
    used = outcome.n_used if sum(outcome.n_used) else (outcome.n_first, outcome.n_second)
    said = f"{count(used[0])} + {count(used[1])}"
    if outcome.n_effective == (outcome.n_first, outcome.n_second):
        return said
    worth = " + ".join(plain_number(n, digits=3) for n in outcome.n_effective)
    return f"{said} ({worth})"


def window_table(windows: Windows, units: Mapping[str, str]) -> Table:
    """Return one row per interval in which the samples differ most, with units by feature."""
    return Table(
        caption=f"Where the samples differ most: the strongest of {count(windows.scanned)} "
        "intervals, of those that overlap only one. p is corrected for all intervals of all "
        "features.",
        columns=("Feature", "From", "To", "Generated", "Reference", "Ratio", "z", "p", "Kind"),
        rows=tuple(
            (
                measured(w.feature, units.get(w.feature)),
                plain_number(w.low, digits=4),
                plain_number(w.high, digits=4),
                percent(w.second_share.value),
                percent(w.first_share.value),
                value_and_error(w.ratio.value, w.ratio.error),
                fixed(w.z, places=1),
                _NONE if w.p_value is None else p_value(w.p_value),
                w.kind,
            )
            for w in windows.windows[:_WINDOWS]
        ),
        words=frozenset({8}),
    )


def support_table(support: Support) -> Table:
    """Return precision, recall, density, coverage and F beside their null values."""
    return Table(
        caption=f"Support metrics with {support.neighbours} neighbours, on "
        f"{count(support.n_matched)} unweighted events of either sample, in standardised features. "
        "Null: what a perfect generator would have.",
        columns=("Metric", "Generated", "Null", "Difference", "All events"),
        rows=tuple(
            (
                metric.name,
                value_and_error(metric.value.value, metric.value.error),
                value_and_error(metric.null.value, metric.null.error),
                value_and_error(metric.difference.value, metric.difference.error),
                fixed(metric.full, places=4),
            )
            for metric in support.metrics
        ),
    )


def likelihood_table(found: LikelihoodTest) -> Table:
    """Return the likelihood of the generated events under the truth's own density."""
    rows = (
        ("Mean log-density per event [nats]", plain_number(found.mean_log_prob, digits=6)),
        ("The same of draws", value_and_error(found.null_mean, found.null_sd)),
        ("p, two-sided", f"{p_value(found.p_value)} ({p_interval(found.p_value)})"),
        ("Distance of the ranks from uniform", plain_number(found.rank_distance, digits=3)),
        ("p of the ranks", f"{p_value(found.rank_p_value)} ({p_interval(found.rank_p_value)})"),
        ("Events outside the support", f"{count(found.n_outside)} of {count(found.n)}"),
    )
    return Table("Likelihood under the known density.", ("Quantity", "Value"), rows)


def metric_table(validation: Validation) -> Table:
    """Return all numbers by the names that thresholds use."""
    bounds = {bound.name: bound for bound in validation.bounds}
    rows = []
    for name, found in validation.metrics.items():
        bound = bounds.get(name)
        low = _NONE if bound is None or bound.min is None else plain_number(bound.min)
        high = _NONE if bound is None or bound.max is None else plain_number(bound.max)
        rows.append((name, plain_number(found.value), plain_number(found.error), low, high))
    return Table(
        caption="All numbers by the names that thresholds in a study file use.",
        columns=("Name", "Value", "Error", "At least", "At most"),
        rows=tuple(rows),
        folded=True,
    )


_PAIRS = 10


def pair_table(marginals: Sequence[MarginalPair]) -> Table:
    """Return one row per feature: chi2, separation, distance, each beside its yardstick."""
    train = any(pair.train is not None for pair in marginals)
    yardstick = ("χ² / dof, training", "Distance, training") if train else ()
    return Table(
        caption="Marginals. χ² of the normalised shapes with full covariance, cells merged to five "
        "effective events; p is not corrected for the number of features. Separation: "
        "½ Σ (r − g)² / (r + g), beside its mean for a perfect generator. Distance: Wasserstein "
        "W₁ in standard deviations of the reference."
        + (" Training: the same for as many training events, the yardstick." if train else ""),
        columns=(
            "Feature",
            "Unit",
            "χ² / dof",
            "p",
            "Separation",
            "Separation, null",
            "Distance",
            *yardstick,
            "Largest pull",
        ),
        rows=tuple(_pair_row(pair, train=train) for pair in marginals),
        words=frozenset({1}),
    )


def _pair_row(pair: MarginalPair, *, train: bool) -> tuple[str, ...]:
    return (
        pair.feature.name,
        pair.feature.unit or _NONE,
        f"{plain_number(pair.chi2, digits=3)} / {pair.dof}",
        _p(pair.p_value),
        plain_number(pair.separation, digits=2),
        plain_number(pair.separation_null, digits=2),
        plain_number(pair.distance, digits=2),
        *(_yardstick(pair) if train else ()),
        _pull(pair),
    )


def _yardstick(pair: MarginalPair) -> tuple[str, str]:
    if pair.train is None:
        return _NONE, _NONE
    return (
        f"{plain_number(pair.train.chi2, digits=3)} / {pair.train.dof}",
        plain_number(pair.train.distance, digits=2),
    )


def _pull(pair: MarginalPair) -> str:
    finite = pair.pulls[np.isfinite(pair.pulls)]
    return _z(float(finite[np.abs(finite).argmax()])) if finite.size else _NONE


def moment_table(found: Sequence[MomentComparison]) -> Table:
    """Return one row per feature: the pulls of four moments, and the means."""
    return Table(
        caption="Moments: generated minus reference over its error (delta method, weights of any "
        "sign). p-values are not corrected for their number: pulls beyond ±3 deserve a look.",
        columns=("Feature", "Mean, reference", "Mean, generated", *(f"z, {m}" for m in MOMENTS)),
        rows=tuple(
            (
                measured(each.feature.name, each.feature.unit),
                value_and_error(float(each.reference[0]), float(each.reference_error[0])),
                value_and_error(float(each.generated[0]), float(each.generated_error[0])),
                *(_z(float(z)) for z in each.z),
            )
            for each in found
        ),
    )


def correlation_table(found: CorrelationComparison) -> Table:
    """Return the pairs whose correlations differ most."""
    names = [feature.name for feature in found.features]
    rows = []
    for first, second in found.worst(_PAIRS):
        j, k = names.index(first.name), names.index(second.name)
        rows.append(
            (
                f"{first.name}, {second.name}",
                fixed(float(found.reference[j, k]), places=4),
                fixed(float(found.generated[j, k]), places=4),
                value_and_error(
                    float(found.generated[j, k] - found.reference[j, k]), float(found.error[j, k])
                ),
                _z(float(found.z[j, k])),
                _p(float(found.adjusted[j, k])),
            )
        )
    return Table(
        caption=f"Correlations ({found.coefficient}): the pairs that differ most; p is corrected "
        "for all pairs (Holm).",
        columns=("Pair", "Reference", "Generated", "Difference", "z", "p"),
        rows=tuple(rows),
    )


def selection_table(found: Sequence[EfficiencyComparison]) -> Table:
    """Return one row per selection."""
    return Table(
        caption="Efficiencies of selections, with 68 % intervals; p is not corrected here, but "
        "in the summary.",
        columns=("Selection", "Condition", "Reference", "Generated", "Difference", "p", "By"),
        rows=tuple(
            (
                each.name,
                each.condition,
                _efficiency(each.reference.value, each.reference.low, each.reference.high),
                _efficiency(each.generated.value, each.generated.low, each.generated.high),
                value_and_error(each.difference.value, each.difference.error),
                _p(each.p_value),
                each.method,
            )
            for each in found
        ),
        words=frozenset({1, 6}),
    )


def _efficiency(value: float, low: float, high: float) -> str:
    return f"{fixed(value, places=4)} ({fixed(low, places=4)} to {fixed(high, places=4)})"


def constraint_table(found: Sequence[ConstraintComparison]) -> Table:
    """Return one row per constraint: who violates it, how often, by how much."""
    return Table(
        caption="Constraints: events that violate them, with 68 % intervals of the fraction, and "
        "by how much. Those of the reference tell of its precision.",
        columns=("Constraint", "Condition", "Reference", "Generated", "Median size", "Largest"),
        rows=tuple(
            (
                each.name,
                each.constraint,
                _violated(each.reference),
                _violated(each.generated),
                plain_number(each.generated.median, digits=2),
                plain_number(each.generated.largest, digits=2),
            )
            for each in found
        ),
        words=frozenset({1}),
    )


def _violated(found: Violations) -> str:
    return (
        f"{count(found.violated)} of {count(found.n)} ({percent(found.low)} to "
        f"{percent(found.high)})"
    )


def _p(p: float) -> str:
    if np.isnan(p):
        return "NaN"
    # A closed form may underflow; zero is never shown.
    return "< 1e-300" if p <= 0.0 else plain_number(p, digits=2)


def _z(z: float) -> str:
    return "NaN" if np.isnan(z) else signed(z)
