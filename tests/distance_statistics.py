"""The two-sample statistics of distances, kernels and ranks, and double loops that define them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verisimile.checks.twosample.statistics.distribution_functions import (
    CramerVonMises,
    MarginalKS,
    SlicedKS,
    SlicedWasserstein,
    directions,
)
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.mmd import MMD, AggregatedMMD
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.samples.pool import Labels

BANDWIDTH = 0.8
LINES = 7

Sample = tuple[Array, Array]
"""Events ``(n, d)`` and weights ``(n,)``."""
Reference = Callable[[Sample, Sample], float]

ALL: Sequence[Statistic] = (
    EnergyDistance(),
    MMD(),
    AggregatedMMD(),
    SlicedWasserstein(count=10),
    SlicedKS(count=10),
    MarginalKS("mean"),
    MarginalKS("max"),
    CramerVonMises(),
    IntervalScan(),
)


def random_labels(n: int, first: int, count: int, rng: np.random.Generator) -> Labels:
    """Return relabelings ``(count, n)`` with `first` events in the first sample."""
    return np.stack([rng.permutation(n) < first for _ in range(count)])


def values(
    statistic: Statistic, x: Array, weights: Array, labels: Labels, *, seed: int = 1
) -> Array:
    """Return the statistic of relabelings ``(R,)``, prepared with the stream of `seed`."""
    return statistic.prepare(x, weights, np.random.default_rng(seed)).values(labels)


def energy(first: Sample, second: Sample) -> float:
    """Return the energy distance by double loops."""

    def mean(left: Sample, right: Sample) -> float:
        total = 0.0
        for x, u in zip(*left, strict=True):
            for y, v in zip(*right, strict=True):
                total += u * v * float(np.linalg.norm(x - y))
        return total / float(left[1].sum() * right[1].sum())

    return 2 * mean(first, second) - mean(first, first) - mean(second, second)


def mmd(first: Sample, second: Sample) -> float:
    """Return the unbiased squared discrepancy of width `BANDWIDTH` by double loops."""

    def mean(left: Sample, right: Sample, *, same: bool) -> float:
        total = mass = 0.0
        for i, (x, u) in enumerate(zip(*left, strict=True)):
            for j, (y, v) in enumerate(zip(*right, strict=True)):
                if same and i == j:
                    continue
                total += u * v * float(np.exp(-((x - y) ** 2).sum() / (2 * BANDWIDTH**2)))
                mass += u * v
        return total / mass

    return (
        mean(first, first, same=True)
        + mean(second, second, same=True)
        - 2 * mean(first, second, same=False)
    )


def _gap(first: Sample, second: Sample, at: float, column: int) -> float:
    """Return F - G of one feature at a value."""
    shares = [float(w[x[:, column] <= at].sum() / w.sum()) for x, w in (first, second)]
    return shares[0] - shares[1]


def _pool(first: Sample, second: Sample, column: int) -> Array:
    return np.sort(np.concatenate([first[0][:, column], second[0][:, column]]))


def _ks(first: Sample, second: Sample, column: int) -> float:
    return max(abs(_gap(first, second, float(z), column)) for z in _pool(first, second, column))


def _area(first: Sample, second: Sample, column: int) -> float:
    z = _pool(first, second, column)
    gaps = [abs(_gap(first, second, low, column)) for low in z]
    return float(np.dot(gaps[:-1], np.diff(z)))


def _cvm(first: Sample, second: Sample, column: int) -> float:
    z = _pool(first, second, column)
    n, m = len(first[0]), len(second[0])
    return float(n * m / (n + m) ** 2 * sum(_gap(first, second, at, column) ** 2 for at in z))


def _over_features(
    one: Callable[[Sample, Sample, int], float], combine: Callable[[list[float]], float]
) -> Reference:
    return lambda first, second: float(
        combine([one(first, second, column) for column in range(first[0].shape[1])])
    )


def _over_lines(one: Callable[[Sample, Sample, int], float]) -> Reference:
    def mean(first: Sample, second: Sample) -> float:
        lines = directions(LINES, first[0].shape[1], np.random.default_rng(1)).T
        turned = [(x @ lines, w) for x, w in (first, second)]
        return _over_features(one, np.mean)(*turned)

    return mean


REFERENCES: Sequence[tuple[Statistic, Reference]] = (
    (EnergyDistance(), energy),
    (MMD(bandwidth=BANDWIDTH), mmd),
    (SlicedWasserstein(count=LINES), _over_lines(_area)),
    (SlicedKS(count=LINES), _over_lines(_ks)),
    (MarginalKS("mean"), _over_features(_ks, np.mean)),
    (MarginalKS("max"), _over_features(_ks, max)),
    (CramerVonMises(), _over_features(_cvm, np.mean)),
)
