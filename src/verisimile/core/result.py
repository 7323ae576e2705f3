"""Results on disk: strict JSON, with large arrays in a file beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from verisimile.core.canonical import JSON, plain, restored, text_key
from verisimile.core.errors import InputError, StoreError, VerisimileError
from verisimile.core.records import portable
from verisimile.core.store import write_atomic

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


T = TypeVar("T", bound=type)

_CLASSES: dict[str, tuple[type, int]] = {}


def register(name: str, schema: int) -> Callable[[T], T]:
    """Return a decorator that lets a dataclass be written, and read back by its `name`.

    Only registered classes are ever built from a file.  `schema` rises when a
    field changes its meaning.

    Raises
    ------
    InputError
        If another class has the name, or the class is no dataclass.
    """

    def decorator(cls: T) -> T:
        if not dataclasses.is_dataclass(cls):
            raise InputError(
                "register",
                got=f"{cls.__name__}, which is no dataclass",
                expected="a dataclass",
                remedy="Put @register above @dataclass.",
            )
        known = _CLASSES.get(name)
        # The same class comes again when its module is reloaded.
        if known is not None and _home(known[0]) != _home(cls):
            raise InputError("register", got=f"the name {name!r} twice", expected="a new name")
        _CLASSES[name] = (cls, schema)
        return cls

    return decorator


def schema_of(cls: type) -> str | None:
    """Return ``"verisimile.<name>/<n>"`` of a registered class, None of any other."""
    for name, (known, schema) in _CLASSES.items():
        if known is cls:
            return f"verisimile.{name}/{schema}"
    return None


def registered(schema: object) -> type:
    """Return the class that ``"verisimile.<name>/<n>"`` means.

    Raises
    ------
    StoreError
        If the name is unknown, or `n` is newer than this version's.
    """
    match = re.fullmatch(r"verisimile\.([^/]+)/([0-9]+)", str(schema))
    if match is None or match[1] not in _CLASSES:
        raise StoreError(
            "schema",
            got=repr(schema),
            expected=f'"verisimile.<name>/<n>" with a name of {", ".join(sorted(_CLASSES))}',
            remedy="Import the module that defines this result before reading it.",
        )
    cls, newest = _CLASSES[match[1]]
    if int(match[2]) > newest:
        raise StoreError(
            "schema",
            got=f"{schema}, written by a newer version",
            expected=f"at most {schema_of(cls)}",
            remedy="Upgrade verisimile.",
        )
    return cls


def _home(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


_INLINE_ENTRIES = 256
_HASH = "arrays_sha256"


@register("estimate", 1)
@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error.

    Raises
    ------
    InputError
        If the error is negative.

    Examples
    --------
    >>> Estimate(0.51234, 0.0071)
    Estimate(0.51234 ± 0.0071)
    """

    value: float
    error: float

    def __post_init__(self) -> None:
        if self.error < 0.0:
            raise InputError("Estimate.error", got=self.error, expected="a number >= 0")

    def __repr__(self) -> str:
        """Return one line: value and error."""
        return f"Estimate({self.value:.6g} ± {self.error:.2g})"


def to_dict(result: object) -> dict[str, JSON]:
    """Return a registered result as strict JSON, arrays inline.

    The first entry is ``"schema": "verisimile.<name>/<n>"``; NaN and the
    infinities are the strings ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.

    Raises
    ------
    InputError
        If the class is not registered, or a field has no JSON form.
    """
    return _encoded(result, inline)


def from_dict(data: Mapping[str, JSON]) -> object:
    """Return the result that `to_dict` turned into `data`.

    Raises
    ------
    StoreError
        If the schema is unknown or newer, or a field does not fit.
    """
    return _decoded(data, {})


def save(result: object, path: str | Path) -> Path:
    """Write a registered result to ``<path>.json`` and return the file's path.

    Arrays of more than 256 entries go to ``<path>.safetensors`` beside it,
    whose sha256 stands in the JSON.

    Raises
    ------
    InputError
        If the class is not registered, or a field has no JSON form.
    StoreError
        If the file system refuses.
    """
    file = _json_file(path)
    large: dict[str, npt.NDArray[Any]] = {}

    def keep(place: str, array: npt.NDArray[Any]) -> JSON:
        if array.size <= _INLINE_ENTRIES:
            return inline(place, array)
        large[place] = portable(place, array)
        return {"array": place}

    data = _encoded(result, keep)
    if large:
        payload = safetensors.numpy.save(large)
        data[_HASH] = hashlib.sha256(payload).hexdigest()
        write_atomic(file.with_suffix(".safetensors"), payload)
    write_atomic(file, json.dumps(data, indent=1, allow_nan=False).encode())
    return file


def load(path: str | Path) -> object:
    """Return the result in ``<path>.json``, with the arrays beside it.

    Raises
    ------
    StoreError
        If a file is missing or damaged, the schema is unknown or newer, or a
        field does not fit.
    """
    file = _json_file(path)
    try:
        data = json.loads(_read(file))
    except ValueError as error:
        raise StoreError(
            str(file), got=f"text that is not JSON ({error})", expected="a saved result"
        ) from None
    if not isinstance(data, dict):
        raise StoreError(str(file), got=f"a JSON {type(data).__name__}", expected="a saved result")
    sha256 = data.pop(_HASH, None)
    return _decoded(data, {} if sha256 is None else _large(file, sha256))


def _encoded(result: object, keep: Keep) -> dict[str, JSON]:
    name = type(result).__name__
    data = encode(result, name, keep)
    if isinstance(data, dict) and schema_of(type(result)) is not None:
        return data
    raise InputError(
        "result",
        got=f"a {name}",
        expected="a dataclass with a registered name",
        remedy='Decorate the class with @register("name", 1).',
    )


def _decoded(data: Mapping[str, JSON], large: Mapping[str, npt.NDArray[Any]]) -> object:
    def fetch(key: str) -> npt.NDArray[Any]:
        if key in large:
            return large[key]
        raise StoreError(
            key, got="a reference to an array", expected="the array", remedy="Use load(path)."
        )

    cls = registered(data.get("schema"))
    return decode(data, cls, cls.__name__, fetch)


def _large(file: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    beside = file.with_suffix(".safetensors")
    payload = _read(beside)
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise StoreError(
            str(beside),
            got="other bytes than were saved",
            expected=f"the file that belongs to {file.name}",
            remedy="Copy both files together, or save the result again.",
        )
    return dict(safetensors.numpy.load(payload))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(str(file), got=f"{error}", expected="a readable file") from error


def _json_file(path: str | Path) -> Path:
    file = Path(path)
    return file if file.suffix == ".json" else file.with_name(f"{file.name}.json")
