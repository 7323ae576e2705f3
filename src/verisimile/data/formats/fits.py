"""FITS tables, binary and ASCII: columns with units, missing values, scales.

Headers and places are astropy's; numbers are made of the stored ones here, where every case is
exact: unsigned 64-bit integers, scales of 64-bit integers, missing values of scaled columns.
"""

from __future__ import annotations

import gzip
import io
import mmap
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import EXACT
from verisimile.core.errors import InputError, require
from verisimile.core.memory import require_memory
from verisimile.data.cells import read_cells
from verisimile.data.feature import Feature, unique
from verisimile.data.formats.file import Columns, EventFile, Labels, check_part, optional
from verisimile.data.source import Column, Source, Values, number_column

_FORM = ".fits:EVENTS, or by its number .fits:1"
_DAMAGE = re.compile(r"corrupt|truncated", re.I)
_CARD = 80  # bytes
_TOO_MANY = re.compile(rb"(NAXIS|TFIELDS) *= *\+?(\d{4,})")
_UNSIGNED = 2**63
_PIECE = 32 * 2**20  # bytes of a table that are gone through at a time
_TRUE, _FALSE = ord("T"), ord("F")


@contextmanager
def open_fits(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open a table of a FITS file, by its name or number, or because it is the only one."""
    fits = optional("astropy.io.fits", "fits")
    with ExitStack() as stack:
        content: Any
        if file.suffix.endswith(".gz"):
            content = io.BytesIO(_unzipped(file.path))
        else:
            # Opened here, because astropy leaves open what it finds damaged.
            content = stack.enter_context(file.path.open("rb"))
        size = content.seek(0, io.SEEK_END)
        content.seek(0)
        _check_counts(content)
        with _damage_told():
            # All headers now: what is damaged is told before what is not found.
            mapped = not isinstance(content, io.BytesIO)
            store = fits.open(content, memmap=mapped, lazy_load_hdus=False)
            stack.enter_context(store)
        with _damage_told():
            unit = _unit(store, file.part)
            needed = unit.fileinfo()["datLoc"] + unit.size
            if needed > size:
                raise OSError(f"a table that ends at byte {needed} of {size}")
            _check_sums(unit)
            source = _source(unit, text=isinstance(unit, fits.TableHDU))
        yield source


def _check_counts(content: Any) -> None:  # noqa: ANN401  (a file, or bytes in memory)
    """Raise if a header declares more axes or fields than FITS has: astropy would make them all."""
    whole = (
        content.getbuffer()
        if isinstance(content, io.BytesIO)
        else mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)
    )
    with whole:
        for found in _TOO_MANY.finditer(whole):
            if found.start() % _CARD == 0:
                word, number = (part.decode().strip() for part in found.groups())
                raise OSError(f"a header that declares {word} = {number}, which is at most 999")


def _unzipped(path: Path) -> bytes:
    """Return what a zipped file holds, checked against its sum; astropy takes any part of it."""
    stored = path.stat().st_size
    pieces: list[bytes] = []
    with gzip.open(path) as stream:
        while piece := stream.read(_PIECE):
            pieces.append(piece)
            require_memory(2 * len(pieces) * _PIECE, "file", stored=stored)
    return b"".join(pieces)


@contextmanager
def _damage_told() -> Iterator[None]:
    """Make errors of astropy's warnings of damage; those on style are of no use to a reader."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for warning in said:
        if _DAMAGE.search(str(warning.message)):
            raise OSError(" ".join(str(warning.message).split()))


def _unit(store: Any, part: str | None) -> Any:  # noqa: ANN401  (astropy is untyped)
    """Return the table that is named, or the only one."""
    tables = {str(j): unit for j, unit in enumerate(store) if _is_table(unit)}
    require(tables, "table", got="no table, only images", expected="a table of events")
    names = [unit.name for unit in tables.values()]
    parts = {
        (unit.name if unit.name and names.count(unit.name) == 1 else number): unit
        for number, unit in tables.items()
    }
    wanted = part.upper() if part else None
    if wanted is None and len(parts) == 1:
        (wanted,) = parts
    found = {**tables, **{name.upper(): unit for name, unit in parts.items()}}
    if wanted not in found:
        check_part(part, list(parts), "table", _FORM)
    unit = found[wanted or ""]
    require(
        not unit.header.get("ZTABLE"),
        "table",
        got="a table that fpack compressed",
        expected="its columns themselves",
        remedy="Unpack it with funpack.",
    )
    return unit


def _is_table(unit: Any) -> bool:  # noqa: ANN401
    return "TFIELDS" in unit.header and not unit.header.get("ZIMAGE")


def _check_sums(unit: Any) -> None:  # noqa: ANN401
    """Raise if a table has sums that do not fit it: of its values, of all with the header."""
    for key, verify in (("DATASUM", unit.verify_datasum), ("CHECKSUM", unit.verify_checksum)):
        if key in unit.header and verify() == 0:
            raise InputError(
                f"table {unit.name!r}",
                got=f"other contents than its {key} says",
                expected="what was written",
                remedy="Copy the file again; if it was edited on purpose, have the sums renewed.",
            )


@dataclass(frozen=True, slots=True)
class _Field:
    """A column as it is stored: its name, its place in the records, what its numbers stand for.

    Attributes
    ----------
    name, place
        As the header says, and among the records' fields.
    code
        The letter of its format.
    text
        Whether its numbers are written as text.
    null
        What stands for a missing value; None if nothing does.
    scale, zero
        A value is ``scale`` times the stored number, plus ``zero``.
    """

    name: str
    place: str
    code: str
    text: bool
    null: Any
    scale: float
    zero: float


def _source(unit: Any, *, text: bool) -> Source:  # noqa: ANN401
    names = [column.name for column in unit.columns]
    unique(names, "columns")
    # Mapped: nothing is read of it yet.
    rows: npt.NDArray[Any] = np.asarray(unit.data.view(np.ndarray))
    fields = {
        name: _field(unit, j, place, text=text)
        for j, (name, place) in enumerate(zip(names, rows.dtype.names or (), strict=True), start=1)
    }

    def load(wanted: Sequence[str]) -> Iterator[Values]:
        stored = _stored(rows, [fields[name].place for name in wanted])
        return (_values(fields[name], stored.pop(fields[name].place)) for name in wanted)

    units = {
        name: str(column.unit or "").strip()
        for name, column in zip(names, unit.columns, strict=True)
    }
    return Source(
        {name: _column(field, rows[field.place]) for name, field in fields.items()},
        load,
        {name: Feature(name, unit=said) for name, said in units.items() if said},
    )


def _field(unit: Any, j: int, place: str, *, text: bool) -> _Field:  # noqa: ANN401
    name = unit.columns[j - 1].name
    code = re.sub(r"[\s\d]", "", str(unit.header.get(f"TFORM{j}", "")))[:1].upper()
    scale, zero = unit.header.get(f"TSCAL{j}", 1), unit.header.get(f"TZERO{j}", 0)
    null = unit.header.get(f"TNULL{j}")
    for key, value, kinds in (
        (f"TSCAL{j}", scale, int | float),
        (f"TZERO{j}", zero, int | float),
        (f"TNULL{j}", null, str | int | None if text else int | None),
    ):
        require(
            isinstance(value, kinds),
            f"column {name!r}",
            got=f"{key} = {value!r}",
            expected="a number, as the standard says",
            remedy="Mend the header.",
        )
    return _Field(name, place, code, text, null, scale, zero)


def _column(field: _Field, stored: npt.NDArray[Any]) -> Column:
    """Return the column of a field, whose stored values are looked at only for type and shape."""
    rows = len(stored)
    if field.code in "PQ":
        return Column("other", "rows of different length", rows)
    if field.code == "X":
        return Column("other", "bits", rows, numeric=True)
    if stored.size == 0 and rows:
        return Column("other", "no values", rows)
    if field.code == "A":
        flat = stored.ndim == 1
        return Column("text", "text", rows) if flat else Column("other", "rows of texts", rows)
    return Column(rows=rows) if field.text else number_column(stored)


def _stored(rows: npt.NDArray[Any], places: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return fields of mapped records, gone through once: each page holds all the columns."""
    kinds = {place: rows.dtype[place] for place in dict.fromkeys(places)}
    require_memory(len(rows) * sum(kind.itemsize for kind in kinds.values()), "table")
    found = {place: np.empty(len(rows), kind) for place, kind in kinds.items()}
    step = max(1, _PIECE // max(1, rows.dtype.itemsize))
    for start in range(0, len(rows), step):
        piece = rows[start : start + step]
        for place, values in found.items():
            values[start : start + step] = piece[place]
    return found


def _values(field: _Field, stored: npt.NDArray[Any]) -> Values:
    """Return what the stored values stand for: numbers, masked where one is missing, or text."""
    if field.code == "A":
        return _text(stored)
    if field.text:
        values, missing = _parsed(field, stored)
    elif field.code == "L":
        values, missing = stored == _TRUE, stored == 0
        odd = ~(values | missing | (stored == _FALSE))
        _refuse(field.name, stored, odd, "a logical value", "T or F")
    else:
        values = stored.astype(stored.dtype.newbyteorder("="))
        integers = values.dtype.kind in "iu" and field.null is not None
        missing = values == field.null if integers else np.zeros(values.shape, np.bool_)
    values = _scaled(field, values, missing)
    return np.ma.MaskedArray(values, missing) if missing.any() else values


def _text(stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.char.rstrip(np.char.decode(stored, "ascii", "replace")))


def _parsed(field: _Field, stored: npt.NDArray[Any]) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Return the numbers of a column of an ASCII table."""
    texts = np.char.strip(_text(stored))
    null = None if field.null is None else str(field.null).strip()
    cells = read_cells([None if text == null else text for text in texts])
    _refuse(field.name, texts, cells.wrong, "text", "a number in every cell")
    if field.code == "I":
        _refuse(field.name, texts, np.abs(cells.values) > EXACT, "an integer", "at most 2**53")
    return np.nan_to_num(cells.values, nan=0.0, posinf=np.inf, neginf=-np.inf), cells.missing


def _scaled(field: _Field, values: Values, missing: npt.NDArray[np.bool_]) -> Values:
    """Return ``scale * values + zero``, of integers exactly or not at all."""
    if field.scale == 1 and field.zero == 0:
        return values
    wide = values.dtype.kind == "i" and values.dtype.itemsize == 8
    if wide and field.scale == 1 and field.zero == _UNSIGNED:
        return values.astype(np.uint64) + np.uint64(_UNSIGNED)  # modulo 2**64, as FITS means it
    if wide:
        large = ((values > EXACT) | (values < -EXACT)) & ~missing
        _refuse(field.name, values, large, "a stored integer", "at most 2**53, to be scaled")
    whole = field.scale == 1 and float(field.zero).is_integer() and abs(field.zero) <= EXACT
    if values.dtype.kind in "iu" and whole:
        return values.astype(np.int64) + np.int64(field.zero)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are told by their row
        return np.asarray(values.astype(np.float64) * field.scale + field.zero)


def _refuse(
    name: str, values: Values, wrong: npt.NDArray[np.bool_], what: str, expected: str
) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"column {name!r}", got=f"{what} {values[row]!s} in row {row}", expected=expected
        )


def write_fits(columns: Columns, specs: Sequence[Feature], file: EventFile) -> None:
    """Write one binary table, ``EVENTS`` by default, with units and checksums.

    FITS has no place for labels, kinds and supports.
    """
    fits = optional("astropy.io.fits", "fits")
    units = {spec.name: spec.unit for spec in specs}
    _check_names(columns, units)
    made = [
        fits.Column(
            name, "K" if values.dtype.kind in "iu" else "D", unit=units.get(name), array=values
        )
        for name, values in columns.items()
    ]
    table = fits.BinTableHDU.from_columns(made, name=file.part or "EVENTS")
    table.writeto(file.path, checksum=True)


def _check_names(columns: Columns, units: dict[str, str]) -> None:
    """Raise unless FITS can hold the names: ASCII text, different in more than capitals."""
    held = [*columns, *units.values()]
    odd = [text for text in held if not (text.isascii() and text.strip() == text) or len(text) > 68]
    require(
        not odd,
        "events",
        got=f"names or units {odd}",
        expected="at most 68 letters of ASCII in a FITS file",
        remedy="Rename them, or write another format.",
    )
    unique([name.lower() for name in columns], "columns of a FITS file, which has no capitals")
