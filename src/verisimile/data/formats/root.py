"""ROOT files: the flat branches of a TTree, the flat fields of an RNTuple."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from verisimile.data.feature import Feature
from verisimile.data.formats.file import Columns, EventFile, Labels, check_part, optional
from verisimile.data.source import Column, Source, Values

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")
_NUMBER = re.compile(r"(std::)?u?int(8|16|32|64)_t|float|double|bool|Float16_t|Double32_t")

_TEXT = ("std::string", "char*", "TString")


@contextmanager
def open_root(file: EventFile, _: Labels) -> Iterator[Source]:
    """Open the flat branches of a TTree, or the flat fields of an RNTuple."""
    uproot = optional("uproot")
    # The dict form keeps uproot from looking for a tree name in the path.
    with uproot.open({str(file.path): None}) as store:
        kinds = store.classnames(recursive=True, cycle=False)
        trees = [name for name, kind in kinds.items() if kind in _TREES]
        check_part(file.part, trees, "tree", ".root:Tree")
        entries = store[file.part]

        def load(names: Sequence[str]) -> Iterator[Values]:
            # Branch by branch: as expressions, names such as "a-b" would be computed.
            return (entries[name].array(library="np") for name in names)

        rows = int(entries.num_entries)
        columns = {name: _column(entries[name], rows) for name in entries.keys()}  # noqa: SIM118
        yield Source(columns, load)


def _column(branch: Any, rows: int) -> Column:  # noqa: ANN401  (uproot is untyped and optional)
    kind = branch.typename
    if _NUMBER.fullmatch(kind):
        return Column(rows=rows)
    if kind in _TEXT:
        return Column("text", f"values of type {kind}", rows)
    return Column("other", f"values of type {kind}", rows)


def write_root(columns: Columns, _: Sequence[Feature], file: EventFile) -> None:
    """Write one branch per column into a TTree, ``events`` by default."""
    with optional("uproot").recreate(file.path) as store:
        kinds = {name: values.dtype for name, values in columns.items()}
        store.mktree(file.part or "events", kinds).extend(dict(columns))
