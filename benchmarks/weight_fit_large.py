"""The weight fit on a million events: time and peak memory, from memory and from a mapped file.

n = 1 000 000 events, M = 60 members.  The matrix of log-densities alone takes
0.48 GB; the fit keeps one more matrix of that size and reads the first in blocks,
so that it can also lie in a file.  Each row is a process of its own, because the
peak of a process never falls.

    python benchmarks/weight_fit_large.py [EVENTS]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _problem import draw, family, log_densities

from verisimile.mixture.fit import Pseudo, fit_weights

N, M = 1_000_000, 60
LIMIT = 24.0
_PIECE = 50_000


def main(n: int) -> None:
    """Write the matrix, fit it in two fresh processes, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "logf.npy")
        _write(path, n)
        print(f"n = {n}, M = {M}, {os.environ['OMP_NUM_THREADS']} BLAS threads, ", end="")
        print(f"matrix {n * M * 8 / 2**30:.2f} GiB, limit {LIMIT:.0f} GiB")
        print(f"{'':18s}{'wall s':>8s}{'CPU s':>8s}{'peak GiB':>10s}{'before':>8s}{'steps':>7s}")
        for name, mode in (("in memory", "none"), ("mapped file", "r")):
            print(f"{name:18s}{_alone(path, mode)}", flush=True)


def _write(path: Path, n: int) -> None:
    rng = np.random.default_rng(1)
    members = family(M, satellite=0.3)
    truth = rng.dirichlet(np.full(M, 0.5))
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(n, M))
    for first in range(0, n, _PIECE):
        rows = slice(first, min(first + _PIECE, n))
        out[rows] = log_densities(members, draw(members, truth, rows.stop - first, rng))
    out.flush()


def _alone(path: Path, mode: str) -> str:
    command = [sys.executable, __file__, "--fit", str(path), mode]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip("\n")


def _fit(path: str, mode: str) -> None:
    rng = np.random.default_rng(2)
    members = family(M, satellite=0.3)
    pseudo = Pseudo(log_densities(members, draw(members, np.full(M, 1 / M), 2000, rng)))
    logf = np.load(path, mmap_mode=None if mode == "none" else "r")
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    fit = fit_weights(logf, pseudo=pseudo)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert fit.record.converged
    print(f"{wall:8.2f}{cpu:8.2f}{_peak():10.2f}{before:8.2f}{fit.record.iterations:7d}")


def _peak() -> float:
    """Return the largest resident memory of this process so far, in GiB.

    Not getrusage's: on Linux a process starts with that of its parent.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


if __name__ == "__main__":
    if "--fit" in sys.argv:
        _fit(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else N)
