"""Toys of the profile test: fresh pseudo-experiments, one random stream each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from verisimile.checks.goodness.calibration import Calibration
from verisimile.checks.goodness.profile import Hypothesis, Profile, Rows
from verisimile.checks.goodness.setup import Setup
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record
from verisimile.mixture.sampling import sample_signed

__all__ = ["throw_toys"]

_CHUNK = 10  # toys per stored record; each toy has its own stream, so this changes no number
_MAX_FAILED = 0.1


def throw_toys(
    run: Run,
    setup: Setup,
    calibration: Calibration,
    hypotheses: Sequence[Hypothesis],
    *,
    events: int,
    toys: int,
) -> Array:
    """Return the statistics ``(B, H)`` of `toys` pseudo-experiments under several hypotheses.

    All hypotheses see the same pseudo-data.  Chunks are kept by the run, so
    that more toys, another test sample of the same size or an interrupted run
    reuse what is there.  A chunk that failed leaves NaN, which counts as extreme.

    Raises
    ------
    NumericsError
        If more than a tenth of the chunks failed.
    """
    identity = _identity(setup, calibration, hypotheses, events)
    key = digest(np.frombuffer(repr(sorted(identity.items())).encode(), dtype=np.uint8))[:16]
    seeds = run.seeds.at("toys", calibration.name)
    tasks = [
        Task(
            address=f"toys/{key}/{first:06d}-{min(first + _CHUNK, toys):06d}",
            config={**identity, "first": first, "count": min(_CHUNK, toys - first)},
            seeds=seeds,
            args=(setup, calibration, tuple(hypotheses), events, first, min(_CHUNK, toys - first)),
        )
        for first in range(0, toys, _CHUNK)
    ]
    outcomes = run.map(_throw_chunk, tasks, label="toys", max_failed=_MAX_FAILED)
    blocks = []
    for task, outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, Record):
            blocks.append(np.asarray(outcome.arrays["statistic"]))
        else:
            blocks.append(np.full((task.args[-1], len(hypotheses)), np.nan))
    return frozen(np.concatenate(blocks))


def _throw_chunk(
    seeds: Seeds,
    setup: Setup,
    calibration: Calibration,
    hypotheses: tuple[Hypothesis, ...],
    events: int,
    first: int,
    count: int,
) -> Payload:
    profiles = [
        _throw(seeds.at(toy).numpy(), setup, calibration, hypotheses, events)
        for toy in range(first, first + count)
    ]
    return Payload(
        {
            "statistic": np.array([[p.statistic for p in toy] for toy in profiles]),
            "gap": np.array([[p.gap for p in toy] for toy in profiles]),
            "iterations": np.array([[p.iterations for p in toy] for toy in profiles]),
        },
        {"hypotheses": [h.name for h in hypotheses]},
    )


def _throw(
    rng: np.random.Generator,
    setup: Setup,
    calibration: Calibration,
    hypotheses: tuple[Hypothesis, ...],
    events: int,
) -> list[Profile]:
    truth, centre = calibration.draw(setup.basis.variations.shape[1], rng)
    weights = setup.basis.weights + setup.basis.variations @ truth
    sample = sample_signed(setup.members, weights, events, rng)
    rows = setup.rows(sample.x, sample.log_densities)
    return [_profile_or_nan(setup, rows, hypothesis, centre) for hypothesis in hypotheses]


def _profile_or_nan(setup: Setup, rows: Rows, hypothesis: Hypothesis, centre: Array) -> Profile:
    try:
        return setup.profile(rows, hypothesis, centre)
    except NumericsError:
        # One toy without a statistic must not cost its nine neighbours; it is
        # counted as extreme.
        nan = np.full(centre.shape, np.nan)
        v = setup.basis.directions.shape[1]
        return Profile(np.nan, np.inf, nan, nan, np.full(v, np.nan), 0)


def _identity(
    setup: Setup, calibration: Calibration, hypotheses: Sequence[Hypothesis], events: int
) -> dict[str, str | int | float | list[str]]:
    basis = setup.basis
    return {
        "basis": digest(basis.weights, basis.variations, basis.directions),
        "barrier": digest(setup.barrier.base, setup.barrier.design),
        "barrier_weight": setup.barrier_weight,
        "ridge": basis.ridge,
        "kernels": setup.kernels.digest,
        "solver": repr(asdict(setup.solver)),
        "calibration": calibration.name,
        "hypotheses": [h.name for h in hypotheses],
        "events": events,
    }
