"""Amplification of spline flows on the camel: the scatter of trainings against their distance.

    python benchmarks/amplification_flows.py [TRAININGS]

Flows of nflows, each trained on 2 000 events of its own, or all on bootstrap replicas of one
sample.  The averaging measure knows the scatter of the trainings, the quantile
measure of the procedure their distance from the truth.  Without a bias that all trainings share
the two agree for independent trainings; for bootstrap replicas each member errs twice, by the
sample and by the replica, and the distance is about twice the scatter.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import numpy as np

from verisimile.checks.amplification.averaging import averaging
from verisimile.checks.amplification.quantile import quantile_of_trainings
from verisimile.checks.amplification.regions import equal_regions
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.flows.trainer import SplineFlowTrainer

TRAIN, GENERATED, HOLDOUT = 2_000, 50_000, 200_000
REGIONS = (10, 20, 50, 100)


def main(trainings: int) -> None:
    """Train, measure both ways, and print the table."""
    seeds = Seeds(2026).at("amplification of flows")
    holdout = Events(camel(HOLDOUT, seeds.at("holdout").numpy()))
    regions = [equal_regions(camel(HOLDOUT, seeds.at("edges").numpy()), n) for n in REGIONS]
    print(f"{trainings} flows, {TRAIN} training events of the camel, {GENERATED} generated each")
    print(f"{'':24s}{'regions':>8s}{'1/G, scatter':>22s}{'1/G, distance':>22s}{'ratio':>8s}")
    for kind in ("independent", "bootstrap"):
        start = time.perf_counter()
        members = [_generated(kind, j, seeds) for j in range(trainings)]
        spent = time.perf_counter() - start
        run = Run(seeds.at(kind))
        curve = quantile_of_trainings(run, members, holdout, n_train=TRAIN, regions=regions)
        for each, point in zip(regions, curve.points, strict=True):
            scatter = averaging(run, members, n_train=TRAIN, regions=each).amplification
            _line(kind, each.count, scatter.inverse_gain, point.inverse_gain)
        print(f"    trained and sampled in {spent:.0f} s")


def camel(n: int, rng: np.random.Generator) -> Array:
    """Return events of two unit normal laws at -4 and 4 ``(n, 1)``."""
    return (rng.normal(size=n) + rng.choice([-4.0, 4.0], n))[:, None]


def _generated(kind: str, member: int, seeds: Seeds) -> Events:
    at = seeds.at(kind, member)
    if kind == "independent":
        x = camel(TRAIN, at.numpy())
    else:
        sample = camel(TRAIN, seeds.at("sample").numpy())
        x = sample[at.numpy().integers(TRAIN, size=TRAIN)]
    trainer = SplineFlowTrainer(layers=2, hidden=32, bins=8, epochs=40, patience=40)
    validation = Events(camel(TRAIN, at.at("validation").numpy()))
    model = trainer.fit(Events(x), validation, at.at("training")).model
    return Events(model.sample(GENERATED, at.at("events").numpy()))


def _line(kind: str, regions: int, scatter: Estimate, distance: Estimate) -> None:
    one, two = (f"{e.value:.3f} ± {e.error:.3f}" for e in (scatter, distance))
    print(f"{kind:24s}{regions:8d}{one:>22s}{two:>22s}{distance.value / scatter.value:8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
