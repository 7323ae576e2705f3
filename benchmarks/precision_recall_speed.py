"""Precision-recall curves: speed and memory, against a dense stand-in of the public reference.

The stand-in follows the public implementation step by step: the matrix of all distances of the
2 n events in float32, the k-th smallest per row by sorting, counts in comparisons of whole rows,
decisions as one tensor (thresholds, test events, slopes) and minima over it.  One split, one
direction, no error and no null, which is a part of what ours does.  It runs at the size
that --dense asks for; 10 000 a side needs 5 GB.  CPU and wall seconds, one BLAS thread, each
measurement in a fresh process of one run; ours before and after.

    python benchmarks/precision_recall_speed.py
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _peers import HEAD, measured, ratio

from verisimile.checks.precision_recall.band import precision_recall_band
from verisimile.checks.precision_recall.curve import precision_recall
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import RingOfEight

N, MEMBERS, ANGLES = 10_000, 30, 200


def main() -> None:
    """Print areas, times, memory and their ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dense", type=int, default=6000, help="events a side for the stand-in")
    size = parser.parse_args().dense
    x, y = _ring(N, 1), _ring(N, 2)
    few_x, few_y = x[:size], y[:size]
    print(f"ring of eight discs, {os.environ['OMP_NUM_THREADS']} BLAS thread")
    print(HEAD)
    one = measured(_curve, x, y, repeats=3, warm=_warm)
    print(one.line(f"a curve of {N} a side as published, with error"))
    print(measured(_best, x, y, warm=_warm).line("the best of nine scores, with interval"))
    null = measured(_with_null, x, y, warm=_warm)
    print(null.line("the same with 20 curves of the null"))
    band = measured(_band, x, warm=_warm)
    print(band.line(f"{MEMBERS} curves as published and their band"))
    print(measured(_best_band, x, warm=_warm).line(f"{MEMBERS} curves by the best score"))
    before = measured(_curve, few_x, few_y, repeats=3, warm=_warm)
    dense = measured(_dense, few_x, few_y)
    after = measured(_curve, few_x, few_y, repeats=3, warm=_warm)
    print(before.line(f"a curve of {size} a side, before"))
    print(dense.line("dense stand-in", ratio(dense.cpu, 0.5 * (before.cpu + after.cpu))))
    print(after.line(f"a curve of {size} a side, after"))
    print(f"dense / ours, wall: {ratio(dense.wall, 0.5 * (before.wall + after.wall))}")
    print(f"dense / ours, rise of memory: {ratio(dense.rise, max(before.rise, after.rise, 1.0))}")
    print(f"areas: ours {before.value:.4f}, dense {dense.value:.4f}")


def _ring(n: int, seed: int) -> Array:
    return RingOfEight.published(Seeds(7)).sample(n, np.random.default_rng(seed))


def _warm() -> None:
    _curve(_ring(200, 1), _ring(200, 2))


def _curve(x: Array, y: Array) -> float:
    """As published, which is what the stand-in does."""
    score = PooledNeighbours()
    return precision_recall(Run(Seeds(1)), Events(x), y, score=score, null_draws=0).auc.value


def _best(x: Array, y: Array) -> float:
    return precision_recall(Run(Seeds(1)), Events(x), y).auc.value


def _with_null(x: Array, y: Array) -> float:
    return precision_recall(Run(Seeds(1)), Events(x), y, score=PooledNeighbours()).auc.value


def _band(x: Array) -> str:
    samples = [_ring(len(x), 100 + j) for j in range(MEMBERS)]
    return repr(precision_recall_band(Run(Seeds(1)), Events(x), samples, score=PooledNeighbours()))


def _best_band(x: Array) -> str:
    samples = [_ring(len(x), 100 + j) for j in range(MEMBERS)]
    return repr(precision_recall_band(Run(Seeds(1)), Events(x), samples))


def _dense(x: Array, y: Array) -> float:
    half, k = len(x) // 2, int(np.sqrt(len(x)))
    events = np.concatenate([x[:half], y[:half], x[half:], y[half:]]).astype(np.float32)
    squares = (events**2).sum(axis=1)
    distances = np.sqrt(
        np.maximum(squares[:, None] + squares[None] - 2.0 * events @ events.T, np.float32(0.0))
    )
    test = distances[2 * half :, : 2 * half]
    radius = np.sort(test, axis=1)[:, k - 1 : k]
    true = (test[:, :half] <= radius).sum(axis=1)
    fake = (test[:, half:] <= radius).sum(axis=1)
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, ANGLES))
    gamma = np.concatenate([slopes, [0.0, np.inf]])
    return _envelope(true.astype(np.float64), fake.astype(np.float64), gamma, slopes)


def _envelope(true: Array, fake: Array, gamma: Array, slopes: Array) -> float:
    half = len(true) // 2
    with np.errstate(invalid="ignore"):
        scaled = np.nan_to_num(gamma[:, None] * true[None], posinf=np.inf)
    real = np.where(gamma[:, None] >= 1.0, scaled >= fake, scaled > fake)
    # Decisions for every slope, eight bytes each, as the reference keeps them.
    decisions = np.repeat(real[:, :, None].astype(np.int64), slopes.size, axis=2)
    fpr = 1.0 - decisions[:, :half].mean(axis=1)
    fnr = decisions[:, half:].mean(axis=1)
    alpha = np.minimum((slopes * fpr + fnr).min(axis=0), np.minimum(slopes, 1.0))
    order = np.argsort(alpha / slopes)
    return float(np.trapezoid(alpha[order], (alpha / slopes)[order]))


if __name__ == "__main__":
    main()
