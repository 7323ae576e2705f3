"""``verisimile validate``: the whole default battery on 2 x 50 000 events of six features.

    python benchmarks/validate.py [EVENTS]

From two Parquet files to the written report, with two worker processes: 999 relabelings of
eleven statistics, the smallest visible effects, the classifier, marginals, correlations,
support metrics.  Budget: 180 s on two cores.  There is no peer that does all of it; the
statistics have peers of their own in the other benchmarks.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from verisimile.data.events import Events
from verisimile.data.files import write_events

N = 50_000
BUDGET = 180.0
NAMES = ("m", "pt", "eta", "phi", "multiplicity", "tail")


def main(n: int) -> None:
    """Write both samples, validate them, and print the time."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.parquet" for name in ("truth", "generated")]
        for file in files:
            write_events(_events(n, rng), file)
        start, before = time.perf_counter(), _cpu()
        code = subprocess.run(
            [
                *(sys.executable, "-c", "from verisimile.app.cli import main; main()"),
                *("validate", *map(str, files), "--executor", "loky:2"),
                *("--out", str(Path(folder) / "out")),
            ],
            check=False,
            stdout=subprocess.DEVNULL,
        ).returncode
        wall, cpu = time.perf_counter() - start, _cpu() - before
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"2 x {n} events, {len(NAMES)} features: {wall:.0f} s wall (budget {BUDGET:.0f} s), "
          f"{cpu:.0f} s CPU, largest process {peak:.0f} MiB, exit code {code}")  # fmt: skip


def _events(n: int, rng: np.random.Generator) -> Events:
    z = rng.normal(size=(n, 3))
    return Events(
        np.column_stack(
            [
                91.0 + 2.5 * z[:, 0],
                rng.gamma(1.5, 12.0, n) * np.exp(0.1 * z[:, 0]),
                z[:, 1],
                rng.uniform(-np.pi, np.pi, n),
                rng.poisson(5.0 + z[:, 2] ** 2),
                rng.standard_t(4, n) + 0.3 * z[:, 1],
            ]
        ),
        names=NAMES,
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N)
