"""Comma-separated values: a header, cells without types, comments as other programs write them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv

from verisimile.core.errors import InputError, require
from verisimile.core.memory import require_memory
from verisimile.data.feature import Feature, unique
from verisimile.data.formats.arrow import arrow_table, values_of
from verisimile.data.formats.file import Columns, EventFile, Labels
from verisimile.data.source import Column, Source, Values

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_UNNAMED = "unnamed"
_INDEX = {f"{_UNNAMED}0", "index", "Unnamed: 0", "__index_level_0__"}
_BLOCK = 2**20  # bytes that are parsed at a time
_PER_BYTE = 4  # bytes in memory for one of the file


@dataclass(frozen=True, slots=True)
class _Header:
    """Names of the columns, lines before the first row, bytes that hold some rows."""

    names: list[str]
    lines: int
    block: int = _BLOCK


@contextmanager
def open_csv(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open comma-separated values with a header line, which comments may precede.

    Cells have no types: a column is numbers if its cells are, and a cell that is not is told
    with its row.  A first column of row numbers without a name, as data frames write it, is
    left out.
    """
    require_memory(_PER_BYTE * file.path.stat().st_size, str(file.path))
    header = _header(file)
    columns = _columns(file, header)
    rows = len(next(iter(columns.values()), ()))
    require(rows, str(file.path), got="a header and no events", expected="events")

    def load(names: Sequence[str]) -> Iterator[Values]:
        return (values_of(columns[name]) for name in names)

    yield Source({name: _column(name, values) for name, values in columns.items()}, load)


def _header(file: EventFile) -> _Header:
    """Return the names of the columns: of the first line, or of a comment above numbers."""
    with file.path.open(newline="", encoding="utf-8-sig", errors="strict") as stream:
        comments: list[str] = []
        for line in stream:
            if not line.startswith("#") and line.strip():
                break
            comments.append(line)
        else:
            line = ""
        first = next(csv.reader([line]), [])
        noted = next(csv.reader([comments[-1].lstrip("#:% ")]), []) if comments else []
    if first and all(map(_is_number, first)):
        # numpy.savetxt writes the names as a comment.
        names = [name.strip() for name in noted]
        require(
            len(names) == len(first) and not all(map(_is_number, names)),
            "header",
            got=f"numbers in the first line ({', '.join(first[:4])})",
            expected="the column names, separated by commas",
            remedy="Add a header line.",
        )
        found = _Header(names, len(comments))
    else:
        found = _Header([name.strip() for name in first], len(comments) + 1)
    _check_separator(found.names)
    names = [name or f"{_UNNAMED}{j}" for j, name in enumerate(found.names)]
    unique(names, "columns")
    return _Header(names, found.lines, max(_BLOCK, 16 * len(line)))


def _check_separator(names: Sequence[str]) -> None:
    if len(names) != 1:
        return
    for mark, word in _SEPARATORS.items():
        if mark in names[0].strip():
            raise InputError(
                "header",
                got=f"one column {names[0][:60]!r}, with {word} in its name",
                expected="columns separated by commas",
                remedy=f"Are these columns separated by {word}? Write them with commas, or read "
                f"the file with pandas.read_csv(..., sep={mark!r}) and pass the frame.",
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(file: EventFile, header: _Header) -> dict[str, pa.ChunkedArray]:
    """Return all columns: as numbers where every cell is one, as text otherwise."""
    try:
        found = _read(file, header, {})
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise _malformed(error, header) from None
        # Types were guessed from the first block of the file, and a later cell is of none.
        return _read(file, header, dict.fromkeys(header.names, pa.string()))
    doubtful = [
        name for name, values in found.items() if not _is_numeric(values.type) or values.null_count
    ]
    if doubtful:
        found |= _read(file, header, dict.fromkeys(doubtful, pa.string()))
    return found


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _read(
    file: EventFile, header: _Header, kinds: dict[str, pa.DataType]
) -> dict[str, pa.ChunkedArray]:
    """Return the columns of the given types, or all of those that are guessed."""
    table = pa.csv.read_csv(
        file.path,
        read_options=pa.csv.ReadOptions(
            column_names=header.names, skip_rows=header.lines, block_size=header.block
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds) or None, strings_can_be_null=False
        ),
    )
    return dict(zip(table.column_names, table.columns, strict=True))


def _malformed(error: pa.ArrowInvalid, header: _Header) -> InputError:
    """Return the error of a row with too few or too many cells, or of text that is no UTF-8."""
    return InputError(
        "rows",
        got=" ".join(str(error).split()),
        expected=f"{len(header.names)} cells in every row",
        remedy="Is the file complete, and are there several tables or comments in it?",
    )


def _column(name: str, values: pa.ChunkedArray) -> Column:
    kind, rows = values.type, len(values)
    if not _is_numeric(kind):
        return Column("cells", "text", rows)
    counted = pa.types.is_integer(kind) and name in _INDEX and _is_count(values)
    return Column(rows=rows, index="row numbers" if counted else "")


def _is_count(values: pa.ChunkedArray) -> bool:
    """Return whether the values count the rows, from any number on."""
    numbers = values.to_numpy()
    return bool((np.diff(numbers) == 1).all())


def write_csv(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
    """Write comma-separated values with shortest round-trip decimals."""
    pa.csv.write_csv(arrow_table(columns, ()), file.path)
