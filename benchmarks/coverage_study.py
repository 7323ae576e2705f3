"""Coverage of the first moments of the published Gaussian, against M and the weight-fit events.

Conditional mode: the truth is one of the M members, the others are narrower and
shifted; 300 data sets.  Retrained mode: M Gaussians fitted to bootstrap replicas
of 1 000 events, made anew with every data set; 200 of them, with errors from the
weights alone, with each member left out in turn, and (up to M = 10, beyond which it
changes nothing and costs most) with resampled members.  Two
features: rates are their mean, the error in brackets takes them as independent.
Members know their moments, so nothing comes from draws.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
import time
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.basis import BasisTerm, LeaveOneOut, MemberBootstrap
from verisimile.checks.coverage.conditional import PseudoDraws, coverage
from verisimile.checks.coverage.observables import Moment, Observable
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.coverage.retrained import coverage_retrained
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities

MEMBERS = (2, 3, 5, 10, 20, 40)
EVENTS = (500, 2000, 8000)
TRAINING = 1000
CONDITIONAL, RETRAINED = 300, 200
RESAMPLED = 10  # most members that are resampled
TRUTH = GaussianTruth.paper()
MEANS: dict[str, Observable] = {"x0": Moment("x0"), "x1": Moment("x1")}
TERMS: dict[str, BasisTerm | None] = {
    "weights only": None,
    "left out": LeaveOneOut(),
    "resampled": MemberBootstrap(20),
}


def main() -> None:
    """Run the study and print its table."""
    start = time.perf_counter()
    print("coverage of the first moments in percent, nominal 68.27; pull width in brackets")
    print(f"{'':14s}{'conditional':>20s}" + "".join(f"{name:>20s}" for name in TERMS))
    for n in EVENTS:
        for members in MEMBERS:
            cells = [_cell(_conditional(members, n))]
            cells += [
                _cell(_retrained(members, n, term))
                for term in TERMS.values()
                if members <= RESAMPLED or not isinstance(term, MemberBootstrap)
            ]
            print(
                f"n_w {n:5d} M {members:2d}" + "".join(f"{cell:>20s}" for cell in cells), flush=True
            )
    print(f"{time.perf_counter() - start:.0f} s, of one core {time.process_time():.0f} s")


def _cell(found: Coverage) -> str:
    rate = float(np.mean([item.rate for item in found.observables]))
    width = float(np.mean([item.pull_width for item in found.observables]))
    error = math.sqrt(rate * (1.0 - rate) / (2 * found.datasets))
    failed = sum(item.failed for item in found.observables) // 2
    lost = f" {failed}!" if failed else ""
    return f"{100 * rate:.1f} ± {100 * error:.1f} ({width:.2f}){lost}"


def _conditional(members: int, n: int) -> Coverage:
    rng = np.random.default_rng(11)
    mu, sigma = np.array(TRUTH.mu), np.array(TRUTH.sigma)
    basis = [TRUTH]
    for _ in range(members - 1):
        centre = mu + sigma * rng.uniform(-1.0, 1.0, 2)
        basis.append(GaussianTruth(tuple(centre), tuple(sigma * rng.uniform(0.5, 0.9, 2))))
    pseudo = Pseudo(member_log_densities(basis, np.concatenate(_drawn(basis, 2000, rng))))
    fit = fit_weights(member_log_densities(basis, TRUTH.sample(n, rng)), pseudo=pseudo)
    return coverage(
        Run(Seeds(20261127).at(members, n)),
        Mixture(basis, fit),
        TRUTH,
        observables=MEANS,
        datasets=CONDITIONAL,
        pseudo=PseudoDraws(2000),
    )


def _drawn(basis: list[GaussianTruth], n: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [member.sample(n // len(basis) + 1, rng) for member in basis]


def _retrained(members: int, n: int, term: BasisTerm | None) -> Coverage:
    return coverage_retrained(
        Run(Seeds(20261128).at(members, n)),
        Recipe(members),
        TRUTH,
        observables=MEANS,
        datasets=RETRAINED,
        events=TRAINING + n,
        basis=term,
    )


@dataclass(frozen=True)
class Recipe:
    """Gaussians of bootstrap replicas of the first events, weights on the others."""

    members: int

    def __call__(self, seeds: Seeds, events: Events) -> tuple[Mixture, Events]:
        """Return the mixture and the events of its weight fit."""
        rng = seeds.numpy()
        basis = []
        for _ in range(self.members):
            x = events.x[rng.integers(TRAINING, size=TRAINING)]
            basis.append(GaussianTruth(tuple(x.mean(axis=0)), tuple(x.std(axis=0))))
        rest = Events(events.x[TRAINING:])
        return Mixture(basis, fit_weights(member_log_densities(basis, rest.x))), rest


if __name__ == "__main__":
    main()
