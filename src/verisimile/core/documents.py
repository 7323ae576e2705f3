"""Small documents that others may have written: read whole, within limits, each key once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, StoreError, VerisimileError

MAX_DEPTH = 64
"""Levels of tables and lists in a document."""

MAX_BYTES = 2**28
"""Of what verisimile writes itself: a report with the arrays of its figures."""

_DIGITS = 4300  # of a whole number: beyond, Python refuses to print it
_BITS = int(_DIGITS * 3.32)
_QUOTED = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


def read_document(
    file: Path, *, limit: int = MAX_BYTES, kind: type[VerisimileError] = StoreError
) -> bytes:
    """Return the bytes of a file, at most `limit`.

    An error of the `kind` says that it cannot be read or has more, as a device has that never ends.
    """
    try:
        with file.open("rb") as handle:
            data = handle.read(limit + 1)
    except OSError as error:
        raise kind(str(file), got=error.strerror or error, expected="a readable file") from error
    if len(data) > limit:
        raise kind(str(file), got="more", expected=f"at most {limit / 2**20:.3g} MiB of text")
    return data


def parse_json(data: bytes, name: str) -> JSON:
    """Return the value of a JSON text.

    Raises
    ------
    StoreError
        If it is none, repeats a key, has more than 64 levels or a number of more than 4 300 digits.
    """
    if (depth := _depth(data)) > MAX_DEPTH:
        raise StoreError(name, got=f"{depth} levels", expected=f"at most {MAX_DEPTH}")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise StoreError(
                name, got=f"the key {twice!r} twice{_lines(data, twice)}", expected="each key once"
            )
        return found

    try:
        value: JSON = json.loads(data, object_pairs_hook=once)
    except StoreError:
        raise
    except (ValueError, RecursionError) as error:
        raise StoreError(
            name, got=f"text that is not JSON ({error})", expected="a JSON document"
        ) from None
    return value


def json_object(data: bytes, name: str) -> dict[str, JSON]:
    """Return the object of a JSON text; errors as of :func:`parse_json`, also if it is none."""
    value = parse_json(data, name)
    if not isinstance(value, dict):
        raise StoreError(name, got=f"a JSON {type(value).__name__}", expected="a JSON object")
    return value


def check_limits(value: object, name: str) -> None:
    """Raise an InputError if tables have too many levels, or a number of too many digits."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise InputError(name, got=f"more than {MAX_DEPTH} levels", expected="fewer")
        inner: list[object] = []
        for item in level:
            if isinstance(item, int) and item.bit_length() > _BITS:
                raise InputError(
                    name, got=f"a number of more than {_DIGITS} digits", expected="fewer"
                )
            if isinstance(item, Mapping):
                inner += item.values()
            elif isinstance(item, list | tuple):
                inner += item
        level = inner


def _depth(data: bytes) -> int:
    """Return how deep brackets are nested in a JSON text, without building anything."""
    depth = deepest = 0
    for mark in re.findall(rb"[\[\]{}]", _QUOTED.sub(b"", data)):
        depth += 1 if mark in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _lines(data: bytes, key: str) -> str:
    """Return the lines on which a key stands, for a message."""
    place = re.compile(re.escape(json.dumps(key).encode()) + rb"\s*:")
    lines = [1 + data.count(b"\n", 0, found.start()) for found in place.finditer(data)]
    return f" (lines {', '.join(map(str, lines[:5]))})" if len(lines) > 1 else ""
