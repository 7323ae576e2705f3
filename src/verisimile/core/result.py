"""Results on disk: strict JSON, with large arrays in a file beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import safetensors.numpy

from verisimile.core.atomic import write_atomic
from verisimile.core.canonical import JSON
from verisimile.core.codec import Keep, decode, encode, inline
from verisimile.core.errors import InputError, StoreError
from verisimile.core.records import portable
from verisimile.core.registry import register, registered, schema_of

__all__ = ["Estimate", "from_dict", "load", "register", "save", "to_dict"]

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
