"""The boundary of every public function that takes events: whatever holds them becomes `Events`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError, require
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.held import Held, described, has_columns, plain_array
from verisimile.data.sources import is_table

EventsLike: TypeAlias = Events | Held
"""Events, or whatever `Events` takes: a path, a frame, a table, a dict of columns, an array."""


def as_events(value: EventsLike, name: str) -> Events:
    """Return events as they are, and whatever else `Events` takes as events.

    Errors begin with the argument's `name`.

    Examples
    --------
    >>> as_events({"m": [91.2, 90.8]}, "reference")
    Events(n=2, d=1, names=('m',), unweighted)
    """
    if isinstance(value, Events):
        return value
    try:
        return Events(value)
    except InputError as error:
        where = " (arguments of vs.Events)" if "=" in error.remedy else ""
        raise type(error)(
            f"{name}: {error.name}",
            got=error.got,
            expected=error.expected,
            remedy=f"{error.remedy.removesuffix('.')}{where}." if where else error.remedy,
        ) from None


def as_samples(values: Sequence[EventsLike], name: str) -> list[Events]:
    """Return several samples as events; one alone is refused."""
    require_samples(values, name)
    return [as_events(value, f"{name}[{place}]") for place, value in enumerate(values)]


def require_samples(values: object, name: str) -> None:
    """Raise an InputError for one sample where several are wanted."""
    alone = isinstance(values, str | os.PathLike | Events | np.ndarray) or has_columns(values)
    require(
        not alone and isinstance(values, Iterable),
        name,
        got=f"one sample, {described(values)}" if alone else described(values),
        expected="a sequence of samples",
        remedy=f"Say {name}=[sample].",
    )


def matched_values(
    value: EventsLike, features: Sequence[Feature], name: str, *, columns: int | None = None
) -> Array:
    """Return values ``(n, d)``: columns with names in the order of `features`, others as they are.

    `columns` is the number of columns of an array, that of the features if not given.
    """
    if isinstance(value, Events) or is_table(value):
        return match_features(as_events(value, name), features).x
    return as_matrix(plain_array(value, name), name, columns=columns or len(features))
