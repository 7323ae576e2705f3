"""Frames that pandas wrote through PyTables: names of columns, index, values in blocks.

Two layouts.  ``fixed``: a group with one matrix ``block0_values`` per type, the names of its
columns in ``block0_items``, the order of all in ``axis0``, the index in ``axis1``.  ``table``:
one table of records whose fields ``values_block_0`` hold several columns each, their names in
pickled attributes, of which only texts and numbers are taken (see :func:`plain`).
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verisimile.core.errors import InputError, require
from verisimile.data.feature import unique
from verisimile.data.formats.hdf5_values import (
    Form,
    Position,
    absent,
    column_of,
    find,
    form_of,
)
from verisimile.data.source import Column

_INDEX = "the index of the frame"
_KINDS = ("frame", "frame_table", "series", "series_table")
_DATES = ("date", "timedelta")
_TEXT = ("str", "string")
_TEXTS_AND_NUMBERS = (
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, slots=True)
class Frame:
    """The columns of a frame, and where their values lie."""

    columns: dict[str, Column]
    positions: dict[str, Position]


def frame_kind(group: Any) -> str:  # noqa: ANN401  (h5py is untyped)
    """Return what pandas says that a group is: ``frame``, ``frame_table``, …; empty if nothing.

    What lost its attributes, as a copy by another program, is a frame if it is laid out as one.
    """
    needed = ("axis0", "block0_items", "block0_values")
    laid_out = all(find(group, name)[0] is not None for name in needed)
    return _text(group, "pandas_type") or ("frame" if laid_out else "")


def open_frame(group: Any) -> Frame:  # noqa: ANN401
    """Return the columns of a frame or series that pandas wrote, in its order."""
    kind = frame_kind(group)
    require(
        kind in _KINDS,
        f"{group.name}",
        got=f"a pandas object of kind {kind!r}",
        expected=f"one of {', '.join(_KINDS)}",
        remedy="Write it as a frame: frame.to_hdf(path, key=...).",
    )
    if kind.endswith("_table"):
        return _table(group)
    return _fixed_series(group) if kind == "series" else _fixed(group)


def _fixed(group: Any) -> Frame:  # noqa: ANN401
    """Read the layout ``fixed``: one matrix of values per type."""
    order = _names(group, "axis0")
    found: dict[str, tuple[Column, Position]] = {}
    place = 0
    while find(group, f"block{place}_values")[0] is not None:
        names = _names(group, f"block{place}_items")
        values = _node(group, f"block{place}_values")
        for j, name in enumerate(names):
            found[name] = _in_block(values, j, len(names))
        place += 1
    require(
        set(order) == set(found),
        f"{group.name}",
        got=f"blocks with the columns {list(found)[:20]}",
        expected=f"the frame's columns {order[:20]}",
        remedy="Is the file complete?",
    )
    return _with_index({name: found[name] for name in order}, _index(group, "axis1"))


def _in_block(values: Any, j: int, k: int) -> tuple[Column, Position]:  # noqa: ANN401
    """Return the j-th of the k columns of a block."""
    kind = _text(values, "value_type")
    if _text(values, "PSEUDOATOM"):
        return _pickled(kind), Position(values)
    require(
        "shape" not in values.attrs,
        "events",
        got=f"no events in the frame {values.parent.name!r}",
        expected="at least one event",
    )
    stated = values.attrs.get("transposed")
    across = values.shape[-1] == k if stated is None else bool(stated)
    shape = values.shape if across else tuple(reversed(values.shape))
    require(
        len(shape) == 2 and shape[1] == k,
        f"{values.name}",
        got=f"shape {values.shape}",
        expected=f"{k} columns, as many as names",
    )
    column = _typed(Form((shape[0],), values.dtype), kind, absent(values))
    return column, Position(values, place=j, upright=not across)


def _fixed_series(group: Any) -> Frame:  # noqa: ANN401
    values = _node(group, "values")
    named = _text(group, "name")
    name = named if isinstance(named, str) and named else "values"
    kind = _text(values, "value_type")
    if _text(values, "PSEUDOATOM"):
        column = _pickled(kind)
    else:
        column = _typed(Form(values.shape, values.dtype), kind, absent(values))
    return _with_index({name: (column, Position(values))}, _index(group, "index"))


def _typed(form: Form, kind: object, refused: str) -> Column:
    """Return the column of values whose type pandas may have changed to store them."""
    if isinstance(kind, str) and kind.startswith(_DATES):
        return Column("other", f"values of type {kind}", form.shape[0])
    return column_of(form, refused)


def _pickled(kind: object) -> Column:
    if kind in _TEXT:
        return Column("other", "text that pandas pickled")
    why = "Python objects that pandas pickled, which are not read for safety"
    return Column("other", why, refused=why)


def _index(group: Any, name: str) -> tuple[Column, Position | None]:  # noqa: ANN401
    """Return the index, which may be asked for by name where it is one flat axis."""
    axis, _ = find(group, name)
    form = None if axis is None else form_of(axis)  # an index of several levels has no axis
    if not isinstance(form, Form) or absent(axis):
        return Column("other", _INDEX, index=_INDEX), None
    return _as_index(_typed(form, _text(axis, "kind"), "")), Position(axis)


def _as_index(column: Column) -> Column:
    return Column(column.content, column.about, column.rows, _INDEX)


def _with_index(
    found: Mapping[str, tuple[Column, Position]], index: tuple[Column, Position | None]
) -> Frame:
    columns = {name: column for name, (column, _) in found.items()}
    positions = {name: position for name, (_, position) in found.items()}
    name = "index" if "index" not in columns else "index of the frame"
    columns[name] = index[0]
    if index[1] is not None:
        positions[name] = index[1]
    return Frame(columns, positions)


def _table(group: Any) -> Frame:  # noqa: ANN401
    """Read the layout ``table``: records, some of whose fields hold several columns."""
    table = _node(group, "table")
    form = form_of(table)
    records = isinstance(form, Form) and form.dtype.names is not None
    require(records, f"{table.name}", got=f"{form}", expected="records of plain types")
    refused = absent(table)
    levels = _listed(group, "levels")
    found: dict[str, tuple[Column, Position]] = {}
    for field in table.dtype.names:
        if field == "index":
            continue
        names = _labels(_listed(table, f"{field}_kind"))
        unique([*found, *names], f"{group.name}")
        column = _in_field(group, table, field, len(names), refused)
        for j, name in enumerate(names):
            place = j if table.dtype[field].shape else None
            found[name] = (
                _as_index(column) if name in levels else column,
                Position(table, field, place),
            )
    order = _order(group, list(found))
    return _with_index({name: found[name] for name in order}, _index_field(table))


def _in_field(group: Any, table: Any, field: str, k: int, refused: str) -> Column:  # noqa: ANN401
    """Return what each of the k columns is that one field of the records holds."""
    kind = table.dtype[field]
    require(
        kind.shape == (k,) or (kind.shape == () and k == 1),
        f"{table.name}: field {field!r}",
        got=f"shape {kind.shape}",
        expected=f"{k} columns, as many as names",
    )
    rows = table.shape[0]
    if _text(table, f"{field}_meta") == "category":
        return Column("other", "categories", rows, numeric=_numeric_categories(group, field))
    return _typed(Form((rows,), kind.base), _text(table, f"{field}_dtype"), refused)


def _numeric_categories(group: Any, field: str) -> bool:  # noqa: ANN401
    """Return whether the categories, which pandas keeps in a table of their own, are numbers."""
    table, _ = find(group, f"meta/{field}/meta/table")
    form = None if table is None else form_of(table)
    names = form.dtype.names or () if isinstance(form, Form) else ()
    return "values" in names and table.dtype["values"].base.kind in "biuf"


def _index_field(table: Any) -> tuple[Column, Position | None]:  # noqa: ANN401
    if "index" not in table.dtype.names or absent(table):
        return Column("other", _INDEX, index=_INDEX), None
    form = Form((table.shape[0],), table.dtype["index"])
    return _as_index(_typed(form, _text(table, "index_kind"), "")), Position(table, "index")


def _order(group: Any, found: list[str]) -> list[str]:  # noqa: ANN401
    """Return the columns in the frame's order, which the fields of the records do not keep."""
    axes = _listed(group, "non_index_axes")
    if len(axes) == 1 and isinstance(axes[0], tuple) and len(axes[0]) == 2:
        names = _labels(axes[0][1]) if isinstance(axes[0][1], list) else []
        if sorted(names) == sorted(found):
            return names
    return found


def _node(group: Any, name: str) -> Any:  # noqa: ANN401
    found, why = find(group, name)
    require(
        hasattr(found, "dtype") or hasattr(found, "is_virtual"),
        f"{group.name}/{name}",
        got=why or "a group",
        expected="the values of a frame",
        remedy="Is the file complete?",
    )
    return found


def _names(group: Any, name: str) -> list[str]:  # noqa: ANN401
    """Return the names that an axis of the layout ``fixed`` holds, of one or several levels."""
    if _text(group, f"{name}_variety") != "multi":
        return _labels(_axis(group, name))
    count = int(group.attrs.get(f"{name}_nlevels", 0))
    levels = [_axis(group, f"{name}_level{j}") for j in range(count)]
    codes = [_codes(group, f"{name}_label{j}") for j in range(count)]
    return _labels(
        [
            tuple(level[code] for level, code in zip(levels, row, strict=True))
            for row in zip(*codes, strict=True)
        ]
    )


def _axis(group: Any, name: str) -> list[object]:  # noqa: ANN401
    """Return the labels along an axis: text or numbers."""
    axis = _node(group, name)
    why = absent(axis)
    kind = _text(axis, "kind")
    if "shape" in axis.attrs:
        return []  # HDF5 has no empty arrays for PyTables, which writes one value instead
    known = kind in ("string", "integer", "float", "bool", None) and axis.dtype.kind in "SbiufO"
    require(
        not why and known and not _text(axis, "PSEUDOATOM"),
        f"{axis.name}",
        got=why or f"names of columns of kind {kind!r}",
        expected="readable names of columns: text or numbers",
        remedy="" if why else "Rename the columns: frame.columns = frame.columns.astype(str).",
    )
    values = axis[()].tolist()
    return [_decoded(group, value) if isinstance(value, bytes) else value for value in values]


def _codes(group: Any, name: str) -> list[int]:  # noqa: ANN401
    return [int(code) for code in np.asarray(_node(group, name)[()])]


def _decoded(group: Any, value: bytes) -> str:  # noqa: ANN401
    try:
        return value.decode(_text(group, "encoding") or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return value.decode("latin-1")


def _labels(names: Sequence[object]) -> list[str]:
    """Return names as the text that a frame shows: 0 is ``0``, a pair ``('a', 'x')``."""
    for name in names:
        parts = name if isinstance(name, tuple) else (name,)
        # Deeper ones could be made to grow without bound.
        flat = all(part is None or isinstance(part, str | int | float) for part in parts)
        require(flat, "columns", got="names within names", expected="names: text or numbers")
    return [str(name) for name in names]


def _raw(node: Any, name: str) -> bytes | None:  # noqa: ANN401
    value = node.attrs.get(name)
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, bytes) else None


def _text(node: Any, name: str) -> str | None:  # noqa: ANN401
    """Return an attribute that is text; None without it, or if it is Python's None, pickled."""
    value = _raw(node, name)
    return None if value in (None, b"N.") else value.decode(errors="replace")


def _listed(node: Any, name: str) -> list[object]:  # noqa: ANN401
    """Return a list that PyTables pickled into an attribute; empty without one."""
    value = _raw(node, name)
    if value is None:
        return []
    found = plain(value, f"{node.name}: attribute {name!r}")
    return found if isinstance(found, list) else []


def plain(pickled: bytes, where: str) -> object:
    r"""Return the lists, tuples, texts and numbers that a pickle holds, without running it.

    An InputError says that it holds anything else.

    Examples
    --------
    >>> plain(b"(lp0\nVm\np1\naI3\na.", "names")
    ['m', 3]
    """
    stack: list[object] = []
    marks: list[int] = []
    memo: dict[object, object] = {}
    try:
        for opcode, value, _ in pickletools.genops(pickled):
            if opcode.name == "STOP":
                break
            _step(opcode.name, value, stack, marks, memo)
        (found,) = stack
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            where,
            got=f"a pickle that is no plain list of names ({error})",
            expected="lists and tuples of text and numbers, all that is read of a pickle",
            remedy="Write the frame with names of columns that are text.",
        ) from None
    return found


def _step(
    name: str, value: object, stack: list[Any], marks: list[int], memo: dict[object, object]
) -> None:
    """Do what one instruction of a pickle says, of those that only build lists and tuples."""
    if name in _TEXTS_AND_NUMBERS:
        stack.append(value)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name == "MARK":
        marks.append(len(stack))
    elif name in ("LIST", "TUPLE"):
        start = marks.pop()
        items = stack[start:]
        stack[start:] = [items if name == "LIST" else tuple(items)]
    elif name in ("EMPTY_LIST", "EMPTY_TUPLE"):
        stack.append([] if name == "EMPTY_LIST" else ())
    elif name in _TUPLES:
        count = _TUPLES[name]
        stack[-count:] = [tuple(stack[-count:])]
    elif name == "APPEND":
        item = stack.pop()
        stack[-1].append(item)
    elif name == "APPENDS":
        start = marks.pop()
        stack[start - 1].extend(stack[start:])
        del stack[start:]
    elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if name == "MEMOIZE" else value] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[value])
    elif name not in ("PROTO", "FRAME"):
        raise ValueError(f"instruction {name}")
