"""How the valid files are written: every format in the layouts that other programs write."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import write_events

ROWS = 60
_LARGER = 400  # so many that headers are a small part of what a checksum guards
_HEADER = 160  # bytes that precede the values of a page, at most
_GZIP_HEADER = 100  # bytes that precede what gzip packed, and the file's name, at most
_BLOCK_HEADER = 9  # bytes that precede a compressed block of ROOT

Columns = dict[str, npt.NDArray[Any]]
Ranges = tuple[tuple[int, int], ...]

_FEATURES = ["mass", "pt", "jets"]
_MATRIX: tuple[dict[str, Any], ...] = (
    {"features": [*_FEATURES, "w"], "missing": "drop"},
    {"features": _FEATURES, "weights": "w"},
    {"features": ["mass", "pt"], "weights": "w", "group": "event"},
)
_ALL: tuple[dict[str, Any], ...] = (
    {"features": _FEATURES, "weights": "w"},
    {"weights": "w", "group": "event"},
    {"weights": "w", "ignore": ["event"], "missing": "drop"},
    {"features": ["jets", "mass"]},
)
_GAPS: tuple[dict[str, Any], ...] = (
    {"features": _FEATURES, "weights": "w", "missing": "drop"},
    {"weights": "w", "ignore": ["event"], "missing": "drop"},
)


def _nothing(_: Path) -> Ranges:
    return ()


@dataclass(frozen=True, slots=True)
class Maker:
    """One layout of a format: how it is written, where its events lie, what checksums guard."""

    name: str
    write: Callable[[Path], object]
    asked: tuple[dict[str, Any], ...] = _ALL
    part: str | None = None
    covered: Callable[[Path], Ranges] = _nothing


def columns(n: int = ROWS) -> Columns:
    """Return the columns that most files hold."""
    rng = Seeds(14).at("fuzz", "columns").numpy()
    return {
        "mass": rng.normal(91.2, 2.5, n).round(3),
        "pt": rng.exponential(10.0, n).astype(np.float32),
        "jets": rng.integers(0, 9, n).astype(np.int32),
        "w": rng.normal(1.0, 0.25, n).round(2),
        "event": np.arange(n) // 2 + 10_000,
    }


def _matrix() -> npt.NDArray[np.float64]:
    held = columns()
    return np.column_stack([held[name] for name in (*_FEATURES, "w")]).astype(np.float64)


def _structured() -> npt.NDArray[Any]:
    held = columns()
    table = np.empty(ROWS, [(name, values.dtype) for name, values in held.items()])
    for name, values in held.items():
        table[name] = values
    return table


def _ours(path: Path) -> None:
    """Write events as this package does, with specifications, weights and groups."""
    held = columns(_LARGER)
    specs = (Feature("mass", unit="GeV", low=0.0), Feature("pt", low=0.0), Feature("jets"))
    x = np.column_stack([held[name] for name in _FEATURES]).astype(np.float64)
    write_events(Events(x, held["w"], features=specs, group=held["event"]), path)


_OURS: tuple[dict[str, Any], ...] = ({"weights": "weight", "group": "group"},)


# ---------------------------------------------------------------------------- Arrow's formats


def _table(n: int = ROWS) -> pa.Table:
    return pa.table({**columns(n), "tag": pa.array(["ab", "cd", "é"] * (n // 3))})


def _gapped_table() -> pa.Table:
    held = columns()
    gaps = np.zeros(ROWS, np.bool_)
    gaps[[3, 17]] = True
    return pa.table({**held, "mass": pa.array(held["mass"], mask=gaps)})


def _typed_table() -> pa.Table:
    """Return a table with decimals, dictionaries, nested and null columns, and a frame's index."""
    held = columns()
    jets = held["jets"].tolist()
    many: dict[str, Any] = {
        **held,
        "fixed": pa.array(held["mass"].round(2)).cast(pa.decimal128(9, 2)),
        "coded": pa.array(held["jets"]).dictionary_encode(),
        "there": pa.array([jet > 2 for jet in jets]),
        "list": pa.array([[float(jet)] * jet for jet in jets]),
        "record": pa.array([{"a": jet, "b": "x"} for jet in jets]),
        "day": pa.array([datetime.date(2026, 1, 1 + jet) for jet in jets]),
        "void": pa.nulls(ROWS),
        "__index_level_0__": pa.array(range(ROWS)),
    }
    return pa.table(many).replace_schema_metadata(
        {b"pandas": b'{"index_columns": ["__index_level_0__"], "columns": []}'}
    )


def _parquet(path: Path, table: Callable[[], pa.Table] = _table, **options: object) -> None:
    pa.parquet.write_table(table(), path, **options)


def _pages(path: Path) -> Ranges:
    """Return where the pages of our own Parquet files lie, without their headers."""
    found = pa.parquet.read_metadata(path)
    chunks = [
        found.row_group(group).column(column)
        for group in range(found.num_row_groups)
        for column in range(found.num_columns)
    ]
    starts = [(chunk.data_page_offset, chunk.total_compressed_size) for chunk in chunks]
    return tuple((start + _HEADER, start + size) for start, size in starts if size > _HEADER)


def _stream(path: Path) -> None:
    table = _table()
    with pa.ipc.new_stream(path, table.schema) as sink:
        sink.write_table(table, max_chunksize=25)


def _feather(path: Path, table: Callable[[], pa.Table] = _table, **options: object) -> None:
    pa.feather.write_feather(table(), path, **options)


_PARQUET = (
    Maker("ours", _ours, _OURS, covered=_pages),
    *(
        # Without Arrow's own schema, whose text is most of a small file.
        Maker(codec, partial(_parquet, compression=codec, store_schema=False))
        for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
    ),
    Maker("groups", partial(_parquet, row_group_size=16, data_page_version="2.0")),
    Maker("typed", partial(_parquet, table=_typed_table), ({"weights": "w", "ignore": ["event"]},)),
    Maker("gaps", partial(_parquet, table=_gapped_table), _GAPS),
)
_ARROW = (
    Maker("ours", _ours, _OURS),
    Maker("plain", partial(_feather, compression="uncompressed")),
    Maker("lz4", partial(_feather, compression="lz4", chunksize=25)),
    Maker("zstd", partial(_feather, compression="zstd")),
    Maker("stream", _stream),
    Maker("typed", partial(_feather, table=_typed_table), ({"weights": "w", "ignore": ["event"]},)),
    Maker("gaps", partial(_feather, table=_gapped_table), _GAPS),
)

# ---------------------------------------------------------------------------------------- CSV


def _lines(separator: str = ",", cell: Callable[[object], str] = str) -> list[str]:
    held = columns()
    wide = [values.astype(np.float64).tolist() for values in held.values()]
    rows = [separator.join(map(cell, row)) for row in zip(*wide, strict=True)]
    return [separator.join(held), *rows]


def _csv(path: Path, **options: object) -> None:
    pa.csv.write_csv(_table(), path, pa.csv.WriteOptions(**options))


def _csv_text(path: Path, lines: Sequence[str], end: str = "\n") -> None:
    path.write_bytes(end.join([*lines, ""]).encode())


def _csv_gaps(path: Path) -> None:
    lines = _lines()
    lines[5] = "--," + lines[5].partition(",")[2]
    lines[9] = "," + lines[9].partition(",")[2]
    _csv_text(path, lines)


def _csv_index(path: Path) -> None:
    head, *rows = _lines()
    _csv_text(path, [f",{head}", *(f"{j},{row}" for j, row in enumerate(rows))])


def _csv_hash(path: Path) -> None:
    head, *rows = _lines()
    _csv_text(path, ["#: name, of the table", f"# {head}", *rows])


_CSV = (
    Maker("ours", _ours, _OURS),
    Maker("quoted", partial(_csv, quoting_style="needed")),
    Maker("plain", lambda path: _csv_text(path, _lines())),
    Maker("crlf", lambda path: _csv_text(path, _lines(), "\r\n")),
    Maker("all-quoted", lambda path: _csv_text(path, _lines(cell=lambda one: f'"{one}"'))),
    Maker("fortran", lambda path: _csv_text(path, _lines(cell=lambda one: f" {one:.6e} "))),
    Maker("comments", lambda path: _csv_text(path, ["# made by hand", "#", *_lines()])),
    Maker("hash-header", _csv_hash),
    Maker("index", _csv_index),
    Maker("bom", lambda path: _csv_text(path, ["\ufeff" + _lines()[0], *_lines()[1:]])),
    Maker("gaps", _csv_gaps, _GAPS),
)

# ------------------------------------------------------------------------------------- NumPy's


def _npz(path: Path, save: Callable[..., None] = np.savez_compressed) -> None:
    save(path, **columns())


def _npz_matrix(path: Path) -> None:
    np.savez_compressed(path, events=_matrix())


def _members(path: Path) -> Ranges:
    """Return where the members of an archive lie: their CRC-32 is that of the values."""
    found = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            # The local header repeats the name, and may hold another extra field.
            lengths = path.read_bytes()[info.header_offset + 26 : info.header_offset + 30]
            start = info.header_offset + 30 + sum(np.frombuffer(lengths, "<u2").tolist())
            found.append((start, start + info.compress_size))
    return tuple(found)


_NPZ = (
    Maker("ours", _ours, _OURS, covered=_members),
    Maker("deflated", _npz, covered=_members),
    Maker("stored", partial(_npz, save=np.savez), covered=_members),
    Maker("matrix", _npz_matrix, _MATRIX[:2], covered=_members),
)


def _npy(path: Path, make: Callable[[], npt.NDArray[Any]] = _matrix) -> None:
    np.save(path, make())


_NPY = (
    Maker("matrix", _npy, _MATRIX[:2]),
    Maker("fortran", lambda path: np.save(path, np.asfortranarray(_matrix())), _MATRIX[:2]),
    Maker("swapped", lambda path: np.save(path, _matrix().astype(">f4")), _MATRIX[:2]),
    Maker("structured", partial(_npy, make=_structured)),
)

# ----------------------------------------------------------------------------------------- HDF5


def _hdf5(path: Path, group: str = "/", **options: object) -> None:
    with h5py.File(path, "w", track_order=True) as store:
        target = store.require_group(group)
        for name, values in columns().items():
            target.create_dataset(name, data=values, **options)


def _hdf5_one(
    path: Path, make: Callable[[], npt.NDArray[Any]] = _matrix, **options: object
) -> None:
    with h5py.File(path, "w") as store:
        store.create_dataset("table", data=make(), **options)


def _frame(path: Path, form: str) -> None:
    import pandas as pd  # slow

    with pd.HDFStore(path, "w") as store:
        store.put("events", pd.DataFrame(columns()), format=form, track_times=False)


def _chunks(path: Path) -> Ranges:
    """Return where the chunks of the datasets lie that have a checksum."""
    found: list[tuple[int, int]] = []

    def visit(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.fletcher32:
            every = [item.id.get_chunk_info(j) for j in range(item.id.get_num_chunks())]
            found.extend((one.byte_offset, one.byte_offset + one.size) for one in every)

    with h5py.File(path) as store:
        store.visititems(visit)
    return tuple(found)


_HDF5 = (
    Maker("ours", _ours, _OURS),
    Maker("group", partial(_hdf5, group="deep/events"), part="deep/events"),
    Maker("gzip", partial(_hdf5, compression="gzip", shuffle=True, chunks=(20,))),
    Maker("checked", partial(_hdf5, fletcher32=True, chunks=(20,)), covered=_chunks),
    Maker("upright", partial(_hdf5, maxshape=(None,))),
    Maker("matrix", _hdf5_one, _MATRIX[:2], "table"),
    Maker("tiles", partial(_hdf5_one, chunks=(16, 4), compression="lzf"), _MATRIX[:2], "table"),
    Maker("compound", partial(_hdf5_one, make=_structured), part="table"),
    Maker("frame-fixed", partial(_frame, form="fixed"), part="events"),
    Maker("frame-table", partial(_frame, form="table"), part="events"),
)

# ----------------------------------------------------------------------------------------- ROOT


def _root(path: Path, jagged: bool = False, **options: object) -> None:
    import awkward as ak  # slow, as is uproot
    import uproot

    held: Mapping[str, Any] = columns()
    with uproot.recreate(path, uuid_function=lambda: UUID(int=14), **options) as store:
        kinds: dict[str, Any] = {name: values.dtype for name, values in held.items()}
        if jagged:
            jets = ak.Array([[float(n)] * n for n in held["jets"].tolist()])
            store.mktree("Events", {**kinds, "Jet_pt": "var * float64"})
            store["Events"].extend({**held, "Jet_pt": jets})
        else:
            store.mktree("dir/Events", kinds).extend(dict(held))


def _ntuple(path: Path) -> None:
    import uproot

    with uproot.recreate(path, uuid_function=lambda: UUID(int=14)) as store:
        store.mkrntuple("Events", dict(columns()))


def _baskets(path: Path) -> Ranges:
    """Return where the compressed baskets lie, whose blocks of zlib end with a checksum."""
    import uproot

    found = []
    with uproot.open(path) as store:
        for branch in store["dir/Events"].branches:
            for j in range(branch.num_baskets):
                basket = branch.basket(j)
                seek, size = (
                    int(branch.member(name)[j]) for name in ("fBasketSeek", "fBasketBytes")
                )
                # What would not become smaller is stored as it is, and nothing guards it.
                if basket.compressed_bytes != basket.uncompressed_bytes:
                    found.append(
                        (seek + int(basket.member("fKeylen")) + _BLOCK_HEADER, seek + size)
                    )
    return tuple(found)


def _pages_of_fields(path: Path) -> Ranges:
    """Return where the compressed pages of an RNTuple lie, whose blocks end with a checksum."""
    import uproot

    with uproot.open(path) as store:
        every = [page for columns in store["Events"].page_link_list for each in columns
                 for page in each.pages]  # fmt: skip
        return tuple(
            (page.locator.offset + _BLOCK_HEADER, page.locator.offset + page.locator.num_bytes)
            for page in every
            if page.locator.num_bytes not in (4 * page.num_elements, 8 * page.num_elements)
        )


_JAGGED: tuple[dict[str, Any], ...] = (
    {"features": _FEATURES, "weights": "w"},
    {"weights": "w", "ignore": ["event"]},
)
_ROOT = (
    Maker("tree", _root, part="dir/Events", covered=_baskets),
    Maker("bare", partial(_root, compression=None), part="dir/Events"),
    Maker("jagged", partial(_root, jagged=True), _JAGGED, "Events"),
    Maker("ntuple", _ntuple, part="Events", covered=_pages_of_fields),
)

# ----------------------------------------------------------------------------------------- FITS


def _fits(path: Path, **options: object) -> None:
    from astropy.io import fits  # slow, and of an extra

    table = fits.BinTableHDU(_structured(), name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True, **options)


def _blocks(path: Path) -> Ranges:
    """Return where the values lie that DATASUM adds up, if the file has it."""
    from astropy.io import fits

    with fits.open(path) as store:
        place, summed = store[1].fileinfo(), "DATASUM" in store[1].header
    return ((int(place["datLoc"]), int(place["datLoc"] + place["datSpan"])),) if summed else ()


def _packed(path: Path) -> Ranges:
    """Return where the packed bytes lie, which gzip guards by the CRC-32 at the end."""
    return ((_GZIP_HEADER, path.stat().st_size - 8),)


_FITS = (
    Maker("ours", _ours, _OURS, covered=_blocks),
    Maker("plain", _fits),
    Maker("checked", partial(_fits, checksum=True), covered=_blocks),
)
_FITS_GZ = (Maker("ours", _ours, _OURS, covered=_packed), Maker("plain", _fits, covered=_packed))

MAKERS: dict[str, tuple[Maker, ...]] = {
    ".parquet": _PARQUET,
    ".feather": _ARROW,
    ".arrow": _ARROW,
    ".root": _ROOT,
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".npz": _NPZ,
    ".npy": _NPY,
    ".csv": _CSV,
    ".fits": _FITS,
    ".fit": _FITS,
    ".fits.gz": _FITS_GZ,
}
"""The layouts by the suffix of a format; every registered one needs some."""
