"""Reading: two million rows of ten columns, and ten rows of 100 000 columns, in every format.

    python benchmarks/reading.py [long | wide] [FORMAT ...]

Each file is read in a process of its own.  Budgets: Parquet of two million rows in 3 s CPU and
three times the data in memory; 100 000 columns in 10 s CPU, read whole and for one feature.
Peers read the same file into one matrix: pyarrow, NumPy, h5py, uproot, pandas.  Memory is the
largest
resident size, less that after the imports, as a multiple of the data.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import uproot

from verisimile.core.arrays import Array
from verisimile.data.files import read_events

LONG = (2_000_000, 10)
WIDE = (10, 100_000)
BUDGET, MEMORY, WIDE_BUDGET = 3.0, 3.0, 10.0

Table = dict[str, Array]


def _write_npz(path: Path, columns: Table) -> None:
    np.savez(path, **columns)  # type: ignore[arg-type]


def _write_npy(path: Path, columns: Table) -> None:
    np.save(path, np.column_stack(list(columns.values())))


def _write_hdf5(path: Path, columns: Table) -> None:
    with h5py.File(path, "w", track_order=True, libver="latest") as file:
        for name, values in columns.items():
            file[name] = values


def _write_root(path: Path, columns: Table) -> None:
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        file.mktree("Events", {name: values.dtype for name, values in columns.items()})
        file["Events"].extend(columns)


WRITERS: dict[str, Callable[[Path, Table], None]] = {
    "parquet": lambda path, columns: pa.parquet.write_table(pa.table(columns), path),
    "feather": lambda path, columns: pa.feather.write_feather(pa.table(columns), path),
    "npz": _write_npz,
    "npy": _write_npy,
    "h5": _write_hdf5,
    "root": _write_root,
    "csv": lambda path, columns: pa.csv.write_csv(pa.table(columns), path),
}


def _matrix(table: pa.Table) -> Array:
    return np.column_stack([column.to_numpy() for column in table.columns])


def _peer_npz(path: Path) -> Array:
    with np.load(path) as arrays:
        return np.column_stack([arrays[name] for name in arrays.files])


def _peer_hdf5(path: Path) -> Array:
    with h5py.File(path, "r") as file:
        return np.column_stack([file[name][()] for name in file])


def _peer_csv(path: Path) -> Array:
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415

    return np.asarray(pd.read_csv(path).to_numpy())


def _peer_root(path: Path) -> Array:
    with uproot.open({str(path): "Events"}) as tree:
        return np.column_stack(list(tree.arrays(library="np").values()))


PEERS: dict[str, Callable[[Path], Array]] = {
    "parquet": lambda path: _matrix(pa.parquet.read_table(path)),
    "feather": lambda path: _matrix(pa.feather.read_table(path)),
    "npz": _peer_npz,
    "npy": lambda path: np.array(np.load(path)),
    "h5": _peer_hdf5,
    "root": _peer_root,
    "csv": _peer_csv,
}


def main(shapes: list[str], formats: list[str]) -> None:
    """Write the files, and print what it takes to read them."""
    if "long" in shapes:
        n, d = LONG
        print(f"{n} x {d} (budget of Parquet: {BUDGET} s CPU, {MEMORY} x the data)")
        for kind in formats:
            with tempfile.TemporaryDirectory() as folder:
                path = _written(Path(folder), kind, LONG)
                ours, peer = (_process(how, path, "all") for how in ("read", "peer"))
            print(f"{kind:8s} {ours[0]:6.2f} s CPU, {ours[1]:4.1f} x the data; "
                  f"peer {peer[0]:6.2f} s, {peer[1]:4.1f} x; "
                  f"ratio {ours[0] / peer[0]:.2f}")  # fmt: skip
    if "wide" in shapes:
        print(f"{WIDE[0]} x {WIDE[1]} (budget {WIDE_BUDGET} s CPU)")
        for kind in formats:
            if kind == "root":
                continue  # uproot takes minutes to write so many branches
            with tempfile.TemporaryDirectory() as folder:
                path = _written(Path(folder), kind, WIDE)
                whole, one = (_process("read", path, which)[0] for which in ("all", "one"))
            print(f"{kind:8s} {whole:6.2f} s CPU whole, {one:6.2f} s for one feature")


def _written(folder: Path, kind: str, shape: tuple[int, int]) -> Path:
    rng = np.random.default_rng(1)
    path = folder / f"z.{kind}"
    WRITERS[kind](path, {f"c{j}": rng.normal(size=shape[0]) for j in range(shape[1])})
    return path


def _process(how: str, path: Path, which: str) -> tuple[float, float]:
    """Return the CPU seconds and the memory, over the data, of reading in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, how, str(path), which],
        check=True,
        capture_output=True,
        text=True,
    )
    cpu, memory = map(float, done.stdout.split())
    return cpu, memory


def _measure(how: str, path: Path, which: str) -> None:
    """Read the file, and print what it took."""
    # A bare matrix has no names: ten of them in the long file, all that one asks for in the wide.
    d = (WIDE if path.suffix == ".npy" and path.stat().st_size < 10**7 else LONG)[1]
    names = [f"c{j}" for j in range(d)] if path.suffix == ".npy" else None
    before, start = _peak(), time.process_time()
    if how == "peer":
        found = PEERS[path.suffix[1:]](path)
    else:
        uri = f"{path}:Events" if path.suffix == ".root" else path
        found = read_events(uri, features=["c7"] if which == "one" and not names else names).x
    print(time.process_time() - start, (_peak() - before) / found.nbytes)


def _peak() -> int:
    # Unlike ru_maxrss, this does not begin with what the parent process had.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    words = sys.argv[1:]
    if words and words[0] in ("read", "peer"):
        _measure(words[0], Path(words[1]), words[2])
    else:
        main([word for word in words if word in ("long", "wide")] or ["long", "wide"],
             [word for word in words if word in WRITERS] or list(WRITERS))  # fmt: skip
