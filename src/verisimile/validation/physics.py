"""The physicist's part of a validation: marginals, moments, correlations, selections."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.checks.physics.constraints import ConstraintComparison, violations
from verisimile.checks.physics.correlations import CorrelationComparison, correlations
from verisimile.checks.physics.histograms import MarginalPair, PairMap, marginal_pair, pair_map
from verisimile.checks.physics.moments import MomentComparison, moments
from verisimile.checks.physics.selections import EfficiencyComparison, efficiencies
from verisimile.core.result import register
from verisimile.data.feature import Feature
from verisimile.stats.pvalues import PValue
from verisimile.validation.samples import Inputs
from verisimile.validation.study import Study, conditions

_PLANES = 2
_MOST_BINS, _PER_CELL = 15, 25  # along each axis, events of a cell


@register("physics", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Physics:
    """What a physicist looks at first.

    Attributes
    ----------
    marginals
        One comparison per feature.
    moments
        Four moments per feature.
    correlations
        All pairs; None for a single feature.
    planes
        Maps of the pairs whose correlations differ most.
    selections
        Efficiencies in both samples.
    constraints
        Violations in both samples.
    """

    marginals: tuple[MarginalPair, ...]
    moments: tuple[MomentComparison, ...]
    correlations: CorrelationComparison | None
    planes: tuple[PairMap, ...]
    selections: tuple[EfficiencyComparison, ...]
    constraints: tuple[ConstraintComparison, ...]


def physics_of(inputs: Inputs, study: Study) -> Physics:
    """Compare what a physicist looks at first; selections and constraints as the study has them.

    Raises
    ------
    InputError
        If a condition cannot be evaluated.
    """
    reference, generated = inputs.reference, inputs.generated
    related = correlations(reference, generated) if reference.d > 1 else None
    worst = () if related is None else _planes(related, reference.names)
    ours, theirs = inputs.conditioned
    bins = _bins(min(reference.n, generated.n))
    return Physics(
        marginals=marginal_pair(reference, generated, train=inputs.train),
        moments=moments(reference, generated),
        correlations=related,
        planes=tuple(pair_map(reference, generated, (a.name, b.name), bins=bins) for a, b in worst),
        selections=efficiencies(ours, theirs, conditions(study.selections)),
        constraints=violations(ours, theirs, conditions(study.constraints)),
    )


def _planes(
    related: CorrelationComparison, names: tuple[str, ...]
) -> tuple[tuple[Feature, Feature], ...]:
    """Return the pairs of columns that differ most; an angle's cosine is no column."""
    pairs = related.worst(len(related.features) ** 2)
    return tuple(pair for pair in pairs if all(one.name in names for one in pair))[:_PLANES]


def _bins(events: int) -> int:
    return int(np.clip(math.sqrt(events / _PER_CELL), 2, _MOST_BINS))


def further_p_values(physics: Physics) -> dict[str, PValue]:
    """Return the p-values of the study's own selections and constraints, by their names."""
    found = {f"selection {each.name}": (each.p_value, each.method) for each in physics.selections}
    found |= {
        f"constraint {each.name}": (each.p_value, each.method) for each in physics.constraints
    }
    return {
        name: PValue(value=p, low=p, high=p, null=method, n_null=0, n_failed=0)
        for name, (p, method) in found.items()
        if not math.isnan(p)
    }
