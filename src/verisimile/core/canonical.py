"""JSON values and their one canonical spelling, from which fingerprints are made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from verisimile.core.errors import InputError

if TYPE_CHECKING:
    JSON: TypeAlias = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
else:
    # `typing.get_type_hints` evaluates annotations in the module of the class
    # that carries them, where the parts of a recursive alias have no meaning.
    JSON = object

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def plain(value: object, name: str = "value") -> JSON:
    """Return `value` in strict JSON types, with non-finite numbers as strings.

    NumPy scalars become Python numbers, tuples become lists, and NaN and the
    infinities become ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, for which
    JSON has no numbers.  An InputError says where something has no JSON form.
    """
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        # NaN, Infinity, -Infinity, as Python's own encoder spells them
        return number if math.isfinite(number) else json.dumps(number)
    if isinstance(value, Mapping):
        return {text_key(key, name): plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    raise InputError(
        name,
        got=f"a {type(value).__name__}",
        expected="a JSON value: number, string, bool, None, list or dict",
        remedy="Give digest(array) for an array and str(path) for a path.",
    )


def restore(value: JSON) -> JSON:
    """Return `value` with the strings of non-finite numbers turned into numbers again."""
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    if isinstance(value, Mapping):
        return {key: restore(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [restore(item) for item in value]
    return value


def canonical(value: object, name: str = "value") -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, ASCII.

    Examples
    --------
    >>> canonical({"b": (1, 2), "a": float("inf")})
    '{"a":"Infinity","b":[1,2]}'
    """
    return json.dumps(plain(value, name), sort_keys=True, separators=(",", ":"), allow_nan=False)


def text_key(key: object, name: str) -> str:
    """Return `key`, which must be a string: in JSON it would come back as one."""
    if isinstance(key, str):
        return str(key)
    raise InputError(name, got=f"the key {key!r}", expected="string keys", remedy="Write str(key).")
