"""What a task returns, what a store holds, and the bytes between the two."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from verisimile.core.canonical import JSON, canonical, plain, restore
from verisimile.core.errors import InputError, StoreError, require
from verisimile.core.versions import installed

State: TypeAlias = Literal["missing", "stale", "corrupt", "valid"]

_SCHEMA = 1
_BYTES = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}
_LONGEST_WORD = 200  # file systems take 255, with what is put before and after
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
    The arrays are read-only.  `versions` are those of the software that made
    it, by package; records made before they were noted have none.
    """

    address: str
    fingerprint: str
    label: str
    arrays: Mapping[str, npt.NDArray[Any]]
    meta: Mapping[str, JSON]
    sha256: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof, small enough to travel, that a record was written."""

    address: str
    fingerprint: str
    sha256: str


def check_address(address: str) -> str:
    """Return `address` if it is a safe relative path: no ``..``, no empty or hidden part."""
    require(
        isinstance(address, str)
        and _ADDRESS.fullmatch(address)
        and max(map(len, address.split("/"))) <= _LONGEST_WORD,
        "address",
        got=repr(address),
        expected="words of A-Z a-z 0-9 . _ - separated by /, none starting with a dot"
        f" or longer than {_LONGEST_WORD} characters",
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
    sha256 = hashlib.sha256(data).hexdigest()
    body: dict[str, JSON] = {
        "schema": _SCHEMA,
        "address": check_address(address),
        "fingerprint": fingerprint,
        "label": label,
        "seeds": seeds,
        "versions": dict(versions()),
        "sha256": sha256,
    }
    with representable(f"meta of {address}"):
        body["meta"] = plain(payload.meta, f"meta of {address}")
        text = sealed(body)
    return data, text, Receipt(address, fingerprint, sha256)


@contextmanager
def representable(name: str) -> Iterator[None]:
    """Name what turns out, inside the block, to have no JSON text."""
    try:
        yield
    except InputError:
        raise
    except (RecursionError, ValueError) as error:
        raise InputError(
            name,
            got=f"what has no JSON text ({error})",
            expected="small facts: numbers of few digits, lists of few levels",
            remedy="Put large things into arrays.",
        ) from error


def sealed(body: Mapping[str, JSON]) -> bytes:
    """Return the JSON text of `body` with the hash that `unsealed` checks.

    The seal covers the facts in `meta` as the sha256 covers the arrays.
    """
    return json.dumps({**body, "seal": _seal(body)}, indent=1, allow_nan=False).encode()


def examine(
    address: str,
    fingerprint: str | None,
    text: bytes | None,
    read_payload: Callable[[], bytes | None],
) -> tuple[State, Record | None]:
    """Return what a record text and its payload are worth, and the record if valid.

    ``missing``: no record text.  ``stale``: whole, but of another
    configuration or schema.  ``corrupt``: damaged in text or payload.
    Without a fingerprint, any configuration will do.

    Raises
    ------
    StoreError
        If a later version wrote the record: making it again would destroy what is right.
    """
    if text is None:
        return "missing", None
    body = unsealed(text)
    if body is None or body.get("address") != address:
        return "corrupt", None
    _refuse_later(body)
    if body.get("schema") != _SCHEMA or fingerprint not in (None, body.get("fingerprint")):
        return "stale", None
    data = read_payload()
    if data is None or hashlib.sha256(data).hexdigest() != body.get("sha256"):
        return "corrupt", None
    try:
        return "valid", _record(body, data)
    except safetensors.SafetensorError:
        return "corrupt", None


def _refuse_later(body: Mapping[str, JSON]) -> None:
    # Schema, versions and seal keep their meaning in all schemas, so that this can be said.
    schema = body.get("schema")
    if isinstance(schema, int) and schema > _SCHEMA:
        made = _texts(body.get("versions")).get("verisimile", "of an unknown version")
        raise StoreError(
            str(body.get("address")),
            got=f"a record of schema {schema}, made by verisimile {made}",
            expected=f"schema {_SCHEMA} or older (here is verisimile {versions()['verisimile']})",
            remedy="Use that version, or another folder.",
        )


def versions() -> Mapping[str, str]:
    """Return the versions of this process that records note, beside their fingerprints."""
    # Not imported to be asked: `torch` would take seconds.
    return _versions(with_torch="torch" in sys.modules)


@functools.cache
def _versions(*, with_torch: bool) -> Mapping[str, str]:
    return installed(["verisimile", "numpy", *(["torch"] if with_torch else [])])


def mixed_versions(noted: Iterable[Mapping[str, str]]) -> str:
    """Return which versions made records, if they differ among them or from this process's.

    Equality bit for bit holds for one version of each.  No text if there is nothing to say.

    Examples
    --------
    >>> made = {**versions(), "numpy": "1.0"}
    >>> mixed_versions([made]).startswith("records were made")
    True
    >>> mixed_versions([versions()])
    ''
    """
    found: dict[str, set[str]] = {}
    for made in noted:
        for package, number in made.items():
            found.setdefault(package, set()).add(number)
    here = versions()
    mixed = sorted(
        name
        for name, those in found.items()
        if len(those) > 1 or here.get(name) not in (None, *those)
    )
    if not mixed:
        return ""
    told = [f"{name} {' and '.join(sorted(found[name]))}" for name in mixed]
    now = [f"{name} {here.get(name, 'not loaded')}" for name in mixed]
    return f"records were made with {', '.join(told)}; this process has {', '.join(now)}"


@functools.lru_cache(maxsize=1024)
def _shared(noted: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return one mapping for all records that note the same."""
    return dict(noted)


def _texts(value: JSON) -> Mapping[str, str]:
    items = value.items() if isinstance(value, Mapping) else ()
    return _shared(tuple((str(name), str(text)) for name, text in items))


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
        versions=_texts(body.get("versions")),
    )


def unsealed(text: bytes) -> dict[str, JSON] | None:
    """Return what `sealed` made a text of, None if the text is not as it was written."""
    try:
        body = json.loads(text)
        whole = isinstance(body, dict) and body.pop("seal", None) == _seal(body)
    except (ValueError, RecursionError):
        return None  # no JSON, numbers without end, brackets without end
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
