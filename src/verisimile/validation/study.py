"""What a validation shall do: the study, checked as a whole before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from verisimile.core.errors import InputError
from verisimile.data.expressions import Condition, Expression
from verisimile.data.periods import periods
from verisimile.validation.catalogue import DEFAULT, NAMES

__all__ = ["Battery", "Samples", "Study", "Threshold"]


def _parsed(
    texts: Mapping[str, str], kind: type[Expression] | type[Condition]
) -> Mapping[str, str]:
    """Return the expressions, or raise for all that cannot be parsed, together."""
    faults = []
    for name, text in texts.items():
        try:
            kind(text)
        except InputError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise ValueError("; ".join(faults))
    return texts


# Validators are of single fields where they can be: one of a whole table would be silent
# until all its fields are right, and all faults are to be told at once.
class _Part(BaseModel):
    """A table of the study file: unknown keys are faults, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Part):
    """Bounds of a named number of the result, such as ``auc`` or ``chi2/m_ll``.

    Attributes
    ----------
    min, max
        The number fails below and above them; one of them may be left out.
    """

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Samples(_Part):
    """Which files are compared, and what of them.

    Attributes
    ----------
    reference, generated, train
        Files of events; the command line may give them instead.
    features
        Columns to compare; all numeric ones if none are named.
    weights
        Column of event weights.  A file that has no such column is unweighted.
    group
        Column that says which rows belong to one physics event.  The rows of a file that
        has no such column are independent.
    periodic
        Features that come round, as an angle does, each ``"phi"`` with the period 2π or
        ``"angle=0:360"`` with another one.
    cut
        Condition that events of all samples must fulfil.
    """

    reference: str | None = None
    generated: str | None = None
    train: str | None = None
    features: tuple[str, ...] | None = None
    weights: str | None = None
    group: str | None = None
    periodic: tuple[str, ...] = ()
    cut: str | None = None

    @field_validator("periodic")
    @classmethod
    def _turns(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        try:
            periods(texts)
        except InputError as error:
            raise ValueError(f"{error}") from None
        return texts

    @field_validator("features")
    @classmethod
    def _some(cls, features: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if features is not None and not features:
            raise ValueError("an empty list: name some, or leave it out for all")
        return features

    @field_validator("cut")
    @classmethod
    def _condition(cls, cut: str | None) -> str | None:
        try:
            return cut if cut is None else Condition(cut).text
        except InputError as error:
            raise ValueError(f"{error}") from None


class Battery(_Part):
    """Which tests are made.

    Attributes
    ----------
    tests
        Names of two-sample tests, of the classifier included.
    required
        Those without which there is no verdict.
    relabelings
        Of each permutation test: p-values are multiples of 1/(relabelings + 1).
    exchangeable_weights
        Whether one law made the weights of both samples: events are then relabeled with
        their weights.  Otherwise the null of weighted samples is a multiplier bootstrap.
    learner
        The classifier: gradient-boosted trees, or a multilayer perceptron.
    sensitivity
        Whether the smallest effects that each test would have seen are estimated.
    physics, support
        Whether marginals, moments, correlations, and the support metrics are made.
    """

    tests: tuple[str, ...] = DEFAULT
    required: tuple[str, ...] = ()
    relabelings: Annotated[int, Field(ge=19, le=1_000_000)] = 999
    exchangeable_weights: bool = False
    learner: Literal["trees", "perceptron"] = "trees"
    sensitivity: bool = True
    physics: bool = True
    support: bool = True

    @field_validator("tests", "required")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(names) - set(NAMES))
        if unknown:
            raise ValueError(
                f"no test is called {', '.join(unknown)}; there are {', '.join(NAMES)}"
            )
        if len(set(names)) < len(names):
            raise ValueError("a test is named twice")
        return names

    @field_validator("required")
    @classmethod
    def _asked_for(cls, required: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        absent = sorted(set(required) - set(info.data.get("tests", required)))
        if absent:
            raise ValueError(f"required, but not among the tests: {', '.join(absent)}")
        return required


class Study(_Part):
    """A validation study; :func:`~verisimile.validation.study_file.read_study` reads one.

    Attributes
    ----------
    title
        Heading of the report.
    level
        Probability that a perfect generator fails the statistical verdict.
    seed
        Entropy of all random streams.
    samples, battery
        What is compared, and how.
    observables
        Further columns, each an expression of the files' columns.
    functions
        A Python file whose public functions are further columns.  It is run.
    selections
        Named conditions whose efficiencies are compared.
    constraints
        Named conditions that every event must fulfil.
    thresholds
        Bounds of named numbers of the result.
    """

    title: str = "Validation"
    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    seed: Annotated[int, Field(ge=0)] = 2026
    samples: Samples = Samples()
    battery: Battery = Battery()
    observables: Mapping[str, str] = {}
    functions: str | None = None
    selections: Mapping[str, str] = {}
    constraints: Mapping[str, str] = {}
    thresholds: Mapping[str, Threshold] = {}

    @field_validator("observables")
    @classmethod
    def _expressions(cls, texts: Mapping[str, str]) -> Mapping[str, str]:
        return _parsed(texts, Expression)

    @field_validator("selections", "constraints")
    @classmethod
    def _conditions(cls, texts: Mapping[str, str]) -> Mapping[str, str]:
        return _parsed(texts, Condition)
