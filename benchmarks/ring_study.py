"""The ring study: spread of trainings of diffusion networks of depth 1, 2, 4 and 8.

    python benchmarks/ring_study.py [--members 30] [--epochs 60] [--threads 2] [--out .ring]
    python benchmarks/ring_study.py --arms decay constant --depths 1 2 4 8    # the whole study
    python benchmarks/ring_study.py --arms full --depths 4 --device cuda

Thirty networks of each depth are trained as one batched job on the same 10 000 events of the ring
of eight, differing in initial weights and in the order of events and noises.  Each
draws 10 000 events; those that are not finite count as misses (published: they were dropped).
Areas are by the published score, to compare with the publication.
Arms: ``decay`` and ``constant`` are reduced schedules (batches of 125, step size falling along
half a cosine, or constant as published), ``full`` has the published schedule and wants a GPU
(``--device cuda``).  Stages are stored in the folder, and an interrupted study goes on from there.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools
import time
from pathlib import Path

import numpy as np
from _ring_work import PIECES, Plan, areas_of_pieces, data, drawn, trained

from verisimile.checks.precision_recall.band import Band, precision_recall_band
from verisimile.checks.precision_recall.comparison import compare_curves
from verisimile.checks.precision_recall.scores import PooledNeighbours
from verisimile.checks.precision_recall.variance import VarianceParts, variance_parts
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.density.torch_scope import Placement

SEED = 7


def main() -> None:
    """Run what is asked for, and print its tables."""
    asked = _arguments()
    run = Run(
        Seeds(SEED).at("ring study"),
        executor=f"loky:{asked.threads}" if asked.threads > 1 else "serial",
        store=asked.out,
    )
    placement = Placement(asked.device, asked.threads)
    for arm in asked.arms:
        plans = [Plan(arm, depth, asked.members, asked.epochs) for depth in asked.depths]
        print(f"\n## {arm}: {asked.members} members, {plans[0].trainer()}\n")
        bands = {plan.depth: _depth(run, plan, placement) for plan in plans}
        _keep(run, arm, bands)
        _compare(run, arm, bands)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--arms", nargs="+", default=["decay"])
    parser.add_argument("--depths", nargs="+", type=int, default=[4])
    parser.add_argument("--members", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=60, help="of the reduced schedules")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(".ring"))
    return parser.parse_args()


def _depth(run: Run, plan: Plan, placement: Placement) -> Band:
    truth = data(run.seeds).truth
    networks, training = trained(run, plan, placement)
    draws, drawing = drawn(run, plan, networks)
    start = time.perf_counter()
    band = precision_recall_band(run.at(plan.name, "band"), truth, draws, score=PooledNeighbours())
    tracing = time.perf_counter() - start
    parts = _parts(areas_of_pieces(run, plan, draws, truth))
    print(f"depth {plan.depth}: training {training:.0f} s, draws {drawing:.0f} s, ", end="")
    print(f"curves and band {tracing:.0f} s (0: read back)")
    _areas(band, draws)
    _uncertainty(band, parts)
    return band


def _areas(band: Band, draws: list[Array]) -> None:
    low, middle, high = np.quantile(band.auc, [0.1, 0.5, 0.9])
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = band.auc / (1 - band.missed)
    far = np.mean([(np.abs(x) > 8).any(axis=1).mean() for x in draws])
    print(f"  area {band.auc.mean():.4f} sd {band.auc.std(ddof=1):.4f} ", end="")
    print(f"min {band.auc.min():.4f} p10 {low:.4f} median {middle:.4f} p90 {high:.4f} ", end="")
    print(f"max {band.auc.max():.4f}")
    print(f"  without the misses: {kept.mean():.4f} sd {kept.std(ddof=1):.4f}; misses: ", end="")
    print(f"mean {band.missed.mean():.5f} largest {band.missed.max():.5f}; ", end="")
    print(f"finite but |x| > 8: {far:.5f}")
    width = np.mean(band.recall.high - band.recall.low)
    radial = np.mean(band.radial.high - band.radial.low)
    print(f"  mean width of the 80 % band: {width:.4f} over recall, {radial:.4f} radial")


def _uncertainty(band: Band, parts: VarianceParts) -> None:
    spread = band.spread
    print(f"  sd of training from one sample each: {_root(spread.model.value)}, ", end="")
    print(f"of evaluation {_root(spread.evaluation.value)}")
    named = [f"{name} {_root(part.value)}" for name, part in parts.parts.items()]
    print(f"  halves of draws and truth, sd: {', '.join(named)}, ", end="")
    print(f"total {_root(parts.total.value)}")


def _parts(areas: Array) -> VarianceParts:
    network, sample, reference = np.indices(areas.shape).reshape(3, -1).tolist()
    return variance_parts(
        areas.ravel(),
        {"network": network, "generated sample": sample, "reference sample": reference},
        nested={"generated sample": ["network"]},
    )


def _root(variance: float) -> str:
    """Return a standard deviation, of a negative estimate with its sign."""
    return f"{np.sign(variance) * np.sqrt(abs(variance)):.4f}"


def _keep(run: Run, arm: str, bands: dict[int, Band]) -> None:
    """Write what the figure of the study shows."""
    found: dict[str, JSON] = {
        str(depth): {"areas": band.auc.tolist(), "missed": band.missed.tolist()}
        for depth, band in bands.items()
    }
    run.store.write_json(f"areas-{arm}", found)


def _compare(run: Run, arm: str, bands: dict[int, Band]) -> None:
    print(f"\nspread of areas, and comparisons ({PIECES} pieces above; means by max-T here)")
    for first, second in itertools.combinations(sorted(bands), 2):
        found = compare_curves(run.at(arm, first, second), bands[first], bands[second])
        ratio, p = _spreads(run.seeds.at(arm, first, second), bands[first].auc, bands[second].auc)
        print(f"  {first} against {second}: {found!r}")
        print(f"      sd ratio {ratio:.2f}, p of equal spread {p:.2g}")


def _spreads(
    seeds: Seeds, first: Array, second: Array, permutations: int = 9999
) -> tuple[float, float]:
    """Return the ratio of standard deviations, and a p-value of equal spread about the median.

    Brown and Forsythe's statistic, the difference of mean distances from the own median,
    with labels of those distances permuted.
    """
    away = [np.abs(x - np.median(x)) for x in (first, second)]
    pooled, n = np.concatenate(away), len(first)
    rng = seeds.numpy()
    observed = abs(away[0].mean() - away[1].mean())
    drawn = [rng.permutation(pooled) for _ in range(permutations)]
    larger = sum(abs(x[:n].mean() - x[n:].mean()) >= observed * (1 - 1e-12) for x in drawn)
    return float(first.std(ddof=1) / second.std(ddof=1)), (1 + larger) / (1 + permutations)


if __name__ == "__main__":
    main()
