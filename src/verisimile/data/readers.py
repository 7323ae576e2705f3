"""One reader per file format: open the file, say which columns it has."""

from __future__ import annotations

import csv
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from verisimile.core.errors import InputError
from verisimile.data.feature import Feature, listing, suggestion, unique
from verisimile.data.table import Column, Source, array_fault

SPECS_KEY = b"verisimile.features"

Labels = tuple[str, ...] | None


@contextmanager
def open_parquet(path: Path) -> Iterator[Source]:
    """Open flat Parquet columns; specifications come from the schema's metadata."""
    # ParquetFile, unlike read_table, does not turn folders named a=1 into columns.
    with pa.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        schema = file.schema_arrow
        unique(schema.names, "columns")
        columns = {
            item.name: Column(partial(_parquet_column, file, item.name), _arrow_fault(item.type))
            for item in schema
        }
        yield Source(columns, _specs(schema.metadata or {}))


@contextmanager
def open_csv(path: Path) -> Iterator[Source]:
    """Open comma-separated values with a header line."""
    _check_header(path)
    table = pa.csv.read_csv(path)
    if not table.num_rows:
        raise InputError(str(path), got="a header and no events", expected="events")
    unique(table.column_names, "columns")
    yield Source(
        {
            item.name: Column(table.column(item.name).to_numpy, _arrow_fault(item.type))
            for item in table.schema
        }
    )


@contextmanager
def open_npz(path: Path, labels: Labels) -> Iterator[Source]:
    """Open an npz archive: one array per column, or a single matrix named by `labels`."""
    # Opened here, because NumPy leaves a damaged archive's file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        yield from_arrays({name: archive[name] for name in archive.files}, labels)


@contextmanager
def open_npy(path: Path, labels: Labels) -> Iterator[Source]:
    """Open an npy matrix, its columns named by `labels`, or a structured array."""
    yield from_array(np.load(path, allow_pickle=False), labels)


def from_arrays(arrays: Mapping[str, Any], labels: Labels) -> Source:
    """Return flat arrays as columns; a matrix that stands alone is named by `labels`."""
    if len(arrays) == 1:
        (alone,) = arrays.values()
        if alone.ndim == 2 or alone.dtype.names:
            return from_array(alone, labels)
    return Source(
        {
            name: Column(partial(_whole, array), array_fault(array.dtype, array.shape))
            for name, array in arrays.items()
        }
    )


def from_array(array: Any, labels: Labels) -> Source:  # noqa: ANN401  (NumPy array or HDF5 dataset)
    """Return the columns of one array: fields by name, matrix columns by `labels`."""
    if array.dtype.names:
        whole = np.asarray(array[()])
        return from_arrays({name: whole[name] for name in array.dtype.names}, labels)
    if array.ndim != 2:
        raise InputError(
            "array",
            got=f"one array of shape {array.shape}",
            expected="a matrix (events, features), or one flat array per column",
        )
    names = _matrix_names(array.shape[1], labels)
    matrix = np.asarray(array[()])
    fault = array_fault(matrix.dtype, matrix.shape[:1])
    return Source(
        {name: Column(partial(_whole, matrix[:, j]), fault) for j, name in enumerate(names)}
    )


def _matrix_names(d: int, labels: Labels) -> tuple[str, ...]:
    if labels is None or len(labels) != d:
        named = "no names for them" if labels is None else f"{len(labels)} names, {labels}"
        raise InputError(
            "features",
            got=f"a bare matrix of {d} columns and {named}",
            expected=f"{d} column names, in the order of the matrix (weights last)",
            remedy="Pass features=[...].",
        )
    return labels


def _whole(array: Any) -> npt.NDArray[Any]:  # noqa: ANN401  (NumPy array or HDF5 dataset)
    return np.asarray(array[()])


def _parquet_column(file: pa.parquet.ParquetFile, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = file.read(columns=[name]).column(name).to_numpy()
    return values


def _arrow_fault(kind: pa.DataType) -> str:
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return "" if numeric else f"values of type {kind}"


def _specs(metadata: Mapping[bytes, bytes]) -> dict[str, Feature]:
    described = json.loads(metadata.get(SPECS_KEY, b"[]"))
    return {feature.name: feature for feature in map(Feature.from_dict, described)}


def _check_header(path: Path) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file), [])
    if header and all(map(_is_number, header)):
        raise InputError(
            "header",
            got=f"numbers in the first line ({', '.join(header[:4])})",
            expected="the column names, separated by commas",
            remedy="Add a header line.",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_NUMBER = re.compile(r"(std::)?u?int(8|16|32|64)_t|float|double|Float16_t|Double32_t")


def optional(module: str) -> ModuleType:
    """Import a library of the extra ``io``.

    Raises
    ------
    InputError
        If it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            module,
            got="it is not installed",
            expected="it to read and write ROOT (uproot) or HDF5 (h5py) files",
            remedy="Run: pip install 'verisimile[io]'",
        ) from None


@contextmanager
def open_root(path: Path, tree: str | None) -> Iterator[Source]:
    """Open the flat branches of a TTree, or the flat fields of an RNTuple."""
    uproot = optional("uproot")
    # The dict form keeps uproot from looking for a tree name in the path.
    with uproot.open({str(path): None}) as file:
        kinds = file.classnames(recursive=True, cycle=False)
        trees = [name for name, kind in kinds.items() if kind in _TREES]
        _check_part(tree, trees, "tree", ".root:Tree")
        entries = file[tree]
        # Branch by branch: as expressions, names such as "a-b" would be computed.
        yield Source({name: _branch(entries[name]) for name in entries.keys()})  # noqa: SIM118


def _branch(branch: Any) -> Column:  # noqa: ANN401  (uproot is untyped and optional)
    kind = branch.typename
    fault = "" if _NUMBER.fullmatch(kind) else f"values of type {kind}"
    return Column(partial(branch.array, library="np"), fault)


@contextmanager
def open_hdf5(path: Path, part: str | None, labels: Labels) -> Iterator[Source]:
    """Open a group of flat datasets, a matrix, or a table of named fields.

    Without a name the file's root group is meant, if it holds datasets.
    """
    h5py = optional("h5py")
    # Locks fail on network file systems, and reading needs none.
    with h5py.File(path, "r", locking=False) as file:
        parts = _hdf5_parts(h5py, file)
        part = "/" if part is None and "/" in parts else part
        _check_part(None if part is None else part.strip("/") or "/", parts, "group", ".h5:group")
        found = file[part]
        if isinstance(found, h5py.Dataset):
            yield from_array(found, labels)
        else:
            yield from_arrays(_datasets(h5py, found), labels)


def _datasets(h5py: ModuleType, group: Any) -> dict[str, Any]:  # noqa: ANN401  (h5py is untyped)
    return {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}


def _hdf5_parts(h5py: ModuleType, file: Any) -> list[str]:  # noqa: ANN401  (h5py is untyped)
    """Return the groups that hold datasets, and the datasets that are tables by themselves."""
    parts = ["/"] if _datasets(h5py, file) else []

    def visit(name: str, item: Any) -> None:  # noqa: ANN401
        is_table = isinstance(item, h5py.Dataset) and (item.ndim == 2 or item.dtype.names)
        if is_table or (isinstance(item, h5py.Group) and _datasets(h5py, item)):
            parts.append(name)

    file.visititems(visit)
    return parts


def _check_part(part: str | None, parts: list[str], kind: str, form: str) -> None:
    if part in parts or (part is not None and part.split(";")[0] in parts):
        return
    raise InputError(
        kind,
        got=f"no {kind} named" if part is None else f"no {kind} {part!r}",
        expected=f"one of the file's: {listing(parts)}",
        remedy=f"Name it: {form}. {suggestion(part or '', parts)}".strip(),
    )
