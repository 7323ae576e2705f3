"""How much of a generator's area is of its finite evaluation, from half the events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.checks.precision_recall.area import curve_area
from verisimile.checks.precision_recall.best import BestScore
from verisimile.checks.precision_recall.curve import traced
from verisimile.checks.precision_recall.samples import Sample
from verisimile.checks.precision_recall.scores import Score
from verisimile.checks.precision_recall.swapped import Traced
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds

_FEWEST = 160


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Variances of one area.

    Attributes
    ----------
    generated
        Of the finite generated sample and of random halves; one reference.
    reference
        Of the finite reference; NaN where only the other was asked for.
    """

    generated: float
    reference: float


def evaluation_variances(  # noqa: PLR0913  (samples, their curve, how it was traced)
    seeds: Seeds,
    truth: Sample,
    fake: Sample,
    curve: Traced,
    *,
    score: Score | BestScore,
    splits: int,
    theta: Array,
    with_reference: bool,
) -> Evaluation:
    r"""Return the variances of an area, from areas A of halves of the two samples.

    .. math:: v = r \left\langle \tfrac12 (A_{1b} - A_{2b})^2 \right\rangle_b, \qquad
              r = \min\left(\frac12, \frac{h^2}{h_\mathrm{half}^2}\right)

    with halves of the generated sample first, h the error with the scores held, and the mean over
    halves b of the reference (one, if its own variance is not wanted).  Noisy for
    one generator, right within about a fifth in the mean over a family; the spread over smaller
    pieces is not, where the neighbours of a piece see less than those of the whole.  NaN below
    160 events.
    """
    if not score.learns:
        return Evaluation(curve.errors[1] ** 2, curve.errors[0] ** 2)
    if min(len(truth.x), len(fake.x)) < _FEWEST:
        return Evaluation(math.nan, math.nan)
    at = seeds.at("halves")
    references = truth.parts(at.at("reference").numpy(), 2)[: 2 if with_reference else 1]
    halves = [
        [
            traced(at.at(a, b), true, made, score=score, splits=splits, theta=theta)
            for b, true in enumerate(references)
        ]
        for a, made in enumerate(fake.parts(at.at("generated").numpy(), 2))
    ]
    areas = np.array([[curve_area(each.radii, theta) for each in row] for row in halves])
    held = np.mean([[np.square(each.errors) for each in row] for row in halves], axis=(0, 1))
    of_true, of_fake = (
        min(0.5, error**2 / part) if part else 0.5
        for error, part in zip(curve.errors, held, strict=True)
    )
    generated = 0.5 * float(np.square(areas[0] - areas[1]).mean())
    return Evaluation(
        of_fake * generated, of_true * _reference(areas) if with_reference else math.nan
    )


def _reference(areas: Array) -> float:
    """Return the variance over halves of the reference, interaction and random halves taken off."""
    rest = 0.25 * float(areas[0, 0] - areas[0, 1] - areas[1, 0] + areas[1, 1]) ** 2
    return 0.5 * float(np.square(areas[:, 0] - areas[:, 1]).mean()) - rest
