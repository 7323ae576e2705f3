"""One result of every registered kind that a user can hold: those of functions, and their parts."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import get_args, get_type_hints

import numpy as np

import verisimile as vs
from analytic import draw, family, log_densities
from report_values import make_content, make_surprise
from result_kinds import MADE, RUN
from verisimile.checks.amplification.analytic import analytic, analytic_observables
from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.amplification.calibrated_errors import calibrate_errors
from verisimile.checks.amplification.kolmogorov import kolmogorov
from verisimile.checks.amplification.quadratic import quadratic
from verisimile.checks.amplification.quantile import quantile
from verisimile.checks.physics.constraints import ConstraintComparison, Violations
from verisimile.checks.physics.selections import Efficiency, EfficiencyComparison
from verisimile.checks.precision_recall.bound import AreaLearningCurve
from verisimile.core.result import Estimate, schema_of
from verisimile.data.feature import Feature
from verisimile.report.content import FamilyStudy, NamedAmplification, NamedValidation

MEASURES = (
    analytic, analytic_observables, averaging, calibrate_errors, kolmogorov, quadratic, quantile,
)  # fmt: skip
ROOMS = (
    "amplification", "classifier", "coverage", "goodness", "known_truth", "posterior", "ratings",
    "precision_recall", "support", "twosample",
)  # fmt: skip


def public_kinds() -> set[type]:
    """Return the registered classes that are public, or that public functions return."""
    rooms = [vs, *(import_module(f"verisimile.checks.{room}") for room in ROOMS)]
    public = [getattr(room, name) for room in rooms for name in getattr(room, "__all__", ())]
    methods = (each for kind in filter(inspect.isclass, public) for each in _methods(kind))
    functions: list[types.FunctionType] = [
        *filter(inspect.isfunction, (*public, *MEASURES)),
        *methods,
    ]
    returned = (leaf for f in functions for leaf in leaves(_returned(f)))
    classes = filter(inspect.isclass, (*public, *returned))
    return {kind for kind in classes if schema_of(kind) is not None}


def _methods(kind: type) -> Iterator[types.FunctionType]:
    """Yield the public methods of a public class, and what makes its properties."""
    for name, member in inspect.getmembers(kind):
        function = member.fget if isinstance(member, property) else member
        if not name.startswith("_") and inspect.isfunction(function):
            yield function


def _returned(function: types.FunctionType) -> object:
    """Return the annotation of what a function returns, its other ones left unread."""
    hint = function.__annotations__.get("return")
    only = types.FunctionType(function.__code__, function.__globals__)
    only.__annotations__ = {"return": hint}
    try:
        return get_type_hints(only).get("return")
    except NameError:  # named for the type checker alone: arrays, tensors
        return None


def leaves(hint: object) -> Iterator[object]:
    """Yield the classes that an annotation is made of."""
    arguments = get_args(hint)
    if not arguments:
        yield hint
    for argument in arguments:
        yield from leaves(argument)


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
    members = family(3)
    data = draw(members, np.array([0.5, 0.3, 0.2]), 300, np.random.default_rng(51))
    fit = vs.fit_weights(log_densities(members, data))
    mixture = vs.Mixture(members, fit, features=(Feature("m", unit="GeV"), Feature("pt")))
    return mixture.histogram(np.linspace(-3.0, 3.0, 7), feature="m", run=RUN, draws=200)


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
