"""HDF5 files: groups of flat datasets, matrices, tables of named fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from verisimile.core.errors import require
from verisimile.data.feature import Feature
from verisimile.data.formats.arrays import of_array, of_arrays
from verisimile.data.formats.file import Columns, EventFile, Labels, check_part, optional
from verisimile.data.source import Source


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
        check_part(None if part is None else part.strip("/") or "/", parts, "group", ".h5:group")
        found = store[part]
        if isinstance(found, h5py.Dataset):
            yield of_array(found, labels)
        else:
            yield of_arrays(datasets(found), labels)


def write_hdf5(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
    """Write one dataset per column into a group; HDF5 reads a slash in a name as a sub-group."""
    group = file.part or "/"
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
