"""FPD and KPD of 50 000 x 10 null samples: speed and bias against jetnet at its defaults.

The peer is jetnet (``jetnet.evaluation.fpd`` and ``kpd``) if it is installed, else its
recipe (arXiv:2211.10295) in plain NumPy and SciPy: features divided by their largest
modulus; FPD as the intercept, bounded at zero, of a line in 1/b through ten batch sizes
from 20 000 to 50 000 with 20 batches each, drawn with replacement, the trace by
``scipy.linalg.sqrtm``; KPD as the median of ten batches of 5 000 with replacement and
a kernel of degree 4.  Ours uses the same features and degree, and every event.
CPU and wall seconds, one thread, each measurement in a fresh process of one run; ours
before and after the peer.  jetnet's compilation is not in its time.

jetnet installs with our pins, but of what it imports one package (wasserstein, which
neither distance uses) is built for NumPy 1: ``_peers`` puts an empty module in its place.

    python benchmarks/frechet_speed.py [REPEATS]    null samples for the bias, default 6
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys

import numpy as np
from _peers import HEAD, Spent, jetnet_fpd, jetnet_kpd, jetnet_warm, measured, ratio, version
from _problem import best_of
from scipy import linalg, optimize

from verisimile.checks.twosample.statistics.frechet import (
    Frechet,
    FrechetDistance,
    frechet_distance,
)
from verisimile.checks.twosample.statistics.kernel_distance import KernelDistance, kernel_distance
from verisimile.core.arrays import Array
from verisimile.core.result import Estimate

N, D, DEGREE, PERMUTATIONS = 50_000, 10, 4, 200


def main(repeats: int) -> None:
    """Print times and their ratio, permutations per second, and null means."""
    x, y = _sample(0)
    before = measured(_ours, x, y, repeats=3, warm=_warm)
    name, fpd, kpd = _peer(x, y)
    after = measured(_ours, x, y, repeats=3, warm=_warm)
    cpu, wall = 0.5 * (before.cpu + after.cpu), 0.5 * (before.wall + after.wall)
    print(f"two null samples of {N} x {D}, {os.environ['OMP_NUM_THREADS']} threads")
    print(f"ours: FPD {before.value[0].extrapolated}, KPD {before.value[1]}")
    print(f"{name}: FPD {fpd.value:.3g}, KPD {kpd.value:.3g}")
    print(HEAD)
    print(before.line("ours, FPD + KPD, before"))
    print(fpd.line(f"{name}, FPD"))
    print(kpd.line(f"{name}, KPD"))
    print(after.line("ours, FPD + KPD, after"))
    print(f"peer / ours: {ratio(fpd.cpu + kpd.cpu, cpu)} (CPU), ", end="")
    print(f"{ratio(fpd.wall + kpd.wall, wall)} (wall), ", end="")
    print(f"{ratio(max(fpd.rise, kpd.rise), max(before.rise, after.rise))} (rise of memory)")
    _permutations(x, y)
    _bias(repeats)


def _peer(x: Array, y: Array) -> tuple[str, Spent[float], Spent[float]]:
    installed = version("jetnet")
    if installed is None:
        return "recipe", measured(_recipe_fpd, x, y), measured(_recipe_kpd, x, y)
    fpd = measured(jetnet_fpd, x, y, warm=jetnet_warm)
    return f"jetnet {installed}", fpd, measured(jetnet_kpd, x, y, warm=jetnet_warm)


def _warm() -> None:
    x = np.random.default_rng(0).normal(size=(1000, D))
    _ours(x, x + 0.1)


def _permutations(x: Array, y: Array) -> None:
    rng = np.random.default_rng(2)
    labels = rng.permuted(np.tile(np.arange(2 * N) < N, (PERMUTATIONS, 1)), axis=1)
    for statistic in (Frechet(), KernelDistance()):
        prepared = statistic.prepare(np.vstack([x, y]), np.ones(2 * N), rng)
        _, spent = best_of(lambda prepared=prepared: prepared.values(labels), 1)
        print(f"{statistic.name}: {1e3 * spent.cpu / PERMUTATIONS:.1f} ms CPU per permutation")


def _bias(repeats: int) -> None:
    found = [_null(seed) for seed in range(1, repeats + 1)]
    for name, values in zip(found[0], np.array([list(f.values()) for f in found]).T, strict=True):
        mean, error = values.mean(), values.std(ddof=1) / np.sqrt(repeats)
        print(f"null mean of {name:26s} {mean:+.3e} ± {error:.1e}  ({mean / error:+.1f} sigma)")


def _null(seed: int) -> dict[str, float]:
    x, y = _sample(seed)
    fd, kd = _ours(x, y)
    bounded, converged = _recipe_fits(x, y, np.random.default_rng([3, seed]))
    found = {
        "FPD, plain": fd.plain,
        "FPD, extrapolated": fd.extrapolated.value,
        "FPD, recipe": bounded,
        "FPD, recipe, converged fit": converged,
        "KPD": kd.value,
    }
    if version("jetnet") is None:
        return found | {"KPD, recipe": _recipe_kpd(x, y, seed)}
    return found | {"FPD, jetnet": jetnet_fpd(x, y, seed), "KPD, jetnet": jetnet_kpd(x, y, seed)}


def _sample(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng([4, seed])
    x, y = rng.normal(size=(2, N, D))
    scale = np.abs(x).max(axis=0)
    return x / scale, y / scale


def _ours(x: Array, y: Array) -> tuple[FrechetDistance, Estimate]:
    rng = np.random.default_rng(5)
    return frechet_distance(x, y, rng), kernel_distance(x, y, rng, degree=DEGREE)


def _recipe_fpd(x: Array, y: Array, seed: int = 1) -> float:
    return _recipe_fits(x, y, np.random.default_rng(seed))[0]


def _recipe_fits(x: Array, y: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Return the intercept of the bounded fit from its default start, and of least squares."""
    sizes = (1.0 / np.linspace(1 / 20_000, 1 / 50_000, 10)).astype(int)
    means = [np.mean([_batch_fpd(x, y, size, rng) for _ in range(20)]) for size in sizes]
    bounds = ([0.0, 0.0], [np.inf, np.inf])
    line = optimize.curve_fit(lambda e, a, b: a + b * e, 1.0 / sizes, means, bounds=bounds)
    return float(line[0][0]), float(np.polyfit(1.0 / sizes, means, 1)[1])


def _batch_fpd(x: Array, y: Array, size: int, rng: np.random.Generator) -> float:
    a, b = (z[rng.choice(z.shape[0], size=size)] for z in (x, y))
    shift, one, two = a.mean(axis=0) - b.mean(axis=0), np.cov(a.T), np.cov(b.T)
    root = np.real(linalg.sqrtm(one @ two))
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2.0 * np.trace(root))


def _recipe_kpd(x: Array, y: Array, seed: int = 1) -> float:
    rng = np.random.default_rng(seed)
    return float(np.median([_batch_kpd(x, y, 5_000, rng) for _ in range(10)]))


def _batch_kpd(x: Array, y: Array, size: int, rng: np.random.Generator) -> float:
    a, b = (z[rng.choice(z.shape[0], size=size)] for z in (x, y))
    aa, bb, ab = ((p @ q.T / D + 1.0) ** DEGREE for p, q in ((a, a), (b, b), (a, b)))
    pairs = size * (size - 1)
    own = (aa.sum() - np.trace(aa) + bb.sum() - np.trace(bb)) / pairs
    return float(own - 2.0 * ab.mean())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
