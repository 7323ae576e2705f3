"""The file formats of events, one line of `FORMATS` each: what opens a file, what writes one."""

from __future__ import annotations

import csv
import importlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError, require
from verisimile.data.events import Events
from verisimile.data.feature import Feature, listing, suggestion, unique
from verisimile.data.table import Column, Source

SPECS_KEY = b"verisimile.features"

Labels = tuple[str, ...] | None
"""Names for the columns of a bare matrix."""

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_NUMBER = re.compile(r"(std::)?u?int(8|16|32|64)_t|float|double|Float16_t|Double32_t")


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file of events, whether it exists or not, and the tree or group in it."""

    path: Path
    suffix: str
    part: str | None = None

    def __str__(self) -> str:
        """Return the path with its part, for messages."""
        return f"{self.path}:{self.part}" if self.part else str(self.path)


class FileFormat(NamedTuple):
    """How files of one format are opened and written, and whether they have named parts."""

    open: Callable[[EventFile, Labels], AbstractContextManager[Source]]
    write: Callable[[Events, EventFile], None] | None
    has_parts: bool = False


def optional(module: str) -> ModuleType:
    """Import a library of the extra ``io``; an InputError says how to install it."""
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
def open_parquet(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open flat Parquet columns; specifications come from the schema's metadata."""
    # ParquetFile, unlike read_table, does not turn folders named a=1 into columns.
    with pa.parquet.ParquetFile(file.path, page_checksum_verification=True) as table:
        schema = table.schema_arrow
        described = json.loads((schema.metadata or {}).get(SPECS_KEY, b"[]"))
        specs = {feature.name: feature for feature in map(Feature.from_dict, described)}
        yield _arrow_source(schema, lambda name: table.read(columns=[name]), specs)


@contextmanager
def open_csv(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open comma-separated values with a header line."""
    with file.path.open(newline="", encoding="utf-8-sig") as lines:
        header = next(csv.reader(lines), [])
    require(
        not header or not all(map(_is_number, header)),
        "header",
        got=f"numbers in the first line ({', '.join(header[:4])})",
        expected="the column names, separated by commas",
        remedy="Add a header line.",
    )
    table = pa.csv.read_csv(file.path)
    require(table.num_rows, str(file.path), got="a header and no events", expected="events")
    yield _arrow_source(table.schema, lambda _: table, {})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _arrow_source(
    schema: pa.Schema, load: Callable[[str], pa.Table], specs: Mapping[str, Feature]
) -> Source:
    def values(name: str) -> npt.NDArray[Any]:
        return np.asarray(load(name).column(name).to_numpy())

    unique(schema.names, "columns")
    columns = {}
    for item in schema:
        numeric = pa.types.is_integer(item.type) or pa.types.is_floating(item.type)
        fault = "" if numeric else f"values of type {item.type}"
        columns[item.name] = Column(partial(values, item.name), fault)
    return Source(columns, specs)


@contextmanager
def open_npz(file: EventFile, labels: Labels) -> Iterator[Source]:
    """Open an npz archive: one array per column, or a single matrix named by `labels`."""
    # Opened here, because NumPy leaves a damaged archive's file open.
    with file.path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        yield _of_arrays({name: archive[name] for name in archive.files}, labels)


@contextmanager
def open_npy(file: EventFile, labels: Labels) -> Iterator[Source]:
    """Open an npy matrix, its columns named by `labels`, or a structured array."""
    yield _of_array(np.load(file.path, allow_pickle=False), labels)


@contextmanager
def open_hdf5(file: EventFile, labels: Labels) -> Iterator[Source]:
    """Open a group of flat datasets, a matrix, or a table of named fields.

    Without a name the file's root group is meant, if it holds datasets.
    """
    h5py = optional("h5py")

    def datasets(group: Any) -> dict[str, Any]:  # noqa: ANN401  (h5py is untyped)
        return {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}

    def visit(name: str, item: Any) -> None:  # noqa: ANN401
        is_table = isinstance(item, h5py.Dataset) and (item.ndim == 2 or item.dtype.names)
        if is_table or (isinstance(item, h5py.Group) and datasets(item)):
            parts.append(name)

    # Locks fail on network file systems, and reading needs none.
    with h5py.File(file.path, "r", locking=False) as store:
        # Groups that hold datasets, and datasets that are tables by themselves.
        parts = ["/"] if datasets(store) else []
        store.visititems(visit)
        part = "/" if file.part is None and "/" in parts else file.part
        _check_part(None if part is None else part.strip("/") or "/", parts, "group", ".h5:group")
        found = store[part]
        if isinstance(found, h5py.Dataset):
            yield _of_array(found, labels)
        else:
            yield _of_arrays(datasets(found), labels)


@contextmanager
def open_root(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open the flat branches of a TTree, or the flat fields of an RNTuple."""
    uproot = optional("uproot")
    # The dict form keeps uproot from looking for a tree name in the path.
    with uproot.open({str(file.path): None}) as store:
        kinds = store.classnames(recursive=True, cycle=False)
        trees = [name for name, kind in kinds.items() if kind in _TREES]
        _check_part(file.part, trees, "tree", ".root:Tree")
        entries = store[file.part]
        # Branch by branch: as expressions, names such as "a-b" would be computed.
        yield Source({name: _branch(entries[name]) for name in entries.keys()})  # noqa: SIM118


def _branch(branch: Any) -> Column:  # noqa: ANN401  (uproot is untyped and optional)
    kind = branch.typename
    fault = "" if _NUMBER.fullmatch(kind) else f"values of type {kind}"
    return Column(partial(branch.array, library="np"), fault)


def _check_part(part: str | None, parts: list[str], kind: str, form: str) -> None:
    if part in parts or (part is not None and part.split(";")[0] in parts):
        return
    raise InputError(
        kind,
        got=f"no {kind} named" if part is None else f"no {kind} {part!r}",
        expected=f"one of the file's: {listing(parts)}",
        remedy=f"Name it: {form}. {suggestion(part or '', parts)}".strip(),
    )


def _of_arrays(arrays: Mapping[str, Any], labels: Labels) -> Source:
    """Return flat arrays as columns; a matrix that stands alone is named by `labels`."""
    if len(arrays) == 1:
        (alone,) = arrays.values()
        if alone.ndim == 2 or alone.dtype.names:
            return _of_array(alone, labels)
    return Source({name: _column(array) for name, array in arrays.items()})


def _of_array(array: Any, labels: Labels) -> Source:  # noqa: ANN401  (NumPy array or HDF5 dataset)
    """Return the columns of one array: fields by name, matrix columns by `labels`."""
    if array.dtype.names:
        whole = np.asarray(array[()])
        return _of_arrays({name: whole[name] for name in array.dtype.names}, labels)
    require(
        array.ndim == 2,
        "array",
        got=f"one array of shape {array.shape}",
        expected="a matrix (events, features), or one flat array per column",
    )
    d = array.shape[1]
    if labels is None or len(labels) != d:
        named = "no names for them" if labels is None else f"{len(labels)} names, {labels}"
        raise InputError(
            "features",
            got=f"a bare matrix of {d} columns and {named}",
            expected=f"{d} column names, in the order of the matrix (weights last)",
            remedy="Pass features=[...].",
        )
    matrix = np.asarray(array[()])
    return Source({name: _column(matrix[:, j]) for j, name in enumerate(labels)})


def _column(array: Any) -> Column:  # noqa: ANN401  (NumPy array or HDF5 dataset)
    numeric = array.dtype.kind in "iuf"
    fault = "" if numeric else f"values of type {array.dtype}"
    if len(array.shape) != 1:
        fault = f"an array of shape {array.shape}"
    return Column(lambda: np.asarray(array[()]), fault)


def columns_of(events: Events) -> dict[str, Array | IntArray]:
    """Return the columns of `events` by name, last the weights as ``weight``, groups as ``group``.

    An InputError says that a feature has one of these names beside them.
    """
    columns: dict[str, Array | IntArray] = {
        name: np.ascontiguousarray(events.column(name)) for name in events.names
    }
    for name, values, meaning in (
        ("weight", events.weights, "event weights"),
        ("group", events.group, "groups of rows"),
    ):
        require(
            values is None or name not in columns,
            "events",
            got=f"a feature named {name!r} beside {meaning}",
            expected=f"that name to be free for the {meaning}",
            remedy="Rename the feature.",
        )
        if values is not None:
            columns[name] = values
    return columns


def write_parquet(events: Events, file: EventFile) -> None:
    """Write compressed Parquet with the specifications in the schema's metadata."""
    columns = columns_of(events)
    specs = json.dumps([feature.to_dict() for feature in events.features]).encode()
    # Byte streams of doubles compress well; dictionaries of them do not.
    pa.parquet.write_table(
        pa.table(columns).replace_schema_metadata({SPECS_KEY: specs}),
        file.path,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=[name for name in columns if columns[name].dtype.kind == "f"],
        write_page_checksum=True,
    )


def write_csv(events: Events, file: EventFile) -> None:
    """Write comma-separated values with shortest round-trip decimals."""
    pa.csv.write_csv(pa.table(columns_of(events)), file.path)


def write_npz(events: Events, file: EventFile) -> None:
    """Write a compressed npz archive with one array per column."""
    # np.savez takes the names as keywords, where a column "file" would clash.
    with zipfile.ZipFile(file.path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in columns_of(events).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, values, allow_pickle=False)


def write_hdf5(events: Events, file: EventFile) -> None:
    """Write one dataset per column into a group; HDF5 reads a slash in a name as a sub-group."""
    columns, group = columns_of(events), file.part or "/"
    slashed = [name for name in columns if "/" in name]
    require(
        not slashed,
        "events",
        got=f"columns {slashed}",
        expected="names without '/' in an HDF5 file",
    )
    with optional("h5py").File(file.path, "w", locking=False, track_order=True) as store:
        target = store if group == "/" else store.create_group(group, track_order=True)
        for name, values in columns.items():
            target.create_dataset(name, data=values)


def write_root(events: Events, file: EventFile) -> None:
    """Write one branch per column into a TTree, ``events`` by default."""
    columns = columns_of(events)
    with optional("uproot").recreate(file.path) as store:
        kinds = {name: values.dtype for name, values in columns.items()}
        store.mktree(file.part or "events", kinds).extend(columns)


_HDF5 = FileFormat(open_hdf5, write_hdf5, has_parts=True)

FORMATS = {
    ".parquet": FileFormat(open_parquet, write_parquet),
    ".root": FileFormat(open_root, write_root, has_parts=True),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".npz": FileFormat(open_npz, write_npz),
    ".npy": FileFormat(open_npy, None),
    ".csv": FileFormat(open_csv, write_csv),
}
"""The formats by the suffix of a file's name."""
