"""Problems and timing shared by the benchmarks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


_T = TypeVar("_T")


@dataclass(frozen=True)
class Timing:
    """Median wall and CPU seconds of a call."""

    wall: float
    cpu: float


def best_of(call: Callable[[], _T], repeats: int) -> tuple[_T, Timing]:
    """Return the last result and the median wall and CPU time of `repeats` calls."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return result, Timing(float(np.median(walls)), float(np.median(cpus)))


def gemm_rate(rows: int, columns: int) -> float:
    """Return this machine's DGEMM rate in Gflop/s for ``(columns, rows) @ (rows, columns)``."""
    rng = np.random.default_rng(0)
    left, right = rng.random((rows, columns)), rng.random((rows, columns))
    _, timing = best_of(lambda: left.T @ right, 15)
    return 2.0 * rows * columns**2 / timing.wall / 1e9
