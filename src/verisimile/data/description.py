"""What is said of a feature beside its column: by an option, a study file, another sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import get_args

from verisimile.core.errors import require, require_one_of
from verisimile.data.feature import Feature, Kind, TransformName, as_bound


@dataclass(frozen=True, slots=True)
class Description:
    """Parts of a feature's specification; what is None is left to whoever else describes it.

    Parameters
    ----------
    unit, label, kind, low, high, transform
        As of :class:`~verisimile.data.feature.Feature`.

    Examples
    --------
    >>> Description(unit="GeV").onto(Feature("pt", label="$p_T$", low=0.0)).title
    '$p_T$ [GeV]'
    """

    unit: str | None = None
    label: str | None = None
    kind: Kind | None = None
    low: float | None = None
    high: float | None = None
    transform: TransformName | None = None

    def __post_init__(self) -> None:
        for name, words in (("kind", get_args(Kind)), ("transform", get_args(TransformName))):
            require_one_of(getattr(self, name), (None, *words), name)
        for name, unbounded in (("low", -math.inf), ("high", math.inf)):
            bound = getattr(self, name)
            if bound is not None:
                object.__setattr__(self, name, as_bound(bound, name, unbounded))
        if self.low is not None and self.high is not None:
            support = f"the support [{self.low}, {self.high}]"
            require(self.low < self.high, "low, high", got=support, expected="low < high")

    @property
    def stated(self) -> dict[str, str | float]:
        """What is said, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def onto(self, feature: Feature) -> Feature:
        """Return a feature with what is said here instead."""
        return replace(feature, **self.stated)  # type: ignore[arg-type]

    def over(self, other: Description) -> Description:
        """Return both, this one where both say something."""
        return replace(other, **self.stated)  # type: ignore[arg-type]


def agreed(
    first: Mapping[str, Description], second: Mapping[str, Description], names: tuple[str, str]
) -> dict[str, Description]:
    """Return what both say of features, or raise an InputError where they contradict each other.

    `names` are what the user knows them by, such as ``("--feature", "--support")``.
    """
    found = dict(first)
    for name, said in second.items():
        before = found.get(name, Description())
        for part, value in said.stated.items():
            other = before.stated.get(part, value)
            require(
                other == value,
                f"{names[0]} {name}",
                got=f"{part} = {other}, and {value} by {names[1]}",
                expected="no contradiction",
                remedy="Leave one of the two out.",
            )
        found[name] = said.over(before)
    return found


def worded(feature: Feature, others: Sequence[Feature]) -> Feature:
    """Return a feature with the first unit and label that it, or others of the same, state.

    Examples
    --------
    >>> worded(Feature("pt", unit="GeV"), [Feature("pt", label="$p_T$")]).title
    '$p_T$ [GeV]'
    """
    same = (feature, *others)
    unit = next((one.unit for one in same if one.unit), "")
    label = next((one.label for one in same if one.label), "")
    if (unit, label) == (feature.unit, feature.label):
        return feature  # of a hundred thousand most
    return replace(feature, unit=unit, label=label)
