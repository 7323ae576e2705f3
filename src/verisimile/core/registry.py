"""The allow-list of dataclasses that may be written to a file and read back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TypeVar

from verisimile.core.errors import InputError, StoreError

__all__ = ["register", "registered", "schema_of"]

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
