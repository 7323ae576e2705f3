"""Families of generators on the page: precision–recall bands, and their comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.tracing import BOUND, EXACT
from verisimile.report.band_figure import bound_label
from verisimile.report.content import FamilyStudy
from verisimile.report.family_pictures import family_pictures
from verisimile.report.family_verdict import FamilyFinding
from verisimile.report.numbers import count, fixed, percent, plain_number, value_and_error
from verisimile.report.page import Section, Table
from verisimile.report.variance_table import variance_table

__all__ = ["family_section", "family_summary", "family_table"]


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
