"""Results as tables: a row of numbers, or one row for each bin, test, member.

A cell is a scalar, or a value with its errors.  In a table of columns the latter becomes several:
``p_value``, ``p_value_low``, ``p_value_high``, and so on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame

Row: TypeAlias = dict[str, object]
"""Cells by the names of their columns."""

_SCALARS = (bool, int, float, str, np.generic, type(None))
_MEASURED = {"value"}  # fields that a value with its errors has
_PAIR = 2
_ALL = ".*"


def scalars(result: object, *, deep: bool = True) -> Row:
    """Return the cells of a result that stand for all of it, in one row.

    `deep` has those of its parts and mappings too.
    """
    return dict(_cells_of(result, deep=deep))


def rows(result: object, *, deep: bool = True) -> list[Row]:
    """Return the table of a result: its fields `listed`, each with its scalars if it has none.

    `deep` as for `scalars`.

    Raises
    ------
    InputError
        If these fields are not of one length.
    """
    listed: tuple[str, ...] = getattr(type(result), "listed", ())
    if not listed:
        return [scalars(result, deep=deep)]
    found = [_parts(name, result, deep=deep) for name in listed]
    sizes = {len(each) for each in found}
    if len(sizes) != 1:
        raise InputError(
            f"{type(result).__name__}.listed",
            got=f"{listed} of the lengths {sorted(sizes)}",
            expected="fields of one length",
        )
    return [
        {name: cell for part in place for name, cell in part.items()}
        for place in zip(*found, strict=True)
    ]


def columns(table: Sequence[Row]) -> dict[str, list[object]]:
    """Return the columns of a table, values with errors as several; what is missing is None."""
    flat = [dict(_flat(row)) for row in table]
    names = dict.fromkeys(name for row in flat for name in row)
    return {name: [row.get(name) for row in flat] for name in names}


def pandas_frame(
    data: Mapping[str, Sequence[object] | npt.NDArray[np.generic]], name: str, *, instead: str
) -> DataFrame:
    """Return columns as a pandas frame; an InputError of `name` says that there is no pandas."""
    try:
        import pandas as pd  # noqa: PLC0415  (optional)
    except ImportError:
        raise InputError(
            name,
            got="no installation of pandas",
            expected="pandas",
            remedy=f"Install it (pip install pandas), or use {instead}.",
        ) from None
    return pd.DataFrame(dict(data))


def _cells_of(item: object, *, deep: bool) -> Iterator[tuple[str, object]]:
    if not dataclasses.is_dataclass(item):
        return
    for field in dataclasses.fields(item):
        yield from _cell(field.name, getattr(item, field.name), deep=deep)


def _cell(name: str, value: object, *, deep: bool) -> Iterator[tuple[str, object]]:
    if _is_cell(value):
        yield name, value
    elif hasattr(value, "unit") and hasattr(value, "name"):  # a feature
        yield name, value.name
        if value.unit:
            yield "unit", value.unit
    elif deep and isinstance(value, Mapping):
        for key, one in value.items():
            if _is_cell(one):
                yield f"{name}_{key}", one
    elif deep and dataclasses.is_dataclass(value) and not getattr(type(value), "listed", ()):
        for field in dataclasses.fields(value):
            if _is_cell(one := getattr(value, field.name)):
                yield f"{name}_{field.name}", one


def _is_cell(value: object) -> bool:
    if isinstance(value, _SCALARS):
        return True
    if isinstance(value, tuple):
        return len(value) == _PAIR and all(type(one) in (float, int) for one in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return False
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return fields.keys() >= _MEASURED and all(isinstance(v, _SCALARS) for v in fields.values())


def _flat(row: Row) -> Iterator[tuple[str, object]]:
    for name, cell in row.items():
        if isinstance(cell, tuple):
            yield f"{name}_low", cell[0]
            yield f"{name}_high", cell[1]
        elif dataclasses.is_dataclass(cell):
            for field in dataclasses.fields(cell):
                whole = name if field.name in _MEASURED else f"{name}_{field.name}"
                yield whole, _plain(getattr(cell, field.name))
        else:
            yield name, _plain(cell)


def _plain(cell: object) -> object:
    return cell.item() if isinstance(cell, np.generic) else cell


def _parts(name: str, result: object, *, deep: bool) -> list[Row]:
    """Return what a field gives to each row."""
    everything = name.endswith(_ALL)
    name = name.removesuffix(_ALL)
    value = getattr(result, name)
    if isinstance(value, np.ndarray):
        return _of_array(name, value)
    if isinstance(value, Mapping):
        return [{"name": key, **dict(_part(name, one, deep=deep))} for key, one in value.items()]
    if dataclasses.is_dataclass(value):
        return [
            {f"{name}_{key}": cell for key, cell in row.items()} for row in rows(value, deep=deep)
        ]
    if everything:
        return [{**scalars(one, deep=deep), **row} for one in value for row in rows(one, deep=deep)]
    return [dict(_part(name, one, deep=deep)) for one in value]


def _part(name: str, item: object, *, deep: bool) -> Iterator[tuple[str, object]]:
    if isinstance(item, Mapping):
        yield from item.items()
    elif _is_cell(item):
        yield name.removesuffix("s"), item  # one of them
    else:
        yield from _cells_of(item, deep=deep)


def _of_array(name: str, values: npt.NDArray[np.generic]) -> list[Row]:
    if name == "edges":
        return [{"low": a, "high": b} for a, b in zip(values[:-1], values[1:], strict=True)]
    if values.ndim == 1:
        return [{name: one} for one in values]
    flat = values.reshape(len(values), -1)
    return [{f"{name}_{k}": one for k, one in enumerate(each)} for each in flat]
