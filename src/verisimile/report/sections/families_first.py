"""Families of generators on the first screen: where they differ, and which is nearer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from verisimile.checks.precision_recall.band import Band
from verisimile.checks.precision_recall.comparison import BandComparison
from verisimile.report.content import FamilyStudy
from verisimile.report.numbers import fixed, p_and_z, plain_number, z_words
from verisimile.report.page import Answer, Illustration, Lead, Question


def family_leads(study: FamilyStudy, bands: Illustration) -> Iterator[Lead]:
    """Yield where two families differ most, then each family; the first has the figure of all."""
    picture: Illustration | None = bands
    if study.comparison is not None:
        yield _angle(study.names, study.comparison, picture)
        picture = None
    for name, band in zip(study.names, study.bands, strict=True):
        yield _beside_perfect(name, band, picture)
        picture = None


def _angle(names: Sequence[str], found: BandComparison, picture: Illustration | None) -> Lead:
    place = int(np.argmin(found.p_familywise))
    degrees = float(np.degrees(found.theta[place]))
    side = "precision" if degrees > 45.0 else "recall"
    nearer = names[0] if found.difference[place] > 0.0 else names[-1]
    return Lead(
        name=f"{' against '.join(names)}, at {degrees:.0f}° ({side})",
        z=math.nan,
        words=f"{nearer} is nearer to the truth there; p = "
        f"{plain_number(float(found.p_familywise[place]), digits=2)} corrected for all angles. "
        f"Whole curves: {p_and_z(found.p_value)}.",
        picture=picture,
        measure=z_words(found.p_value),
        mark="measured",
    )


def _beside_perfect(name: str, band: Band, picture: Illustration | None) -> Lead:
    mean, spread = float(band.auc.mean()), float(band.auc.std(ddof=1))
    perfect = math.nan if band.null is None else float(np.mean(band.null.auc))
    z = (mean - perfect) / spread if spread > 0.0 else math.nan
    said = f"Area {fixed(mean, places=4)}, spread {plain_number(spread, digits=2)}"
    if math.isfinite(z):
        said += (
            f"; a perfect generator has {fixed(perfect, places=4)}. z: {'below' if z < 0 else 'at'}"
            " a perfect one in units of the spread of trainings"
        )
    return Lead(
        name=name,
        z=z,
        words=f"{said}.",
        picture=picture,
        measure=f"area {fixed(mean, places=4)}",
    )


def better_family(names: Sequence[str], found: BandComparison, said: str) -> Answer:
    """Return which of two families is nearer to the truth, with a sentence on the difference."""
    if not found.fraction_familywise > 0.0:
        return Answer(Question.BETTER, "", "No difference found.", said, "measured")
    ahead = names[0] if found.auc.value > 0.0 else names[-1]
    return Answer(Question.BETTER, "", f"{ahead}, by area.", said, "measured")
