"""The numbers of a validation by name, for thresholds and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from verisimile.checks.classifier.diagnosis import ClassifierDiagnosis
from verisimile.checks.support.study import Support
from verisimile.checks.twosample.result import TwoSample
from verisimile.core.result import Estimate
from verisimile.validation.battery import BatteryOutcome
from verisimile.validation.physics import Physics
from verisimile.validation.samples import Overlap


def metrics_of(
    tested: BatteryOutcome,
    support: Support | None,
    physics: Physics | None,
    overlaps: tuple[Overlap, ...],
) -> dict[str, Estimate]:
    """Return every number that a threshold may name, with its error where it has one."""
    found: dict[str, Estimate] = {}
    if tested.p_value is not None:
        found["p"] = Estimate(tested.p_value.value, math.nan)
    found |= dict(_distances(tested.permuted))
    if tested.classifier is not None:
        found |= dict(_classifier(tested.classifier))
    if support is not None:
        found |= {metric.name: metric.value for metric in support.metrics}
    if physics is not None:
        found |= dict(_physics(physics))
    for each in overlaps:
        name = f"overlap/{each.first}-{each.second}"
        before = found[name].value if name in found else 0.0
        found[name] = Estimate(before + each.fraction, 0.0)
    return found


def _distances(permuted: Mapping[str, TwoSample]) -> Iterator[tuple[str, Estimate]]:
    for name, result in permuted.items():
        yield name, Estimate(result.observed, result.null_sd)
    if "frechet" in permuted:
        details = permuted["frechet"].details
        yield (
            "frechet/extrapolated",
            Estimate(
                details.get("extrapolated", math.nan), details.get("extrapolated error", math.nan)
            ),
        )
    if "energy" in permuted:
        value = permuted["energy"].details.get("n_equiv", math.nan)
        yield "n_equiv", Estimate(value, math.nan)


def _classifier(found: ClassifierDiagnosis) -> Iterator[tuple[str, Estimate]]:
    yield "auc", found.auc
    yield "effective-fraction", Estimate(found.effective_fraction, math.nan)


def _physics(physics: Physics) -> Iterator[tuple[str, Estimate]]:
    for pair in physics.marginals:
        name = pair.feature.name
        yield f"chi2/{name}", Estimate(pair.chi2 / max(pair.dof, 1), math.nan)
        yield f"separation/{name}", Estimate(pair.separation, math.nan)
        yield f"wasserstein/{name}", Estimate(pair.distance, math.nan)
    for selection in physics.selections:
        yield f"efficiency/{selection.name}", selection.difference
    for law in physics.constraints:
        yield f"violated/{law.name}", Estimate(law.generated.fraction, math.nan)
