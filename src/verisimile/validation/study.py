"""What a validation shall do: the study, checked as a whole before anything is read."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from verisimile.checks.twosample.statistics.protocol import entries
from verisimile.core.errors import InputError
from verisimile.data.derived import functions_of, periods
from verisimile.data.description import Description
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Expression, Quantity
from verisimile.data.feature import suggestion
from verisimile.data.request import Missing
from verisimile.validation.descriptions import all_descriptions
from verisimile.validation.study_file import read_tables


def computed_columns(study: Study) -> dict[str, Quantity]:
    """Return the study's further columns: its expressions, then the functions of its file.

    Raises
    ------
    InputError
        If the file cannot be run.
    """
    columns: dict[str, Quantity] = {
        name: Expression(text) for name, text in study.observables.items()
    }
    return columns if study.functions is None else columns | functions_of(study.functions)


def conditions(texts: Mapping[str, str]) -> dict[str, Condition]:
    """Return named conditions of events."""
    return {name: Condition(text) for name, text in texts.items()}


def needed_columns(study: Study, *, cut: bool = True) -> list[str] | None:
    """Return the columns to read, None for all.

    A study that names its features also needs what its further columns and its conditions are made
    of, and its cut unless that is applied when files are read.
    """
    if study.samples.features is None:
        return None
    computed = computed_columns(study)
    named = study.samples.named
    named += [name for each in computed.values() for name in each.names]
    named += [name for each in _all_conditions(study, cut=cut) for name in each.names]
    named = [name for name in named if name not in computed]
    return list(dict.fromkeys(named))


def columns_to_compare(events: Events, study: Study) -> Events:
    """Return extended events with the columns that are compared: features, then computed ones."""
    if study.samples.features is None:
        return events
    return events.select([*study.samples.named, *computed_columns(study)])


def _all_conditions(study: Study, *, cut: bool) -> list[Condition]:
    texts = [*study.selections.values(), *study.constraints.values()]
    if cut and study.samples.cut is not None:
        texts.append(study.samples.cut)
    return [Condition(text) for text in texts]


CLASSIFIER = "classifier"

NAMES = (*entries(), CLASSIFIER)


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
class _StudyTable(BaseModel):
    """A table of the study file: unknown keys are faults, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_StudyTable):
    """Bounds of a named number of the result, such as ``auc`` or ``chi2/m_ll``.

    Attributes
    ----------
    min, max
        The number fails below and above them; one of them may be left out.

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.Threshold(max=2.0)
    Threshold(min=None, max=2.0)
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


class Samples(_StudyTable):
    """Which files are compared, and what of them.

    Attributes
    ----------
    reference, generated, train
        Files of events; the command line may give them instead.  The generated one may be a
        model in a Python file, ``model.py:my_sampler``, which is run.
    size
        Events to draw of such a model; as many as the reference has by default.
    features
        Columns to compare; all numeric ones if none are named.
    ignore
        Columns to leave out, whatever they hold; of the files that have them.
    missing
        ``refuse`` rows without a value, or ``drop`` and count them; whether the samples lose
        different fractions of their rows is then tested.
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
    size: Annotated[int, Field(ge=1)] | None = None
    features: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    missing: Missing = "refuse"
    weights: str | None = None
    group: str | None = None
    periodic: tuple[str, ...] = ()
    cut: str | None = None

    @property
    def named(self) -> list[str]:
        """The features that are named and not ignored."""
        return [name for name in self.features or () if name not in self.ignore]

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


class Battery(_StudyTable):
    """Which tests are made.

    Attributes
    ----------
    tests
        Names of two-sample tests, of the classifier included.
    required
        Those without which there is no verdict.
    permutations
        Of each permutation test: p-values are multiples of 1/(permutations + 1).  A file may
        also say relabelings, as it was once called.
    exchangeable_weights
        Whether one law made the weights of both samples: events are then relabeled with
        their weights.  Otherwise the null of weighted samples is a multiplier bootstrap.
    learner
        The classifier: gradient-boosted trees, or a multilayer perceptron.
    sensitivity
        Whether the smallest effects that each test would have seen are estimated.
    physics, support
        Whether marginals, moments, correlations, and the support metrics are made.

    Examples
    --------
    >>> import verisimile as vs
    >>> quick = vs.Battery(tests=("energy", "interval-scan"), permutations=199)
    >>> vs.Study(battery=quick).battery.tests
    ('energy', 'interval-scan')
    """

    tests: tuple[str, ...] = NAMES
    required: tuple[str, ...] = ()
    permutations: Annotated[
        int,
        Field(ge=19, le=1_000_000, validation_alias=AliasChoices("permutations", "relabelings")),
    ] = 999
    exchangeable_weights: bool = False
    learner: Literal["trees", "perceptron"] = "trees"
    sensitivity: bool = True
    physics: bool = True
    support: bool = True

    @field_validator("tests", "required")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = (*entries(), CLASSIFIER)
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise ValueError(
                f"no test is called {', '.join(unknown)}; there are {', '.join(known)}"
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


class Study(_StudyTable):
    """A validation study; :func:`~verisimile.validation.study.read_study` reads one.

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
    features
        What is said of columns: any of unit, label, kind, low, high and transform, which go
        before those that the files carry.

    Examples
    --------
    >>> import verisimile as vs
    >>> peak = {"peak": "abs(m_ll - 91.2) < 5"}
    >>> study = vs.Study(selections=peak, thresholds={"auc": vs.Threshold(max=0.52)})
    >>> study.thresholds["auc"].max
    0.52
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
    features: Mapping[str, Description] = {}

    @field_validator("features")
    @classmethod
    def _consistent(
        cls, features: Mapping[str, Description], info: ValidationInfo
    ) -> Mapping[str, Description]:
        # Faults of the samples' own table are told there.
        samples = info.data.get("samples", Samples())
        all_descriptions(features, samples.periodic)
        return features

    @field_validator("observables")
    @classmethod
    def _expressions(cls, texts: Mapping[str, str]) -> Mapping[str, str]:
        return _parsed(texts, Expression)

    @field_validator("selections", "constraints")
    @classmethod
    def _conditions(cls, texts: Mapping[str, str]) -> Mapping[str, str]:
        return _parsed(texts, Condition)


_PARTS: Mapping[str, Collection[str]] = {
    "": Study.model_fields,
    "samples": Samples.model_fields,
    "battery": Battery.model_fields,
    "thresholds": Threshold.model_fields,
    "features": [part.name for part in fields(Description)],
}


def read_study(path: str | os.PathLike[str]) -> Study:
    """Return the study that a file describes.

    Parameters
    ----------
    path
        A ``.toml``, ``.yaml`` or ``.yml`` file with the fields of :class:`Study`.
        Paths of samples in it are relative to the folder of the file.

    Raises
    ------
    InputError
        If the file is missing or cannot be parsed, or naming *all* keys and values
        that are wrong.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import verisimile as vs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "study.toml"
    ...     _ = file.write_text("battery = {permutations = 199}")
    ...     study = vs.read_study(file)
    >>> study.battery.permutations
    199
    """
    file = Path(path)
    values = read_tables(file)
    study = checked_study(values, where=str(file))
    return _resolved(study, file.parent)


def checked_study(values: Mapping[str, object], *, where: str = "study") -> Study:
    """Return the study of nested tables.

    Raises
    ------
    InputError
        Naming all faults.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        faults = [_fault_text(fault) for fault in error.errors(include_url=False)]
        raise InputError(
            where,
            got=f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}: {'; '.join(faults)}",
            expected="a study as docs/validate.md describes it",
        ) from None


def _fault_text(fault: ErrorDetails) -> str:
    place = [str(word) for word in fault["loc"]]
    name = ".".join(place) or "study"
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{name}: unknown key. {_nearest(place)}".rstrip()
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in ("missing", "value_error"):
        return f"{name}: {message}"
    return f"{name}: {message}, got {fault['input']!r}"


def _nearest(place: Sequence[str]) -> str:
    part = _PARTS.get(place[0] if len(place) > 1 else "")
    return suggestion(place[-1], part) if part else ""


def _resolved(study: Study, folder: Path) -> Study:
    """Return the study with its paths taken from the folder of its file."""
    samples = {
        role: str(folder / uri)
        for role in ("reference", "generated", "train")
        if (uri := getattr(study.samples, role)) is not None
    }
    return study.model_copy(
        update={
            "samples": study.samples.model_copy(update=samples),
            "functions": None if study.functions is None else str(folder / study.functions),
        }
    )
