"""Tables of the physics part: marginals, moments, correlations, selections, constraints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.checks.physics.constraints import ConstraintComparison, Violations
from verisimile.checks.physics.correlations import CorrelationComparison
from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.physics.moments import MOMENTS, MomentComparison
from verisimile.checks.physics.selections import EfficiencyComparison
from verisimile.report.numbers import count, fixed, percent, plain_number, value_and_error
from verisimile.report.page import Table

__all__ = [
    "constraint_table",
    "correlation_table",
    "moment_table",
    "pair_table",
    "selection_table",
]

_NONE = "–"
_PAIRS = 10


def pair_table(marginals: Sequence[MarginalPair]) -> Table:
    """Return one row per feature: chi2, separation, distance, each beside its yardstick."""
    train = any(pair.train is not None for pair in marginals)
    yardstick = ("χ² / dof, training", "Distance, training") if train else ()
    return Table(
        caption="Marginals. χ² of the normalised shapes with full covariance, cells merged to five "
        "effective events; p is not corrected for the number of features. Separation: "
        "½ Σ (r − g)² / (r + g), beside its mean for a perfect generator. Distance: Wasserstein "
        "W₁ in standard deviations of the reference."
        + (" Training: the same for as many training events, the yardstick." if train else ""),
        columns=(
            "Feature",
            "Unit",
            "χ² / dof",
            "p",
            "Separation",
            "Separation, null",
            "Distance",
            *yardstick,
            "Largest pull",
        ),
        rows=tuple(_pair_row(pair, train=train) for pair in marginals),
        words=frozenset({1}),
    )


def _pair_row(pair: MarginalPair, *, train: bool) -> tuple[str, ...]:
    return (
        pair.feature.name,
        pair.feature.unit or _NONE,
        f"{plain_number(pair.chi2, digits=3)} / {pair.dof}",
        _p(pair.p_value),
        plain_number(pair.separation, digits=2),
        plain_number(pair.separation_null, digits=2),
        plain_number(pair.distance, digits=2),
        *(_yardstick(pair) if train else ()),
        _pull(pair),
    )


def _yardstick(pair: MarginalPair) -> tuple[str, str]:
    if pair.train is None:
        return _NONE, _NONE
    return (
        f"{plain_number(pair.train.chi2, digits=3)} / {pair.train.dof}",
        plain_number(pair.train.distance, digits=2),
    )


def _pull(pair: MarginalPair) -> str:
    finite = pair.pulls[np.isfinite(pair.pulls)]
    return _z(float(finite[np.abs(finite).argmax()])) if finite.size else _NONE


def moment_table(found: Sequence[MomentComparison]) -> Table:
    """Return one row per feature: the pulls of four moments, and the means."""
    return Table(
        caption="Moments: generated minus reference over its error (delta method, weights of any "
        "sign). p-values are not corrected for their number: pulls beyond ±3 deserve a look.",
        columns=("Feature", "Mean, reference", "Mean, generated", *(f"z, {m}" for m in MOMENTS)),
        rows=tuple(
            (
                each.feature.name,
                value_and_error(float(each.reference[0]), float(each.reference_error[0])),
                value_and_error(float(each.generated[0]), float(each.generated_error[0])),
                *(_z(float(z)) for z in each.z),
            )
            for each in found
        ),
    )


def correlation_table(found: CorrelationComparison) -> Table:
    """Return the pairs whose correlations differ most."""
    names = [feature.name for feature in found.features]
    rows = []
    for first, second in found.worst(_PAIRS):
        j, k = names.index(first.name), names.index(second.name)
        rows.append(
            (
                f"{first.name}, {second.name}",
                fixed(float(found.reference[j, k]), places=4),
                fixed(float(found.generated[j, k]), places=4),
                value_and_error(
                    float(found.generated[j, k] - found.reference[j, k]), float(found.error[j, k])
                ),
                _z(float(found.z[j, k])),
                _p(float(found.adjusted[j, k])),
            )
        )
    return Table(
        caption=f"Correlations ({found.coefficient}): the pairs that differ most; p is corrected "
        "for all pairs (Holm).",
        columns=("Pair", "Reference", "Generated", "Difference", "z", "p"),
        rows=tuple(rows),
    )


def selection_table(found: Sequence[EfficiencyComparison]) -> Table:
    """Return one row per selection."""
    return Table(
        caption="Efficiencies of selections, with 68 % intervals; p is not corrected here, but "
        "in the summary.",
        columns=("Selection", "Condition", "Reference", "Generated", "Difference", "p", "By"),
        rows=tuple(
            (
                each.name,
                each.condition,
                _efficiency(each.reference.value, each.reference.low, each.reference.high),
                _efficiency(each.generated.value, each.generated.low, each.generated.high),
                value_and_error(each.difference.value, each.difference.error),
                _p(each.p_value),
                each.method,
            )
            for each in found
        ),
        words=frozenset({1, 6}),
    )


def _efficiency(value: float, low: float, high: float) -> str:
    return f"{fixed(value, places=4)} ({fixed(low, places=4)} to {fixed(high, places=4)})"


def constraint_table(found: Sequence[ConstraintComparison]) -> Table:
    """Return one row per constraint: who violates it, how often, by how much."""
    return Table(
        caption="Constraints: events that violate them, with 68 % intervals of the fraction, and "
        "by how much. Those of the reference tell of its precision.",
        columns=("Constraint", "Condition", "Reference", "Generated", "Median size", "Largest"),
        rows=tuple(
            (
                each.name,
                each.constraint,
                _violated(each.reference),
                _violated(each.generated),
                plain_number(each.generated.median, digits=2),
                plain_number(each.generated.largest, digits=2),
            )
            for each in found
        ),
        words=frozenset({1}),
    )


def _violated(found: Violations) -> str:
    return (
        f"{count(found.violated)} of {count(found.n)} ({percent(found.low)} to "
        f"{percent(found.high)})"
    )


def _p(p: float) -> str:
    if np.isnan(p):
        return "NaN"
    # A closed form may underflow; zero is never shown.
    return "< 1e-300" if p <= 0.0 else plain_number(p, digits=2)


def _z(z: float) -> str:
    if np.isnan(z):
        return "NaN"
    # Adding zero makes a positive one of what rounds to a negative one.
    return f"{round(z, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")
