"""Every form in which events can be given: files of all formats, and what Python holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import torch

from contracts.test_reader_contract import FORMATS, Format

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Form:
    """One form of events: how to make it, and which columns it can hold.

    `holds` names what a column may be beside numbers: ``null``, ``text``, ``date``, ``complex``,
    ``list`` (a list in each cell), ``upright`` ``(n, 1)``, ``unequal`` lengths.
    """

    name: str
    make: Callable[[Path, Columns], Any]
    holds: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name


def _file(form: Format) -> Callable[[Path, Columns], str]:
    def make(folder: Path, columns: Columns) -> str:
        form.write(folder / form.name, columns)
        return f"{folder / form.name}{form.part}"

    return make


def arrow(_: Path, columns: Columns) -> pa.Table:
    def column(values: npt.NDArray[Any]) -> pa.Array:
        if values.ndim == 2:
            flat = pa.array(values.ravel())
            return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        return pa.array(np.asarray(values), mask=np.ma.getmaskarray(values))

    return pa.table({name: column(values) for name, values in columns.items()})


def _parquet(folder: Path, columns: Columns) -> Path:
    pa.parquet.write_table(arrow(folder, columns), folder / "z.parquet")
    return folder / "z.parquet"


def _feather(folder: Path, columns: Columns) -> Path:
    pa.feather.write_feather(arrow(folder, columns), folder / "z.feather", compression="zstd")
    return folder / "z.feather"


def _stream(folder: Path, columns: Columns) -> Path:
    table = arrow(folder, columns)
    with pa.ipc.new_stream(folder / "z.arrow", table.schema) as stream:
        stream.write_table(table)
    return folder / "z.arrow"


def _csv(folder: Path, columns: Columns) -> Path:
    rows = [",".join(columns)]
    rows.extend(",".join(map(_cell, cells)) for cells in zip(*columns.values(), strict=True))
    (folder / "z.csv").write_text("\n".join(rows) + "\n")
    return folder / "z.csv"


def _cell(value: Any) -> str:  # noqa: ANN401
    if value is np.ma.masked:
        return ""
    # The shortest decimals of a float32 are another double.
    return repr(float(value)) if isinstance(value, np.floating) else str(value)


def structured(_: Path, columns: Columns) -> npt.NDArray[Any]:
    kinds = [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    table = np.empty(len(next(iter(columns.values()))), dtype=kinds)
    for name, values in columns.items():
        table[name] = values
    return table


def _npy(folder: Path, columns: Columns) -> Path:
    np.save(folder / "z.npy", structured(folder, columns))
    return folder / "z.npy"


def _pandas(folder: Path, columns: Columns) -> pd.DataFrame:
    found = {}
    for name, values in columns.items():
        if isinstance(values, np.ma.MaskedArray):
            found[name] = pd.array(pa.array(np.asarray(values), mask=values.mask).to_pylist())
        else:
            found[name] = list(values) if values.ndim == 2 else values
    return pd.DataFrame(found)


def _polars(folder: Path, columns: Columns) -> pl.DataFrame:
    frame = pl.from_arrow(arrow(folder, columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _awkward(_: Path, columns: Columns) -> ak.Array:
    return ak.zip(
        {
            name: values.tolist() if values.dtype.kind == "U" else ak.from_numpy(values)
            for name, values in columns.items()
        },
        depth_limit=1,
    )


def _torch(_: Path, columns: Columns) -> dict[str, torch.Tensor]:
    return {
        name: torch.tensor(values, requires_grad=values.dtype.kind in "fc")
        for name, values in columns.items()
    }


_ARROW = frozenset({"null", "text", "date", "list", "upright"})

_HOLDS = {
    "events.npz": frozenset({"complex", "list", "upright", "unequal", "text"}),
    "group.h5": frozenset({"complex", "list", "upright", "unequal", "text"}),
    "table.hdf5": frozenset({"complex", "text"}),
    "tree.root": frozenset({"list"}),
    "ntuple.root": frozenset({"text", "list"}),
}

FILES = [
    *(
        Form(form.name, _file(form), _HOLDS.get(form.name, frozenset()))
        for form in FORMATS
        if form.name not in ("events.parquet", "events.csv")  # which are below, with more kinds
    ),
    Form("parquet", _parquet, _ARROW),
    Form("feather", _feather, _ARROW),
    Form("arrow stream", _stream, _ARROW),
    Form("csv", _csv, frozenset({"null", "text", "date"})),
    Form("npy", _npy, frozenset({"complex", "list", "upright", "text", "date"})),
]

HELD = [
    Form("pandas", _pandas, frozenset({"null", "text", "date", "list"})),
    Form("polars", _polars, _ARROW),
    Form("arrow", arrow, _ARROW),
    Form(
        "dict",
        lambda _, columns: dict(columns),
        frozenset({"null", "text", "date", "complex", "list", "upright", "unequal"}),
    ),
    Form("structured", structured, frozenset({"text", "date", "complex", "list", "upright"})),
    Form("awkward", _awkward, frozenset({"null", "text", "date", "complex", "list"})),
    Form("torch", _torch, frozenset({"complex", "list", "upright", "unequal"})),
]

FORMS = [*FILES, *HELD]


def holding(*kinds: str) -> list[Form]:
    """Return the forms that can hold such columns."""
    return [form for form in FORMS if form.holds.issuperset(kinds)]
