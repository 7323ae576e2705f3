"""The header of comma-separated values: names of columns, and the lines and rows of the file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from verisimile.core.errors import InputError, require
from verisimile.data.cells import MISSING
from verisimile.data.feature import unique

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_BLOCK = 2**20  # bytes that are parsed at a time
_ROWS = 16  # that a block holds at least
_REMEDY = "Add a header line with the names, separated by commas."


@dataclass(frozen=True, slots=True)
class Header:
    """What the top of a file says.

    Attributes
    ----------
    path
        The file.
    names
        Of the columns.
    lines
        Before the first row.
    numeric
        The names of columns whose first cell is a number or missing.
    block
        Bytes that hold some rows.
    """

    path: Path
    names: list[str]
    lines: int
    numeric: frozenset[str]
    block: int

    @property
    def blanks_count(self) -> bool:
        """Whether an empty line is a row: a missing value of the only column."""
        return len(self.names) == 1

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line of the file and the cells of each row, for messages."""
        with _text(self.path) as stream:
            reader = csv.reader(islice(stream, self.lines, None))
            start = 0
            for cells in reader:
                if cells or self.blanks_count:
                    yield self.lines + start + 1, cells
                start = reader.line_num

    def line_of(self, row: int) -> int:
        """Return the line of the file on which a row begins, both counted as people do there."""
        return next(islice(self.rows(), row, None))[0]


def read_header(path: Path) -> Header:
    """Return the names of the columns: of the first line, or of a comment above numbers."""
    with _text(path) as stream:
        comments: list[str] = []
        for line in stream:
            if line.strip() and not line.startswith("#"):
                break
            comments.append(line)
        else:
            raise InputError("header", got="comments alone", expected="a header and events")
        reader = csv.reader(chain([line], stream))
        first = next(reader)
        above = len(comments)
        lines = above + reader.line_num
        second = next((cells for cells in reader if cells), [])
    noted = _noted(comments, len(first)) if any(map(_is_number, first)) else None
    if noted is not None:
        names, lines = noted, above
    else:
        _check_names(first)
        names = [name.strip() for name in first]
    _check_separator(names, ",".join(second))
    names = [name or f"unnamed{j}" for j, name in enumerate(names)]
    unique(names, "columns")
    row = second if lines > above else first
    numeric = {name for name, cell in zip(names, row, strict=False) if _may_be_number(cell)}
    longest = max(len(line), len(",".join(second)))
    block = max(_BLOCK, _ROWS * longest, 2 * sum(map(len, comments)))
    return Header(path, names, lines, frozenset(numeric), block)


def _text(path: Path) -> TextIO:
    return path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")


def _noted(comments: Sequence[str], count: int) -> list[str] | None:
    """Return the names in the comments above a first row of `count` cells, if there are any.

    ``numpy.savetxt`` writes the header as a comment, its names separated as the user likes.
    """
    texts = [line.strip().lstrip("#: ") for line in comments]
    rows = [[name.strip() for name in next(csv.reader([text]), [])] for text in texts]
    fitting = [row for row in rows if len(row) == count > 1 and not any(map(_is_number, row))]
    require(
        len(fitting) < 2,
        "header",
        got=f"{len(fitting)} comments with {count} words above the first row",
        expected="one line with the names of the columns",
        remedy=_REMEDY,
    )
    if fitting:
        return fitting[0]
    words = texts[-1].split() if texts else []
    return words if len(words) == count and not any(map(_is_number, words)) else None


def _check_names(first: Sequence[str]) -> None:
    """Raise unless the first line can be a header: no data, in a known encoding."""
    cells = [cell.strip() for cell in first]
    # Frames without names write 0, 1, 2; beside words these can be names.
    numbers = all(map(_is_number, cells)) or any(
        _is_number(cell) and not cell.isdigit() for cell in cells
    )
    require(
        not numbers,
        "header",
        got=f"numbers in the first line ({', '.join(cells[:4])})",
        expected="the column names, separated by commas",
        remedy=_REMEDY,
    )
    # Bytes that are no UTF-8 are lone surrogates; other encodings write NUL between letters.
    strange = next((cell for cell in cells if re.search("[\0\udc80-\udcff]", cell)), None)
    require(
        strange is None,
        "header",
        got=f"a name {strange!r}",
        expected="text in UTF-8",
        remedy="Save the file as UTF-8.",
    )


def _check_separator(names: Sequence[str], row: str) -> None:
    if len(names) != 1:
        return
    for mark, word in _SEPARATORS.items():
        # A single column may be called "jet pt" or "x;y": its rows are not separated.
        if mark in names[0] and (mark in row.strip() or not row):
            sep = r"\s+" if mark == " " else mark
            decimal = ", decimal=','" if "," in row else ""
            raise InputError(
                "header",
                got=f"one column {names[0][:60]!r}, with {word} in its name",
                expected="columns separated by commas",
                remedy=f"Are these columns separated by {word}? Write them with commas, or read "
                f"the file with pandas.read_csv(..., sep={sep!r}{decimal}) and pass the frame.",
            )


def _may_be_number(cell: str) -> bool:
    return cell.strip().lower() in MISSING or _is_number(cell)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return any(map(str.isdigit, text))  # nan and inf can be names
