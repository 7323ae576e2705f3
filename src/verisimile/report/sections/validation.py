"""The sections of a validation: its tests, marginals, correlations, classifier, support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.twosample.windows import Window
from verisimile.data.feature import Feature
from verisimile.report.content import NamedValidation, ReportInput
from verisimile.report.labels import stated_units
from verisimile.report.numbers import count, p_value, plain_number, value_and_error
from verisimile.report.page import Answer, Illustration, Lead, Part, Table, slug
from verisimile.report.section import Section, takes
from verisimile.report.sections import classifier, validation_tables
from verisimile.report.sections.validation_figures import (
    NUMBERS_UP_TO,
    battery_figure,
    correlation_figure,
    pair_figure,
    plane_figure,
)
from verisimile.report.sections.validation_first import (
    largest_pull,
    validation_answers,
    validation_leads,
)
from verisimile.report.sections.validation_verdict import judge_validation
from verisimile.report.verdict import Finding
from verisimile.validation.result import Physics, Validation

_UNFOLDED = 12  # marginals


@takes(Validation, NamedValidation)
class Validations(Section[NamedValidation]):
    """Comparisons of generated samples with a reference."""

    title = "Validation"
    order = 30
    field = "validations"

    @classmethod
    def arranged(cls, results: Sequence[Any]) -> Sequence[NamedValidation]:
        """Return them with names."""
        loose = [result for result in results if not isinstance(result, NamedValidation)]
        return [
            *(result for result in results if isinstance(result, NamedValidation)),
            *(NamedValidation(f"generated sample {i}", found) for i, found in enumerate(loose, 1)),
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield the findings of each validation, that on all tests first."""
        for named in self.results:
            yield from judge_validation(named.validation, self.content.level, name=named.name)

    def summaries(self) -> Iterator[Table]:
        """Yield one table for each."""
        for named in self.results:
            yield validation_tables.validation_summary(named, self.content.level)

    def leads(self) -> Iterator[Lead]:
        """Yield the features of each in which it differs most."""
        level = self.content.level
        for number, named in enumerate(self.results, 1):
            found = named.validation
            units = stated_units(self.content, _features(found))
            mark = judge_validation(found, level, name=named.name)[0].mark
            leads = [*validation_leads(found, units, level, mark=mark, number=number)]
            if found.p_value is not None and not any(lead.picture for lead in leads):
                # Without histograms the p-values are what there is to see.
                battery = _battery(named, level, number)
                first = leads[0] if leads else Lead(named.name, math.nan, "", None, mark)
                words = first.words or battery.caption
                leads[:1] = [replace(first, picture=battery, words=words)]
            yield from leads

    def answers(self) -> Iterator[Answer]:
        """Yield what each says to the questions."""
        several = len(self.results) > 1
        for named in self.results:
            found = judge_validation(named.validation, self.content.level, name=named.name)
            subject = named.name if several else ""
            yield from validation_answers(subject, named.validation, found, self.content.level)

    def parts(self) -> Iterator[Part]:
        """Yield what was done, and what was found."""
        for number, named in enumerate(self.results, 1):
            yield from _parts(named, self.content, number)

    def warnings(self) -> Iterator[str]:
        """Yield those of the validations."""
        for named in self.results:
            yield from named.validation.warnings


def _parts(named: NamedValidation, content: ReportInput, number: int) -> Iterator[Part]:
    found, level = named.validation, content.level
    units = stated_units(content, _features(found))
    yield _tests(named, units, level, number)
    yield Part(
        f"{named.name}: independence",
        "Tests suppose independent events in samples that do not know each other.",
        tables=(validation_tables.independence_table(found),),
    )
    if found.physics is not None:
        yield _marginals(named.name, found, found.physics, level, number)
        yield _dependence(named.name, found.physics, number)
        yield from _conditions(named.name, found.physics)
    if found.classifier is not None:
        yield Part(
            f"{named.name}: classifier",
            classifier.ABOUT,
            (classifier.classifier_illustration(found.classifier, str(number)),),
            classifier.classifier_tables(found.classifier, units),
        )
    if found.likelihood is not None:
        yield Part(
            f"{named.name}: likelihood",
            "The truth's own density is known: generated events can be too likely, when they are "
            "too narrow, as well as too unlikely.",
            tables=(validation_tables.likelihood_table(found.likelihood),),
        )
    if found.support is not None:
        yield Part(
            f"{named.name}: support",
            validation_tables.ABOUT_SUPPORT,
            tables=(validation_tables.support_table(found.support),),
        )


def _features(found: Validation) -> list[Feature]:
    """Return the features that were compared, computed ones among them, as far as it is known."""
    return [] if found.physics is None else [pair.feature for pair in found.physics.marginals]


def _tests(named: NamedValidation, units: Mapping[str, str], level: float, number: int) -> Part:
    found = named.validation
    pictures: tuple[Illustration, ...] = ()
    if found.p_value is not None:
        pictures = (_battery(named, level, number),)
    tables = [validation_tables.battery_table(found), validation_tables.metric_table(found)]
    if found.windows is not None and found.windows.windows:
        tables.insert(0, validation_tables.window_table(found.windows, units))
    return Part(
        f"{named.name}: tests",
        f"{count(found.n_generated)} generated against {count(found.n_reference)} reference "
        f"events. {_nulls(found)}",
        pictures,
        tuple(table for table in tables if table.rows),
    )


def _nulls(found: Validation) -> str:
    """Return how draws of the null were made."""
    outcomes = [test.outcome for test in found.tests if test.outcome is not None]
    if any(outcome.p_value.null == "multipliers" for outcome in outcomes):
        return (
            "The samples have weights, which relabelings would exchange as if one law had made "
            "them: draws of the null multiply the fluctuations of each sample's masses with random "
            "signs, the same for all tests."
        )
    return (
        "Permutation tests relabel the pooled events, with the same relabelings for all that "
        "use as many events."
    )


def _battery(named: NamedValidation, level: float, number: int) -> Illustration:
    made = [test for test in named.validation.tests if test.p_value is not None]
    said = ", ".join(f"{t.name} {p_value(t.p_value)}" for t in made if t.p_value is not None)
    return Illustration(
        name=f"battery-{number}",
        caption="p-value of each test with its 68 % interval from the number of draws, and "
        "the same corrected for the number of tests.",
        alt=f"P-values of {len(made)} tests: {said}.",
        figure=battery_figure(named.validation, level),
        broad=True,
    )


def _marginals(name: str, found: Validation, physics: Physics, level: float, number: int) -> Part:
    windows = () if found.windows is None else found.windows.significant(level)
    return Part(
        f"{name}: marginals",
        "Blue: reference with its error. Points: generated events, with theirs. "
        "Shaded: intervals that deviate significantly, corrected for all intervals.",
        tuple(_ordered(physics.marginals, windows, number)),
        (validation_tables.pair_table(physics.marginals),),
    )


def _ordered(
    marginals: Sequence[MarginalPair], windows: Sequence[Window], number: int
) -> Iterator[Illustration]:
    """Yield the marginals of all features; of many the worst first, and the rest folded."""
    placed = list(enumerate(marginals, 1))
    if len(placed) > _UNFOLDED:
        significant = {window.feature for window in windows}
        placed.sort(
            key=lambda each: (each[1].feature.name not in significant, -largest_pull(each[1]))
        )
    for rank, (place, pair) in enumerate(placed):
        own = [window for window in windows if window.feature == pair.feature.name]
        picture = pair_illustration(pair, own, f"{number}-{place}")
        yield replace(picture, folded=rank >= _UNFOLDED)


def pair_illustration(pair: MarginalPair, windows: list[Window], number: str) -> Illustration:
    """Return the marginals of one feature, significant windows shaded."""
    chi2 = f"{plain_number(pair.chi2, digits=3)} / {pair.dof}"
    unit = f" {pair.feature.unit}" if pair.feature.unit else ""
    shaded = "".join(
        f" {w.kind.capitalize()} from {plain_number(w.low, digits=3)} to "
        f"{plain_number(w.high, digits=3)}{unit}: {_ratio(w)}."
        for w in windows
    )
    feature = pair.feature.name
    return Illustration(
        name=f"pair-{number}-{slug(feature)}",
        caption=f"{feature}: χ² / degrees of freedom = {chi2}.{shaded}",
        alt=f"Density of {feature} in {pair.pulls.size} bins for the reference and the generated "
        f"sample, with their ratio below; chi-square {chi2}.{shaded}",
        figure=pair_figure(pair, windows),
    )


def _ratio(window: Window) -> str:
    ratio = window.ratio
    if math.isnan(ratio.value):
        return "nothing in the reference"
    return f"ratio {value_and_error(ratio.value, ratio.error)}"


def _dependence(name: str, physics: Physics, number: int) -> Part:
    pictures: list[Illustration] = []
    tables: list[Table] = [validation_tables.moment_table(physics.moments)]
    if physics.correlations is not None:
        found = physics.correlations
        tables.append(validation_tables.correlation_table(found))
        pictures.append(
            Illustration(
                name=f"correlations-{number}",
                caption="Difference of all correlations over its error.",
                alt=f"Matrix of {len(found.features)} features: {found!r}",
                figure=correlation_figure(found),
                broad=len(found.features) > NUMBERS_UP_TO,
            )
        )
    for place, plane in enumerate(physics.planes, 1):
        first, second = (feature.name for feature in plane.features)
        pictures.append(
            Illustration(
                name=f"plane-{number}-{place}",
                caption=f"{first} and {second}: local difference over its error, between quantiles "
                "of both samples; grey: too few events.",
                alt=f"Map of the plane of {first} and {second}: {plane!r}",
                figure=plane_figure(plane),
            )
        )
    return Part(f"{name}: moments and correlations", "", tuple(pictures), tuple(tables))


def _conditions(name: str, physics: Physics) -> Iterator[Part]:
    tables = []
    if physics.selections:
        tables.append(validation_tables.selection_table(physics.selections))
    if physics.constraints:
        tables.append(validation_tables.constraint_table(physics.constraints))
    if tables:
        yield Part(f"{name}: selections and constraints", tables=tuple(tables))
