"""Comma-separated values: a header, cells without types, read as numbers where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from verisimile.core.arrays import EXACT
from verisimile.core.errors import InputError, require
from verisimile.core.memory import require_memory
from verisimile.data.cells import MISSING
from verisimile.data.feature import Feature
from verisimile.data.formats.arrow import arrow_table, values_of
from verisimile.data.formats.csv_header import Header, read_header
from verisimile.data.formats.file import Columns, EventFile, Labels
from verisimile.data.source import Column, Source, Values

_UNNAMED_INDEX = {"unnamed0", "Unnamed: 0", "__index_level_0__"}
_PER_BYTE = 4  # bytes in memory for one of the file: ``1,`` becomes a double
_LARGEST_BLOCK = 2**30  # bytes that hold the longest row
_NULLS = sorted({change(word) for word in MISSING for change in (str, str.upper, str.title)})
_LONG_INTEGER = r"^\s*[+-]?\d{16,}\s*$"
_TAIL = 2**16  # bytes that hold the empty lines at the end

Table = dict[str, pa.ChunkedArray]


@contextmanager
def open_csv(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open comma-separated values with a header line, which comments may precede.

    Cells have no types: a column is numbers if its cells are, and a cell that is not is told
    with its row and its line.  A first column of row numbers without a name, as data frames
    write it, is left out.
    """
    require_memory(_PER_BYTE * file.path.stat().st_size, "rows")
    header = read_header(file.path)
    found = _columns(header)
    rows = len(next(iter(found.values())))
    require(rows, "rows", got="a header and no events", expected="events")

    def load(names: Sequence[str]) -> Iterator[Values]:
        return (values_of(found[name]) for name in names)

    def place(row: int) -> str:
        return f"row {row} (line {header.line_of(row)} of the file)"

    columns = {name: _column(name, values) for name, values in found.items()}
    yield Source(columns, load, place=place)


def _columns(header: Header) -> Table:
    """Return all columns: as doubles where every cell is a number or missing, else as text."""
    try:
        found = _read(header, _guessed(header))
    except pa.ArrowInvalid as error:
        if "straddling" in str(error) and header.block < _LARGEST_BLOCK:
            return _columns(replace(header, block=_LARGEST_BLOCK))
        if "conversion error" not in str(error):
            raise _malformed(header, error) from None
        # Types were guessed from the first row, and a later cell is of another.
        texts = _read(header, dict.fromkeys(header.names, pa.string()))
        found = {name: _numbers_or_text(cells) for name, cells in texts.items()}
    large = [name for name, values in found.items() if _reaches_beyond(values)]
    if large:
        # A double does not say whether the cell was a whole number, and which.
        texts = _read(header, dict.fromkeys(large, pa.string()))
        found |= {name: cells for name, cells in texts.items() if _has_long_integers(cells)}
    _check_closed(header.path, found[header.names[-1]])
    if header.blanks_count:
        found = {name: values[: len(values) - _blank_end(header)] for name, values in found.items()}
    return found


def _guessed(header: Header) -> dict[str, pa.DataType]:
    """Return a type for each column, by its first cell: doubles, or text for all else."""
    # Columns of a given type are parsed as Python's float does; Arrow's guess takes 0x10 for 16,
    # and a second for each thousand columns.
    kinds = (pa.float64() if name in header.numeric else pa.string() for name in header.names)
    return dict(zip(header.names, kinds, strict=True))


def _read(header: Header, kinds: dict[str, pa.DataType]) -> Table:
    """Return the columns of the given names as these types."""
    table = pa.csv.read_csv(header.path, *_options(header, kinds))
    return dict(zip(table.column_names, table.columns, strict=True))


def _options(
    header: Header, kinds: dict[str, pa.DataType]
) -> tuple[pa.csv.ReadOptions, pa.csv.ParseOptions, pa.csv.ConvertOptions]:
    return (
        pa.csv.ReadOptions(
            column_names=header.names, skip_rows=header.lines, block_size=header.block
        ),
        # Else a quoted line break at the edge of a block would shift cells in silence.
        pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=not header.blanks_count),
        pa.csv.ConvertOptions(
            column_types=kinds,
            include_columns=list(kinds) if len(kinds) < len(header.names) else None,
            null_values=_NULLS,
            strings_can_be_null=False,
            check_utf8=False,  # text is no feature, in whatever encoding it is
        ),
    )


def _numbers_or_text(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    missing = pa.compute.is_in(cells, pa.array(_NULLS))
    try:
        return pa.compute.if_else(missing, None, cells).cast(pa.float64())
    except pa.ArrowInvalid:
        return cells


def _reaches_beyond(values: pa.ChunkedArray) -> bool:
    """Return whether a double is so large that whole numbers around it are none."""
    if not pa.types.is_floating(values.type):
        return False
    return bool((np.abs(values.to_numpy()) >= EXACT).any())


def _has_long_integers(cells: pa.ChunkedArray) -> bool:
    return bool(pa.compute.any(pa.compute.match_substring_regex(cells, _LONG_INTEGER)).as_py())


def _malformed(header: Header, error: pa.ArrowInvalid) -> InputError:
    """Return the error of the first row with too few or too many cells."""
    count = len(header.names)
    odd = next(
        (
            f"{len(cells)} cells in row {row} (line {line} of the file): {','.join(cells)[:60]!r}"
            for row, (line, cells) in enumerate(header.rows())
            if len(cells) != count
        ),
        " ".join(str(error).split()),
    )
    return InputError(
        "rows",
        got=odd,
        expected=f"{count} cells in every row, as in the header",
        remedy="Is the file complete? Comments, several tables, decimal commas and commas at the "
        "end of lines must be taken out of it.",
    )


def _check_closed(path: Path, last: pa.ChunkedArray) -> None:
    """Raise if a quote that is never closed swallowed the rest of the file as one cell."""
    if len(last) and pa.types.is_string(last.type):
        cell = values_of(last[-1:])[0]
        require(
            "\n" not in cell or _tail(path).rstrip().endswith(b'"'),
            "rows",
            got=f"a quote that is never closed: {cell[:60]!r}",
            expected="cells that end",
            remedy="Is the file complete?",
        )


def _blank_end(header: Header) -> int:
    """Return how many empty lines end the file, which are no rows."""
    text = _tail(header.path).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return max(len(text) - len(text.rstrip(b"\n")) - 1, 0)


def _tail(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - _TAIL, 0))
        return stream.read()


def _column(name: str, values: pa.ChunkedArray) -> Column:
    rows = len(values)
    if not pa.types.is_floating(values.type):
        return Column("cells", "text", rows)
    if values.null_count == rows:
        return Column("other", "no value in any row", rows)
    return Column(rows=rows, index=_why_index(name, values))


def _why_index(name: str, values: pa.ChunkedArray) -> str:
    """Return why a column is an index that a data frame wrote, if it is."""
    if values.null_count or not (name in _UNNAMED_INDEX or name == "index"):
        return ""
    numbers = values.to_numpy()
    counted = bool((np.diff(numbers) == 1).all())
    # Of a frame that was cut or shuffled the row numbers are still whole and all different.
    labels = (
        name in _UNNAMED_INDEX
        and bool((numbers >= 0).all())
        and (bool((numbers == np.rint(numbers)).all()) and len(np.unique(numbers)) == len(numbers))
    )
    return "row numbers" if counted or labels else ""


def write_csv(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
    """Write comma-separated values with shortest round-trip decimals."""
    pa.csv.write_csv(arrow_table(columns, ()), file.path)
