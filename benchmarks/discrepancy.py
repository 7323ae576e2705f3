"""Seconds of the fit of a discrepancy, beside the weight fit and a boosted classifier.

20 members of four features; densities at events and draws are had before the clock starts.  The
peer is what would else be asked how a mixture differs from its events: scikit-learn's
``HistGradientBoostingClassifier`` on the same events against as many draws.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.fit import Discrepancy, Reference, fit_discrepancy
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.law import WeightLaw

MEMBERS, D = 20, 4
FEATURES = tuple(Feature(f"x{j}") for j in range(D))


def log_densities(x: Array, centres: Array) -> Array:
    """Return log-densities ``(n, M)`` of normal members."""
    return np.column_stack([stats.norm.logpdf(x, c).sum(axis=1) for c in centres])


def events(n: int, rng: np.random.Generator) -> Array:
    """Return events with tails that no member has."""
    return rng.standard_t(8, (n, D))


def timed(n: int) -> tuple[float, float, float, int]:
    """Return CPU seconds of discrepancy, weight fit and classifier, and the reference events."""
    rng = np.random.default_rng(1)
    centres = rng.normal(0.0, 0.15, (MEMBERS, D))
    x = events(n, rng)
    logf = log_densities(x, centres)
    start = time.process_time()
    fit = fit_weights(logf)
    weights = time.process_time() - start
    settings = Discrepancy()
    size = settings.reference_size(n, D)
    draws = centres[rng.integers(MEMBERS, size=size)] + rng.normal(size=(size, D))
    at_draws = log_densities(draws, centres)
    start = time.process_time()
    reference = Reference.of(WeightLaw.of(fit), FEATURES, draws, at_draws, settings.cap)
    fit_discrepancy(reference, x, logf, None, settings, Seeds(1))
    learnt = time.process_time() - start
    start = time.process_time()
    both, labels = np.vstack([x, draws[:n]]), np.repeat([0, 1], [n, min(n, size)])
    HistGradientBoostingClassifier().fit(both, labels)
    return learnt, weights, time.process_time() - start, size


def main() -> None:
    """Print one line per number of events."""
    for n in (1000, 5000, 20_000, 80_000):
        learnt, weights, peer, size = timed(n)
        ratio = learnt / peer
        print(
            f"{n:6d} events, {size:6d} draws: discrepancy {learnt:.1f} s, weights {weights:.2f} s",
            f"classifier {peer:.1f} s (discrepancy / classifier {ratio:.1f})",
            sep=", ",
            flush=True,
        )


if __name__ == "__main__":
    main()
