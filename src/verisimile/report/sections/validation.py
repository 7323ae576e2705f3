"""The sections of a validation: its tests, marginals, correlations, classifier, support."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis
from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.twosample.windows import Window
from verisimile.report.content import NamedValidation
from verisimile.report.numbers import count, p_value, plain_number, value_and_error
from verisimile.report.page import Illustration, Section, Table
from verisimile.report.sections import classifier, validation_tables
from verisimile.report.sections.classifier import classifier_figure
from verisimile.report.sections.validation_figures import (
    NUMBERS_UP_TO,
    battery_figure,
    correlation_figure,
    pair_figure,
    plane_figure,
)
from verisimile.validation.result import Physics, Validation


def validation_sections(named: NamedValidation, level: float, number: int) -> Iterator[Section]:
    """Yield the sections of validation `number`."""
    found = named.validation
    yield _tests(named, level, number)
    yield Section(
        f"{named.name}: independence",
        "Tests suppose independent events in samples that do not know each other.",
        tables=(validation_tables.independence_table(found),),
    )
    if found.physics is not None:
        yield _marginals(named.name, found, found.physics, level, number)
        yield _dependence(named.name, found.physics, number)
        yield from _conditions(named.name, found.physics)
    if found.classifier is not None:
        yield _classifier(named.name, found.classifier, number)
    if found.likelihood is not None:
        yield Section(
            f"{named.name}: likelihood",
            "The truth's own density is known: generated events can be too likely, when they are "
            "too narrow, as well as too unlikely.",
            tables=(validation_tables.likelihood_table(found.likelihood),),
        )
    if found.support is not None:
        yield Section(
            f"{named.name}: support",
            "Precision: generated events near true ones. Recall: true events near generated ones. "
            "None of these is one for a perfect generator; compare with the null.",
            tables=(validation_tables.support_table(found.support),),
        )


def _tests(named: NamedValidation, level: float, number: int) -> Section:
    found = named.validation
    pictures: tuple[Illustration, ...] = ()
    if found.p_value is not None:
        pictures = (_battery(named, level, number),)
    tables = [validation_tables.battery_table(found), validation_tables.metric_table(found)]
    if found.windows is not None and found.windows.windows:
        tables.insert(0, validation_tables.window_table(found.windows))
    return Section(
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


def _marginals(
    name: str, found: Validation, physics: Physics, level: float, number: int
) -> Section:
    windows = () if found.windows is None else found.windows.significant(level)
    return Section(
        f"{name}: marginals",
        "Blue: reference with its error. Points: generated events, with theirs. "
        "Shaded: intervals that deviate significantly, corrected for all intervals.",
        tuple(
            _pair(pair, [w for w in windows if w.feature == pair.feature.name], f"{number}-{place}")
            for place, pair in enumerate(physics.marginals, 1)
        ),
        (validation_tables.pair_table(physics.marginals),),
    )


def _pair(pair: MarginalPair, windows: list[Window], number: str) -> Illustration:
    chi2 = f"{plain_number(pair.chi2, digits=3)} / {pair.dof}"
    shaded = "".join(
        f" {w.kind.capitalize()} from {plain_number(w.low, digits=3)} to "
        f"{plain_number(w.high, digits=3)}: {_ratio(w)}."
        for w in windows
    )
    feature = pair.feature.name
    return Illustration(
        name=f"pair-{number}-{_slug(feature)}",
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


def _dependence(name: str, physics: Physics, number: int) -> Section:
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
    return Section(f"{name}: moments and correlations", "", tuple(pictures), tuple(tables))


def _conditions(name: str, physics: Physics) -> Iterator[Section]:
    tables = []
    if physics.selections:
        tables.append(validation_tables.selection_table(physics.selections))
    if physics.constraints:
        tables.append(validation_tables.constraint_table(physics.constraints))
    if tables:
        yield Section(f"{name}: selections and constraints", tables=tuple(tables))


def _classifier(name: str, found: ClassifierDiagnosis, number: int) -> Section:
    auc = value_and_error(found.auc.value, found.auc.error)
    return Section(
        f"{name}: classifier",
        "A classifier is trained to tell generated from true events; w is the density ratio that "
        "its scores imply.",
        (
            Illustration(
                name=f"classifier-{number}",
                caption="Left: ROC curve on a half that was not trained on. Middle: calibration of "
                "the scores. Right: distribution of log w in both samples.",
                alt=f"ROC curve with area {auc}, calibration of the scores, and the distribution "
                "of the weights of true and generated events.",
                figure=classifier_figure(found),
                broad=True,
            ),
        ),
        (
            classifier.diagnosis_table(found),
            classifier.tail_table(found),
            classifier.closure_table(found),
        ),
    )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
