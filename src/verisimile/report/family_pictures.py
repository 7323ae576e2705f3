"""Figures of families of generators with the words that go with them."""

from __future__ import annotations

from collections.abc import Iterator

from verisimile.report.band_figure import band_figure, bound_label, recall_figure
from verisimile.report.content import FamilyStudy
from verisimile.report.numbers import count, fixed, percent
from verisimile.report.page import Illustration
from verisimile.report.radial_figure import radial_figure
from verisimile.report.sample_figure import sample_figure
from verisimile.report.sample_panels import SamplePanel, SamplePanels

__all__ = ["family_pictures"]


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
