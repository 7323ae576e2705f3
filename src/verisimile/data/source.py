"""What holds events, open: columns that can be loaded, before anything of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from verisimile.data.feature import Feature

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an open source, before anything of it is loaded.

    Parameters
    ----------
    content
        ``numbers``, booleans among them; ``cells`` of a file without types, read as numbers
        where that is possible; ``text`` of a file with types, never a feature; ``other``.
    about
        What it holds if not numbers (``"values of type date32"``), for messages.
    rows
        Declared length; None if unknown.
    index
        Why it holds row numbers and no physics; empty if it does not.
    refused
        Why it must not be read at all; empty if it may.
    numeric
        Of ``other`` content: whether it holds numbers nevertheless (a matrix among vectors).
    lists
        Of ``other`` content: whether each event has a list of numbers, which expressions read.
    """

    content: Literal["numbers", "cells", "text", "other"] = "numbers"
    about: str = ""
    rows: int | None = None
    index: str = ""
    refused: str = ""
    numeric: bool = False
    lists: bool = False


def number_column(values: Any) -> Column:  # noqa: ANN401  (NumPy array, or one in a file)
    """Return the column of an array, by its type and shape."""
    length = values.shape[0] if values.shape else None
    kind = values.dtype.kind
    if len(values.shape) == 2 and values.shape[1] == 1:
        pass  # a column that stands upright
    elif len(values.shape) != 1:
        about = f"an array of shape {values.shape}"
        lists = kind in "biuf" and len(values.shape) > 1
        return Column("other", about, length, numeric=kind in "biuf", lists=lists)
    if kind in "biuf":
        return Column(rows=length)
    about = f"values of type {values.dtype}"
    if kind in "SUOT":
        return Column("text", about, length)
    return Column("other", about, length, numeric=kind == "c")


@dataclass(frozen=True, slots=True)
class Source:
    """Something that holds events, open: a file, a frame, a table in memory.

    Attributes
    ----------
    columns
        By name, in order.
    load
        Returns the values of named columns one after the other, each ``(n,)`` or ``(n, 1)``:
        numbers, a masked array where some are missing, or text.  Lists of numbers come as an
        array ``(n, …)``, or as Awkward's.
    specs
        Specifications that the source carries.
    stored
        Bytes on disk, if they are compressed.
    place
        Says where a row lies, for messages: ``row 3``, with its line or file if there is one.
    """

    columns: Mapping[str, Column]
    load: Callable[[Sequence[str]], Iterator[Values]]
    specs: Mapping[str, Feature] = field(default_factory=dict)
    stored: int | None = None
    place: Callable[[int], str] = "row {}".format


def arrays_source(
    arrays: Mapping[str, Any],
    specs: Mapping[str, Feature] | None = None,
    stored: int | None = None,
) -> Source:
    """Return arrays, or those that lie in a file, as the columns of a source."""
    columns = {name: number_column(array) for name, array in arrays.items()}

    def load(names: Sequence[str]) -> Iterator[Values]:
        for name in names:
            array = arrays[name]
            yield array if isinstance(array, np.ma.MaskedArray) else np.asarray(array[()])

    return Source(columns, load, specs or {}, stored)


def with_columns(source: Source, arrays: Mapping[str, Values]) -> Source:
    """Return a source with arrays in memory as further columns."""
    if not arrays:
        return source
    further = {name: number_column(array) for name, array in arrays.items()}

    def load(names: Sequence[str]) -> Iterator[Values]:
        loaded = source.load([name for name in names if name not in arrays])
        for name in names:
            yield arrays[name] if name in arrays else next(loaded)

    return replace(source, columns={**source.columns, **further}, load=load)
