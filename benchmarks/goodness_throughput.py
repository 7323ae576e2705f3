"""Throughput of the profile test: toys at n = 20 000, M = 60, K = 100 on two worker processes.

The whole of ``goodness_of_fit`` is timed: reference events, placement of the
kernels, the fit to the data, and toys with their sampling, densities and two
fits each.  By default 60 toys are run and 1 000 extrapolated from the time per
toy; ``--full`` runs the 1 000.  Then the growth of the time of a toy with n and
of a test with B, as exponents of a power law.

    python benchmarks/goodness_throughput.py [--full]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import numpy as np
from _problem import draw, family, log_densities

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture

N, M, K = 20_000, 60, 100
FEW, FULL = 60, 1000
BUDGET = 360.0


def main(toys: int) -> None:
    """Time the test, and print the extrapolation and the growth."""
    mixture, events = _model()
    _test("loky:2", mixture, _first(events, 1000), 20)  # start the workers
    once, cpu = _test("loky:2", mixture, events, 2)
    whole, _ = _test("loky:2", mixture, events, toys)
    each = (whole - once) / (toys - 2)
    total = whole if toys == FULL else once + each * (FULL - 2)
    how = "measured" if toys == FULL else f"from {toys}"
    print(f"n = {N}, M = {M}, K = {K}, loky:2, one BLAS thread each")
    print(f"fixed part, with two toys: {once:.2f} s wall ({cpu:.2f} s CPU in the driver)")
    print(f"per toy: {each:.3f} s wall on two workers")
    print(f"{FULL} toys ({how}): {total:.0f} s wall (budget {BUDGET:.0f})")
    _growth(mixture, events)


def _growth(mixture: Mixture, events: Events) -> None:
    """Print the CPU time of a toy in this process, and its exponents in n and in B."""
    sizes, counts = (5000, 10_000, 20_000), (10, 20, 40)
    by_size = [_toys(mixture, _first(events, n), 10) for n in sizes]
    by_count = [_toys(mixture, _first(events, 5000), count) for count in counts]
    alone = by_size[-1] / 10
    print(f"per toy: {alone:.3f} s CPU in one process, ", end="")
    print(f"so {FULL} toys take {alone * FULL / 2:.0f} s on two free cores")
    for name, grid, times in (("n", sizes, by_size), ("B", counts, by_count)):
        slope = np.polyfit(np.log(grid), np.log(times), 1)[0]
        table = ", ".join(f"{g}: {t:.2f} s" for g, t in zip(grid, times, strict=True))
        print(f"CPU time grows as {name}^{slope:.2f} ({table})")


def _toys(mixture: Mixture, events: Events, count: int) -> float:
    """Return the CPU seconds of `count` toys, without the fixed part."""
    fixed = _test("serial", mixture, events, 1)[1]
    return _test("serial", mixture, events, 1 + count)[1] - fixed


def _model() -> tuple[Mixture, Events]:
    rng = np.random.default_rng(1)
    members = family(M, satellite=0.3)
    truth = rng.dirichlet(np.full(M, 0.5))
    z = draw(members, np.full(M, 1 / M), 2000, rng)
    fit = fit_weights(
        log_densities(members, draw(members, truth, N, rng)),
        pseudo=Pseudo(log_densities(members, z)),
    )
    return Mixture(members, fit), Events(draw(members, truth, N, rng))


def _first(events: Events, n: int) -> Events:
    return events.take(np.arange(n))


def _test(executor: str, mixture: Mixture, events: Events, toys: int) -> tuple[float, float]:
    run = Run(Seeds(1), executor=executor)  # a fresh one: it keeps its toys
    wall, cpu = time.perf_counter(), time.process_time()
    goodness_of_fit(run, mixture, events, alternative=GaussianKernels(count=K), toys=toys)
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv else FEW)
