"""NumPy's npz archives and npy files, and arrays by name or as a matrix, as columns."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from io import BytesIO
from typing import IO, Any, Protocol

import numpy as np

from verisimile.core.errors import InputError, require
from verisimile.core.memory import require_memory
from verisimile.data.feature import Feature, unique
from verisimile.data.formats.file import Columns, EventFile, Labels
from verisimile.data.source import Column, Source, Values, arrays_source

_FIRST = 12  # bytes of an npy file that say how long its header is
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0}


class Stored(Protocol):
    """An array that may still lie in a file: its type and shape are known, ``[()]`` loads it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its declared shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its declared type."""

    def __getitem__(self, key: tuple[()], /) -> Values:
        """Return all values."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A stored array that a function loads."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Values]

    def __getitem__(self, _: tuple[()]) -> Values:
        return self.load()


@contextmanager
def open_npz(file: EventFile, labels: Labels) -> Iterator[Source]:
    """Open an npz archive: one array per column, or a single matrix named by `labels`.

    Members are loaded one by one, and only those that are wanted.
    """
    with zipfile.ZipFile(file.path) as archive:
        members = archive.infolist()
        names = [info.filename.removesuffix(".npy") for info in members]
        unique(names, "columns")
        arrays = {
            name: _member(archive, info, name) for name, info in zip(names, members, strict=True)
        }
        source = of_arrays(arrays, labels, stored=file.path.stat().st_size)
        pickled = {
            name: Column(
                "other", "Python objects, which are never unpickled", arrays[name].shape[0]
            )
            for name in source.columns
            if name in arrays and arrays[name].dtype.hasobject and arrays[name].shape
        }
        yield replace(source, columns={**source.columns, **pickled})


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Lazy:
    """Return one array of an archive, of which only the header is read."""
    with archive.open(info) as stream:
        shape, fortran, dtype = _npy_header(stream)
        start = stream.tell()
    held = 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize
    require(
        held <= info.file_size - start,
        f"column {name!r}",
        got=f"a header of {held} bytes and {info.file_size - start} bytes of values",
        expected="as many values as the header declares",
        remedy="Is the file complete?",
    )

    def load() -> Values:
        require_memory(held, f"column {name!r}", stored=info.compress_size)
        # Read to its end, where the checksum is compared.
        with archive.open(info) as stream:
            data = stream.read()
        flat = np.frombuffer(data, dtype, math.prod(shape), start)
        return flat.reshape(shape, order="F" if fortran else "C")

    return Lazy(shape, dtype, load)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type that an npy file declares, whose values follow."""
    head = stream.read(_FIRST)
    # Two bytes for the length of the header, four in later versions.
    size = int.from_bytes(head[8 : 10 if head[6:7] == b"\1" else 12], "little")
    rest = (10 if head[6:7] == b"\1" else 12) + size - len(head)
    return _parsed_header(head + stream.read(max(rest, 0)))


@lru_cache(maxsize=64)  # columns of one archive are alike, and to parse is slow
def _parsed_header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    stream = BytesIO(head)
    version = np.lib.format.read_magic(stream)
    read = _HEADERS.get(version, np.lib.format.read_array_header_2_0)
    with _quiet_headers():
        shape, fortran, dtype = read(stream)
    if version > (2, 0) and dtype.names:  # names of fields beyond Latin, garbled above
        fields = np.lib.format.dtype_to_descr(dtype)
        dtype = np.dtype([(n.encode("latin1").decode(), *rest) for n, *rest in fields])
    return shape, fortran, dtype


@contextmanager
def open_npy(file: EventFile, labels: Labels) -> Iterator[Source]:
    """Open an npy matrix, its columns named by `labels`, or a structured array."""
    with _quiet_headers():
        # Mapped, not loaded: what is declared is there, and only what is wanted is touched.
        array = np.load(file.path, mmap_mode="r", allow_pickle=False)
    yield of_array(array, labels)


@contextmanager
def _quiet_headers() -> Iterator[None]:
    """Silence what Python's parser has to say of a header, which is text that it reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def of_arrays(
    arrays: Mapping[str, Stored],
    labels: Labels,
    specs: Mapping[str, Feature] | None = None,
    stored: int | None = None,
) -> Source:
    """Return flat arrays as columns; a matrix that stands alone is named by `labels`."""
    if len(arrays) == 1:
        (alone,) = arrays.values()
        if len(alone.shape) == 2 or alone.dtype.names:
            return of_array(alone, labels, stored)
    return arrays_source(arrays, specs, stored)


def of_array(array: Stored, labels: Labels, stored: int | None = None) -> Source:
    """Return the columns of one array: fields by name, matrix columns by `labels`."""
    if array.dtype.names:
        return arrays_source(_fields(array), stored=stored)
    names = matrix_names(array.shape, labels)
    require_memory(math.prod(array.shape) * array.dtype.itemsize, "array", stored=stored)
    whole = array[()]
    matrix = whole if isinstance(whole, np.ma.MaskedArray) else np.asarray(whole)
    return arrays_source({name: matrix[:, j] for j, name in enumerate(names)}, stored=stored)


def matrix_names(shape: tuple[int, ...], labels: Labels) -> tuple[str, ...]:
    """Return the names of a bare matrix's columns; an InputError says that they do not fit."""
    require(
        len(shape) == 2,
        "array",
        got=f"one array of shape {shape}",
        expected="a matrix (events, features), or one flat array per column",
    )
    d = shape[1]
    if labels is None or len(labels) != d:
        named = "no names for them" if labels is None else f"{len(labels)} names, {labels}"
        raise InputError(
            "features",
            got=f"a bare matrix of {d} columns and {named}",
            expected=f"{d} column names, in the order of the matrix (weights last)",
            remedy="Pass features=[...].",
        )
    return labels


def _fields(array: Stored) -> dict[str, Stored]:
    """Return the fields of a table, which is loaded once if one of them is wanted."""
    whole: list[Values] = []

    def field(name: str) -> Values:
        if not whole:
            require_memory(math.prod(array.shape) * array.dtype.itemsize, "array")
            whole.append(np.asarray(array[()]))
        return whole[0][name]

    kinds = {name: array.dtype[name] for name in array.dtype.names or ()}
    return {
        name: Lazy((*array.shape, *kind.shape), kind.base, partial(field, name))
        for name, kind in kinds.items()
    }


def write_npz(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
    """Write a compressed npz archive with one array per column."""
    # np.savez takes the names as keywords, where a column "file" would clash.
    with zipfile.ZipFile(file.path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(values), allow_pickle=False)
