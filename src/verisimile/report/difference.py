"""Two reports beside each other: what went in, verdicts, and every number that a table shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from verisimile.core.canonical import JSON, restore
from verisimile.core.result import Result, register, to_dict
from verisimile.report.document import Document
from verisimile.report.page import Part, Table
from verisimile.report.section import sections_of
from verisimile.report.sections.origin import origin_part

T = TypeVar("T")

NOTHING = "–"
"""Stands where one of the reports has nothing."""


@register("report-comparison", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ReportComparison(Result):
    """Two reports, whole, and how the reader knows them.

    The verdict of the comparison is that of the second: nothing is tested again.

    Attributes
    ----------
    names
        Of the first and of the second.
    first, second
        The reports.
    """

    listed: ClassVar = ("names", "reports")

    names: tuple[str, str]
    first: Document
    second: Document

    @property
    def reports(self) -> tuple[Document, Document]:
        """Both of them."""
        return self.first, self.second


@dataclass(frozen=True, slots=True)
class Change:
    """A cell of a table that reads otherwise in the second report.

    Attributes
    ----------
    part, row, column
        Where it is; both names, where the reports have different ones.
    first, second
        What it reads.
    """

    part: str
    row: str
    column: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class StoredNumbers:
    """How the numbers of two ``result.json`` compare, place by place.

    Attributes
    ----------
    compared
        Numbers at places that both have.
    different
        How many of these are not the same to the last bit.
    largest
        The largest difference of finite ones, relative to the larger of the two.
    unpaired
        Numbers at places that one of them has.
    """

    compared: int
    different: int
    largest: float
    unpaired: int


def paired(
    first: Sequence[T], second: Sequence[T], key: Callable[[T], Hashable]
) -> list[tuple[T | None, T | None]]:
    """Return what belongs together: equal keys in order, then the rest if there is as much of it.

    A sample that is called otherwise in the second report is so beside that of the first.
    """
    places = _numbered(map(key, second))
    partners = dict(zip(places, second, strict=True))
    names = _numbered(map(key, first))
    rest = [item for name, item in partners.items() if name not in set(names)]
    lonely = sum(name not in partners for name in names)
    spare = iter(rest if len(rest) == lonely else ())
    pairs = [
        (item, partners[name] if name in partners else next(spare, None))
        for name, item in zip(names, first, strict=True)
    ]
    left: list[tuple[T | None, T | None]] = [*pairs]
    return left if len(rest) == lonely else [*left, *((None, item) for item in rest)]


def _numbered(keys: Iterator[Hashable] | map[Hashable]) -> list[tuple[Hashable, int]]:
    """Return keys with the number of times that each came before."""
    seen: Counter[Hashable] = Counter()
    numbered = []
    for key in keys:
        numbered.append((key, seen[key]))
        seen[key] += 1
    return numbered


def parts_of(report: Document) -> list[Part]:
    """Return the parts of a report's page, its summary first, without where it comes from."""
    summary = Part("Summary", tables=report.summaries)
    return [summary, *(part for one in sections_of(report.content) for part in one.parts())]


def paired_parts(found: ReportComparison) -> list[tuple[Part | None, Part | None]]:
    """Return the parts of both pages that belong together."""
    return paired(parts_of(found.first), parts_of(found.second), lambda part: part.title)


def number_changes(
    parts: Sequence[tuple[Part | None, Part | None]],
) -> Iterator[Change]:
    """Yield each cell of the parts' tables that differs."""
    for first, second in parts:
        title = joined(*(NOTHING if part is None else part.title for part in (first, second)))
        tables = paired(
            () if first is None else first.tables,
            () if second is None else second.tables,
            lambda table: table.columns,
        )
        for one, other in tables:
            yield from table_changes(title, one, other)


def origin_changes(found: ReportComparison) -> Iterator[Change]:
    """Yield what differs of samples, features, seeds and versions; not the times."""
    first, second = (
        [
            table
            for table in origin_part(report.content, report.environment).tables
            if table.columns[0] != "Stage"
        ]
        for report in (found.first, found.second)
    )
    for one, other in paired(first, second, lambda table: table.columns):
        title = "Seeds and versions" if _environmental(one or other) else "Samples and features"
        yield from table_changes(title, one, other)


def _environmental(table: Table | None) -> bool:
    return table is not None and table.columns == ("What", "Value")


def table_changes(part: str, first: Table | None, second: Table | None) -> Iterator[Change]:
    """Yield the cells that differ, rows and columns matched by their names."""
    rows = paired(
        () if first is None else first.rows, () if second is None else second.rows, lambda r: r[0]
    )
    heads = [() if table is None else table.columns[1:] for table in (first, second)]
    for one, other in rows:
        name = joined(*(NOTHING if row is None else row[0] for row in (one, other)))
        cells = [
            {} if row is None else dict(zip(head, row[1:], strict=True))
            for head, row in zip(heads, (one, other), strict=True)
        ]
        for column in dict.fromkeys((*heads[0], *heads[1])):
            a, b = (mine.get(column, NOTHING) for mine in cells)
            if a != b:
                yield Change(part, name, column, a, b)


def joined(first: str, second: str) -> str:
    """Return one name of what has two.

    Examples
    --------
    >>> joined("tune A", "tune A"), joined("tune A", "tune B"), joined("–", "tune B")
    ('tune A', 'tune A → tune B', 'tune B')
    """
    if first == second or second == NOTHING:
        return first
    return second if first == NOTHING else f"{first} → {second}"


def stored_numbers(found: ReportComparison) -> StoredNumbers:
    """Return how the stored numbers of both compare, the times left out."""
    first, second = (
        {name: value for name, value in to_dict(report.content).items() if name != "timings"}
        for report in (found.first, found.second)
    )
    compared = different = unpaired = 0
    largest = 0.0
    for a, b in _leaves(first, second):
        if a is None or b is None:
            unpaired += 1
            continue
        compared += 1
        if a != b and not (math.isnan(a) and math.isnan(b)):
            different += 1
            largest = max(largest, _relative(a, b))
    return StoredNumbers(compared, different, largest, unpaired)


def _relative(a: float, b: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b))


def _leaves(first: JSON, second: JSON) -> Iterator[tuple[float | None, float | None]]:
    """Yield the numbers at the same places of two documents; None where one has none."""
    if isinstance(first, Mapping) or isinstance(second, Mapping):
        mine = first if isinstance(first, Mapping) else {}
        other = second if isinstance(second, Mapping) else {}
        for key in dict.fromkeys((*mine, *other)):
            yield from _leaves(mine.get(key), other.get(key))
    elif isinstance(first, list) or isinstance(second, list):
        a = first if isinstance(first, list) else []
        b = second if isinstance(second, list) else []
        for place in range(max(len(a), len(b))):
            yield from _leaves(
                a[place] if place < len(a) else None, b[place] if place < len(b) else None
            )
    else:
        pair = _number(first), _number(second)
        if pair != (None, None):
            yield pair


def _number(value: JSON) -> float | None:
    restored = restore(value)
    if isinstance(restored, bool) or not isinstance(restored, int | float):
        return None
    return float(restored)
