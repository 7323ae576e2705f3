"""Columns as doubles, exactly: what of a column is no number, missing, infinite or not exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import EXACT, Array, BoolArray, IntArray
from verisimile.core.errors import InputError, require
from verisimile.core.memory import require_memory
from verisimile.data.cells import ParsedCells, read_cells
from verisimile.data.feature import ignoring, listing
from verisimile.data.source import Source, Values

_ROWS = 2048  # of a matrix, that stay in the cache while its columns are set
_SIDE_BY_SIDE = 16  # columns that are held until they are set together

Place = Callable[[int], str]
"""How a row is named in messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Columns side by side ``(n, d)``, one beside them, where values are missing or infinite."""

    x: Array
    last: Array | None
    missing: dict[str, BoolArray]
    infinite: dict[str, IntArray]


def numbers_of(
    source: Source, names: Sequence[str], d: int, parsed: Mapping[str, Values]
) -> Numbers:
    """Return the first `d` columns as one matrix; memory is asked for before it is taken."""
    declared = [source.columns[name].rows or 0 for name in names]
    # The matrix, the columns that wait, and one of the file's own type.
    held = min(len(names), _SIDE_BY_SIDE) + 1
    need = 8 * (sum(declared) + held * max(declared, default=0))
    require_memory(need, "events", stored=source.stored, what=f"{len(names)} columns")
    x, last = np.empty((0, 0)), None
    missing: dict[str, BoolArray] = {}
    infinite: dict[str, IntArray] = {}
    lengths: dict[str, int] = {}
    waiting: list[Array] = []
    loaded = source.load([name for name in names if name not in parsed])
    for j, name in enumerate(names):
        raw = parsed[name] if name in parsed else next(loaded)
        numbers, gaps = as_numbers(name, raw, source.place)
        lengths[name] = len(numbers)
        if j == 0:
            x = np.empty((len(numbers), d))
        if len(numbers) != len(x):
            lengths |= {n: source.columns[n].rows or 0 for n in names[j + 1 :]}
            break
        if gaps is not None:
            missing[name] = gaps
        if j == d:
            last = numbers
            continue
        # Here, where the column is in one piece: the matrix takes many times as long.
        if not _is_plain(numbers) and (rows := np.flatnonzero(np.isinf(numbers))).size:
            infinite[name] = rows
        waiting.append(numbers)
        if len(waiting) == _SIDE_BY_SIDE or j == d - 1:
            _fill(x[:, j + 1 - len(waiting) : j + 1], waiting)
            waiting = []
    _check_lengths(lengths)
    return Numbers(x, last, missing, infinite)


def _fill(x: Array, columns: Sequence[Array]) -> None:
    """Set neighbouring columns ``(n, k)`` of a matrix, some rows at a time.

    One column after the other would fetch every line of the matrix k times.
    """
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        for j, column in enumerate(columns):
            x[rows, j] = column[rows]


def _is_plain(numbers: Array) -> bool:
    """Return whether all are finite, or False if that is not seen at a glance."""
    with np.errstate(all="ignore"):
        # A sum of finite numbers that overflows is looked at one by one.
        return bool(np.isfinite(numbers.sum()))


def as_numbers(
    name: str, raw: Values, place: Place = "row {}".format
) -> tuple[Array, BoolArray | None]:
    """Return a loaded column as doubles, exactly, and where values are missing, if any are.

    NaN counts as missing; what is under a mask is never used.
    """
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.dtype.kind in "SUOT":
        cells = read_cells(raw)
        check_cells(name, cells, place)
        return cells.values, cells.missing if cells.missing.any() else None
    gaps = np.ma.getmaskarray(raw) if isinstance(raw, np.ma.MaskedArray) else None
    filled = np.ma.filled(raw, 0) if isinstance(raw, np.ma.MaskedArray) else raw
    if filled.dtype.kind in "iu" and filled.dtype.itemsize > 4:
        _check_exact(name, filled)
    with np.errstate(invalid="ignore", over="ignore"):  # infinite ones are told later
        numbers = np.ascontiguousarray(filled, dtype=np.float64)
    if gaps is None and _is_plain(numbers):
        return numbers, None
    nan = np.isnan(numbers)
    gaps = nan if gaps is None else gaps | nan
    if not gaps.any():
        return numbers, None
    return np.where(gaps, np.nan, numbers), gaps


def check_cells(name: str, cells: ParsedCells, place: Place) -> None:
    """Raise if a cell is no number, or one that a double does not hold."""
    if cells.wrong.any():
        raise InputError(
            f"column {name!r}",
            got=f"text {cells.first_wrong} in {place(int(np.flatnonzero(cells.wrong)[0]))}, "
            f"{int(cells.wrong.sum())} of {len(cells.wrong)} cells are no numbers",
            expected="a number in every cell",
            remedy=f"Mend the cell, or {ignoring([name])} to leave the column out, or list the "
            "features to read (--features).",
        )
    if cells.inexact is not None:
        raise _inexact(name, cells.inexact)


def _check_exact(name: str, values: npt.NDArray[np.integer[Any]]) -> None:
    # Whole columns of comparisons cost more than the two ends.
    for end in (values.max(initial=0), values.min(initial=0)):
        if abs(int(end)) > EXACT:
            raise _inexact(name, int(end))


def _inexact(name: str, number: int) -> InputError:
    return InputError(
        f"column {name!r}",
        got=f"integers such as {number}, beyond 2**53",
        expected="numbers that a double holds exactly",
        remedy=f"Is it an event number? List the features to read, or {ignoring([name])}.",
    )


def check_infinite(infinite: Mapping[str, IntArray], passed: BoolArray, place: Place) -> None:
    """Raise if a value is infinite in a row that is not cut."""
    kept = {name: rows[passed[rows]] for name, rows in infinite.items()}
    kept = {name: rows for name, rows in kept.items() if rows.size}
    for name, rows in kept.items():
        raise InputError(
            f"column {name!r}",
            got=f"infinite values (per column: {_counts(kept)}), the first in "
            f"{place(int(rows[0]))}",
            expected="finite numbers",
            remedy="Remove or repair these rows before the analysis.",
        )


def _counts(rows: Mapping[str, IntArray]) -> dict[str, int]:
    return {name: len(found) for name, found in first_few(rows).items()}


def _check_lengths(lengths: Mapping[str, int]) -> None:
    # One column of each length: a file can have 100 000.
    firsts: dict[int, str] = {}
    for name, length in lengths.items():
        firsts.setdefault(length, name)
    if len(firsts) > 1:
        raise InputError(
            "columns",
            got=f"lengths {first_few({name: length for length, name in firsts.items()})}",
            expected="equally long columns",
            remedy="List the features to read, all of one length.",
        )
    require(
        any(lengths.values()),
        "events",
        got=f"no events in {listing(lengths)}",
        expected="at least one event",
        remedy="Check the selection that made this file.",
    )


def first_few(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first twenty entries."""
    return dict(islice(held.items(), 20))
