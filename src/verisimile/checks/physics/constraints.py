"""Laws that every event must obey: how often and by how much they are violated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.physics.selections import flagged_groups, rate_p_value
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Expression
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.weighted import match_columns, shares
from verisimile.stats.intervals import clopper_pearson


@dataclass(frozen=True, slots=True)
class Vanishes:
    """A constraint: an expression that is zero within a tolerance.

    Parameters
    ----------
    expression
        A number per event.
    tolerance
        Largest modulus allowed, in units of the expression; finite.
    """

    expression: Expression
    tolerance: float

    def __post_init__(self) -> None:
        fine = 0.0 <= self.tolerance < math.inf
        require(fine, "tolerance", got=self.tolerance, expected="a finite number >= 0")

    @property
    def text(self) -> str:
        """How it is written."""
        return f"abs({self.expression.text}) <= {self.tolerance:g}"


@register("constraint-violations", 1)
@dataclass(frozen=True, slots=True)
class Violations(Result):
    """One constraint's violations in one sample.

    Attributes
    ----------
    n, violated
        Numbers of events, and of those that violate it or where it is undefined.
    undefined
        Events where it is undefined, such as the root of a negative number.
    low, high
        Clopper–Pearson interval, 68.27 %, of the fraction of events.
    weighted
        Fraction of the weight; that of the events without weights.
    n_groups, violated_groups
        The numbers of groups, and of those with an event that violates it; of events where
        they stand alone.
    median, largest
        Size of the violations: the modulus of what should vanish, or by how much an
        inequality fails; NaN without any, and for conditions without a size.
    """

    n: int
    violated: int
    undefined: int
    low: float
    high: float
    weighted: float
    median: float
    largest: float
    n_groups: int = 0
    violated_groups: int = 0

    @property
    def fraction(self) -> float:
        """Fraction of the events, weights aside."""
        return self.violated / self.n


@register("constraint-comparison", 1)
@dataclass(frozen=True, slots=True)
class ConstraintComparison(Result):
    """One constraint in the reference and in the generated sample.

    Attributes
    ----------
    reference, generated
        Violations in either sample.  Those of the reference tell of its precision.
    p_value, method
        Of equal rates, and how it was made:
        :func:`~verisimile.checks.physics.selections.rate_p_value`.
    """

    name: str
    constraint: str
    reference: Violations
    generated: Violations
    p_value: float = math.nan
    method: str = ""

    def __repr__(self) -> str:
        size = self.generated.largest
        most = f", at most by {size:.3g}" if not math.isnan(size) else ""
        return (
            f"ConstraintComparison({self.name}: violated by {self.reference.fraction:.3g} of the "
            f"reference, {self.generated.fraction:.3g} of the generated events{most})"
        )


def violations(
    reference: EventsLike, generated: EventsLike, constraints: Mapping[str, Condition | Vanishes]
) -> tuple[ConstraintComparison, ...]:
    """Count the events of both samples that violate constraints, and measure by how much.

    Each constraint has a name, and is a condition or an expression that must vanish.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    samples = (reference, match_columns(reference, generated))
    found = []
    for name, law in constraints.items():
        first, second = (violations_of(one, law) for one in samples)
        p, method = rate_p_value(samples, [_broken(one, law)[0] for one in samples])
        found.append(ConstraintComparison(name, law.text, first, second, p, method))
    return tuple(found)


def violations_of(events: Events, constraint: Condition | Vanishes) -> Violations:
    """Return one constraint's violations in one sample."""
    bad, size = _broken(events, constraint)
    undefined = np.isnan(size) if isinstance(constraint, Vanishes) else constraint.undefined(events)
    sizes = size[bad & ~np.isnan(size)]
    count = int(bad.sum())
    low, high = clopper_pearson(count, events.n)
    return Violations(
        n=events.n,
        violated=count,
        undefined=int(undefined.sum()),
        low=low,
        high=high,
        weighted=count / events.n if events.weights is None else float(shares(events)[bad].sum()),
        median=float(np.median(sizes)) if sizes.size else math.nan,
        largest=float(sizes.max()) if sizes.size else math.nan,
        n_groups=events.n_groups,
        violated_groups=flagged_groups(events, bad),
    )


def _broken(events: Events, constraint: Condition | Vanishes) -> tuple[BoolArray, Array]:
    """Return which events violate a constraint ``(n,)``, and the sizes ``(n,)``, NaN if none."""
    if isinstance(constraint, Vanishes):
        size = np.abs(constraint.expression.of(events, finite=False))
        # Written so that NaN, which compares false to everything, is a violation.
        return ~(size <= constraint.tolerance), size
    excess = constraint.excess(events)
    size = np.full(events.n, math.nan) if excess is None else excess
    return ~constraint.of(events, defined=False), size
