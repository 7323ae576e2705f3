"""Numbers per event and lists of numbers per event, as expressions compute with them.

A number per event is a NumPy array ``(n,)``, one for all a scalar array, NaN where it is missing
or undefined; a list per event is an Awkward array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.data.formats.file import optional

Lists = Any
"""An array of Awkward, which is optional and untyped, or a NumPy array as for flat numbers."""


class ListFault(ValueError):
    """Lists are combined that do not fit: what was got, expected, and a remedy."""

    def __init__(self, got: str, expected: str, remedy: str = "") -> None:
        self.told = (got, expected, remedy)
        super().__init__(got)


def is_list(values: object) -> bool:
    """Return whether there is a list of numbers in each event."""
    return type(values).__module__.startswith("awkward")


def is_flags(values: object) -> bool:
    """Return whether there is a list of true and false in each event."""
    return is_list(values) and str(values.type).endswith("bool")  # type: ignore[attr-defined]


def as_doubles(lists: Lists) -> Lists:
    """Return lists of any numbers as lists of doubles."""
    if str(lists.type).endswith(" float64"):
        return lists
    return optional("awkward").values_astype(lists, np.float64)


def choose(condition: Lists, yes: Lists, no: Lists) -> Lists:
    """Return `yes` where a condition holds and `no` elsewhere; a flat one is of whole lists."""
    if any(map(is_list, (condition, yes, no))):
        awkward = optional("awkward")
        return awkward.where(*awkward.broadcast_arrays(*map(_scalar, (condition, yes, no))))
    return np.asarray(np.where(condition, yes, no))


def _scalar(values: Lists) -> Lists:
    # Awkward broadcasts numbers, and no arrays without dimensions.
    return values if is_list(values) or np.ndim(values) else np.asarray(values).item()


def both(first: Lists, second: Lists) -> Lists:
    """Return 1 where both are true, 0 where either is false, else NaN."""
    return choose((first == 0.0) | (second == 0.0), 0.0, first * second)


def either(first: Lists, second: Lists) -> Lists:
    """Return 1 where either is true, 0 where both are false, else NaN."""
    return choose((first == 1.0) | (second == 1.0), 1.0, first + second)


def flat(values: Lists) -> Array:
    """Return one number per event, of Awkward's, as NumPy's; NaN where there is none."""
    awkward = optional("awkward")
    return np.asarray(awkward.to_numpy(awkward.fill_none(values, math.nan)), dtype=np.float64)


def picked(lists: Lists, position: Array) -> Lists:
    """Return the element at a position, counted from 0, of the list in each event.

    It is missing where the list is too short, and where the position is negative, as in an
    index that points to nothing.
    """
    awkward = optional("awkward")
    if (position != np.floor(position)).any() and not np.isnan(position).all():
        broken = position[(position != np.floor(position)) & ~np.isnan(position)]
        if broken.size:
            raise ListFault(f"the position {broken.flat[0]:g}", "whole numbers")
    lengths = flat(awkward.num(lists, axis=1))
    lengths = np.where(np.isnan(lengths), 0.0, lengths)
    position = np.broadcast_to(position, lengths.shape)
    there = (position >= 0.0) & (position < lengths)
    starts = np.cumsum(lengths) - lengths
    elements = awkward.flatten(lists, axis=1)
    index = np.where(there, starts + position, 0.0).astype(np.int64)
    if not len(elements):
        return np.full(lengths.shape, math.nan)
    found = awkward.mask(elements[index], there)
    return found if found.ndim > 1 else flat(found)


def filtered(lists: Lists, condition: Lists) -> Lists:
    """Return the elements for which a condition holds.

    A list is missing where the condition is undefined for one of its elements: neither keeping
    nor dropping that would be right.
    """
    awkward = optional("awkward")
    lists, condition = awkward.broadcast_arrays(lists, condition)
    undefined = awkward.any(_elements(np.isnan(condition)), axis=1)
    return awkward.mask(
        lists[condition == 1.0], ~np.asarray(awkward.fill_none(undefined, value=True))
    )


def _elements(lists: Lists) -> Lists:
    """Return all elements of an event in one list."""
    awkward = optional("awkward")
    while lists.ndim > 2:
        lists = awkward.flatten(lists, axis=2)
    return awkward.fill_none(lists, math.nan, axis=1)


def count(lists: Lists) -> Array:
    """Return the number of elements."""
    return flat(optional("awkward").num(_elements(lists), axis=1))


def total(lists: Lists) -> Array:
    """Return the sum of the elements, 0 if there are none."""
    return flat(optional("awkward").sum(_elements(lists), axis=1))


def mean(lists: Lists) -> Array:
    """Return the mean of the elements."""
    return np.asarray(total(lists) / count(lists))


def least(lists: Lists) -> Array:
    """Return the smallest element."""
    return _extreme(lists, "min")


def largest(lists: Lists) -> Array:
    """Return the largest element."""
    return _extreme(lists, "max")


def any_of(lists: Lists) -> Array:
    """Return whether a condition holds for an element; undefined ones count if it matters."""
    return _extreme(lists, "max", empty=0.0, decides=1.0)


def all_of(lists: Lists) -> Array:
    """Return whether a condition holds for all elements; undefined ones count if it matters."""
    return _extreme(lists, "min", empty=1.0, decides=0.0)


def _extreme(
    lists: Lists, name: str, *, empty: float = math.nan, decides: float = math.nan
) -> Array:
    """Return the largest or smallest element; NaN if one is, unless another `decides`."""
    awkward = optional("awkward")
    elements = _elements(lists)
    nan = np.isnan(elements)
    gaps: BoolArray = np.asarray(awkward.fill_none(awkward.any(nan, axis=1), value=True))
    found = flat(getattr(awkward, name)(elements[~nan], axis=1))
    found = np.where(np.isnan(found), empty, found)
    return np.asarray(np.where(gaps & (found != decides), math.nan, found))


REDUCTIONS: dict[str, Callable[[Lists], Array]] = {
    "count": count,
    "sum": total,
    "mean": mean,
    "min": least,
    "max": largest,
    "any": any_of,
    "all": all_of,
}
"""What makes one number per event of a list."""
