"""Where the spread of a family's areas comes from, in a table and in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from verisimile.checks.precision_recall.variance import VarianceParts
from verisimile.core.result import Estimate
from verisimile.report.content import FamilyStudy
from verisimile.report.numbers import count, percent, plain_number
from verisimile.report.page import Table

__all__ = ["variance_sentence", "variance_table"]

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
