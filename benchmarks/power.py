"""Power at 5 % of both alternatives of the profile test, and of four tests of another kind.

The model is a mixture of three analytic members with weights fitted to 4000 events,
in two and in four features.  A data set is a predictive draw of the model (weights
drawn from their covariance), changed in one way; unchanged ones show the size.  All
statistics are calibrated by the same toys, also predictive draws.  The profile tests
fit the weights; the others compare with 4000 events of the model.

    python benchmarks/power.py [DATA SETS] [TOYS] [FEATURES]     default: 120, 240, both
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from _problem import draw, family, log_densities
from _rivals import Rivals

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.search import Setup
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.stats.aggregate import min_p

N, N_WEIGHTS, N_REFERENCE = 1000, 4000, 4000
TRUTH = np.array([0.5, 0.3, 0.2])
LEVEL = 0.05
Change = Callable[[Array, np.random.Generator], Array]
OURS = ("kernels", "tilt")


def shifted(x: Array, rng: np.random.Generator) -> Array:  # noqa: ARG001
    """Move the first feature by 0.12."""
    out = x.copy()
    out[:, 0] += 0.12
    return out


def widened(x: Array, rng: np.random.Generator) -> Array:  # noqa: ARG001
    """Stretch the first feature by 10 %."""
    out = x.copy()
    out[:, 0] *= 1.10
    return out


def correlated(x: Array, rng: np.random.Generator) -> Array:  # noqa: ARG001
    """Mix 15 % of the first feature into the second, whose width stays."""
    out = x.copy()
    out[:, 1] = np.sqrt(1.0 - 0.15**2) * x[:, 1] + 0.15 * x[:, 0]
    return out


def cut(x: Array, rng: np.random.Generator) -> Array:
    """Lose 70 % of the events above 1.8 in the first feature; the others fill up."""
    keep = (x[:, 0] < 1.8) | (rng.random(len(x)) > 0.7)
    return np.asarray(x[keep][:N])


def bumped(x: Array, rng: np.random.Generator) -> Array:
    """Replace 2.5 % of the events by a bump of width 0.1."""
    out = x.copy()
    rows = rng.random(len(x)) < 0.025
    place = 0.6 * np.array([1.0, -1.0, 1.0, -1.0])[: x.shape[1]]
    out[rows] = place + 0.1 * rng.standard_normal((int(rows.sum()), x.shape[1]))
    return out


CHANGES: dict[str, Change | None] = {
    "none (size)": None,
    "mean shift": shifted,
    "width": widened,
    "correlation": correlated,
    "missing tail": cut,
    "local bump": bumped,
}


@dataclass(frozen=True)
class Bench:
    """A model and all statistics of a sample."""

    null: NullModel
    setups: tuple[Setup, ...]
    rivals: Rivals

    @classmethod
    def of(cls, features: int, seeds: Seeds) -> Bench:
        """Return the bench of a model with `features` features."""
        rng = seeds.numpy()
        members = family(TRUTH.size, features=features)
        pseudo = draw(members, np.full(TRUTH.size, 1 / TRUTH.size), 2000, rng)
        fit = fit_weights(
            log_densities(members, draw(members, TRUTH, N_WEIGHTS, rng)),
            pseudo=Pseudo(log_densities(members, pseudo)),
        )
        null = NullModel.of(Mixture(members, fit))
        run = Run(seeds)
        setups = _setups(run, null)
        return cls(
            null, setups, Rivals.of(null.sample(np.zeros(null.variations.shape[1]), 10 * N, rng).x)
        )

    @property
    def rank(self) -> int:
        """Variations of the weights."""
        return int(self.null.variations.shape[1])

    def sample(self, change: Change | None, rng: np.random.Generator) -> Array:
        """Return a predictive draw of the model, changed."""
        x = self.null.sample(rng.standard_normal(self.rank), 2 * N, rng).x
        return x[:N] if change is None else change(x if change is cut else x[:N], rng)

    def statistics(self, x: Array) -> list[float]:
        """Return all statistics of a sample ``(n, d)``."""
        logf = self.null.log_densities(x)
        centre = np.zeros(self.rank)
        hypothesis = HYPOTHESES["ensemble+uncertainty"]
        ours = [s.observe(x, logf).profile(hypothesis, centre).statistic for s in self.setups]
        return [*ours, *self.rivals(x)]


def _setups(run: Run, null: NullModel) -> tuple[Setup, ...]:
    """Return both defaults."""
    return tuple(a.prepare(run, null, events=N) for a in (GaussianKernels(), ExponentialTilt()))


def table(bench: Bench, change: Change | None, count: int, seeds: Seeds) -> Array:
    """Return the statistics ``(count, tests)`` of as many data sets."""
    rows = []
    for number in range(count):
        rng = seeds.at(number).numpy()
        rows.append(bench.statistics(bench.sample(change, rng)))
    return np.array(rows)


def rejected(found: Array, toys: Array) -> Array:
    """Return which p-values are at most 5 %, ``(count, 1 + tests)``: first both of ours at once."""
    k = (toys[None, :, :] >= found[:, None, :]).sum(axis=1)
    alone = (k + 1) / (len(toys) + 1) <= LEVEL
    ours = len(OURS)
    both = [min_p(row[:ours], toys[:, :ours]).p_value.value <= LEVEL for row in found]
    return np.column_stack([both, alone])


def main(arguments: Sequence[str]) -> None:
    """Print one table per number of features."""
    count, toys = (int(value) for value in (*arguments, *("120", "240")[len(arguments) :])[:2])
    names = ("both, min-p", *OURS, *Rivals.names)
    for features in [int(value) for value in arguments[2:]] or [2, 4]:
        began = time.perf_counter()
        seeds = Seeds(20261201).at("power", features)
        bench = Bench.of(features, seeds)
        null = table(bench, None, toys, seeds.at("toys"))
        print(f"\n{features} features, n = {N}, {toys} toys, {count} data sets: power in %")
        print(" " * 14 + "".join(f"{name:>24s}" for name in names))
        for name, change in CHANGES.items():
            found = rejected(table(bench, change, count, seeds.at("data", name)), null)
            rate = found.mean(axis=0)
            error = np.sqrt(np.clip(rate * (1 - rate), 0.25 / count, None) / count)
            cells = (f"{100 * r:17.1f} +- {100 * e:3.1f}" for r, e in zip(rate, error, strict=True))
            print(f"{name:14s}" + "".join(cells), flush=True)
        print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
