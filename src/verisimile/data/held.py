"""What people hold in Python, as columns: frames, tables, dicts, records, tensors, arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from verisimile.core.arrays import EXACT
from verisimile.core.errors import InputError, require
from verisimile.data.feature import Feature, unique
from verisimile.data.formats.arrays import of_array
from verisimile.data.formats.arrow import is_told, table_source, values_of
from verisimile.data.formats.file import Labels
from verisimile.data.source import Column, Source, Values, arrays_source


class SpeaksArrow(Protocol):
    """A frame of pandas or polars, an Arrow table: what hands its columns over as Arrow does."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the columns as a capsule of Arrow."""


Held: TypeAlias = (
    str
    | os.PathLike[str]
    | Sequence[str | os.PathLike[str]]
    | Mapping[str, Any]
    | SpeaksArrow
    | npt.ArrayLike
)
"""Whatever holds events: a path or several, a frame, a table, a dict of columns, an array."""

_NUMBERS = (Real, Decimal, np.bool_)
_NUMERIC = ("int", "uint", "float", "decimal")
_OPEN_FILES = ("h5py", "uproot")

# What has these attributes is no array yet; the first that is there says how it becomes one.
_REMEDIES = {
    "collect": "Collect it first: frame.collect().",
    "compute": "Compute it first: x.compute().",
    "to_table": "Read it first: x.to_table().",
    "toarray": "Make it dense first: x.toarray().",
    "to_frame": "Make it a frame: x.to_frame().",
    "__next__": "Make it a list first: list(x).",
}


def has_columns(value: object) -> bool:
    """Return whether a value in memory brings columns with names: a frame, a table, a dict."""
    return (
        isinstance(value, Mapping | Source)
        or _is_frame(value)
        or _is_astropy(value)
        or _is_records(value)
        or bool(isinstance(value, np.ndarray) and value.dtype.names)
    )


def held_source(value: Any, labels: Labels) -> Source:  # noqa: ANN401  (see `has_columns`)
    """Return the columns of whatever holds events in memory; those of a matrix get `labels`."""
    if isinstance(value, Source):
        return value
    _refuse_open_file(value)
    if isinstance(value, Mapping):
        return _by_name(value.items())
    if _is_frame(value):
        return _frame(value)
    if _is_astropy(value):
        return _astropy(value)
    if _is_records(value):
        return _by_name((name, value[name]) for name in value.fields)
    array = plain_array(value)
    if array.dtype.names:
        got = f"an array of records of shape {array.shape}"
        require(array.ndim == 1, "array", got=got, expected="one record for each event")
        return _by_name((name, array[name]) for name in array.dtype.names)
    return of_array(array, labels)


def plain_array(value: Any, name: str = "events") -> Values:  # noqa: ANN401  (array-likes, …)
    """Return what holds numbers or text as an array, masked where values are missing.

    Tensors are detached from their graph and fetched from their device.  Nothing is rounded:
    an InputError tells whole numbers that a double does not hold, and what is no array at all.
    """
    return _with_numbers(given_array(value, name), name)


def given_array(value: Any, name: str = "events") -> Values:  # noqa: ANN401  (see `plain_array`)
    """Return a value as an array of the type that it says, objects where it says none."""
    _refuse_open_file(value)
    try:
        array = _array(value)
    except InputError:
        raise
    # Libraries raise what they like when something is no array: TypeError, RuntimeError, …
    except BaseException as error:
        if not is_told(error):
            raise
        uneven = isinstance(value, list | tuple) or _is_awkward(value)
        why = "with rows of unequal lengths" if uneven else f"({type(error).__name__}: {error})"
        raise _no_array(value, name, why) from None
    if array.ndim == 0:
        raise _no_array(value, name)
    return array


def _array(value: Any) -> Values:  # noqa: ANN401  (see `plain_array`)
    if hasattr(value, "detach"):
        return _tensor(value)
    if isinstance(value, np.ma.MaskedArray):
        return value
    if isinstance(value, np.ndarray) and hasattr(value, "unmasked"):  # astropy's masked arrays
        return np.ma.MaskedArray(np.asarray(value.unmasked), np.asarray(value.mask))  # type: ignore[attr-defined]
    if _is_awkward(value):
        found = value.to_numpy(allow_missing=True)
        return found if isinstance(found, np.ma.MaskedArray) else np.asarray(found)
    if _is_series(value):
        try:
            # Without its name, of which polars cannot hand on every one.
            plain = value.alias("") if hasattr(value, "alias") else value
            return values_of(pa.chunked_array(plain))
        except (pa.ArrowException, TypeError, ValueError):
            pass  # a series of objects that Arrow has no type for
    if isinstance(value, list | tuple):
        return _listed(value)
    return np.asarray(value)


def _tensor(value: Any) -> Values:  # noqa: ANN401  (torch is optional)
    here = value.detach().cpu()
    here = here.resolve_conj().resolve_neg() if hasattr(here, "resolve_conj") else here
    try:
        return np.asarray(here.numpy())
    except TypeError:
        # bfloat16 and float8, which NumPy lacks and doubles hold; a sparse tensor fails again.
        return np.asarray(here.double().numpy())


def _listed(value: list[Any] | tuple[Any, ...]) -> Values:
    if any(hasattr(one, "detach") for one in value):
        value = [_array(one) for one in value]
    array = np.asarray(value)
    if array.dtype.kind == "f" and (np.isfinite(array) & (np.abs(array) >= EXACT)).any():
        # NumPy has rounded large integers that stood beside decimals: look at them as they were.
        return np.asarray(value, dtype=object)
    return array


def _with_numbers(array: Values, name: str) -> Values:
    """Return an array of number objects, with gaps where one is None or NA, as doubles."""
    if array.dtype.kind != "O":
        return array
    hidden = np.ma.getmaskarray(array).ravel()
    objects = np.ma.getdata(array).ravel().tolist()
    gaps = hidden | np.array([_is_gap(one) for one in objects], dtype=np.bool_)
    there = [one for one, gap in zip(objects, gaps, strict=True) if not gap]
    if not there or not all(isinstance(one, _NUMBERS) for one in there):
        return array
    large = [one for one in there if isinstance(one, Integral) and abs(int(one)) > EXACT]
    if large:
        raise InputError(
            name,
            got=f"integers such as {large[0]}, beyond 2**53",
            expected="numbers that a double holds exactly",
            remedy="Is it an event number? Leave that column out.",
        )
    numbers = np.zeros(len(objects))
    numbers[~gaps] = [float(one) for one in there]
    shaped = numbers.reshape(array.shape)
    return np.ma.MaskedArray(shaped, gaps.reshape(array.shape)) if gaps.any() else shaped


def _is_gap(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType"


def _no_array(value: object, where: str, why: str = "") -> InputError:
    remedy = next((said for name, said in _REMEDIES.items() if hasattr(value, name)), "")
    return InputError(
        where,
        got=f"{described(value)}{why and ' '}{why}",
        expected="a path, a frame, a table, a dict of columns, or an array (events, features)"
        if where == "events"
        else "an array",
        remedy=remedy,
    )


def described(value: object) -> str:
    """Return what a value is, for messages.

    Examples
    --------
    >>> described([1.0]), described(None)
    ('a list', 'None')
    """
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def _refuse_open_file(value: object) -> None:
    library = type(value).__module__.partition(".")[0]
    require(
        library not in _OPEN_FILES,
        "events",
        got=f"an open {type(value).__name__} of {library}",
        expected="the path of the file, whose contents are then checked as they are read",
        remedy="Say path.h5:group or path.root:tree.",
    )


def _by_name(
    items: Iterable[tuple[object, Any]], specs: Mapping[str, Feature] | None = None
) -> Source:
    """Return columns by their names; what is no array is told if it is asked for."""
    pairs = [(_name(key), values) for key, values in items]
    unique([name for name, _ in pairs], "columns")
    arrays: dict[str, Values] = {}
    others: dict[str, Column] = {}
    for name, values in pairs:
        try:
            found = given_array(values)
        except InputError as error:
            kind = str(getattr(values, "dtype", "")).lower()
            others[name] = Column("other", error.got, numeric=kind.startswith(_NUMERIC))
            continue
        arrays[name] = _with_numbers(found, f"column {name!r}")
    source = arrays_source(arrays, specs)
    columns = {name: others.get(name) or source.columns[name] for name, _ in pairs}
    return replace(source, columns=columns)


def _name(key: object) -> str:
    """Return the name of a column: text, or the number of a column without a name."""
    require(
        isinstance(key, str | int | np.integer) and not isinstance(key, bool),
        "columns",
        got=f"the column name {key!r}",
        expected="text",
        remedy="Join the levels of several: frame.columns = ['_'.join(c) for c in frame.columns]."
        if isinstance(key, tuple)
        else "Rename the column.",
    )
    return str(key)


def _is_frame(value: object) -> bool:
    # A series speaks Arrow too, and is one column without others.
    return hasattr(value, "__arrow_c_stream__") and any(
        hasattr(value, name) for name in ("columns", "column_names", "schema")
    )


def _is_series(value: object) -> bool:
    speaks = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")
    return speaks and not _is_frame(value)


def _frame(frame: Any) -> Source:  # noqa: ANN401  (pandas and polars are optional)
    """Return a frame's columns as Arrow sees them; one by one where a type is unknown to it."""
    if not hasattr(frame, "iloc"):
        return _arrow_frame(frame)
    names = [_name(key) for key in frame.columns]
    unique(names, "columns")
    return _arrow_frame(frame)


def _arrow_frame(frame: Any) -> Source:  # noqa: ANN401  (anything that speaks Arrow)
    try:
        return table_source(frame)
    except InputError:
        if not hasattr(frame, "columns") or isinstance(frame, pa.Table | pa.RecordBatch):
            raise
        return _by_name((name, frame[name]) for name in frame.columns)


def _is_astropy(value: object) -> bool:
    return hasattr(value, "colnames") and hasattr(value, "itercols")


def _astropy(table: Any) -> Source:  # noqa: ANN401  (astropy is optional)
    """Return the columns of a table of astropy, with their units."""
    units = {name: getattr(table[name], "unit", None) for name in table.colnames}
    specs = {name: Feature(name, unit=str(unit)) for name, unit in units.items() if unit}
    return _by_name(((name, table[name]) for name in table.colnames), specs)


def _is_awkward(value: object) -> bool:
    return type(value).__module__.startswith("awkward") and hasattr(value, "to_numpy")


def _is_records(value: object) -> bool:
    return _is_awkward(value) and getattr(value, "ndim", 0) == 1 and bool(value.fields)  # type: ignore[attr-defined]
