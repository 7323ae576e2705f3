"""Precision, recall, density and coverage of 10 000 x 10: speed and memory against dense matrices.

The peer follows the widely used implementation step by step: three matrices of all
distances from ``sklearn.metrics.pairwise_distances``, radii by ``argpartition`` of
whole rows, boolean matrices by comparison, two of them twice.  CPU seconds, one
thread, in one run; memory is the peak that NumPy allocated, in a run of its own.

    python benchmarks/support_speed.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tracemalloc
from collections.abc import Callable

import numpy as np
from _problem import Timing, best_of
from sklearn.metrics import pairwise_distances

from verisimile.checks.support.metrics import NAMES, Balls, evaluate
from verisimile.checks.support.study import support_metrics
from verisimile.core.arrays import Array

N, D, K = 10_000, 10, 5


def main() -> None:
    """Print times, peaks, their ratios and the largest difference."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, D)), 1.05 * rng.normal(size=(N, D))
    ours, before = best_of(lambda: _ours(x, y), 3)
    dense, theirs = best_of(lambda: _dense(x, y), 2)
    _, after = best_of(lambda: _ours(x, y), 3)
    spent = Timing(0.5 * (before.wall + after.wall), 0.5 * (before.cpu + after.cpu))
    peaks = _peak(lambda: _ours(x, y)), _peak(lambda: _dense(x, y))
    print(f"{N} against {N} events x {D}, k = {K}, {os.environ['OMP_NUM_THREADS']} threads")
    for name, one, two in zip(NAMES, ours, dense, strict=False):
        print(f"{name:10s} ours {one:.6f}  dense {two:.6f}")
    print(f"largest difference {np.abs(ours[:4] - dense).max():.1e}")
    print(f"ours  {spent.cpu:6.2f} s CPU, {peaks[0]:8.1f} MiB")
    print(f"dense {theirs.cpu:6.2f} s CPU, {peaks[1]:8.1f} MiB")
    print(f"dense / ours: {theirs.cpu / spent.cpu:.1f} (CPU), ", end="")
    print(f"{theirs.wall / spent.wall:.1f} (wall), {peaks[1] / peaks[0]:.0f} (memory)")
    _, whole = best_of(lambda: support_metrics(x, y, np.random.default_rng(1)), 1)
    print(f"with null values and errors: {whole.cpu:.2f} s CPU")


def _ours(x: Array, y: Array) -> Array:
    return evaluate(Balls.of(x, K), Balls.of(y, K), k=K, beta=1.0)


def _dense(x: Array, y: Array) -> Array:
    real, fake = _radii(x), _radii(y)
    between = pairwise_distances(x, y)
    return np.array(
        [
            (between < real[:, None]).any(axis=0).mean(),
            (between < fake[None, :]).any(axis=1).mean(),
            (between < real[:, None]).sum(axis=0).mean() / K,
            (between.min(axis=1) < real).mean(),
        ]
    )


def _radii(x: Array) -> Array:
    distances = pairwise_distances(x)
    nearest = np.argpartition(distances, K + 1, axis=1)[:, : K + 1]
    return np.asarray(np.take_along_axis(distances, nearest, axis=1).max(axis=1))


def _peak(call: Callable[[], Array]) -> float:
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    main()
