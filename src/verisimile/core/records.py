"""What a task returns, what a store holds, and the bytes between the two."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from verisimile.core.canonical import JSON, canonical, plain, restore
from verisimile.core.errors import require

State: TypeAlias = Literal["missing", "stale", "corrupt", "valid"]

_SCHEMA = 1
_BYTES = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}
_ADDRESS = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """The outcome of one task: named arrays, and small facts as JSON."""

    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    meta: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A stored payload that was found whole.

    `sha256` is the hash of the arrays' bytes alone, so that two runs agree in
    it when they agree bit for bit, whatever wall times stand in `meta`.
    The arrays are read-only.
    """

    address: str
    fingerprint: str
    label: str
    arrays: Mapping[str, npt.NDArray[Any]]
    meta: Mapping[str, JSON]
    sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof, small enough to travel, that a record was written."""

    address: str
    fingerprint: str
    sha256: str


def check_address(address: str) -> str:
    """Return `address` if it is a safe relative path: no ``..``, no empty or hidden part."""
    require(
        isinstance(address, str) and _ADDRESS.fullmatch(address),
        "address",
        got=repr(address),
        expected="words of A-Z a-z 0-9 . _ - separated by /, none starting with a dot",
        remedy='For example "members/0007".',
    )
    return address


def pack(
    address: str, fingerprint: str, label: str, payload: Payload, *, seeds: str = ""
) -> tuple[bytes, bytes, Receipt]:
    """Return the payload bytes, the record text and the receipt."""
    data = safetensors.numpy.save(
        {str(name): portable(name, array) for name, array in payload.arrays.items()}
    )
    body: dict[str, JSON] = {
        "schema": _SCHEMA,
        "address": check_address(address),
        "fingerprint": fingerprint,
        "label": label,
        "seeds": seeds,
        "sha256": hashlib.sha256(data).hexdigest(),
        "meta": plain(payload.meta, f"meta of {address}"),
    }
    # The seal covers the facts in `meta` as the sha256 covers the arrays.
    sealed = {**body, "seal": _seal(body)}
    text = json.dumps(sealed, indent=1, allow_nan=False).encode()
    return data, text, Receipt(address, fingerprint, str(body["sha256"]))


def examine(
    address: str, fingerprint: str, text: bytes | None, read_payload: Callable[[], bytes | None]
) -> tuple[State, Record | None]:
    """Return what a record text and its payload are worth, and the record if valid.

    ``missing``: no record text.  ``stale``: whole, but of another
    configuration or schema.  ``corrupt``: damaged in text or payload.
    """
    if text is None:
        return "missing", None
    body = _unsealed(text)
    if body is None or body.get("address") != address:
        return "corrupt", None
    if body.get("schema") != _SCHEMA or body.get("fingerprint") != fingerprint:
        return "stale", None
    data = read_payload()
    if data is None or hashlib.sha256(data).hexdigest() != body.get("sha256"):
        return "corrupt", None
    return "valid", _record(body, data)


def _record(body: Mapping[str, JSON], data: bytes) -> Record:
    arrays = dict(sorted(safetensors.numpy.load(data).items()))
    for array in arrays.values():
        array.setflags(write=False)
    meta = restore(body.get("meta"))
    return Record(
        address=str(body["address"]),
        fingerprint=str(body["fingerprint"]),
        label=str(body.get("label")),
        arrays=arrays,
        meta=meta if isinstance(meta, Mapping) else {},
        sha256=str(body["sha256"]),
    )


def _unsealed(text: bytes) -> dict[str, JSON] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(body, dict) and body.pop("seal", None) == _seal(body)
    return body if whole else None


def _seal(body: Mapping[str, JSON]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def portable(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous little-endian copy, the only form that is written to files."""
    values = np.asarray(array)
    require(
        values.dtype.itemsize in _BYTES.get(values.dtype.kind, ()),
        f"array {name!r}",
        got=f"dtype {values.dtype}",
        expected="a real number or bool dtype of at most 64 bits",
        remedy="Convert it, or put text into meta.",
    )
    # Not ascontiguousarray: it would turn a 0-d array into a vector.
    return np.array(values, dtype=values.dtype.newbyteorder("<"), order="C", copy=True)
