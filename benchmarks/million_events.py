"""A million events of ten features: memory and time of `validate`, `fit` and `gof` as commands.

Each row is one command on two processes.  Memory is the largest sum, over the command and all of
its workers, of the proportional set sizes that the kernel keeps (pages shared by several processes
count once), looked at every quarter of a second; CPU seconds are those of all processes.  Features
are correlated; one is skewed (log-normal), one has heavy tails (Student's t, four degrees of
freedom).  Wall times are upper bounds on a machine that does other work; memory is not affected.

    python benchmarks/million_events.py [--folder DIR] [--events N] [--epochs E] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LIMIT = 12.0  # GiB
TICKS = os.sysconf("SC_CLK_TCK")
COMMAND = (sys.executable, "-c", "from verisimile.app.cli import main; main()")
# 1 is a verdict (a difference is found), 3 none: both are ends of a complete run.
COMPLETE = (0, 1, 3)


def write(path: Path, seed: int, n: int, *, weighted: bool = False) -> None:
    """Write `n` events of the one law that all files follow."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 10))
    x[:, 1:] += 0.5 * x[:, :-1]
    x[:, 3] = np.exp(0.7 * x[:, 3])
    x[:, 7] = 0.3 * x[:, 6] + rng.standard_t(4, n)
    columns = {f"x{k}": x[:, k] for k in range(10)}
    if weighted:
        columns["weight"] = rng.gamma(4.0, 0.25, n)
    pq.write_table(pa.table(columns), path)


def processes(root: int) -> set[int]:
    """Return the numbers of `root` and of all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                rest = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(rest[1])
    found, grown = {root}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found


@dataclass
class Meter:
    """What one command and its workers take."""

    peak: float = 0.0
    workers: int = 0
    seconds: dict[int, float] = field(default_factory=dict)

    def look(self, root: int) -> None:
        """Look once at all processes."""
        total = 0.0
        seen = processes(root)
        for process in seen:
            try:
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            pss = [line.split()[1] for line in lines if line.startswith("Pss:")]
            total += float(pss[0]) / 2**20 if pss else 0.0
            self.seconds[process] = (int(times[11]) + int(times[12])) / TICKS
        if total > self.peak:
            self.peak, self.workers = total, len(seen)
            print(f"\r{total:.2f} GiB", end="", file=sys.stderr, flush=True)

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.seconds.values())


def measure(name: str, arguments: list[str], folder: Path) -> bool:
    """Run one command, print its row, and return whether it ended within the limit."""
    meter, started = Meter(), time.perf_counter()
    with (folder / f"{name}.out").open("w") as output, (folder / f"{name}.err").open("w") as errors:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--executor", "loky:2"], stdout=output, stderr=errors
        )
        while process.poll() is None:
            meter.look(process.pid)
            time.sleep(0.25)
    wall = time.perf_counter() - started
    print(
        f"{name:18} {wall:8.0f} {meter.cpu:8.0f} {meter.peak:9.2f} {meter.workers:9}"
        f" {process.returncode:5}",
        flush=True,
    )
    if process.returncode not in COMPLETE:
        print((folder / f"{name}.err").read_text()[-2000:], file=sys.stderr)
    return process.returncode in COMPLETE and meter.peak <= LIMIT


def rows(folder: Path, epochs: int, relabelings: int) -> dict[str, list[str]]:
    """Return the commands by name."""
    truth, generated, weighted = (
        str(folder / f"{name}.parquet") for name in ("truth", "generated", "weighted")
    )
    run, permutations = str(folder / "fit"), ("--permutations", str(relabelings))
    return {
        "validate": [
            *("validate", truth, generated, *permutations, "--out", str(folder / "validate")),
        ],
        "validate weighted": [
            *("validate", truth, weighted, "--weights", "weight", *permutations),
            *("--out", str(folder / "validate-weighted")),
        ],
        "fit": ["fit", truth, "--members", "4", "--epochs", str(epochs), "--out", run],
        "gof": ["gof", run, generated, "--toys", "20", "--report", str(folder / "gof")],
    }


def main() -> None:
    """Write the files, run the commands, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one by default")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=2, help="of the flows' schedule")
    parser.add_argument("--permutations", type=int, default=999, help="of each test of validate")
    parser.add_argument("--only", nargs="*", help="names of rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed, name in enumerate(("truth", "generated", "weighted")):
            if not (folder / f"{name}.parquet").exists():
                write(folder / f"{name}.parquet", seed, options.events, weighted=name == "weighted")
        print(
            f"{options.events} events, 10 features; 4 members of {options.epochs} epochs; 20 toys"
        )
        print(
            f"{'command':18} {'wall/s':>8} {'CPU/s':>8} {'peak/GiB':>9} {'processes':>9}"
            f" {'exit':>5}"
        )
        fine = [
            measure(name, arguments, folder)
            for name, arguments in rows(folder, options.epochs, options.permutations).items()
            if not options.only or name in options.only
        ]
    print(f"{sum(fine)} of {len(fine)} commands ended, within {LIMIT:g} GiB")


if __name__ == "__main__":
    main()
