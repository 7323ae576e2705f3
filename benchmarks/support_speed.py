"""Precision, recall, density and coverage of 10 000 x 10: speed and memory against prdc.

The peer is prdc (``compute_prdc``) if it is installed, else a stand-in that follows it step by
step: three matrices of all distances from ``sklearn.metrics.pairwise_distances``, radii
by ``argpartition`` of whole rows, boolean matrices by comparison, two of them twice.
CPU and wall seconds, one BLAS thread, each measurement in a fresh process of one run; ours
before and after the peer.  prdc distributes its distances over eight threads, so that
its wall time depends on the cores and its CPU time does not.

    python benchmarks/support_speed.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _peers import HEAD, Spent, measured, prdc_of, ratio, version
from sklearn.metrics import pairwise_distances

from verisimile.checks.support.study import NAMES, Balls, evaluate, support_metrics
from verisimile.core.arrays import Array

N, D, K = 10_000, 10, 5


def main() -> None:
    """Print the metrics, times, memory and their ratios, and the largest difference."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, D)), 1.05 * rng.normal(size=(N, D))
    before = measured(_ours, x, y, repeats=3, warm=_warm)
    name, peer = _peer(x, y)
    after = measured(_ours, x, y, repeats=3, warm=_warm)
    print(f"{N} against {N} events x {D}, k = {K}, {os.environ['OMP_NUM_THREADS']} BLAS thread")
    for metric, one, two in zip(NAMES, before.value, peer.value, strict=False):
        print(f"{metric:10s} ours {one:.6f}  peer {two:.6f}")
    print(f"largest difference {np.abs(before.value[:4] - peer.value).max():.1e}")
    print(HEAD)
    print(before.line("ours, before"))
    print(peer.line(name, ratio(peer.cpu, 0.5 * (before.cpu + after.cpu))))
    print(after.line("ours, after"))
    print(f"peer / ours, wall: {ratio(peer.wall, 0.5 * (before.wall + after.wall))}")
    print(f"peer / ours, rise of memory: {ratio(peer.rise, max(before.rise, after.rise))}")
    print(f"peer / ours, whole process: {ratio(peer.peak, max(before.peak, after.peak))}")
    whole = measured(_study, x, y, warm=_warm)
    print(whole.line("ours, with null values and errors"))


def _peer(x: Array, y: Array) -> tuple[str, Spent[list[float]]]:
    installed = version("prdc")
    if installed is None:
        return "stand-in for prdc", measured(_dense, x, y, repeats=2)
    return f"prdc {installed}", measured(prdc_of, x, y, K, repeats=2, warm=_warm_prdc)


def _warm() -> None:
    x = np.random.default_rng(0).normal(size=(100, D))
    _ours(x, x + 0.1)


def _warm_prdc() -> None:
    x = np.random.default_rng(0).normal(size=(100, D))
    prdc_of(x, x, K)


def _study(x: Array, y: Array) -> None:
    support_metrics(x, y, np.random.default_rng(1))


def _ours(x: Array, y: Array) -> Array:
    return evaluate(Balls.of(x, K), Balls.of(y, K), beta=1.0)


def _dense(x: Array, y: Array) -> list[float]:
    real, fake = _radii(x), _radii(y)
    between = pairwise_distances(x, y)
    return [
        float((between < real[:, None]).any(axis=0).mean()),
        float((between < fake[None, :]).any(axis=1).mean()),
        float((between < real[:, None]).sum(axis=0).mean() / K),
        float((between.min(axis=1) < real).mean()),
    ]


def _radii(x: Array) -> Array:
    distances = pairwise_distances(x)
    nearest = np.argpartition(distances, K + 1, axis=1)[:, : K + 1]
    return np.asarray(np.take_along_axis(distances, nearest, axis=1).max(axis=1))


if __name__ == "__main__":
    main()
