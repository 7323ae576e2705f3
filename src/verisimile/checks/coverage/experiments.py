"""Pseudo-experiments: estimates of all observables in many data sets, resumable in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from verisimile.checks.coverage.responses import Propagated
from verisimile.checks.coverage.summary import Outcomes
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import InputError, NumericsError, SupportError
from verisimile.core.random import Seeds
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record

__all__ = ["Experiment", "check_sizes", "run_experiments"]


Experiment = Callable[[Seeds], Sequence[Propagated]]
"""One pseudo-experiment: its random streams to one estimate per observable."""


def run_experiments(
    run: Run,
    experiment: Experiment,
    identity: Mapping[str, JSON],
    *,
    datasets: int,
    observables: int,
    chunk: int,
) -> Outcomes:
    """Return the estimates of `datasets` pseudo-experiments, each with its own random stream.

    Chunks are kept by the run.  A data set whose fit fails leaves NaN; anything else that
    fails says nothing about coverage, and ends the call.

    Raises
    ------
    NumericsError
        If data sets end in another error than a failed fit.
    IncompleteError
        If that was the machine's: the same call continues.
    """
    mode = str(identity["mode"])
    seeds = run.seeds.at("coverage", mode)
    key = _key(identity)
    tasks = [
        Task(
            address=f"coverage/{key}/{first:06d}-{min(first + chunk, datasets):06d}",
            config={**identity, "first": first, "count": min(chunk, datasets - first)},
            seeds=seeds,
            args=(experiment, observables, first, min(chunk, datasets - first)),
        )
        for first in range(0, datasets, chunk)
    ]
    found = run.map(_chunk, tasks, label="coverage")
    blocks = [
        np.asarray(outcome.arrays["estimates"]) for outcome in found if isinstance(outcome, Record)
    ]
    table = np.concatenate(blocks)
    return Outcomes(frozen(table[..., 0]), frozen(table[..., 1]), frozen(table[..., 2]))


def check_sizes(*, level: float, datasets: int, events: int) -> None:
    """Refuse impossible sizes.

    Raises
    ------
    InputError
        If the level is not in (0, 1), or there are fewer than two data sets or no events.
    """
    if not 0.0 < level < 1.0:
        raise InputError("level", got=level, expected="a probability content in (0, 1)")
    if datasets < 2:
        raise InputError("datasets", got=datasets, expected="two or more", remedy="Use 300.")
    if events < 1:
        raise InputError("events", got=events, expected="a positive number of events per data set")


def _chunk(
    seeds: Seeds, experiment: Experiment, observables: int, first: int, count: int
) -> Payload:
    rows = [
        _row(experiment, seeds.at(dataset), observables) for dataset in range(first, first + count)
    ]
    return Payload({"estimates": np.array(rows)}, {})


def _row(experiment: Experiment, seeds: Seeds, observables: int) -> Array:
    try:
        found = experiment(seeds)
    except (NumericsError, SupportError):
        # One failed fit must not cost its neighbours; it counts as not covered.
        return np.full((observables, 3), np.nan)
    return np.array([_numbers(item) for item in found])


def _numbers(item: Propagated) -> tuple[float, float, float]:
    usable = math.isfinite(item.value) and math.isfinite(item.error) and item.error > 0.0
    return (item.value, item.error, item.sampling) if usable else (math.nan,) * 3


def _key(identity: Mapping[str, JSON]) -> str:
    text = canonical(identity, "coverage").encode()
    return digest(np.frombuffer(text, dtype=np.uint8))[:16]
