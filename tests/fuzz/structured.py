"""Damage that knows the format: headers that lie, odd cells, valid files of odd content."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
import zlib
from collections.abc import Callable

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from fuzz.mutations import INTERESTING, damaged
from fuzz.odd import JSON_TEXTS, NAMES, arrow_table, pick, pick_some

Edit = Callable[[bytes, np.random.Generator], bytes]

# ---------------------------------------------------------------------------------------- NumPy

_SHAPES = (
    "()", "(60,)", "(60, 4)", "(4, 60)", "(60, 4, 1)", "(0, 4)", "(60, 0)", "(-1, 4)", "(240,)",
    "(2**40, 4)", "(9223372036854775807,)", "(18446744073709551616,)", "(1099511627776, 4)",
    "(60, 4", "60", "(60.0, 4)", "('60', 4)", "(True, 4)", "(4294967296, 4294967296)", "None",
    "(1,) * 9", "(500000000, 4)", "(100000000,)",
)  # fmt: skip
_DESCRS = (
    "'<f8'", "'>f8'", "'<f4'", "'<f2'", "'<f16'", "'<c16'", "'|b1'", "'<i8'", "'<u8'", "'|S8'",
    "'<U2'", "'|V8'", "'<M8[ns]'", "'<m8[s]'", "'|O'", "'<f9'", "'<f8,<f8'", "''", "None", "7",
    "[('a', '<f8'), ('b', '<i4')]", "[('a', '<f8'), ('a', '<f8')]", "[('', '<f8')]", "[]",
    "[('a', '<f8', (2,))]", "[('a', [('b', '<f8')])]", "{'names': ['a'], 'formats': ['<f8']}",
    "'|S0'", "'<U0'", "'|V0'", "[('a', '|V0')]", "('<f8', (3,))", "'<M8'", "'|S2147483647'",
)  # fmt: skip


def _npy_header(rng: np.random.Generator) -> bytes:
    order = pick(rng, ("False", "True", "0", "None", "'C'"))
    keys = [
        f"'descr': {pick(rng, _DESCRS)}",
        f"'fortran_order': {order if rng.random() < 0.3 else 'False'}",
        f"'shape': {pick(rng, _SHAPES)}",
    ]
    if rng.random() < 0.1:
        keys = keys[: int(rng.integers(3))] + ["'more': 1"] * int(rng.integers(2))
    text = ("{" + ", ".join(keys) + ", }").encode()
    if rng.random() < 0.05:
        text = pick(rng, (b"{" * 5000, b"(" * 200 + b")" * 200, b"-" * 9000, b"9" * 9000))
    return text


def edit_npy(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace the header of an array by one that need not fit."""
    length = int.from_bytes(content[8:10], "little")
    version = pick(rng, (b"\1\0", b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"\0\0", b"\xff\1"))
    width = 2 if version[0] == 1 else 4
    header = _npy_header(rng)
    header += b" " * (-(len(header) + 7 + width) % 64) + b"\n"
    size = len(header) if rng.random() < 0.9 else INTERESTING[int(rng.integers(16))]
    lengths = (size % (1 << 8 * width)).to_bytes(width, "little")
    return content[:6] + version + lengths + header + content[10 + length :]


_MEMBERS = ("mass.npy", "mass", "w.npy", ".npy", "", "../x.npy", "a/b.npy", "\0.npy", "é.npy")
_FIELDS = ((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4))


def edit_npz(content: bytes, rng: np.random.Generator) -> bytes:
    """Change an entry of the directory, or write the archive anew with odd members."""
    if rng.random() < 0.5:
        return _edit_directory(content, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error):
        return content
    j = int(rng.integers(len(members)))
    change = int(rng.integers(5))
    name, held = members[j]
    if change == 0:
        members[j] = (pick(rng, _MEMBERS), held)
    elif change == 1:
        members.append(members[int(rng.integers(len(members)))])
    elif change == 2:
        members[j] = (name, damaged(held, content, rng))
    else:
        members[j] = (name, edit_npy(held, rng))
    kind = pick(
        rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name occurs twice is meant
        for name, held in members:
            archive.writestr(zipfile.ZipInfo(name), held, kind)
    return stream.getvalue()


def _edit_directory(content: bytes, rng: np.random.Generator) -> bytes:
    mark = pick(rng, (b"PK\1\2", b"PK\1\2", b"PK\3\4", b"PK\5\6"))
    starts = [j for j in range(len(content)) if content.startswith(mark, j)]
    if not starts:
        return content
    field, width = _FIELDS[int(rng.integers(len(_FIELDS)))]
    if mark == b"PK\5\6":
        field, width = ((4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))[int(rng.integers(6))]
    start = int(rng.choice(starts)) + field
    value = INTERESTING[int(rng.integers(16))] % (1 << 8 * width)
    return content[:start] + value.to_bytes(width, "little") + content[start + width :]


# ---------------------------------------------------------------------------------------- Arrow


def _odd_metadata(rng: np.random.Generator) -> dict[bytes, bytes]:
    keys = pick_some(rng, (b"verisimile.features", b"pandas", b"ARROW:schema", b"x"))
    return {key: pick(rng, JSON_TEXTS) for key in keys}


def edit_parquet(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage the footer or its length, or write a table of odd columns and descriptions."""
    if rng.random() < 0.5:
        length = int.from_bytes(content[-8:-4], "little")
        start = max(0, len(content) - 8 - length)
        footer = damaged(content[start:-8], content, rng)
        size = len(footer) if rng.random() < 0.8 else INTERESTING[int(rng.integers(16))]
        return content[:start] + footer + (size % 2**32).to_bytes(4, "little") + content[-4:]
    table = arrow_table(rng).replace_schema_metadata(_odd_metadata(rng))
    stream = io.BytesIO()
    try:
        pa.parquet.write_table(table, stream, write_page_checksum=bool(rng.random() < 0.5))
    except (pa.ArrowException, NotImplementedError):  # types that Parquet lacks
        return damaged(content, content, rng)
    return stream.getvalue()


def edit_arrow(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage the footer or its length, or write a table of odd columns and descriptions."""
    if rng.random() < 0.5:
        length = int.from_bytes(content[-10:-6], "little")
        start = max(0, len(content) - 10 - length)
        footer = damaged(content[start:-10], content, rng)
        size = len(footer) if rng.random() < 0.8 else INTERESTING[int(rng.integers(16))]
        return content[:start] + footer + (size % 2**32).to_bytes(4, "little") + content[-6:]
    table = arrow_table(rng).replace_schema_metadata(_odd_metadata(rng))
    stream = io.BytesIO()
    writer = pa.ipc.new_file if rng.random() < 0.7 else pa.ipc.new_stream
    with writer(stream, table.schema) as sink:
        sink.write_table(table, max_chunksize=int(rng.integers(1, 20)))
    return stream.getvalue()


# ------------------------------------------------------------------------------------------ CSV

CELLS = (
    "", " ", "nan", "NaN", "inf", "-inf", "--", "NA", "oops", "\0", '"', '""', '"a', 'a"b', "'",
    ",", "1e308", "1e309", "-1e400", "5e-324", "1e-400", "9007199254740993",
    "18446744073709551616", "9" * 400, "0x1p3", "1_000", "١٢", "½", "1,5", "1;5", "1.5D+03", "1d5",
    "d", "1e", "+", "-",
    "true", "False", "2026-11-29", "12:30", "é", "\ufeff", "\u202e7", "😀", "a" * 70_000, "\t1",
    "1\r", "\\N", "null", "#", "=1+1", "1 2", "(1,2)", "00012", "+1.0", ".5", "5.", "1e+5",
    "∞", "\x1a", "\x7f", "1\u00a0000",
)  # fmt: skip
_ENCODINGS = ("utf-8", "utf-16", "utf-32", "latin-1", "utf-8-sig", "utf-7")
_ENDS = ("\n", "\r\n", "\r", "\n\n", "\x0b", "\u2028", "\n ")


def edit_csv(content: bytes, rng: np.random.Generator) -> bytes:
    """Change cells, rows, separators, ends of lines or the encoding."""
    text = content.decode("utf-8", errors="replace")
    lines = text.split("\n")
    for _ in range(int(rng.integers(1, 4))):
        lines = _CSV_EDITS[int(rng.integers(len(_CSV_EDITS)))](lines, rng)
    end = "\n" if rng.random() < 0.9 else pick(rng, _ENDS)
    encoding = "utf-8" if rng.random() < 0.95 else pick(rng, _ENCODINGS)
    return end.join(lines).encode(encoding, errors="replace")


def _row(lines: list[str], rng: np.random.Generator) -> int:
    """Return a line, one in four near the first."""
    return int(rng.integers(min(3, len(lines)) if rng.random() < 0.25 else len(lines)))


def _edit_cell(lines: list[str], rng: np.random.Generator) -> list[str]:
    for _ in range(int(rng.choice([1, 1, 1, 20]))):
        j = _row(lines, rng)
        cells = lines[j].split(",")
        cells[int(rng.integers(len(cells)))] = pick(rng, CELLS)
        lines[j] = ",".join(cells)
    return lines


def _edit_column(lines: list[str], rng: np.random.Generator) -> list[str]:
    split = [line.split(",") for line in lines]
    k = int(rng.integers(6))
    word = pick(rng, CELLS)
    for cells in split[int(rng.integers(2)) :]:
        if k < len(cells):
            cells[k] = word
    return [",".join(cells) for cells in split]


def _edit_header(lines: list[str], rng: np.random.Generator) -> list[str]:
    cells = lines[0].split(",")
    cells[int(rng.integers(len(cells)))] = pick(rng, NAMES)
    return [",".join(cells), *lines[1:]]


def _edit_rows(lines: list[str], rng: np.random.Generator) -> list[str]:
    j, change = _row(lines, rng), int(rng.integers(6))
    if change == 0:
        return [*lines[:j], pick(rng, CELLS), *lines[j:]]
    if change == 1:
        return [*lines[:j], *lines[j + 1 :]] or [""]
    if change == 2:
        return [*lines[:j], lines[j] + "," + pick(rng, CELLS), *lines[j + 1 :]]
    if change == 3:
        return [*lines[:j], lines[j].rpartition(",")[0], *lines[j + 1 :]]
    if change == 4:
        return ["# " + pick(rng, CELLS), *lines]
    return lines[:1]


def _edit_separator(lines: list[str], rng: np.random.Generator) -> list[str]:
    mark = pick(rng, (";", "\t", "|", " ", ", ", ",,", "\0", "\x1f"))
    return [line.replace(",", mark) for line in lines]


_CSV_EDITS = (_edit_cell, _edit_cell, _edit_cell, _edit_column, _edit_header, _edit_rows,
              _edit_rows, _edit_separator)  # fmt: skip

# ----------------------------------------------------------------------------------------- HDF5


def edit_hdf5(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage the superblock and the first headers, or write a file of odd datasets."""
    if rng.random() < 0.5:
        stop = int(rng.choice([96, 800]))
        head = damaged(content[:stop], content, rng)
        # Most offsets stay right.
        head = (head + b"\0" * stop)[:stop] if rng.random() < 0.8 else head
        return head + content[stop:]
    stream = io.BytesIO()
    with h5py.File(stream, "w") as store:
        group = store.require_group(pick(rng, ("/", "/", "deep/events", "events")))
        for name in ("mass", "pt", "jets", "w", "event", "table"):
            if rng.random() < 0.8:
                _odd_dataset(group, name, rng)
    return stream.getvalue()


def _odd_dataset(group: h5py.Group, name: str, rng: np.random.Generator) -> None:
    """Write a plain column, or a dataset of an odd type, shape or layout."""
    values = rng.normal(size=60)
    made = int(rng.integers(16))
    if made < 5:
        group[name] = values
    elif made == 5:
        shape = pick(rng, ((2**40,), (2**33, 4), (60, 2**35), (0,), (60, 0), (0, 5), (1,) * 9))
        group.create_dataset(
            name, shape=shape, dtype="f8", chunks=True, maxshape=(None,) * len(shape)
        )
    elif made == 6:
        layout = h5py.VirtualLayout(shape=(60,), dtype="f8")
        layout[:] = h5py.VirtualSource("absent.h5", "x", shape=(60,))
        group.create_virtual_dataset(name, layout)
    elif made == 7:
        group[name] = h5py.ExternalLink(pick(rng, ("absent.h5", " ", "/dev/zero")), "/x")
    elif made == 8:
        group[name] = h5py.SoftLink(pick(rng, ("/", f"{group.name}/{name}", "/no/such", ".")))
    elif made == 9:
        group.create_dataset(name, (60,), "f8", external=[("absent.raw", 0, h5py.h5f.UNLIMITED)])
    elif made == 10:
        kinds = ("f2", ">f4", "c16", "u8", "?", "S5", "i1", "m8[s]")
        kind = pick(rng, kinds)
        group[name] = np.zeros(60, kind) if kind != "m8[s]" else np.zeros((60, 2), "V8")
    elif made == 11:
        group[name] = pick(rng, (["a"] * 60, b"", "", 1.0, [[1.0]] * 60, list("é" * 60)))
    elif made == 12:
        group.create_dataset(name, (60,), h5py.vlen_dtype(np.float64))
    elif made == 13:
        group[name] = h5py.Empty("f8") if rng.random() < 0.5 else values.reshape(60, 1)
    elif made == 14:
        enum = h5py.enum_dtype({"a": 0, "b": 1}, basetype="i4")
        group.create_dataset(name, (60,), pick(rng, (enum, h5py.ref_dtype, h5py.regionref_dtype)))
    else:
        fields = [("a", "f8"), ("b", "f4", (2,)), ("c", [("d", "i2")]), ("e", h5py.string_dtype())]
        group.create_dataset(name, (60,), fields[: int(rng.integers(1, 5))])


# ----------------------------------------------------------------------------------------- ROOT


def edit_root(content: bytes, rng: np.random.Generator) -> bytes:
    """Write another size or offset into the header, or into a key of the file."""
    head = 100
    if rng.random() < 0.4:
        return damaged(content[:head], content, rng)[:head].ljust(head, b"\0") + content[head:]
    marks = [
        j for j in range(head, len(content) - 30) if content[j + 4 : j + 6] in (b"\0\4", b"\3\xec")
    ]
    start = (int(rng.choice(marks)) if marks else head) + int(
        rng.choice([0, 6, 10, 14, 16, 18, 22])
    )
    width = int(rng.choice([2, 4]))
    value = INTERESTING[int(rng.integers(len(INTERESTING)))] % (1 << 8 * width)
    return content[:start] + value.to_bytes(width, "big") + content[start + width :]


# ----------------------------------------------------------------------------------------- FITS

_CARDS = (b"NAXIS", b"NAXIS1", b"NAXIS2", b"TFIELDS", b"TFORM1", b"TFORM3", b"PCOUNT", b"BITPIX",
          b"TTYPE2", b"TSCAL1", b"TZERO1", b"TNULL3", b"XTENSION", b"GCOUNT", b"TDIM1",
          b"THEAP")  # fmt: skip
_CARD_VALUES = (
    "0", "-1", "1", "60", "1099511627776", "9223372036854775807", "1.5", "'1D'", "'1PD(9)'",
    "'1QE'", "'16X'", "'1L'", "'1C'", "'1J'", "'8A'", "'0D'", "'999999999D'", "'?'", "''", "T",
    "'BINTABLE'", "'IMAGE'", "'TABLE'", "'(2,3)'", "1E400", "NAN", "'mass'", "'x", "",
)  # fmt: skip


def edit_fits(content: bytes, rng: np.random.Generator) -> bytes:
    """Write another value into a card of a header, or one more card."""
    starts = [j for j in range(0, len(content), 80) if content[j : j + 8].strip() in _CARDS]
    if not starts:
        return damaged(content, content, rng)
    start = int(rng.choice(starts))
    word = content[start : start + 8] if rng.random() < 0.8 else pick(rng, _CARDS).ljust(8)
    card = word + b"= " + pick(rng, _CARD_VALUES).rjust(20).encode()
    return content[:start] + card.ljust(80)[:80] + content[start + 80 :]


def edit_fits_gz(content: bytes, rng: np.random.Generator) -> bytes:
    """Change a card of the file that is packed, or pack a damaged one."""
    held = gzip.decompress(content)
    changed = edit_fits(held, rng) if rng.random() < 0.7 else damaged(held, held, rng)
    return gzip.compress(changed, 1, mtime=0)


EDITS: dict[str, Edit] = {
    ".parquet": edit_parquet,
    ".feather": edit_arrow,
    ".arrow": edit_arrow,
    ".root": edit_root,
    ".h5": edit_hdf5,
    ".hdf5": edit_hdf5,
    ".npz": edit_npz,
    ".npy": edit_npy,
    ".csv": edit_csv,
    ".fits": edit_fits,
    ".fit": edit_fits,
    ".fits.gz": edit_fits_gz,
}
"""By the suffix of a format."""
