"""Generators whose amplification along a condition is known in every bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import verisimile as vs
from verisimile.checks.amplification.conditional import ConditionalAmplification
from verisimile.core.arrays import Array

GAINS = (0.5, 1.0, 2.0, 5.0, np.inf)
_CELLS = np.arange(1, 10) / 10.0
_SIZE = _CELLS.size + 1


def pseudo_experiment(
    seed: int, *, levels: Sequence[float], gains: Sequence[float] = GAINS, trainings: int = 1
) -> tuple[ConditionalAmplification, Array]:
    """Return what is measured, and the true 1/G of each bin.

    In bin b the generator has the contents of ten cells of x that so many true events have:
    `gains` times the 400 training events of the bin, or of a generator without error.  Of one
    training the truth is that of this generator, of several that of the procedure.
    """
    rng, bins = np.random.default_rng([71, seed]), len(gains)
    per_bin, n_generated, n_holdout = 400, 4000, 5000
    contents = [[_contents(gain * per_bin, rng) for gain in gains] for _ in range(trainings)]
    generated = [_events(each, n_generated, rng) for each in contents]
    holdout = _events([np.full(_SIZE, 1.0 / _SIZE)] * bins, n_holdout // bins, rng)
    found = vs.amplification.conditional(
        vs.Run(vs.Seeds(seed)),
        generated,
        holdout,
        "c",
        n_train=per_bin * bins,
        bins=tuple(range(1, bins)),
        regions=vs.amplification.product_regions([_CELLS]),
        levels=levels,
    )
    if trainings > 1:
        return found, 1.0 / np.array(gains)
    squared = ((np.array(contents[0]) - 1.0 / _SIZE) ** 2).sum(axis=1)
    return found, per_bin * squared / (1.0 - 1.0 / _SIZE)


def _contents(size: float, rng: np.random.Generator) -> Array:
    even = np.full(_SIZE, 1.0 / _SIZE)
    return even if np.isinf(size) else rng.multinomial(round(size), even) / round(size)


def _events(contents: Sequence[Array], n: int, rng: np.random.Generator) -> vs.Events:
    x = [(rng.choice(_SIZE, n, p=each) + rng.random(n)) / _SIZE for each in contents]
    c = [number + rng.random(n) for number in range(len(contents))]
    return vs.Events(np.column_stack([np.concatenate(x), np.concatenate(c)]), names=["x", "c"])


def within(ends: tuple[Array, Array], truth: Array) -> bool:
    """Return whether all bins lie in a band."""
    return bool(((ends[0] <= truth) & (truth <= ends[1])).all())


def pointwise(found: ConditionalAmplification, level: float) -> tuple[Array, Array]:
    """Return the defective twin: intervals of single bins, as if they held together."""
    ends = [(each.interval(level).low, each.interval(level).high) for each in found.points]
    low, high = np.array(ends).T
    return low, high
