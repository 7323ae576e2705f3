"""One writer per file format: columns by name into a new file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.readers import SPECS_KEY, optional

Columns = dict[str, Array | IntArray]

_WEIGHT, _GROUP = "weight", "group"


def columns_of(events: Events) -> Columns:
    """Return the columns of `events` by name, last the weights as ``weight``, groups as ``group``.

    Raises
    ------
    InputError
        If a feature of weighted events is called ``weight``, or one of grouped ``group``.
    """
    columns: Columns = {name: np.ascontiguousarray(events.column(name)) for name in events.names}
    for name, values, meaning in (
        (_WEIGHT, events.weights, "event weights"),
        (_GROUP, events.group, "groups of rows"),
    ):
        if values is None:
            continue
        if name in columns:
            raise InputError(
                "events",
                got=f"a feature named {name!r} beside {meaning}",
                expected=f"that name to be free for the {meaning}",
                remedy="Rename the feature.",
            )
        columns[name] = values
    return columns


def write_parquet(columns: Columns, features: Sequence[Feature], path: Path) -> None:
    """Write compressed Parquet with the specifications in the schema's metadata."""
    specs = json.dumps([feature.to_dict() for feature in features]).encode()
    table = pa.table(columns).replace_schema_metadata({SPECS_KEY: specs})
    # Byte streams of doubles compress well; dictionaries of them do not.
    pa.parquet.write_table(
        table,
        path,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=[name for name in columns if columns[name].dtype.kind == "f"],
        write_page_checksum=True,
    )


def write_csv(columns: Columns, path: Path) -> None:
    """Write comma-separated values with shortest round-trip decimals."""
    pa.csv.write_csv(pa.table(columns), path)


def write_npz(columns: Columns, path: Path) -> None:
    """Write a compressed npz archive with one array per column."""
    # np.savez takes the names as keywords, where a column "file" would clash.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, values, allow_pickle=False)


def write_hdf5(columns: Columns, path: Path, group: str) -> None:
    """Write one dataset per column into a group.

    Raises
    ------
    InputError
        If a name contains a slash, which HDF5 reads as a sub-group.
    """
    slashed = [name for name in columns if "/" in name]
    if slashed:
        raise InputError(
            "events", got=f"columns {slashed}", expected="names without '/' in an HDF5 file"
        )
    h5py = optional("h5py")
    with h5py.File(path, "w", locking=False, track_order=True) as file:
        target = file if group == "/" else file.create_group(group, track_order=True)
        for name, values in columns.items():
            target.create_dataset(name, data=values)


def write_root(columns: Columns, path: Path, tree: str) -> None:
    """Write one branch per column into a TTree."""
    uproot = optional("uproot")
    with uproot.recreate(path) as file:
        kinds = {name: values.dtype for name, values in columns.items()}
        file.mktree(tree, kinds).extend(columns)
