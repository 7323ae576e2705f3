"""Figures of what a report arranges: named studies, samples, families of generators."""

from __future__ import annotations

from matplotlib.axes import Axes

from verisimile.core.errors import InputError
from verisimile.report.content import (
    FamilyStudy,
    NamedAmplification,
    NamedValidation,
    SampleResult,
)
from verisimile.report.drawing import draw, draws
from verisimile.report.sections.family_figures import plot_bands


@draws(NamedAmplification, NamedValidation, SampleResult)
def plot_named(
    result: NamedAmplification | NamedValidation | SampleResult, *, ax: Axes | None = None
) -> Axes:
    """Draw the result that has a name: of a tested sample the last hypothesis."""
    if isinstance(result, NamedValidation):
        return draw(result.validation, ax=ax)
    if isinstance(result, NamedAmplification):
        return draw(result.study, ax=ax)
    if not result.goodness:
        raise InputError("result", got=f"{result.name}, not tested", expected="a tested sample")
    return draw(result.goodness[-1], ax=ax)


@draws(FamilyStudy)
def plot_families(result: FamilyStudy, *, ax: Axes | None = None) -> Axes:
    """Draw the bands of one or two families along rays from the origin."""
    return plot_bands(dict(zip(result.names, result.bands, strict=True)), ax=ax)
