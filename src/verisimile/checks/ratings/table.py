"""Ratings by humans as a table, and its CSV form."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verisimile.core.arrays import BoolArray, IntArray
from verisimile.core.errors import InputError, require

_SINGLE = ("rater", "item", "system", "answer")
_PAIRED = ("rater", "item", "first", "second", "answer")
_FORMS = f"the columns {', '.join(_SINGLE)} or {', '.join(_PAIRED)}"


@dataclass(frozen=True, slots=True)
class Ratings:
    """Answers, one row each.

    Parameters
    ----------
    raters, items
        Who answered, about what.
    systems
        The system that made the item; in a preference the one shown first.
    answers
        What was said.
    others
        In a preference the system shown second, else None.

    Examples
    --------
    >>> Ratings(("ann", "bob"), ("7", "7"), ("flow", "flow"), ("real", "generated"))
    Ratings(2 answers, 2 raters, 1 items, systems ('flow',))
    """

    raters: tuple[str, ...]
    items: tuple[str, ...]
    systems: tuple[str, ...]
    answers: tuple[str, ...]
    others: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        columns = {
            "rater": self.raters,
            "item": self.items,
            "system": self.systems,
            "answer": self.answers,
        }
        if self.others is not None:
            columns["second"] = self.others
        lengths = {name: len(column) for name, column in columns.items()}
        even = len(set(lengths.values())) == 1 and self.raters
        require(even, "ratings", got=f"lengths {lengths}", expected="equal, at least one")
        for name, column in columns.items():
            if "" in column:
                raise InputError(
                    f"ratings, column {name!r}",
                    got=f"nothing in row {column.index('') + 1}",
                    expected="a word or number in every row",
                )
        for row, (first, second) in enumerate(zip(self.systems, self.others or (), strict=False)):
            got = f"{first!r} compared with itself in row {row + 1}"
            require(first != second, "ratings", got=got, expected="two different systems")
        self._check_repeats()

    def __repr__(self) -> str:
        raters, items = len(set(self.raters)), len(set(self.items))
        return f"Ratings({self.n} answers, {raters} raters, {items} items, systems {self.names})"

    @property
    def n(self) -> int:
        """Number of answers."""
        return len(self.answers)

    @property
    def names(self) -> tuple[str, ...]:
        """The systems, sorted."""
        return tuple(sorted({*self.systems, *(self.others or ())}))

    def of(self, system: str) -> Ratings:
        """Return the answers about one system; at least one."""
        return self.take(np.array([name == system for name in self.systems]))

    def take(self, keep: BoolArray) -> Ratings:
        """Return the rows of a mask ``(n,)``."""
        rows = np.flatnonzero(keep)
        columns = [self.raters, self.items, self.systems, self.answers]
        if self.others is not None:
            columns.append(self.others)
        return Ratings(*(tuple(column[row] for row in rows) for column in columns))

    def _check_repeats(self) -> None:
        pairs = zip(self.systems, self.others or self.systems, strict=True)
        keys = zip(self.raters, self.items, (frozenset(pair) for pair in pairs), strict=True)
        (rater, item, systems), count = Counter(keys).most_common(1)[0]
        require(
            count == 1,
            "ratings",
            got=f"{count} answers of rater {rater!r} on item {item!r} of {sorted(systems)}",
            expected="one",
            remedy="Keep one of them; repeated answers are not independent.",
        )


def encode(words: Sequence[str]) -> tuple[tuple[str, ...], IntArray]:
    """Return the distinct words, sorted, and the number of each word's ``(n,)``."""
    names = sorted(set(words))
    number = {name: index for index, name in enumerate(names)}
    return tuple(names), np.array([number[word] for word in words], dtype=np.int64)


def read_ratings(path: str | os.PathLike[str]) -> Ratings:
    """Read ratings from comma-separated values with a header, in any order of columns.

    ``rater, item, system, answer`` for forced choice and scales;
    ``rater, item, first, second, answer`` for preferences.  Further columns are not read.

    An InputError names the file.
    """
    file = Path(path)
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            return _parsed(list(_rows(csv.reader(stream))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(file), got=f"{error}", expected="a readable CSV file") from None
    except InputError as error:
        raise InputError(
            f"{file}: {error.name}", got=error.got, expected=error.expected, remedy=error.remedy
        ) from None


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    return ([cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row))


def _parsed(rows: list[list[str]]) -> Ratings:
    header = [cell.lower() for cell in rows[0]] if rows else []
    single, paired = (set(form) <= set(header) for form in (_SINGLE, _PAIRED))
    if single == paired or len(set(header)) < len(header):
        raise InputError("header", got=", ".join(header) or "nothing", expected=_FORMS)
    for number, row in enumerate(rows[1:], start=1):
        got, expected = f"{len(row)} cells", f"{len(header)}, as the header"
        require(len(row) == len(header), f"row {number}", got=got, expected=expected)
    columns = {name: tuple(row[j] for row in rows[1:]) for j, name in enumerate(header)}
    return Ratings(
        columns["rater"],
        columns["item"],
        columns["system" if single else "first"],
        columns["answer"],
        columns["second"] if paired else None,
    )
