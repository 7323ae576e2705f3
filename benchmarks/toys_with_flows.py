"""CPU time of a toy whose members are spline flows, and of a coverage study of flows.

One flow is trained for a few epochs on the example's events, its siblings have scattered
parameters: their densities differ by some 14 %, as those of trained replicas do.  Weights are
fitted to other events, with pseudo-events.  A toy is drawn and fitted as ``goodness_of_fit`` does
it; *all members at every proposal*, in the same process, is the sampler without pairs.

    python benchmarks/toys_with_flows.py [--quick]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from _flows import siblings, trained_flow

from verisimile.checks.coverage.conditional import coverage
from verisimile.checks.coverage.observables import Moment
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.null import Predictive, null_of
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.search import Alternative, Search
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.native import available
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.data.provenance import Seen
from verisimile.density.flows.spline import SplineFlow
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.mixture.discrepancy.corrected import correct_mixture
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.pairing import Pairing
from verisimile.mixture.sampling import member_log_densities, sample_signed

TRAINING, FIT, EPOCHS, SPREAD = 20_000, 20_000, 4, 0.17
KERNELS = GaussianKernels(count=100)
BUDGETS = {(60, 20_000): 2.0, (8, 5000): 0.15}


@dataclass(frozen=True)
class Toy:
    """CPU seconds of a toy, of its sampling alone, and what the sampler did for an event."""

    whole: float
    sampling: float
    proposed: float
    evaluated: float


def main(*, quick: bool) -> None:
    """Print times of toys, their growth, and a coverage study."""
    events = load_example()["truth"]
    flow = trained_flow(events.take(np.arange(TRAINING)), SplineFlowTrainer(epochs=EPOCHS))
    print(f"{flow}; compiled code: {'yes' if available() else 'no'}; one thread, CPU seconds")
    evaluation(flow)
    few, many = (3, 9) if quick else (5, 15)
    for members, n, toys in ((60, 20_000, few), (8, 5000, many)):
        mixture = ensemble(flow, members, events)
        total = float(np.clip(mixture.weights, 0.0, None).sum())
        print(f"{members} flows, n = {n}, W+ = {total:.2f}")
        report("without discrepancy, 100 kernels in 4 placements", mixture, n, toys, KERNELS)
        if quick:
            continue
        report("the same, tilt in 4 placements", mixture, n, toys, ExponentialTilt())
        corrected = correct_mixture(Run(Seeds(3)), mixture, weight_fit(events))
        report("with discrepancy, 100 kernels", corrected, n, toys, KERNELS)
        report("with discrepancy, tilt", corrected, n, toys, ExponentialTilt())
    growth(flow, events)
    study(flow, events)


def report(name: str, mixture: Mixture, n: int, toys: int, alternative: Alternative) -> None:
    """Print a toy, and its ratio to one whose sampler has no pairs."""
    run = Run(Seeds(4))
    test = contest(run, mixture, n, alternative)
    found = timed(test, toys)
    with without_pairs():
        before = timed(test, max(2, toys // 3))
    budget = BUDGETS[len(mixture.members), n]
    print(
        f"  {name}: {found.whole:.2f} s a toy (budget {budget}), sampling {found.sampling:.2f};"
        f" an event took {found.proposed:.2f} proposals, {found.evaluated:.2f} of which met all"
        f" members; all members at every proposal: {before.whole:.2f} s, of which sampling"
        f" {before.sampling:.2f}: {before.sampling / found.sampling:.1f} times as much"
    )


def contest(run: Run, mixture: Mixture, n: int, alternative: Alternative) -> Contest:
    """Return what a toy of the default calibration is compared with."""
    null, search = null_of(mixture, n), Search((alternative,))
    setups = tuple(setup for each in search.place(run, null, events=n) for setup in each)
    surprise = search.place_surprise(run, null, events=n)
    free = HYPOTHESES["ensemble+uncertainty"]
    return Contest(null, setups, Predictive(), (free,), n, surprise)


def timed(test: Contest, toys: int) -> Toy:
    """Return the CPU time of a toy, after one that warms up."""
    rng = np.random.default_rng(5)
    whole = cpu(lambda: throw_toys(Run(Seeds(6)), test, toys)) / toys
    start, audits = time.process_time(), []
    for _ in range(toys):
        truth, _centre = test.calibration.draw(test.null.variations.shape[1], rng)
        audits.append(test.null.sample(truth, test.events, rng).audit)
    sampling = (time.process_time() - start) / toys
    events = toys * test.events
    proposed, evaluated = (sum(getattr(a, k) for a in audits) for k in ("proposed", "evaluated"))
    return Toy(whole, sampling, proposed / events, evaluated / events)


def cpu(call: object) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    call()  # type: ignore[operator]
    return time.process_time() - start


@contextmanager
def without_pairs() -> Iterator[None]:
    """Evaluate all members at every proposal of the positive part."""
    paired = Pairing.of
    Pairing.of = Pairing.apart  # type: ignore[method-assign]
    try:
        yield
    finally:
        Pairing.of = paired  # type: ignore[method-assign]


def evaluation(flow: SplineFlow) -> None:
    """Print the CPU time of an event's density in a member, and of a draw."""
    x = flow.sample(16_384, np.random.default_rng(7))
    density = min(cpu(lambda: flow.log_prob(x)) for _ in range(7))
    draw = min(cpu(lambda: flow.sample(len(x), np.random.default_rng(7))) for _ in range(7))
    print(f"a density {1e6 * density / len(x):.2f} us, a draw {1e6 * draw / len(x):.2f} us")


def growth(flow: SplineFlow, events: Events) -> None:
    """Print exponents of the CPU time in n, in M and in B."""
    largest = ensemble(flow, 60, events)
    sizes, members, counts = (5000, 10_000, 20_000), (15, 30, 60), (2, 4, 8)
    by_size = [draws(largest, n) for n in sizes]
    by_members = [draws(ensemble(flow, m, events), 10_000) for m in members]
    test = contest(Run(Seeds(4)), ensemble(flow, 15, events), 5000, KERNELS)
    by_count = [cpu(lambda b=b: throw_toys(Run(Seeds(6)), test, b)) for b in counts]
    for name, grid, times in (
        ("n (M = 60, sampling)", sizes, by_size),
        ("M (n = 10 000, sampling)", members, by_members),
        ("B (M = 15, n = 5000, toys)", counts, by_count),
    ):
        slope = np.polyfit(np.log(grid), np.log(times), 1)[0]
        table = ", ".join(f"{g}: {t:.2f} s" for g, t in zip(grid, times, strict=True))
        print(f"CPU time grows as the {slope:.2f}th power of {name}: {table}")


def draws(mixture: Mixture, n: int) -> float:
    """Return the CPU seconds of `n` draws of a mixture."""
    rng = np.random.default_rng(8)
    return cpu(lambda: sample_signed(mixture.members, mixture.weights, n, rng))


def study(flow: SplineFlow, events: Events) -> None:
    """Print the CPU time of a closure of one moment: 3 flows, 100 data sets of 28 000 events."""
    mixture, n, datasets = ensemble(flow, 3, events), 28_000, 100
    moment = {"mass": Moment("m_ll")}
    run = Run(Seeds(9))
    wall, start = time.perf_counter(), time.process_time()
    coverage(run, mixture, observables=moment, datasets=datasets, events=n)
    spent = time.process_time() - start
    clock = time.perf_counter() - wall
    name = f"closure, M = 3, n = {n}, {datasets} data sets"
    print(f"{name}: {spent:.1f} s CPU in one process, {clock:.1f} s by the clock (budget 25)")


def weight_fit(events: Events) -> Events:
    """Return the events of the weight fit."""
    return events.take(np.arange(TRAINING, TRAINING + FIT))


def ensemble(flow: SplineFlow, members: int, events: Events) -> Mixture:
    """Return siblings of a flow with weights that were fitted to events."""
    parts, fitted = siblings(flow, members, SPREAD), weight_fit(events)
    rng = np.random.default_rng(10)
    z = np.concatenate([part.sample(-(-2000 // members), rng) for part in parts])
    barrier = Pseudo(member_log_densities(parts, z))
    fit = fit_weights(member_log_densities(parts, fitted.x), pseudo=barrier)
    provenance = (Seen.of("weight-fit", fitted),)
    return Mixture(parts, fit, features=fitted.features, provenance=provenance)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
