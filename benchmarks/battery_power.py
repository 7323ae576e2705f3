"""Power and CPU time of the battery's statistics, with the settings that it had and those it has.

A share of the generated sample is of a generator with one known defect, the rest of the truth,
so that samples are large and their difference small: real Z events with five defects, and W
events of another tune.  Every statistic tests the same pairs of samples.  *CPU to equal power* is
that of the fewest events at which a statistic sees as many of them as with its former settings
on all.  The peers, if they are installed, have their defaults (a chi-squared approximation)
and their permutation tests, on as many events as their matrices allow; where they are not
installed a permutation test that keeps nothing stands in for them.

    python benchmarks/battery_power.py [EVENTS [REPETITIONS [FOLDER]]]     default: 50 000, 10

FOLDER holds the samples as Parquet files.  Without it the embedded events are used, with
defects made as in the tests, and the W events are left out.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _peers import hyppo_pair, version
from scipy.spatial.distance import cdist

from surrogates import DEFECTS, truths
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import (
    SlicedKS,
    SlicedWasserstein,
)
from verisimile.checks.twosample.statistics.mmd import AggregatedMMD
from verisimile.checks.twosample.statistics.nplm import AggregatedNPLM
from verisimile.checks.twosample.statistics.protocol import Statistic, entries
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import read_events

RELABELINGS, LEVEL = 99, 0.05
PARTS = (0.125, 0.25, 0.5, 1.0)  # of the events
PEER_EVENTS = 500
FORMER: Mapping[str, Statistic] = {
    "mmd": AggregatedMMD(most=10_000, waves=128),
    "sliced-wasserstein": SlicedWasserstein(most=40_000),
    "sliced-ks": SlicedKS(most=40_000),
    "nplm": AggregatedNPLM(centres=100, most=10_000),
}
# The share of generated events that have the defect, and the file that they are from.
SHARES = {
    "bump": (1.0, "zmumu_surrogate_bump"),
    "smeared": (1.0, "zmumu_surrogate_smeared"),
    "lost_tail": (0.3, "zmumu_surrogate_lost_tail"),
    "no_radiation": (0.15, "zmumu_generator_nofsr"),
    "softer": (0.3, "zmumu_generator_tune"),
    "W tune": (0.3, "wmunu_generator_tune"),
}


@dataclass(frozen=True)
class Problem:
    """Truth, independent truth, and events with a defect, of which a share is taken."""

    name: str
    truth: Events
    other: Events
    defective: Events
    share: float

    def pair(self, n: int, rng: np.random.Generator) -> tuple[Events, Events]:
        """Return two samples of n events each, or of as many as there are."""
        n = min(n, self.truth.n, self.other.n, self.defective.n)
        bad = int(rng.binomial(n, self.share))
        parts = [(self.defective, bad), (self.other, n - bad)]
        rows = [events.x[rng.choice(events.n, k, replace=False)] for events, k in parts]
        truth = self.truth.take(rng.choice(self.truth.n, n, replace=False))
        return truth, Events(np.concatenate(rows), features=truth.features)


def problems(folder: Path | None) -> Iterator[Problem]:
    """Return the problems of the files in a folder, or of the embedded events."""
    if folder is not None:
        for name, (share, file) in SHARES.items():
            process = file.split("_", 1)[0]
            files = (f"{process}_truth_a", f"{process}_truth_b", file)
            yield Problem(name, *(read_events(folder / f"{each}.parquet") for each in files), share)
        return
    truth, other, basis = truths(26_000, 3)
    for name, defect in DEFECTS.items():
        bad = defect(basis, np.random.default_rng(1))
        yield Problem(name, truth, other, bad, SHARES[name][0])


@dataclass(frozen=True)
class Found:
    """Share of the pairs that were seen, their median p-value, CPU seconds of one test."""

    power: float
    p_value: float
    cpu: float


def measure(problem: Problem, name: str, statistic: Statistic, n: int, repetitions: int) -> Found:
    """Return how often a statistic sees the defect in so many events of each sample."""
    p_values, spent = [], []
    for number in range(repetitions):
        seeds = Seeds(16).at(problem.name, number)
        pair = problem.pair(n, seeds.numpy())
        began = time.process_time()
        (found,) = permutation_test(
            Run(seeds),
            *pair,
            [statistic],
            permutations=RELABELINGS,
            coordinates=entries()[name].coordinates,
        )
        spent.append(time.process_time() - began)
        p_values.append(found.p_value.value)
    seen = float((np.array(p_values) <= LEVEL + 1e-12).mean())
    return Found(seen, float(np.median(p_values)), float(np.median(spent)))


def main(n: int, repetitions: int, folder: Path | None) -> None:
    """Print one table for each problem."""
    print(f"{n} against {n} events, {RELABELINGS} relabelings, {repetitions} pairs, one run")
    for problem in problems(folder):
        print(f"\n{problem.name}: {100 * problem.share:.0f} % of the generated events")
        print(f"{'':22s}{'power':>8s}{'median p':>10s}{'CPU s':>8s}{'former power':>14s}"
              f"{'median p':>10s}{'CPU s':>8s}{'CPU to equal power':>21s}")  # fmt: skip
        for name, entry in entries().items():
            ours = [measure(problem, name, entry.statistic, n, repetitions)]
            line = f"{name:22s}{_cells(ours[0])}"
            if name in FORMER:
                before = measure(problem, name, FORMER[name], n, repetitions)
                ours += [
                    measure(problem, name, entry.statistic, int(n * part), repetitions)
                    for part in PARTS[:-1]
                ]
                enough = [found.cpu for found in ours if found.power >= before.power]
                line += f"      {_cells(before)}"
                line += f"{min(enough):14.2f} s" if enough else f"{'not reached':>21s}"
            print(line, flush=True)
        _peers(problem, repetitions)


def _cells(found: Found) -> str:
    return f"{found.power:8.2f}{found.p_value:10.3f}{found.cpu:8.2f}"


def _peers(problem: Problem, repetitions: int) -> None:
    """Print power and time of energy distances of others, and of ours on as many events."""
    tests: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {}
    if version("hyppo") is not None:
        tests["hyppo, default"] = lambda x, y: hyppo_pair(x, y, RELABELINGS, auto=True)
        tests["hyppo, permutations"] = lambda x, y: hyppo_pair(x, y, RELABELINGS, auto=False)
    if version("dcor") is not None:
        tests["dcor"] = _dcor
    if not tests:
        tests["stand-in (no peer)"] = _keeping_nothing
    for name, test in tests.items():
        p_values, spent = [], []
        for number in range(repetitions):
            pair = problem.pair(PEER_EVENTS, Seeds(16).at(problem.name, number).numpy())
            sd = np.concatenate([events.x for events in pair]).std(axis=0)
            began = time.process_time()
            p_values.append(test(pair[0].x / sd, pair[1].x / sd))
            spent.append(time.process_time() - began)
        seen = float((np.array(p_values) <= LEVEL + 1e-12).mean())
        found = Found(seen, float(np.median(p_values)), float(np.median(spent)))
        print(f"{name:22s}{_cells(found)}   {PEER_EVENTS} events of each")
    same = measure(problem, "energy", entries()["energy"].statistic, PEER_EVENTS, repetitions)
    print(f"{'energy, as many':22s}{_cells(same)}")


def _dcor(x: np.ndarray, y: np.ndarray) -> float:
    import dcor  # noqa: PLC0415

    found = dcor.homogeneity.energy_test(x, y, num_resamples=RELABELINGS, random_state=1)
    return float(found.pvalue)


def _keeping_nothing(x: np.ndarray, y: np.ndarray) -> float:
    """Return the p-value of an energy test that makes its distances for every permutation."""
    rng, pooled, first = np.random.default_rng(1), np.concatenate([x, y]), len(x)
    values = []
    for permuted in [pooled, *(rng.permutation(pooled) for _ in range(RELABELINGS))]:
        a, b = permuted[:first], permuted[first:]
        values.append(2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean())
    return float((1 + (np.array(values[1:]) >= values[0]).sum()) / (RELABELINGS + 1))


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 50_000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 10,
        Path(sys.argv[3]) if len(sys.argv) > 3 else None,
    )
