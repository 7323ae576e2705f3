"""One result of every registered kind that a user can hold: those of functions, and their parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

import verisimile as vs
from analytic import draw, family, log_densities
from report_values import make_content, make_surprise
from result_kinds import MADE, RUN
from verisimile.checks.physics.constraints import ConstraintComparison, Violations
from verisimile.checks.physics.selections import Efficiency, EfficiencyComparison
from verisimile.checks.precision_recall.bound import AreaLearningCurve
from verisimile.core.result import Estimate, schema_of
from verisimile.data.feature import Feature
from verisimile.report.content import (
    FamilyStudy,
    NamedAmplification,
    NamedValidation,
    UnfinishedStage,
)


@cache
def made(kind: str) -> tuple[object, ...]:
    """Return the results of a kind, made once; two may be of one class."""
    found = MADE[kind]()
    return tuple(found) if isinstance(found, tuple | list) else (found,)


@cache
def examples() -> dict[type, object]:
    """Return a result of each registered class that results of functions are, or hold."""
    found: dict[type, object] = {}
    whole = [one for kind in MADE for one in made(kind)]
    for one in (*whole, *_further()):
        for part in _parts(one):
            found.setdefault(type(part), part)
    return found


def _further() -> Iterator[object]:
    """Yield what a mixture and a report have, and parts that small results lack."""
    yield histogram()
    yield UnfinishedStage("gof", "fewer than 20 events")
    yield _mixture().draw(200, RUN).audit
    yield make_content()
    yield make_surprise()
    yield NamedValidation("tune", made("Validation")[0])  # type: ignore[arg-type]
    yield NamedAmplification("flow", made("AmplificationStudy")[0])  # type: ignore[arg-type]
    yield FamilyStudy(("first", "second"), made("Band"))  # type: ignore[arg-type]
    yield AreaLearningCurve(
        np.array([100.0, 200.0, 400.0]),
        np.array([0.9, 0.88, 0.87]),
        True,
        0.02,
        Estimate(0.86, 0.01),
    )
    kept = Efficiency(0.5, 0.45, 0.55, 0.05, 50, 100)
    yield EfficiencyComparison("m > 80", "m > 80", kept, kept, Estimate(0.0, 0.07), 0.0, 1.0, "z")
    broken = Violations(100, 2, 0, 0.005, 0.06, 0.02, 0.1, 0.4, 100, 2)
    yield ConstraintComparison("energy", "e > 0", broken, broken, 1.0, "Fisher")


@cache
def histogram() -> object:
    """Return the marginal of a small mixture."""
    return _mixture().histogram(np.linspace(-3.0, 3.0, 7), feature="m", run=RUN, draws=200)


@cache
def _mixture() -> vs.Mixture:
    members = family(3)
    data = draw(members, np.array([0.5, 0.3, 0.2]), 300, np.random.default_rng(51))
    fit = vs.fit_weights(log_densities(members, data))
    return vs.Mixture(members, fit, features=(Feature("m", unit="GeV"), Feature("pt")))


def _parts(value: object) -> Iterator[object]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if schema_of(type(value)) is not None:
            yield value
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _parts(one)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _parts(one)
