"""Two-sample permutation tests: kernels kept, against kernels made again for each permutation.

Energy distance and MMD of 5 000 against 5 000 events of 5 features, 1 000 permutations,
one thread.  The peer is hyppo's permutation test at the same size, if it is installed; its
time of one permutation is the difference of two tests of different length, so that its
preparation and compilation do not count.  Ours counts everything.  Each measurement runs
in a fresh process of one run.  Without hyppo, the stand-in does per permutation what
a test does when nothing is kept: it makes the distances of the permuted pool and sums its
blocks, with scipy's cdist.  That is leaner in memory than hyppo, which keeps the distances
and permutes and centres whole matrices.

    python benchmarks/two_sample_speed.py [EVENTS [PERMUTATIONS]]

At 20 000 events per sample no peer is run, for want of memory.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys

import numpy as np
from _peers import HEAD, Spent, hyppo_statistic, hyppo_test, measured, ratio, version
from scipy.spatial.distance import cdist

from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import (
    CramerVonMises,
    MarginalKS,
    SlicedKS,
    SlicedWasserstein,
)
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.statistics.mmd import MMD, AggregatedMMD
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

N, FEATURES = 5000, 5
TESTS = (1, 4)  # permutations of hyppo's two tests
OTHERS = (
    AggregatedMMD(),
    SlicedWasserstein(),
    SlicedKS(),
    MarginalKS("mean"),
    MarginalKS("max"),
    CramerVonMises(),
    IntervalScan(),
)


def main(n: int, permutations: int) -> None:
    """Run the comparison and print it."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, n, FEATURES))
    print(f"{n} against {n} events, {FEATURES} features, {permutations} permutations")
    print(HEAD)
    for statistic, name in ((EnergyDistance(), "Energy"), (MMD(), "MMD")):
        ours = measured(_ours, statistic, x, y, permutations, warm=_warm)
        print(ours.line(f"{statistic.name}, all permutations"))
        if n <= N:
            per = _peer_permutation(name, x, y)
            print(per.line(f"{name}, the peer, one permutation"))
            mine = ours.cpu / permutations, ours.wall / permutations
            print(f"    one permutation of ours: {1e3 * mine[0]:.2f} ms CPU; peer / ours: ", end="")
            print(f"{ratio(per.cpu, mine[0])} (CPU), {ratio(per.wall, mine[1])} (wall), ", end="")
            print(f"{ratio(per.rise, ours.rise)} (rise of memory)")
    for other in OTHERS if n <= N else ():
        print(measured(_ours, other, x, y, permutations, warm=_warm).line(other.name))
    if version("hyppo") is not None:
        _same_energy(x[:300], y[:200])


def _ours(statistic: Statistic, x: np.ndarray, y: np.ndarray, permutations: int) -> float:
    """Return the p-value of a whole test, preparation and labels included."""
    run, first, second = Run(Seeds(1)), Events(x), Events(y)
    (found,) = permutation_test(run, first, second, [statistic], permutations=permutations)
    return found.p_value.value


def _warm() -> None:
    x = np.random.default_rng(0).normal(size=(60, FEATURES))
    _ours(EnergyDistance(), x[:30], x[30:], 10)


def _peer_permutation(name: str, x: np.ndarray, y: np.ndarray) -> Spent[float]:
    """Return what one permutation of the peer takes."""
    installed = version("hyppo")
    if installed is None:
        print(f"{name}: stand-in, hyppo is not installed")
        return measured(_made_again, name, np.concatenate([x, y]), len(x))
    short, long = (measured(hyppo_test, name, x, y, reps, warm=_warm_hyppo) for reps in TESTS)
    for spent, reps in zip((short, long), TESTS, strict=True):
        print(spent.line(f"{name}, hyppo {installed}, {reps} permutations"))
    more = TESTS[1] - TESTS[0]
    cpu, wall = (long.cpu - short.cpu) / more, (long.wall - short.wall) / more
    return Spent(long.value, cpu, wall, long.peak, long.rise)


def _warm_hyppo() -> None:
    x = np.random.default_rng(0).normal(size=(60, FEATURES))
    for name in ("Energy", "MMD"):
        hyppo_test(name, x[:30], x[30:], 2)


def _same_energy(x: np.ndarray, y: np.ndarray) -> None:
    pool = np.concatenate([x, y])
    prepared = EnergyDistance().prepare(pool, np.ones(len(pool)), np.random.default_rng(0))
    ours = float(prepared.values((np.arange(len(pool)) < len(x))[None])[0])
    # hyppo 0.5.2 takes the root of the distance covariance before it multiplies by this factor.
    factor = len(pool) ** 4 / (2 * len(x) ** 2 * len(y) ** 2)
    theirs = hyppo_statistic("Energy", x, y) ** 2 / factor
    print(f"energy distance of {len(x)} and {len(y)}: ours {ours:.12g}, hyppo {theirs:.12g}")


def _made_again(name: str, pool: np.ndarray, n: int) -> float:
    kernel = _energy_kernel if name == "Energy" else _gaussian_kernel
    order = np.random.default_rng(0).permutation(len(pool))
    x, y = pool[order[:n]], pool[order[n:]]
    return float(2 * kernel(x, y).mean() - kernel(x, x).mean() - kernel(y, y).mean())


def _energy_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cdist(x, y)


def _gaussian_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.exp(-0.05 * cdist(x, y, "sqeuclidean"))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(N, 1000)[len(given) :])
