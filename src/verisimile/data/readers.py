"""One reader per file format: open the file, say which columns it has."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from verisimile.core.errors import InputError
from verisimile.data.feature import Feature
from verisimile.data.names import unique
from verisimile.data.table import Column, Source, array_fault

__all__ = [
    "SPECS_KEY",
    "Labels",
    "from_array",
    "from_arrays",
    "open_csv",
    "open_npy",
    "open_npz",
    "open_parquet",
]

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
