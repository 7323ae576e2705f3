"""Pseudo-experiments of the two-sample test; a module of its own for worker processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.checks.twosample.permutation import Exchangeable, permutation_test
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

RELABELINGS = 99


def p_values(
    seeds: Seeds,
    statistics: Sequence[Statistic],
    experiments: int,
    *,
    sizes: tuple[int, int] = (40, 60),
    shift: float = 0.0,
    kind: str = "none",
    stop_after: int | None = None,
) -> tuple[Array, Array]:
    """Return add-one and spread p-values, both ``(experiments, statistics)``.

    `shift` moves both features of the second sample.  Features are a normal one
    and one rounded to tenths.  `kind` is ``none``, ``both`` or ``one``: which
    samples are weighted; a weighted sample is drawn wider and reweighted.  Weights of both
    are of one law, and declared to be.
    """
    found = []
    for experiment in range(experiments):
        at = seeds.at(experiment)
        first, second = _pair(at.numpy(), sizes, shift, kind)
        draws = Exchangeable(RELABELINGS) if kind == "both" else RELABELINGS
        results = permutation_test(
            Run(at), first, second, statistics, permutations=draws, stop_after=stop_after
        )
        spread = at.at("spread").numpy()
        found.append([(result.p_value.value, spread_p(result, spread)) for result in results])
    table = np.array(found)
    return table[..., 0], table[..., 1]


def spread_p(result: TwoSample, rng: np.random.Generator) -> float:
    """Return the p-value with ties broken at random, uniform under the null for any statistic."""
    width = 1e-6 * result.null_sd
    above = (result.null > result.observed + width).sum()
    tied = (np.abs(result.null - result.observed) <= width).sum()
    return float((above + rng.random() * (tied + 1)) / (result.null.size + 1))


def _pair(
    rng: np.random.Generator, sizes: tuple[int, int], shift: float, kind: str
) -> tuple[Events, Events]:
    first = _sample(rng, sizes[0], 0.0, weighted=kind == "both")
    return first, _sample(rng, sizes[1], shift, weighted=kind != "none")


def _sample(rng: np.random.Generator, n: int, shift: float, *, weighted: bool) -> Events:
    z = rng.normal(size=(n, 2)) * (1.3 if weighted else 1.0)
    weights = np.exp(-0.5 * (z**2).sum(axis=1) * (1 - 1 / 1.69)) if weighted else None
    x = z + shift
    x[:, 1] = np.round(x[:, 1], 1)
    return Events(x, weights)
