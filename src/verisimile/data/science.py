"""Readers of ROOT and HDF5 files, whose libraries come with the extra ``io``."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from verisimile.core.errors import InputError
from verisimile.data.names import listing, suggestion
from verisimile.data.readers import Labels, from_array, from_arrays
from verisimile.data.table import Column, Source

__all__ = ["open_hdf5", "open_root", "optional"]

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
