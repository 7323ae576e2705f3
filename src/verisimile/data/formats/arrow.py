"""Parquet, Feather and Arrow files, and every table that speaks Arrow: typed, flat columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

from verisimile.core.errors import InputError
from verisimile.data.feature import Feature, unique
from verisimile.data.formats.file import Columns, EventFile, Labels
from verisimile.data.source import Column, Source, Values

SPECS_KEY = b"verisimile.features"

_PANDAS_KEY = b"pandas"
_BATCH = 64 * 2**20  # bytes of columns that are decoded together


@contextmanager
def open_parquet(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open flat Parquet columns; specifications come from the schema's metadata."""
    # ParquetFile, unlike read_table, does not turn folders named a=1 into columns.
    with pa.parquet.ParquetFile(file.path, page_checksum_verification=True) as table:
        yield arrow_source(
            table.schema_arrow,
            table.metadata.num_rows,
            lambda names: table.read(columns=names),
            stored=file.path.stat().st_size,
        )


@contextmanager
def open_feather(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open a Feather or Arrow IPC file, or an Arrow stream, mapped into memory."""
    with pa.memory_map(str(file.path)) as mapped:
        try:
            reader = pa.ipc.open_file(mapped)
            batches = (reader.get_batch(j) for j in range(reader.num_record_batches))
        except pa.ArrowInvalid:
            mapped.seek(0)
            reader = pa.ipc.open_stream(mapped)
            batches = iter(reader)
        table = pa.Table.from_batches(batches, reader.schema)
        yield arrow_source(table.schema, table.num_rows, table.select)


def arrow_source(
    schema: pa.Schema,
    rows: int,
    read: Callable[[list[str]], pa.Table],
    *,
    stored: int | None = None,
) -> Source:
    """Return the columns of a table with the given schema, loaded by `read`."""
    metadata = schema.metadata or {}
    described = json.loads(metadata.get(SPECS_KEY, b"[]"))
    specs = {feature.name: feature for feature in map(Feature.from_dict, described)}
    unique(schema.names, "columns")
    index = _declared_index(metadata)
    columns = {item.name: _column(item, rows, index) for item in schema}

    def load(names: Sequence[str]) -> Iterator[Values]:
        # Columns one by one are slow where there are thousands, all at once are large.
        count = max(1, _BATCH // (8 * max(rows, 1)))
        for start in range(0, len(names), count):
            some = list(names[start : start + count])
            found = read(some)
            for name in some:
                yield values_of(found.column(name))

    return Source(columns, load, specs, stored)


def values_of(column: pa.ChunkedArray) -> Values:
    """Return the values of an Arrow column: masked where null, text as objects."""
    kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_dictionary(kind) and not _is_text(kind.value_type):
        column = column.cast(kind.value_type)
    if _is_text(kind.value_type if pa.types.is_dictionary(kind) else column.type):
        return np.array(column.to_pylist(), dtype=object)
    if not column.null_count:
        return np.asarray(column.to_numpy())
    gaps = np.asarray(column.is_null().to_numpy())
    filled = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    return np.ma.MaskedArray(np.asarray(filled.to_numpy()), gaps)


def _column(item: pa.Field, rows: int, index: frozenset[str]) -> Column:
    kind = item.type
    why = "the index of the frame" if item.name in index else ""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return Column(rows=rows, index=why)
    about = "no value in any row" if pa.types.is_null(kind) else f"values of type {item.type}"
    return Column("text" if _is_text(kind) else "other", about, rows, why)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _declared_index(metadata: Mapping[bytes, bytes]) -> frozenset[str]:
    """Return the columns that pandas says are the index of a frame, and no data."""
    try:
        declared = json.loads(metadata.get(_PANDAS_KEY, b"{}"))
        return frozenset(name for name in declared["index_columns"] if isinstance(name, str))
    except (ValueError, TypeError, KeyError):
        return frozenset()


def table_source(value: Any) -> Source:  # noqa: ANN401  (anything that speaks Arrow)
    """Return the columns of a pandas or polars frame, or of an Arrow table.

    An InputError names what Arrow cannot hold, such as a column of mixed Python objects.
    """
    try:
        table = value if isinstance(value, pa.Table) else pa.table(value)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            "events",
            got=f"a {type(value).__name__} that is no Arrow table ({' '.join(str(error).split())})",
            expected="columns of one type each, named by text",
        ) from None
    return arrow_source(table.schema, table.num_rows, table.select)


def arrow_table(columns: Columns, specs: Sequence[Feature]) -> pa.Table:
    """Return columns as a table with the specifications in the schema's metadata."""
    described = json.dumps([feature.to_dict() for feature in specs]).encode()
    return pa.table(dict(columns)).replace_schema_metadata({SPECS_KEY: described})


def write_parquet(columns: Columns, specs: Sequence[Feature], file: EventFile) -> None:
    """Write compressed Parquet with the specifications in the schema's metadata."""
    # Byte streams of doubles compress well; dictionaries of them do not.
    pa.parquet.write_table(
        arrow_table(columns, specs),
        file.path,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=[name for name in columns if columns[name].dtype.kind == "f"],
        write_page_checksum=True,
    )


def write_feather(columns: Columns, specs: Sequence[Feature], file: EventFile) -> None:
    """Write an uncompressed Feather file, which is read without a copy."""
    pa.feather.write_feather(arrow_table(columns, specs), file.path, compression="uncompressed")
