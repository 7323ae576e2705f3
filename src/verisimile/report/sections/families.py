"""Families of generators on the page: precision–recall bands, and their comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.comparison import BandComparison
from verisimile.checks.precision_recall.curve import BOUND, EXACT, PrecisionRecall
from verisimile.checks.precision_recall.variance import VarianceParts
from verisimile.core.result import Estimate
from verisimile.report.content import FamilyStudy
from verisimile.report.numbers import (
    count,
    estimate,
    fixed,
    interval,
    p_value,
    percent,
    plain_number,
    shown,
    value_and_error,
)
from verisimile.report.page import Answer, Illustration, Lead, Part, Question, Table
from verisimile.report.section import Section, takes
from verisimile.report.sections.families_first import better_family, family_leads
from verisimile.report.sections.family_figures import (
    SamplePanel,
    SamplePanels,
    angle_figure,
    band_figure,
    bound_label,
    curve_figure,
    radial_figure,
    recall_figure,
    sample_figure,
)
from verisimile.report.verdict import Finding, measurement

_VARIANCE = "variance of the area"


@takes(FamilyStudy)
class Families(Section[FamilyStudy]):
    """Families of generators: what the curves of one, or of two, say."""

    title = "Precision and recall"
    order = 50
    field = "families"

    def findings(self) -> Iterator[Finding]:
        """Yield one finding per family and one per comparison."""
        for study in self.results:
            yield from family_findings(study)

    def summaries(self) -> Iterator[Table]:
        """Yield one row per finding."""
        yield Table(
            caption="Precision and recall of families of generators. Differences: whole curves are "
            "relabeled, and p holds for all angles together.",
            columns=("Generators", "Question", "In words"),
            rows=tuple((f.sample, f.hypothesis, f.sentence) for f in self.findings()),
            words=frozenset({1, 2}),
        )

    def leads(self) -> Iterator[Lead]:
        """Yield the angle at which two families differ most, then each beside a perfect one."""
        for number, study in enumerate(self.results, 1):
            yield from family_leads(study, _bands(study, str(number)))

    def answers(self) -> Iterator[Answer]:
        """Yield how near each family is to the truth, and whether two differ."""
        for study in self.results:
            for name, band in zip(study.names, study.bands, strict=True):
                yield Answer(Question.SAME, name, "Measured.", _area(band), "measured")
            if study.comparison is not None:
                said = _difference(study.comparison, bounds=study.bands[0].thresholds == BOUND)
                yield better_family(study.names, study.comparison, said)

    def parts(self) -> Iterator[Part]:
        """Yield figures and tables of each study."""
        for number, study in enumerate(self.results, 1):
            yield family_part(study, number)

    def warnings(self) -> Iterator[str]:
        """Yield those of the comparisons."""
        for study in self.results:
            yield from () if study.comparison is None else study.comparison.warnings


def family_part(study: FamilyStudy, number: int) -> Part:
    """Return figures and tables of study `number`."""
    return Part(
        f"Families: {', '.join(study.names)}",
        "Precision: the part of the generated events where true ones are. Recall: the part of the "
        f"true events where generated ones are. {_meaning(study.bands[0])}",
        tuple(family_pictures(study, number)),
        (family_table(study), *([variance_table(study)] if study.variances else [])),
    )


def _meaning(band: Band) -> str:
    """Return how far the curves can be believed."""
    if band.thresholds == EXACT:
        return "The densities are known: no difference is missed."
    if band.thresholds == BOUND:
        return (
            "Curves and areas are upper bounds of the true ones: what the score does not see is "
            f"missing. Score: {band.score}, counted on events that shaped neither it nor its "
            "thresholds. An area near one does not say that the generator is good; a smaller area "
            "says that it is not."
        )
    return (
        f"Score: {band.score}, thresholds the best of the events that are counted, as published: "
        "differences that it does not see are missing. Compare with a perfect generator, not with "
        "one."
    )


def family_table(study: FamilyStudy) -> Table:
    """Return one row per family: areas and where their spread comes from."""
    return Table(
        caption=f"Areas under the curves{bound_label(study.bands)}. Variance of training: what is "
        "left of the variance over generators without that of their finite samples and random "
        "halves.",
        columns=(
            "Family",
            "Generators",
            "Mean area",
            "Spread",
            "Worst",
            "Best",
            "Variance",
            "of training",
            "of evaluation",
            "Events not finite",
            "Perfect",
        ),
        rows=tuple(_row(name, band) for name, band in zip(study.names, study.bands, strict=True)),
    )


def _row(name: str, band: Band) -> tuple[str, ...]:
    n = len(band.auc)
    spread = float(band.auc.std(ddof=1))
    return (
        name,
        count(n),
        value_and_error(float(band.auc.mean()), spread / np.sqrt(n)),
        plain_number(spread, digits=2),
        fixed(float(band.auc.min()), places=4),
        fixed(float(band.auc.max()), places=4),
        plain_number(band.spread.total.value, digits=2),
        plain_number(band.spread.model.value, digits=2),
        plain_number(band.spread.evaluation.value, digits=2),
        percent(float(band.missed.mean())),
        "–" if band.null is None else fixed(float(np.mean(band.null.auc)), places=4),
    )


def family_findings(study: FamilyStudy) -> Iterator[Finding]:
    """Yield what the curves say; all are measured, and count: something was compared."""
    for name, band in zip(study.names, study.bands, strict=True):
        yield measurement(name, "precision and recall", _area(band), decisive=True)
    for name, found in zip(study.names, study.variances, strict=False):
        said = variance_sentence(found)
        yield replace(measurement(name, _VARIANCE, said, decisive=True), headline=False)
    if study.comparison is not None:
        names = " and ".join(study.names)
        said = _difference(study.comparison, bounds=study.bands[0].thresholds == BOUND)
        yield measurement(names, "difference", said, decisive=True)


def _area(band: Band) -> str:
    return (
        f"Area {'at most ' if band.thresholds == BOUND else ''}"
        f"{fixed(float(band.auc.mean()), places=4)}, spread "
        f"{plain_number(float(band.auc.std(ddof=1)), digits=2)} over {len(band.auc)} generators, "
        f"by {band.score}."
    )


def _difference(found: BandComparison, *, bounds: bool) -> str:
    p = found.p_value
    area = (
        f"difference of the {'bounds of the areas' if bounds else 'areas'} {found.auc.value:+.4f} "
        f"({found.auc.low:+.4f} to {found.auc.high:+.4f}, 95 %)"
    ).replace("-", "\N{MINUS SIGN}")
    if found.fraction_familywise > 0.0:
        return (
            f"The curves differ, p = {p_value(p)}, at {percent(found.fraction_familywise)} of all "
            f"angles; {area}."
        )
    return f"No difference of the curves found, p = {p_value(p)}; {area}."


def family_pictures(study: FamilyStudy, number: int) -> Iterator[Illustration]:
    """Yield the bands of study `number`, then the samples to look at."""
    yield _bands(study, str(number))
    yield Illustration(
        name=f"recall-{number}",
        caption="The same with the band of precision at fixed recall, as published. Where curves "
        "fall steeply, its width is that of the interpolation.",
        alt="Precision at fixed recall, mean and 10–90 % of the generators of "
        f"{' and of '.join(study.names)}.",
        figure=recall_figure(study.names, study.bands),
    )
    yield _radial(study, number)
    if study.panels is not None:
        for family, name in enumerate(study.names):
            yield from _samples(study.panels, family, name, f"{number}-{family + 1}")


def _bands(study: FamilyStudy, number: str) -> Illustration:
    areas = "; ".join(
        f"{name}: {fixed(float(band.auc.mean()), places=4)}"
        for name, band in zip(study.names, study.bands, strict=True)
    )
    return Illustration(
        name=f"bands-{number}",
        caption="Mean curve and 10–90 % band of the generators of each family, along rays from "
        f"the origin{bound_label(study.bands)} of the true curve."
        if bound_label(study.bands)
        else "Mean curve and 10–90 % band of the generators of each family, along rays from the "
        "origin.",
        alt=f"Precision–recall bands{bound_label(study.bands)}; mean areas {areas}.",
        figure=band_figure(study.names, study.bands),
    )


def _radial(study: FamilyStudy, number: int) -> Illustration:
    below, found = "", ""
    if study.comparison is not None:
        below = (
            " Below: p at each angle, corrected for all angles, and the false-discovery rate; "
            f"dashed: {percent(0.05)}."
        )
        found = (
            f" The families differ at {percent(study.comparison.fraction_familywise)} of all "
            "angles."
        )
    return Illustration(
        name=f"radial-{number}",
        caption="Distance of the curves from the origin over that of the unit square: precision "
        "above 45 degrees, recall below. Shaded: 10–90 % of the generators; dotted: 95 % band of "
        "the mean curve at all angles together, wide or beyond the frame for few "
        f"generators.{below}",
        alt=f"Radial bands of {' and '.join(study.names)} against the angle.{found}",
        figure=radial_figure(study.names, study.bands, study.comparison),
        broad=True,
    )


def _samples(panels: SamplePanels, family: int, name: str, number: str) -> Iterator[Illustration]:
    yield _sample(panels, panels.truth, "Truth", f"truth-{number}")
    yield _sample(panels, panels.best[family], f"{name}, largest area", f"best-{number}")
    yield _sample(panels, panels.worst[family], f"{name}, smallest area", f"worst-{number}")


def _sample(panels: SamplePanels, shown: SamplePanel, title: str, name: str) -> Illustration:
    area = "" if shown.auc is None else f" ({shown.source}), {fixed(shown.auc, places=4)}"
    said = f"{title}{area}: {_counted(shown)}"
    return Illustration(
        name=f"sample-{name}",
        caption=f"{said} {_shown(panels)}" if shown.auc is None else said,
        alt=f"{'Histogram' if len(panels.edges) == 1 else 'Map'} of the events of {said}",
        figure=sample_figure(panels, shown),
        small=True,
    )


def _counted(shown: SamplePanel) -> str:
    said = f"{count(shown.n)} events, {count(shown.n_outside)} outside the frame"
    return said + (f", {count(shown.n_missed)} not finite." if shown.n_missed else ".")


def _shown(panels: SamplePanels) -> str:
    names = " and ".join(feature.name for feature in panels.features)
    some = (
        f"{names}, the first of {panels.n_features} features. "
        if len(panels.features) < panels.n_features
        else ""
    )
    if len(panels.edges) == 1:
        return f"{some}Bins and blue histogram are the same beside."
    return f"{some}Frame and colours, the darker the more events, are the same beside."


_NONE = "–"


def variance_table(study: FamilyStudy) -> Table:
    """Return one row per family and component, and its total."""
    return component_table(zip(study.names, study.variances, strict=True))


def component_table(named: Iterable[tuple[str, VarianceParts]]) -> Table:
    """Return one row per named variance and component, and its total."""
    return Table(
        caption="Variance of the area by what differs between the samples. Rest: what no factor "
        "names. Estimates may be negative by fluctuation; shares take those as zero. "
        "Total: of one area with all factors drawn anew; the reference is the same for all, and "
        "no part of it.",
        columns=("Family", "Component", "Levels", "Variance", "Standard deviation", "Share"),
        rows=tuple(row for name, found in named for row in _rows(name, found)),
        words=frozenset({1}),
    )


def variance_sentence(found: VarianceParts) -> str:
    """Return the total, the shares that exceed their errors, and the parts that do not."""
    if not found.total.value > 0.0:
        return f"The variance of the areas is not resolved by {found.n} generators."
    large = [name for name, part in found.parts.items() if part.value > part.error]
    small = [name for name in found.parts if name not in large]
    said = [f"{name} {percent(found.share(name))} of its variance" for name in large]
    if small:
        said.append(f"within errors of zero: {', '.join(small)}")
    return f"Uncertainty of one area {_deviation(found.total.value)}; {'; '.join(said)}."


def _rows(family: str, found: VarianceParts) -> Iterator[tuple[str, ...]]:
    for name, part in found.parts.items():
        yield (
            family,
            name,
            count(found.levels[name]) if name in found.levels else _NONE,
            _both(part),
            _deviation(part.value),
            percent(found.share(name)),
        )
    total = found.total
    yield family, "total", _NONE, _both(total), _deviation(total.value), _NONE


def _both(part: Estimate) -> str:
    return f"{plain_number(part.value, digits=2)} ± {plain_number(part.error, digits=2)}"


def _deviation(variance: float) -> str:
    return _NONE if variance < 0.0 else plain_number(math.sqrt(variance), digits=2)


@takes(Band)
class Bands(Section[Band]):
    """Bands of single families of generators."""

    title = "Precision and recall of generators"

    @property
    def study(self) -> FamilyStudy:
        """The bands as a study without comparison."""
        names, bands = zip(*self.named, strict=True)
        return FamilyStudy(names=names, bands=bands)

    def name(self, result: Band) -> str:  # noqa: ARG002
        """Return that it is a family."""
        return "family"

    def judge(self, name: str, result: Band) -> Iterator[Finding]:
        """Yield the mean area and its spread."""
        yield measurement(name, "precision and recall", _area(result), decisive=True)

    def figures(self) -> Iterator[Illustration]:
        """Yield the band of each, along rays."""
        for place, (name, band) in enumerate(self.named, 1):
            yield _bands(FamilyStudy((name,), (band,)), f"loose-{place}")

    def tables(self) -> Iterator[Table]:
        """Yield a row for each."""
        yield family_table(self.study)


@takes(BandComparison)
class BandComparisons(Section[BandComparison]):
    """Bands of two families, compared."""

    title = "Comparison of curves"
    question = "difference of the curves"
    caption = "Differences of curves, first group minus second, by relabeling generators."
    columns: ClassVar = {
        "p": "p_value",
        "Angles, family-wise": lambda r: percent(r.fraction_familywise),
        "Angles, false discovery": lambda r: percent(r.fraction_discovered),
        "Area": lambda r: fixed(r.auc.value, places=4),
        "Interval, 95 %": lambda r: interval(r.auc.low, r.auc.high),
        "p of the area": lambda r: shown(r.auc.p_value),
        "Curves": lambda r: f"{count(r.n_first)} + {count(r.n_second)}",
    }

    def figures(self) -> Iterator[Illustration]:
        """Yield the corrected p-values at all angles."""
        for place, result in enumerate(self.results, 1):
            part = percent(result.fraction_familywise)
            yield Illustration(
                name=f"angles-{place}",
                caption="p at each angle, corrected for all angles, and the false-discovery rate; "
                f"dashed: {percent(0.05)}.",
                alt=f"P-values against the angle: significant at {part} of all angles.",
                figure=angle_figure(result),
            )


@takes(PrecisionRecall)
class SampleCurves(Section[PrecisionRecall]):
    """Precision and recall of single generated samples."""

    title = "Precision and recall of a sample"
    first = "Sample"
    caption = (
        "Areas below the curves. Interval: holds the true area at 95 %. F8 weighs recall, F1/8 "
        "precision."
    )
    columns: ClassVar = {
        "Area": "auc",
        "Interval": "interval",
        "F8": lambda r: fixed(r.f_beta[0], places=4),
        "F1/8": lambda r: fixed(r.f_beta[1], places=4),
        "Perfect": lambda r: _NONE if r.null is None else fixed(r.null.auc.mean(), places=4),
        "Events": lambda r: f"{count(r.n_reference)} + {count(r.n_generated)}",
        "Not finite": "n_missed",
    }

    def judge(self, name: str, result: PrecisionRecall) -> Iterator[Finding]:
        """Yield the area."""
        said = (
            f"Area {'at most ' if result.thresholds == BOUND else ''}"
            f"{estimate(result.auc)}, by {result.score}."
        )
        yield measurement(name, "precision and recall", said, decisive=True)

    def figures(self) -> Iterator[Illustration]:
        """Yield the curve of each."""
        for place, (name, result) in enumerate(self.named, 1):
            yield Illustration(
                name=f"curve-{place}",
                caption=f"{name}: precision against recall by {result.score}.",
                alt=f"Curve of precision against recall, with area {estimate(result.auc)}.",
                figure=curve_figure(result),
            )


@takes(VarianceParts)
class Variances(Section[VarianceParts]):
    """Variance components of metrics."""

    title = "Variance of a metric"
    question = "components"

    def sentence(self, result: VarianceParts) -> str:
        """Return total and largest parts."""
        return variance_sentence(result)

    def tables(self) -> Iterator[Table]:
        """Yield the components of all."""
        yield component_table(self.named)
