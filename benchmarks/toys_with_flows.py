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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from _flows import siblings, trained_flow

from verisimile.checks.coverage.conditional import coverage
from verisimile.checks.coverage.observables import Moment
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.null import Null, Predictive, null_of
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.search import PlacedSurprise, Search, Setup
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
from verisimile.mixture.discrepancy.settings import Discrepancy
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.pairing import Pairing
from verisimile.mixture.sampling import member_log_densities, sample_signed

TRAINING, FIT, EPOCHS, SPREAD = 20_000, 20_000, 4, 0.17
KERNELS = GaussianKernels(count=100)
BUDGETS = {(60, 20_000): 2.0, (8, 5000): 0.15}


@dataclass(frozen=True)
class Draws:
    """CPU seconds of the draws of a toy, and what an event took."""

    seconds: float
    proposed: float
    evaluated: float


def main(*, quick: bool) -> None:
    """Print times of toys, their growth, and a coverage study."""
    events = load_example()["truth"]
    flow = trained_flow(events.take(np.arange(TRAINING)), SplineFlowTrainer(epochs=EPOCHS))
    print(f"{flow}; compiled code: {'yes' if available() else 'no'}; one thread, CPU seconds")
    evaluation(flow)
    for members, n, toys in ((60, 20_000, 3), (8, 5000, 9)):
        mixture = ensemble(flow, members, events)
        total = float(np.clip(mixture.weights, 0.0, None).sum())
        print(f"{members} flows, n = {n}, W+ = {total:.2f}, budget {BUDGETS[members, n]} s a toy")
        report("without discrepancy", mixture, n, toys)
        if not quick:
            settings = Discrepancy(draws=100)
            corrected = correct_mixture(Run(Seeds(3)), mixture, weight_fit(events), settings)
            report("with discrepancy", corrected, n, toys)
    growth(flow, events)
    study(flow, events)


def report(name: str, mixture: Mixture, n: int, toys: int) -> None:
    """Print a toy's draws, with and without pairs, and toys with fits of either alternative."""
    run, null = Run(Seeds(4)), null_of(mixture, n)
    found = drawn(null, n, toys)
    with without_pairs():
        before = drawn(null, n, toys)
    print(
        f"  {name}: draws {found.seconds:.2f} s, an event takes {found.proposed:.2f} proposals, of"
        f" which {found.evaluated:.2f} meet all members; all members at every proposal"
        f" {before.seconds:.2f} s, {before.seconds / found.seconds:.1f} times as much"
    )
    for title, alternative in (("100 kernels", KERNELS), ("tilt", ExponentialTilt())):
        search = Search((alternative,))
        setups = tuple(setup for each in search.place(run, null, events=n) for setup in each)
        surprise = search.place_surprise(run, null, events=n)
        once, everywhere = (
            spent_by(contest(few, n, surprise), toys) / toys for few in (setups[:1], setups)
        )
        places = len(setups)
        print(
            f"    {title}: {once:.2f} s a toy with both fits, {everywhere:.2f} s in {places} places"
        )


def contest(setups: tuple[Setup, ...], n: int, surprise: PlacedSurprise | None = None) -> Contest:
    """Return what a toy of the default calibration is compared with."""
    free = HYPOTHESES["ensemble+uncertainty"]
    return Contest(setups[0].null, setups, Predictive(), (free,), n, surprise)


def drawn(null: Null, n: int, toys: int) -> Draws:
    """Return the CPU time of the draws of a toy."""
    rng, audits = np.random.default_rng(5), []
    start = time.process_time()
    for _ in range(toys):
        truth, _centre = Predictive().draw(null.variations.shape[1], rng)
        audits.append(null.sample(truth, n, rng).audit)
    seconds = (time.process_time() - start) / toys
    proposed, evaluated = (sum(getattr(a, k) for a in audits) for k in ("proposed", "evaluated"))
    return Draws(seconds, proposed / (toys * n), evaluated / (toys * n))


def spent_by(test: Contest, toys: int) -> float:
    """Return the CPU seconds of toys in a fresh run, which keeps its own."""
    return cpu(lambda: throw_toys(Run(Seeds(6)), test, toys))


def cpu(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    call()
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
    null = null_of(ensemble(flow, 15, events), 5000)
    test = contest((KERNELS.prepare(Run(Seeds(4)), null, events=5000),), 5000)
    by_count = [spent_by(test, b) for b in counts]
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
