"""One of N equal parts of the work, for machines that see nothing of each other but a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

from verisimile.core.errors import IncompleteError, InputError, require

T = TypeVar("T")

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Shard:
    """The tasks k, k + N, k + 2 N, ... of every map.

    Attributes
    ----------
    number
        k, from 1 to N.
    count
        N.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        require(
            1 <= self.number <= self.count <= _MOST,
            "shard",
            got=f"{self.number}/{self.count}",
            expected=f"k/N with 1 <= k <= N <= {_MOST}",
            remedy="For example 3/40.",
        )

    def __str__(self) -> str:
        """Return ``k/N``."""
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that ``k/N`` names.

        Examples
        --------
        >>> Shard.parse("3/40")
        Shard(number=3, count=40)
        """
        found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
        if not found:
            raise InputError(
                "shard", got=repr(text[:40]), expected="k/N", remedy="For example 3/40."
            )
        return cls(int(found[1]), int(found[2]))

    def owns(self, index: int) -> bool:
        """Return whether task `index`, counted from 0, is of this part."""
        return index % self.count == self.number - 1


class ShardDone(IncompleteError):
    """A shard has done its part of a map, and other shards not yet theirs."""


def each_of(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Return what the calls return, which do not need each other's results.

    A shard does its part of all of them before it says that others are missing.

    Raises
    ------
    ShardDone
        What the first call said that did.
    """
    found: list[T] = []
    unfinished: list[ShardDone] = []
    for call in calls:
        try:
            found.append(call())
        except ShardDone as done:
            unfinished.append(done)
    if unfinished:
        raise unfinished[0]
    return found
