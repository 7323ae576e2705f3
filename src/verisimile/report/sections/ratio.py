"""Weights of an ensemble of density ratios."""

from __future__ import annotations

from typing import ClassVar

from verisimile.mixture.ratio_fit import RatioFit
from verisimile.report.numbers import count, plain_number
from verisimile.report.section import Section, takes


@takes(RatioFit)
class Ratios(Section[RatioFit]):
    """Fits of density ratios: sizes, and how far the weights can be trusted."""

    title = "Density ratios"
    text = "Weights of classifiers' density ratios, of mean one over the generated events."
    question = "weights of the ratios"
    caption = "Sum of moduli: one if all weights are positive."
    columns: ClassVar = {
        "Members": lambda r: count(r.weights.size),
        "Reference events": lambda r: count(r.n_reference),
        "Generated events": lambda r: count(r.n_generated),
        "Sum of moduli": lambda r: plain_number(r.record.l1_norm, digits=3),
        "Largest error": lambda r: plain_number(float(r.errors.max()), digits=2),
    }
