"""What a column is: its name, unit, kind, support and transform."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, cast, get_args

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError

Kind = Literal["continuous", "discrete", "periodic", "spike-at-zero"]
TransformName = Literal["auto", "identity", "log", "logit", "probit"]

# Differences of a bound with any finite double then stay finite.
_LARGEST_BOUND = 1e100
_BOUNDS_NEEDED = {"log": 1, "logit": 2, "probit": 2}


@dataclass(frozen=True, slots=True)
class Feature:
    r"""The specification of one feature.

    Parameters
    ----------
    name
        Column name; columns are matched by it everywhere.
    unit
        Unit of the values, for axes and for guarding against GeV versus MeV.
    label
        Text for axes; LaTeX between dollars is understood by the figures.
    kind
        ``continuous``, ``discrete``, ``periodic`` or ``spike-at-zero``.
    low, high
        Closed support ``[low, high]``; infinite where there is no edge.  Of a periodic
        feature it is one period, whose ends are the same place; without both bounds the
        feature is an angle in radians.
    transform
        How a density estimator unfolds the support.  ``auto``: probit between
        two bounds, log beside one, identity without any (and for discrete
        features).

    Raises
    ------
    InputError
        If the bounds are out of order, or do not fit the transform.

    Examples
    --------
    >>> Feature("pt", unit="GeV", label=r"$p_T$", low=0.0).title
    '$p_T$ [GeV]'
    """

    name: str
    unit: str = ""
    label: str = ""
    kind: Kind = "continuous"
    low: float = -math.inf
    high: float = math.inf
    transform: TransformName = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InputError("Feature.name", got=repr(self.name), expected="a non-empty string")
        self._check_word("kind", get_args(Kind))
        self._check_word("transform", get_args(TransformName))
        object.__setattr__(self, "low", self._bound("low", -math.inf))
        object.__setattr__(self, "high", self._bound("high", math.inf))
        self._check_order()
        self._check_transform()

    @property
    def bounds(self) -> int:
        """Return how many of the two bounds are finite."""
        return int(math.isfinite(self.low)) + int(math.isfinite(self.high))

    @property
    def period(self) -> float:
        """Return after how much a periodic feature comes round: ``high - low``, or 2π."""
        return self.high - self.low if self.bounds == 2 else 2.0 * math.pi

    @property
    def title(self) -> str:
        """Return the axis title: label (or name) and unit in brackets."""
        text = self.label or self.name
        return f"{text} [{self.unit}]" if self.unit else text

    def to_dict(self) -> dict[str, JSON]:
        """Return strict JSON; an infinite bound is null."""
        return {
            "name": self.name,
            "unit": self.unit,
            "label": self.label,
            "kind": self.kind,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "transform": self.transform,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> Feature:
        """Return the feature that `to_dict` described; absent keys take their defaults."""
        low, high = value.get("low"), value.get("high")
        return cls(
            name=cast(str, value.get("name")),
            unit=str(value.get("unit", "")),
            label=str(value.get("label", "")),
            kind=cast(Kind, value.get("kind", "continuous")),
            low=-math.inf if low is None else cast(float, low),
            high=math.inf if high is None else cast(float, high),
            transform=cast(TransformName, value.get("transform", "auto")),
        )

    def _check_word(self, field: str, words: tuple[str, ...]) -> None:
        word = getattr(self, field)
        if word not in words:
            name = f"Feature({self.name!r}).{field}"
            raise InputError(name, got=repr(word), expected=f"one of {', '.join(words)}")

    def _bound(self, field: str, unbounded: float) -> float:
        name, value = f"Feature({self.name!r}).{field}", getattr(self, field)
        try:
            bound = float(value)
        except (TypeError, ValueError):
            raise InputError(name, got=repr(value), expected="a number") from None
        if bound != unbounded and not abs(bound) <= _LARGEST_BOUND:
            raise InputError(
                name,
                got=bound,
                expected=f"a bound within ±{_LARGEST_BOUND:g}, or {unbounded} for none",
            )
        return bound

    def _check_order(self) -> None:
        if not self.low < self.high:
            raise InputError(
                f"Feature({self.name!r})",
                got=f"support [{self.low}, {self.high}]",
                expected="low < high",
            )

    def _check_transform(self) -> None:
        needed = _BOUNDS_NEEDED.get(self.transform)
        if needed is not None and self.bounds != needed:
            raise InputError(
                f"Feature({self.name!r}).transform",
                got=f"{self.transform!r} with {self.bounds} finite bounds",
                expected=f"{needed} finite bound(s)",
                remedy="Give low and high of the support, or transform='auto'.",
            )


_LONGEST_LIST = 20


def require(wanted: Sequence[str], available: Collection[str], where: str) -> None:
    """Raise unless every name of `wanted` is among `available`.

    Raises
    ------
    InputError
        With the missing names, the available ones and the nearest match.
    """
    missing = [name for name in wanted if name not in available]
    if missing:
        raise InputError(
            where,
            got=f"no column {listing(missing)}",
            expected=f"columns among {listing(available)}",
            remedy=suggestion(missing[0], available),
        )


def unique(names: Sequence[str], where: str) -> None:
    """Raise if a name occurs twice.

    Raises
    ------
    InputError
        With the repeated names.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            where,
            got=f"repeated columns {listing(repeated)}",
            expected="every column name once",
            remedy="Rename or drop the copies.",
        )


def listing(names: Collection[str]) -> str:
    """Return the quoted names, cut after the first twenty."""
    shown = ", ".join(repr(name) for name in list(names)[:_LONGEST_LIST])
    more = len(names) - _LONGEST_LIST
    return f"{shown} and {more} more" if more > 0 else shown or "(nothing)"


def suggestion(name: str, available: Collection[str]) -> str:
    """Return ``Did you mean …?`` for the nearest of the available names, or nothing."""
    by_lower = {other.lower(): other for other in available}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"Did you mean {by_lower[near[0]]!r}?" if near else ""
