"""What a column is: its name, unit, kind, support and transform."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Literal, get_args

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require

Kind = Literal["continuous", "discrete", "periodic", "spike-at-zero"]
TransformName = Literal["auto", "identity", "log", "logit", "probit"]

_LONGEST_LIST = 20
# Differences of a bound with any finite double then stay finite.
_LARGEST_BOUND = 1e100
_UNBOUNDED = (-math.inf, math.inf)
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
        if not isinstance(self.name, str) or not self.name or not _is_unicode(self.name):
            raise InputError("Feature.name", got=repr(self.name), expected="a non-empty string")
        where = f"Feature({self.name!r})"
        for field, words in (("kind", get_args(Kind)), ("transform", get_args(TransformName))):
            word = getattr(self, field)
            expected = f"one of {', '.join(words)}"
            require(word in words, f"{where}.{field}", got=repr(word), expected=expected)
        object.__setattr__(self, "low", as_bound(self.low, f"{where}.low", -math.inf))
        object.__setattr__(self, "high", as_bound(self.high, f"{where}.high", math.inf))
        support = f"support [{self.low}, {self.high}]"
        require(self.low < self.high, where, got=support, expected="low < high")
        needed = _BOUNDS_NEEDED.get(self.transform)
        require(
            needed in (None, self.bounds),
            f"{where}.transform",
            got=f"{self.transform!r} with {self.bounds} finite bounds",
            expected=f"{needed} finite bound(s)",
            remedy="Give low and high of the support, or transform='auto'.",
        )

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
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: None if value in _UNBOUNDED else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> Feature:
        """Return the feature that `to_dict` described; absent keys take their defaults."""
        known = {field.name: value.get(field.name) for field in fields(cls)}
        given = {name: item for name, item in known.items() if item is not None}
        return cls(**{"name": None, **given})  # type: ignore[arg-type]


def as_bound(value: float, name: str, unbounded: float) -> float:
    """Return a bound of a support as a number: finite and not huge, or `unbounded`."""
    try:
        bound = float(value)
    except (TypeError, ValueError):
        raise InputError(name, got=repr(value), expected="a number") from None
    require(
        bound == unbounded or abs(bound) <= _LARGEST_BOUND,
        name,
        got=bound,
        expected=f"a bound within ±{_LARGEST_BOUND:g}, or {unbounded} for none",
    )
    return bound


def _is_unicode(name: str) -> bool:
    """Return whether a name can be written anywhere: bytes of a damaged file need not be text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_columns(
    wanted: Sequence[str], available: Collection[str], where: str, *, remedy: str = ""
) -> None:
    """Raise an InputError, with the nearest match or `remedy`, unless all names are available."""
    missing = [name for name in wanted if name not in available]
    require(
        not missing,
        where,
        got=f"no column {listing(missing)}",
        expected=f"columns among {listing(available)}",
        remedy=(suggestion(missing[0], available) or remedy) if missing else "",
    )


def unique(names: Sequence[str], where: str) -> None:
    """Raise an InputError if a name occurs twice."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    require(
        not repeated,
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


def say_columns(argument: str, names: Collection[str]) -> str:
    """Return how columns are named in Python and on the command line; the first twenty of many.

    Examples
    --------
    >>> say_columns("ignore", ["run", "event"])
    "ignore=['run', 'event'] (--ignore run,event)"
    """
    shown = list(names)[:_LONGEST_LIST]
    more = ", …" if len(names) > len(shown) else ""
    return f"{argument}=[{listing(shown)}{more}] (--{argument} {','.join(shown)}{more})"


def ignoring(names: Collection[str]) -> str:
    """Return what to say so that columns are left out."""
    return f"say {say_columns('ignore', names)}"


def suggestion(name: str, available: Collection[str]) -> str:
    """Return ``Did you mean …?`` for the nearest of the available names, or nothing."""
    by_lower = {other.lower(): other for other in available}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"Did you mean {by_lower[near[0]]!r}?" if near else ""
