"""Families of generators on the page: precision–recall bands, and their comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.curve import BOUND, EXACT
from verisimile.checks.precision_recall.variance import VarianceParts
from verisimile.core.result import Estimate
from verisimile.report.content import FamilyStudy, ReportInput
from verisimile.report.numbers import count, fixed, p_value, percent, plain_number, value_and_error
from verisimile.report.page import Illustration, Section, Table
from verisimile.report.sections.family_figures import (
    SamplePanel,
    SamplePanels,
    band_figure,
    bound_label,
    radial_figure,
    recall_figure,
    sample_figure,
)
from verisimile.report.verdict import Verdict


def family_summary(found: Sequence[FamilyFinding]) -> Table:
    """Return one row per finding."""
    return Table(
        caption="Precision and recall of families of generators. Differences: whole curves are "
        "relabeled, and p holds for all angles together.",
        columns=("Generators", "Question", "In words"),
        rows=tuple((f.sample, f.hypothesis, f.sentence) for f in found),
        words=frozenset({1, 2}),
    )


def family_section(study: FamilyStudy, number: int) -> Section:
    """Return figures and tables of study `number`."""
    return Section(
        f"Families: {', '.join(study.names)}",
        "Precision: the part of the generated events where true ones are. Recall: the part of the "
        f"true events where generated ones are. {_meaning(study)}",
        tuple(family_pictures(study, number)),
        (family_table(study), *([variance_table(study)] if study.variances else [])),
    )


def _meaning(study: FamilyStudy) -> str:
    """Return how far the curves can be believed."""
    band = study.bands[0]
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


_VARIANCE = "variance of the area"


@dataclass(frozen=True, slots=True)
class FamilyFinding:
    """What the curves of one family, or of two, say in a sentence."""

    sample: str
    hypothesis: str
    sentence: str

    @property
    def verdict(self) -> Verdict:
        """Curves are measured, which passes."""
        return Verdict.PASSED

    @property
    def decisive(self) -> bool:
        """They count: something was compared."""
        return True

    @property
    def headline(self) -> bool:
        """They are in the report's first line, without what the areas' variance is made of."""
        return self.hypothesis != _VARIANCE

    @property
    def outcome(self) -> str:
        """The sentence as the end of another."""
        return f"{self.sentence[0].lower()}{self.sentence[1:].rstrip('.')}"


def family_findings(content: ReportInput) -> tuple[FamilyFinding, ...]:
    """Return one finding per family and one per comparison."""
    return tuple(finding for study in content.families for finding in _found(study))


def _found(study: FamilyStudy) -> Iterator[FamilyFinding]:
    for name, band in zip(study.names, study.bands, strict=True):
        spread = float(band.auc.std(ddof=1))
        yield FamilyFinding(
            name,
            "precision and recall",
            f"Area {'at most ' if band.thresholds == BOUND else ''}"
            f"{fixed(float(band.auc.mean()), places=4)}, spread "
            f"{plain_number(spread, digits=2)} over {len(band.auc)} generators, by {band.score}.",
        )
    for name, found in zip(study.names, study.variances, strict=False):
        yield FamilyFinding(name, _VARIANCE, variance_sentence(found))
    if study.comparison is not None:
        yield FamilyFinding(" and ".join(study.names), "difference", _difference(study))


def _difference(study: FamilyStudy) -> str:
    found = study.comparison
    if found is None:
        return "Not compared."
    p = found.p_value
    bounds = "bounds of the areas" if study.bands[0].thresholds == BOUND else "areas"
    area = (
        f"difference of the {bounds} {found.auc.value:+.4f} ({found.auc.low:+.4f} to "
        f"{found.auc.high:+.4f}, 95 %)"
    ).replace("-", "\N{MINUS SIGN}")
    if found.fraction_familywise > 0.0:
        return (
            f"The curves differ, p = {p_value(p)}, at {percent(found.fraction_familywise)} of all "
            f"angles; {area}."
        )
    return f"No difference of the curves found, p = {p_value(p)}; {area}."


def family_pictures(study: FamilyStudy, number: int) -> Iterator[Illustration]:
    """Yield the bands of study `number`, then the samples to look at."""
    yield _bands(study, number)
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


def _bands(study: FamilyStudy, number: int) -> Illustration:
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
    return Table(
        caption="Variance of the area by what differs between the samples. Rest: what no factor "
        "names. Estimates may be negative by fluctuation; shares take those as zero. "
        "Total: of one area with all factors drawn anew; the reference is the same for all, and "
        "no part of it.",
        columns=("Family", "Component", "Levels", "Variance", "Standard deviation", "Share"),
        rows=tuple(
            row
            for name, found in zip(study.names, study.variances, strict=True)
            for row in _rows(name, found)
        ),
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
