"""Toys of the profile test: fresh pseudo-experiments, one random stream each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.calibration import Calibration
from verisimile.checks.goodness.null_model import Null
from verisimile.checks.goodness.profile import Hypothesis
from verisimile.checks.goodness.setup import Fits, Setup
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record

__all__ = ["Contest", "throw_toys"]

_CHUNK = 10  # toys per stored record; each toy has its own stream, so this changes no number
_WAVE = 5  # chunks between two looks at whether more toys are needed
_MAX_FAILED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Everything that determines the statistics of a toy.

    Attributes
    ----------
    null
        The model that toys are drawn from.
    setups
        A alternatives, placed on it.
    calibration
        How the truth of a toy relates to the fitted weights.
    hypotheses
        H null hypotheses.
    events
        n, events of a toy.
    """

    null: Null
    setups: tuple[Setup, ...]
    calibration: Calibration
    hypotheses: tuple[Hypothesis, ...]
    events: int

    @property
    def shape(self) -> tuple[int, int]:
        """(A, H)."""
        return len(self.setups), len(self.hypotheses)

    def identity(self) -> dict[str, JSON]:
        """Return what determines a toy, beside its random stream."""
        return {
            "null": self.null.identity(),
            "alternatives": [setup.identity() for setup in self.setups],
            "calibration": self.calibration.name,
            "hypotheses": [hypothesis.name for hypothesis in self.hypotheses],
            "events": self.events,
        }


def throw_toys(
    run: Run,
    contest: Contest,
    toys: int,
    *,
    enough: Callable[[Array], bool] | None = None,
) -> Array:
    """Return the statistics ``(B, A, H)`` of pseudo-experiments.

    All alternatives and hypotheses see the same pseudo-data.  Chunks are kept by
    the run, so that more toys, another test sample of the same size or an
    interrupted run reuse what is there.  A chunk that failed leaves NaN, which
    counts as extreme.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    contest
        What the toys are.
    toys
        Number of toys, or the most if `enough` ends them earlier.
    enough
        Told all statistics so far, says whether to stop.

    Raises
    ------
    NumericsError
        If more than a tenth of the chunks failed.
    """
    identity = contest.identity()
    key = digest(np.frombuffer(canonical(identity).encode(), dtype=np.uint8))[:16]
    seeds = run.seeds.at("toys", contest.calibration.name)
    tasks = [
        Task(
            address=f"toys/{key}/{first:06d}-{min(first + _CHUNK, toys):06d}",
            config={**identity, "first": first, "count": min(_CHUNK, toys - first)},
            seeds=seeds,
            args=(contest, first, min(_CHUNK, toys - first)),
        )
        for first in range(0, toys, _CHUNK)
    ]
    wave = len(tasks) if enough is None else _WAVE
    found = np.empty((0, *contest.shape))
    for start in range(0, len(tasks), wave):
        found = np.concatenate([found, _thrown(run, tasks[start : start + wave], contest.shape)])
        if enough is not None and enough(found):
            break
    return frozen(found)


def _thrown(run: Run, tasks: Sequence[Task], shape: tuple[int, int]) -> Array:
    outcomes = run.map(_throw_chunk, tasks, label="toys", schema=2, max_failed=_MAX_FAILED)
    blocks = [
        np.asarray(outcome.arrays["statistic"])
        if isinstance(outcome, Record)
        else np.full((task.args[-1], *shape), np.nan)
        for task, outcome in zip(tasks, outcomes, strict=True)
    ]
    return np.concatenate(blocks)


def _throw_chunk(seeds: Seeds, contest: Contest, first: int, count: int) -> Payload:
    # One matrix (A, H) of (statistic, gap, iterations) per toy.
    made = np.array(
        [_throw(seeds.at(toy).numpy(), contest) for toy in range(first, first + count)]
    ).reshape(count, *contest.shape, 3)
    return Payload(
        {"statistic": made[..., 0], "gap": made[..., 1], "iterations": made[..., 2]},
        {"hypotheses": [hypothesis.name for hypothesis in contest.hypotheses]},
    )


def _throw(rng: np.random.Generator, contest: Contest) -> list[list[tuple[float, float, int]]]:
    null = contest.null
    truth, centre = contest.calibration.draw(null.variations.shape[1], rng)
    sample = null.sample(truth, contest.events, rng)
    table = []
    for setup in contest.setups:
        fits = setup.observe(sample.x, sample.log_densities)
        table.append([_outcome(fits, hypothesis, centre) for hypothesis in contest.hypotheses])
    return table


def _outcome(fits: Fits, hypothesis: Hypothesis, centre: Array) -> tuple[float, float, int]:
    try:
        profile = fits.profile(hypothesis, centre)
    except NumericsError:
        # One toy without a statistic must not cost its nine neighbours; it is
        # counted as extreme.
        return np.nan, np.inf, 0
    return profile.statistic, profile.gap, profile.iterations
