"""Parquet, Feather and Arrow files, and every table that speaks Arrow: typed, flat columns."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

from verisimile.core.errors import InputError, require
from verisimile.core.memory import require_memory
from verisimile.data.feature import Feature, unique
from verisimile.data.formats.file import Columns, EventFile, Labels
from verisimile.data.formats.ipc_sizes import declared
from verisimile.data.source import Column, Source, Values

SPECS_KEY = b"verisimile.features"
_ORIGIN_KEY = b"verisimile.origin"

_PANDAS_KEY = b"pandas"
_BATCH = 32 * 2**20  # bytes of columns that are decoded together
_IN_PARALLEL = 1000  # columns
_SUSPECT = 100  # unpacked bytes for one of the file, from which on columns are looked at
_EXACT_DIGITS = 15  # of a whole number that every double holds


@contextmanager
def open_parquet(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open flat Parquet columns; specifications come from the schema's metadata."""
    stored = file.path.stat().st_size
    # ParquetFile, unlike read_table, does not turn folders named a=1 into columns.
    with pa.parquet.ParquetFile(file.path, page_checksum_verification=True) as table:
        schema = table.schema_arrow
        # Text stays in dictionaries, as it is stored: a page can repeat a long word at no cost.
        texts = [item.name for item in schema if _is_text(item.type)]

        def read(names: list[str]) -> pa.Table:
            _check_unpacked(table.metadata, names, stored)
            # One task for each of many short columns costs more than to decode it.
            threads = len(names) <= _IN_PARALLEL
            if not set(texts) & set(names):
                return table.read(columns=names, use_threads=threads)
            with pa.parquet.ParquetFile(
                file.path,
                metadata=table.metadata,
                read_dictionary=texts,
                page_checksum_verification=True,
            ) as packed:
                return packed.read(columns=names, use_threads=threads)

        yield arrow_source(schema, table.metadata.num_rows, read, stored=stored)


def _check_unpacked(metadata: pa.parquet.FileMetaData, names: Sequence[str], stored: int) -> None:
    groups = [metadata.row_group(j) for j in range(metadata.num_row_groups)]
    needed = sum(group.total_byte_size for group in groups)
    if needed > stored * _SUSPECT:
        wanted = set(names)
        needed = sum(
            chunk.total_uncompressed_size
            for group in groups
            for chunk in map(group.column, range(group.num_columns))
            if chunk.path_in_schema.split(".")[0] in wanted
        )
        require_memory(needed, "columns", stored=stored, what="unpacked pages")


@contextmanager
def open_feather(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open a Feather or Arrow IPC file, or an Arrow stream, mapped into memory."""
    stored = file.path.stat().st_size
    with pa.memory_map(str(file.path)) as mapped:
        rows, unpacked = declared(mapped)
        schema = _batches(mapped, None)[0]
        places = {name: j for j, name in enumerate(schema.names)}

        def read(names: list[str]) -> pa.Table:
            # Of a packed batch only what is included is unpacked.
            require_memory(unpacked * len(names) // len(places), "columns", stored=stored)
            found, batches = _batches(mapped, [places[name] for name in names])
            some = pa.Table.from_batches(batches, found)
            # Arrow trusts what a file says of its buffers; a damaged one would end the process.
            some.validate(full=True)
            return some

        yield arrow_source(schema, rows, read, stored=stored if unpacked else None)


def _batches(
    mapped: pa.MemoryMappedFile, places: list[int] | None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return schema and batches of a file or a stream, of all columns or some."""
    options = pa.ipc.IpcReadOptions(included_fields=places)
    mapped.seek(0)
    try:
        reader = pa.ipc.open_file(mapped, options=options)
    except pa.ArrowInvalid:
        mapped.seek(0)
        reader = pa.ipc.open_stream(mapped, options=options)
        return reader.schema, iter(reader)
    return reader.schema, (reader.get_batch(j) for j in range(reader.num_record_batches))


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
    specs = _field_words(schema)
    specs |= {feature.name: feature for feature in map(Feature.from_dict, described)}
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


_UNITS, _LABELS = (b"unit", b"units"), (b"label", b"long_name", b"description")
_LONGEST = 60  # a description may be a paragraph, which is no title of an axis


def _field_words(schema: pa.Schema) -> dict[str, Feature]:
    """Return units and labels that other programs write into the metadata of single columns."""
    found: dict[str, Feature] = {}
    for item in schema:
        words = {
            key.lower(): text.decode(errors="replace").strip()
            for key, text in (item.metadata or {}).items()
        }
        short = {key: text for key, text in words.items() if 0 < len(text) <= _LONGEST}
        unit, label = (
            next((short[key] for key in keys if key in short), "") for keys in (_UNITS, _LABELS)
        )
        if unit or label:
            found[item.name] = Feature(item.name, unit=unit, label=label)
    return found


def values_of(column: pa.ChunkedArray) -> Values:
    """Return the values of an Arrow column: masked where null, text as objects."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return _of_decimals(column)
    if _is_single(kind):
        column = pa.compute.list_element(column, 0)
    elif pa.types.is_dictionary(kind):
        if _is_text(kind.value_type):
            return _of_dictionary(column)
        column = column.cast(kind.value_type)
    if _is_text(column.type):
        return np.array(_words(column), dtype=object)
    if not column.null_count:
        return np.asarray(column.to_numpy())
    gaps = np.asarray(column.is_null().to_numpy())
    filled = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    return np.ma.MaskedArray(np.asarray(filled.to_numpy()), gaps)


def _words(column: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Return text as strings, also where it is in another encoding than UTF-8."""
    try:
        found: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [None if one is None else one.decode(errors="backslashreplace") for one in raw]
    return found


def _of_dictionary(column: pa.ChunkedArray) -> Values:
    """Return text of few different words, each of which is held once."""
    parts = [np.empty(0, dtype=object)]
    for chunk in column.chunks:
        words = np.array([*_words(chunk.dictionary), None], dtype=object)
        codes = chunk.indices.cast(pa.int64()).fill_null(len(words) - 1)
        parts.append(words[codes.to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)


def _of_decimals(column: pa.ChunkedArray) -> Values:
    """Return decimals as the nearest doubles; those without a fraction as whole numbers."""
    if column.type.scale <= 0 and column.type.precision > _EXACT_DIGITS:
        return np.array([None if one is None else int(one) for one in column.to_pylist()], object)
    # By way of their digits: Arrow's own conversion is not the nearest.
    doubles = column.cast(pa.string()).cast(pa.float64())
    return values_of(doubles)


def _column(item: pa.Field, rows: int, index: frozenset[str]) -> Column:
    kind = item.type
    why = "the index of the frame" if item.name in index else ""
    if pa.types.is_dictionary(kind) or _is_single(kind):
        kind = kind.value_type
    if _is_number(kind):
        return Column(rows=rows, index=why)
    if pa.types.is_null(kind):
        return Column("other", "no value in any row", rows, why)
    about = f"values of type {item.type}"
    if _is_text(kind):
        return Column("text", about, rows, why)
    return Column("other", about, rows, why, numeric=_holds_numbers(kind))


def _is_number(kind: pa.DataType) -> bool:
    known = pa.types
    return bool(
        known.is_integer(kind)
        or known.is_floating(kind)
        or known.is_boolean(kind)
        or known.is_decimal(kind)
    )


def _is_single(kind: pa.DataType) -> bool:
    """Return whether each cell is a list of one number: a column that stands upright."""
    return bool(
        pa.types.is_fixed_size_list(kind) and kind.list_size == 1 and _is_number(kind.value_type)
    )


def _holds_numbers(kind: pa.DataType) -> bool:
    """Return whether numbers lie in a matrix, or under a type that others have made."""
    if isinstance(kind, pa.BaseExtensionType):
        return _is_number(kind.storage_type) or _holds_numbers(kind.storage_type)
    return bool(pa.types.is_fixed_size_list(kind) and _is_number(kind.value_type))


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
        with warnings.catch_warnings():
            # Of an index that is not named by text, and is no column.
            warnings.simplefilter("ignore", UserWarning)
            table = value if isinstance(value, pa.Table) else pa.table(_with_text_names(value))
    except BaseException as error:
        if not is_told(error):
            raise
        raise InputError(
            "events",
            got=f"a {type(value).__name__} that is no Arrow table ({' '.join(str(error).split())})",
            expected="columns of one type each, named by text",
        ) from None
    return arrow_source(table.schema, table.num_rows, table.select)


def is_told(error: BaseException) -> bool:
    """Return whether an error is to be told: of those that are none, polars' panics only."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _with_text_names(value: Any) -> Any:  # noqa: ANN401  (anything that speaks Arrow)
    """Return a frame whose columns are named by text that Arrow can hand on."""
    names = [str(name) for name in getattr(value, "columns", ())]
    odd = [name for name in names if "\0" in name]
    # polars would end the process.
    require(not odd, "columns", got=f"the name {odd[:1]}", expected="names without NUL")
    # Arrow warns of numbers among the names, and makes text of them all the same.
    return value.set_axis(names, axis="columns") if hasattr(value, "set_axis") else value


def arrow_table(columns: Columns, specs: Sequence[Feature], origin: str = "") -> pa.Table:
    """Return columns as a table, its specifications and origin in the schema's metadata."""
    described = json.dumps([feature.to_dict() for feature in specs]).encode()
    said = {SPECS_KEY: described, **({_ORIGIN_KEY: origin.encode()} if origin else {})}
    return pa.table(dict(columns)).replace_schema_metadata(said)


def origin_of(file: EventFile) -> str:
    """Return what a Parquet or Feather file says of its maker; nothing if it cannot be read."""
    try:
        if file.suffix == ".parquet":
            schema = pa.parquet.read_schema(file.path)
        else:
            with pa.ipc.open_file(file.path) as reader:
                schema = reader.schema
    except (OSError, pa.ArrowException):
        return ""
    said: bytes = (schema.metadata or {}).get(_ORIGIN_KEY, b"")
    return said.decode(errors="replace")


def write_parquet(columns: Columns, specs: Sequence[Feature], file: EventFile) -> None:
    """Write compressed Parquet with the specifications in the schema's metadata."""
    # Byte streams of doubles compress well; dictionaries of them do not.
    pa.parquet.write_table(
        arrow_table(columns, specs, file.origin),
        file.path,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=[name for name in columns if columns[name].dtype.kind == "f"],
        write_page_checksum=True,
    )


def write_feather(columns: Columns, specs: Sequence[Feature], file: EventFile) -> None:
    """Write an uncompressed Feather file, which is read without a copy."""
    table = arrow_table(columns, specs, file.origin)
    pa.feather.write_feather(table, file.path, compression="uncompressed")
