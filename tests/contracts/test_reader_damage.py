"""Damaged files, and those that declare more than they hold: refused before memory is taken."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from reader_forms import FILES, Form
from verisimile.core.errors import InputError
from verisimile.data.events import Events

N = 500
NAMED = pytest.mark.parametrize("form", FILES, ids=str)


def written(form: Form, folder: Path) -> tuple[str, Path]:
    """Return what to read, and the file that it lies in."""
    rng = np.random.default_rng(1)
    uri = str(form.make(folder, {name: rng.normal(size=N) for name in ("m", "pt", "eta")}))
    (path,) = folder.iterdir()
    return uri, path


@NAMED
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_cut_files_are_refused(form: Form, share: float, tmp_path: Path) -> None:
    uri, path = written(form, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    if form.name == "csv":  # half of a text file is a text file, up to the row that is cut
        path.write_text(path.read_text().rsplit(",", 1)[0] + "\n")
    with pytest.raises(InputError) as caught:
        Events(uri)
    assert str(path) in str(caught.value)


@NAMED
def test_other_content_than_the_name_says_is_refused(form: Form, tmp_path: Path) -> None:
    uri, path = written(form, tmp_path)
    path.write_bytes(b"\x7fELF" + bytes(range(256)) * 20)
    with pytest.raises(InputError) as caught:
        Events(uri)
    assert str(path) in str(caught.value)


@NAMED
def test_empty_files_are_refused(form: Form, tmp_path: Path) -> None:
    uri, path = written(form, tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="an empty file"):
        Events(uri)


def npy_of_terabytes(folder: Path) -> Path:
    with (folder / "z.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, _header((2**40,)))
        file.write(bytes(64))
    return folder / "z.npy"


def npz_of_terabytes(folder: Path) -> Path:
    npy_of_terabytes(folder)
    with zipfile.ZipFile(folder / "z.npz", "w") as archive:
        archive.write(folder / "z.npy", "m.npy")
    return folder / "z.npz"


def npz_of_zeros(folder: Path) -> Path:
    rows = 2**25
    with (
        zipfile.ZipFile(folder / "z.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("m.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, _header((rows,)))
        for _ in range(rows // 2**20):
            file.write(bytes(8 * 2**20))
    return folder / "z.npz"


def parquet_of_one_number(folder: Path) -> Path:
    table = pa.table({"m": pa.repeat(pa.scalar(1.0), 2**20)})
    with pa.parquet.ParquetWriter(folder / "z.parquet", table.schema) as writer:
        for _ in range(32):
            writer.write_table(table)
    return folder / "z.parquet"


def parquet_of_one_long_word(folder: Path) -> Path:
    word = pa.DictionaryArray.from_arrays(np.zeros(2**20, np.int8), ["x" * 2**16])
    table = pa.table({"m": np.arange(2.0**20), "word": word})
    # Without the schema of Arrow the column is one of strings.
    pa.parquet.write_table(table, folder / "z.parquet", store_schema=False)
    return folder / "z.parquet"


def feather_of_zeros(folder: Path) -> Path:
    table = pa.table({"m": pa.repeat(pa.scalar(0.0), 2**25)})
    pa.feather.write_feather(table, folder / "z.feather", compression="zstd")
    return folder / "z.feather"


def feather_of_terabytes(folder: Path) -> Path:
    table = pa.table({"m": pa.repeat(pa.scalar(0.0), 1237)})
    pa.feather.write_feather(table, folder / "z.feather", compression="zstd")
    content = (folder / "z.feather").read_bytes()
    size = struct.pack("<q", 8 * 1237)
    assert content.count(size) == 1
    (folder / "z.feather").write_bytes(content.replace(size, struct.pack("<q", 2**42)))
    return folder / "z.feather"


def _header(shape: tuple[int, ...]) -> dict[str, object]:
    return {"descr": "<f8", "fortran_order": False, "shape": shape}


BOMBS = [
    npy_of_terabytes,
    npz_of_terabytes,
    npz_of_zeros,
    parquet_of_one_number,
    feather_of_zeros,
    feather_of_terabytes,
]

READ = """
import sys
from pathlib import Path
from verisimile.core.errors import InputError
from verisimile.data.files import read_events

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

before = peak()
try:
    found = read_events(sys.argv[1]).account.sentence
except InputError as error:
    found = f"refused: {error}"
print(f"{(peak() - before) // 1024} MiB more; {found}")
"""


def limited(path: Path) -> tuple[int, str]:
    """Read a file in a process of 4 GiB; return the MiB that it took, and what came of it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))

    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    more, message = done.stdout.split(" MiB more; ")
    return int(more), message


@pytest.mark.parametrize("make", BOMBS, ids=lambda make: make.__name__)
def test_what_declares_too_much_is_refused_without_taking_memory(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path)
    more, message = limited(path)
    assert message.startswith(f"refused: {path}")
    assert more < 100


def test_text_that_repeats_is_held_once(tmp_path: Path) -> None:
    # Spelled out these words would take 64 GiB.
    more, message = limited(parquet_of_one_long_word(tmp_path))
    assert message.startswith("1 column kept: m; 1 left out: word (values of type")
    assert more < 200
