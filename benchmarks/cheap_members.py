"""Cheap members beside a full ensemble: coverage of bin contents, and cost.

    python benchmarks/cheap_members.py --repetitions 24 --members 10

Each repetition draws 2 000 training events of a known truth and makes M flows of one
architecture: all trained from beginnings of their own on bootstrap replicas (`full`), or the
last layers of one trained flow fitted again on as many replicas (`LastLayerTrainer`), in five
epochs with three first step sizes, and in 20 epochs of step 0.03.  Intervals of the contents of
36 boxes, and of 9 larger ones, come from the spread of the M flows (`spread_intervals`), and from
the fit of their weights to 2 000 further events with each flow left out in turn (`w f`).  Errors
behind ± are those over repetitions (jackknife).  *Claimed* and *actual* errors are in units of the
binomial error of 2 000 events; the bias share is the part of the mean square distance that all
repetitions have in common.

CPU seconds are taken in the same process one after the other; the training of the
shared flow is counted in each cheap set, and so is what the library does besides (replicas,
hashes, records).  Their second number is the cost of `full` over theirs, repetition by repetition.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from _boxes import TRUTH, merged
from uncertainty_of_flows import FINE, FLOW, LEVELS, row, weighted

from verisimile.checks.coverage.spread import (
    BinIntervals,
    normal_intervals,
    spread_intervals,
    summarise_bins,
)
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.flows.last_layer import LastLayerTrainer
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.protocol import DensityEstimator, Trainer
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan

EVENTS = 2000
HEAD = ("boxes", "errors from", "68 %", "95 %", "claimed", "actual", "act./claimed", "bias share")
FULL = "full"
CHEAP: Mapping[str, Callable[[SplineFlow], Trainer]] = {
    "step 0.01": lambda trunk: LastLayerTrainer(trunk, epochs=5, learning_rate=1e-2),
    "step 0.03": lambda trunk: LastLayerTrainer(trunk, epochs=5, learning_rate=3e-2),
    "step 0.1": lambda trunk: LastLayerTrainer(trunk, epochs=5, learning_rate=0.1),
    "20 epochs": lambda trunk: LastLayerTrainer(trunk, epochs=20, learning_rate=3e-2),
}


def main(repetitions: int, members: int) -> None:
    """Train, count, print."""
    found: dict[tuple[int, str], list[BinIntervals]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    losses: dict[str, list[float]] = defaultdict(list)
    for number in range(repetitions):
        one(Seeds(20261130).at(number), members, found, seconds, losses)
    print(f"{repetitions} repetitions of {EVENTS} training events, {members} members each.\n")
    print(_line(HEAD))
    for (side, name), intervals in sorted(found.items(), key=lambda item: -item[0][0]):
        truth = np.full(side**2, 1.0 / side**2)
        binomial = np.sqrt(truth * (1.0 - truth) / EVENTS)
        errors = summarise_bins(intervals, truth, binomial)
        print(_line((str(side**2), name, *row(errors).split(" | "))))
    print()
    for name, spent in seconds.items():
        ratio = np.array(seconds[FULL]) / spent
        error = ratio.std(ddof=1) / np.sqrt(repetitions)
        print(
            f"{name:<22} {np.mean(spent):6.3f} CPU s, full / this {ratio.mean():5.2f} ± {error:.2f}"
        )


def one(
    seeds: Seeds,
    members: int,
    found: dict[tuple[int, str], list[BinIntervals]],
    seconds: dict[str, list[float]],
    losses: dict[str, list[float]],
) -> None:
    """Add what one repetition finds."""
    events = Events(TRUTH.sample(EVENTS, seeds.at("events").numpy()))
    further = Events(TRUTH.sample(EVENTS, seeds.at("further").numpy()))

    def ensemble(trainer: Trainer, name: str) -> tuple[DensityEstimator, ...]:
        plan = BootstrapPlan(members)
        return fit_ensemble(Run(seeds.at(name)), events, plan, trainer).members

    clock = time.process_time()
    sets = {FULL: ensemble(FLOW, FULL)}
    seconds[FULL].append(time.process_time() - clock)
    clock = time.process_time()
    training, validation = events.split((0.8, 0.2), seeds.at("split"))
    trunk = FLOW.fit(training, validation, seeds.at("trunk")).model
    shared = time.process_time() - clock
    for name, recipe in CHEAP.items():
        clock = time.process_time()
        sets[name] = ensemble(recipe(trunk), "heads")
        seconds[name].append(shared + time.process_time() - clock)
    for name, models in sets.items():
        losses[name].append(-float(np.mean([each.log_prob(further.x).mean() for each in models])))
        contents = np.stack([FINE.contents(model) for model in models])
        fit = weighted(models, events, further, contents, seeds.at(name, "fit"))
        for side in (FINE.side, FINE.side // 2):
            # A content of a larger box is a sum: of the members' and of the fit's alike.
            parts = contents if side == FINE.side else merged(contents, FINE.side)
            found[side, name].append(spread_intervals(parts, LEVELS))
            found[side, f"w f of {name}"].append(_of_weights(parts, *fit[1:], side, fit[0]))


def _of_weights(
    contents: Array, covariance: Array, apart: Array, side: int, values: Array
) -> BinIntervals:
    """Return intervals of the weighted contents, with each member left out in turn."""
    own = np.einsum("ik,ij,jk->k", contents, covariance, contents).clip(0.0)
    basis = ((apart @ contents) ** 2).mean(axis=0)
    centre = values if side == FINE.side else merged(values, FINE.side)
    return normal_intervals(centre, np.sqrt(own + basis), LEVELS)


def _line(cells: Sequence[str]) -> str:
    widths = (5, 20, *[14] * (len(cells) - 2))
    return " ".join(f"{cell:<{w}}" for cell, w in zip(cells, widths, strict=True)).rstrip()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=24)
    parser.add_argument("--members", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    main(asked.repetitions, asked.members)
