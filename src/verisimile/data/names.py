"""Columns are matched by name: what to say when one is missing or there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from verisimile.core.errors import InputError

__all__ = ["listing", "require", "suggestion", "unique"]

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
