"""Dataclasses to JSON by their values, and back by their type hints."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from verisimile.core.canonical import JSON, plain, restored, text_key
from verisimile.core.errors import InputError, StoreError, VerisimileError
from verisimile.core.registry import registered, schema_of

__all__ = ["Fetch", "Keep", "decode", "encode", "inline"]

Keep: TypeAlias = Callable[[str, npt.NDArray[Any]], JSON]
"""Returns the JSON of the array at a place such as ``fit.weights``."""

Fetch: TypeAlias = Callable[[str], npt.NDArray[Any]]
"""Returns the array that ``{"array": key}`` refers to."""


def encode(value: object, place: str, keep: Keep) -> JSON:
    """Return `value` as strict JSON, its arrays as `keep` says.

    A registered dataclass carries its schema.  Fields with the metadata
    ``{"transient": True}`` are left out.

    Raises
    ------
    InputError
        If something has no JSON form; the message says where.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        schema = schema_of(type(value))
        fields = {
            field.name: encode(getattr(value, field.name), f"{place}.{field.name}", keep)
            for field in _fields(type(value))
        }
        return fields if schema is None else {"schema": schema, **fields}
    if isinstance(value, np.ndarray):
        return keep(place, value)
    if isinstance(value, list | tuple):
        return [encode(item, f"{place}[{index}]", keep) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            text_key(key, place): encode(item, f"{place}.{key}", keep)
            for key, item in value.items()
        }
    return plain(value, place)


def inline(place: str, array: npt.NDArray[Any]) -> JSON:
    """Return `array` as nested lists.

    Raises
    ------
    InputError
        If its entries are no real numbers or bools.
    """
    if array.dtype.kind not in "fiub":
        raise InputError(place, got=f"an array of {array.dtype}", expected="an array of numbers")
    if array.size == 0 and array.ndim > 1:
        # Nested lists cannot tell (0, 3) from (0,).
        return {"empty": list(array.shape)}
    return plain(array.tolist(), place)


def decode(value: JSON, hint: Any, place: str, fetch: Fetch) -> Any:  # noqa: ANN401
    """Return the object of type `hint` that `value` encodes.

    Raises
    ------
    StoreError
        If `value` does not fit the hint; the message says where.
    """
    if hint in (Any, object):
        return restored(value)
    if hint in _SCALARS:
        return _scalar(value, hint, place)
    origin = get_origin(hint) or hint
    if origin in _GENERICS:
        return _GENERICS[origin](value, hint, place, fetch)
    if isinstance(hint, type) and isinstance(value, Mapping):
        return _instance(value, hint, place, fetch)
    raise _misfit(value, hint, place)


def _instance(value: Mapping[str, JSON], hint: type, place: str, fetch: Fetch) -> object:
    """Return a dataclass: the one named by the value's schema, else the hint itself."""
    cls = registered(value["schema"]) if "schema" in value else hint
    if not dataclasses.is_dataclass(cls):
        raise _misfit(value, hint, place)
    if dataclasses.is_dataclass(hint) and not issubclass(cls, hint):
        raise _misfit(value, hint, place)
    hints = get_type_hints(cls)
    fields = {field.name: field for field in _fields(cls)}
    given = value.keys() - {"schema"}
    if given - fields.keys():
        raise StoreError(
            place, got=f"the fields {sorted(given - fields.keys())}", expected=f"{sorted(fields)}"
        )
    arguments = {name: decode(value[name], hints[name], f"{place}.{name}", fetch) for name in given}
    try:
        return cls(**arguments)
    except (TypeError, VerisimileError) as error:
        raise StoreError(place, got=f"{error}", expected=f"a whole {cls.__name__}") from error


def _scalar(value: JSON, hint: type, place: str) -> object:
    if hint is float:
        value = restored(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
    # type() and not isinstance: True is no int here.
    if type(value) is not hint:
        raise _misfit(value, hint, place)
    return value


def _union(value: JSON, hint: Any, place: str, fetch: Fetch) -> object:  # noqa: ANN401
    for arm in get_args(hint):
        try:
            return decode(value, arm, place, fetch)
        except StoreError as error:
            misfit = error
    raise misfit


def _literal(value: JSON, hint: Any, place: str, fetch: Fetch) -> object:  # noqa: ANN401, ARG001
    if value not in get_args(hint):
        raise _misfit(value, hint, place)
    return value


def _sequence(value: JSON, hint: Any, place: str, fetch: Fetch) -> object:  # noqa: ANN401
    """Return a tuple, or a list where the hint says so."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _misfit(value, hint, place)
    origin, hints = get_origin(hint) or hint, get_args(hint)
    if not hints:
        hints = (object,) * len(value)
    elif origin is not tuple or hints[-1] is Ellipsis:
        hints = hints[:1] * len(value)
    if len(hints) != len(value):
        raise _misfit(value, hint, place)
    items = [
        decode(item, one, f"{place}[{index}]", fetch)
        for index, (item, one) in enumerate(zip(value, hints, strict=True))
    ]
    return items if origin is list else tuple(items)


def _mapping(value: JSON, hint: Any, place: str, fetch: Fetch) -> object:  # noqa: ANN401
    if not isinstance(value, Mapping):
        raise _misfit(value, hint, place)
    one = (*get_args(hint), object, object)[1]
    return {key: decode(item, one, f"{place}.{key}", fetch) for key, item in value.items()}


def _array(value: JSON, hint: Any, place: str, fetch: Fetch) -> npt.NDArray[Any]:  # noqa: ANN401
    if isinstance(value, Mapping) and isinstance(key := value.get("array"), str):
        array = fetch(key)
    else:
        array = _from_lists(value, hint, place)
    array.setflags(write=False)
    return array


def _from_lists(value: JSON, hint: Any, place: str) -> npt.NDArray[Any]:  # noqa: ANN401
    if value is None:  # numpy would make NaN of it
        raise _misfit(value, hint, place)
    dtype = _dtype(hint)
    try:
        if isinstance(value, Mapping):
            shape: Any = value["empty"]
            array = np.empty(0, dtype).reshape(shape)
        else:
            array = np.array(restored(value), dtype)
    except (KeyError, TypeError, ValueError):
        raise _misfit(value, hint, place) from None
    if array.dtype.kind not in "fiub":
        raise _misfit(value, hint, place)
    return array


def _dtype(hint: Any) -> np.dtype[Any] | None:  # noqa: ANN401
    """Return the dtype in ``NDArray[...]``, None where it leaves it open."""
    scalar = next(iter(get_args((*get_args(hint), None, None)[1])), None)
    return np.dtype(scalar) if scalar in np.sctypeDict.values() else None


def _fields(cls: type) -> list[dataclasses.Field[Any]]:
    return [
        field
        for field in dataclasses.fields(cls)
        if field.init and not field.metadata.get("transient", False)
    ]


def _misfit(value: JSON, hint: object, place: str) -> StoreError:
    text = repr(value)
    return StoreError(
        place,
        got=text if len(text) <= 80 else f"{text[:77]}...",
        expected=getattr(hint, "__name__", str(hint)),
        remedy="The file was changed, or written by other code.",
    )


_SCALARS = (float, int, str, bool, type(None))
_GENERICS: dict[object, Callable[[JSON, Any, str, Fetch], object]] = {
    Union: _union,
    types.UnionType: _union,
    Literal: _literal,
    tuple: _sequence,
    list: _sequence,
    Sequence: _sequence,
    dict: _mapping,
    Mapping: _mapping,
    np.ndarray: _array,
}
