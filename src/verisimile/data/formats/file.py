"""What a file format is: how it opens a file as a source of columns, and how it writes one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.data.feature import Feature, listing, suggestion
from verisimile.data.source import Source

Labels = tuple[str, ...] | None
"""Names for the columns of a bare matrix."""

Columns = Mapping[str, Array | IntArray]
"""What is written: features, last the weights as ``weight``, groups as ``group``."""


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file of events, whether it exists or not, and the tree or group in it.

    `origin` is what a file that is written says of its maker, where the format has a place for it.
    """

    path: Path
    suffix: str
    part: str | None = None
    origin: str = ""

    def __str__(self) -> str:
        """Return the path with its part, for messages."""
        return f"{self.path}:{self.part}" if self.part else str(self.path)


Writer = Callable[[Columns, Sequence[Feature], EventFile], None]
"""Writes columns with the specifications of the features among them."""


class FileFormat(NamedTuple):
    """How files of one format are opened and written, and whether they have named parts."""

    open: Callable[[EventFile, Labels], AbstractContextManager[Source]]
    write: Writer | None
    has_parts: bool = False


def optional(module: str, extra: str = "io") -> ModuleType:
    """Import a library of an extra; an InputError says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            module,
            got="it is not installed",
            expected="it to read and write these files",
            remedy=f"Run: pip install 'verisimile[{extra}]'",
        ) from None


def check_part(part: str | None, parts: Sequence[str], kind: str, form: str) -> None:
    """Raise unless `part` is one of the file's; the message has the nearest and the `form`."""
    if part in parts or (part is not None and part.split(";")[0] in parts):
        return
    raise InputError(
        kind,
        got=f"no {kind} named" if part is None else f"no {kind} {part!r}",
        expected=f"one of the file's: {listing(parts)}",
        remedy=f"Name it: {form}. {suggestion(part or '', parts)}".strip(),
    )
