"""Pseudo-experiments: estimates of all observables in many data sets, resumable in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.checks.coverage.responses import Propagated
from verisimile.checks.coverage.result import Coverage, ObservableCoverage
from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON, canonical
from verisimile.core.dispatch import Task
from verisimile.core.errors import InputError, NumericsError, SupportError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.stats.intervals import clopper_pearson, wilson

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


INTERVAL_LEVEL = 0.95
_COARSE_TRUTH = 0.1  # in units of the mean claimed error
_COARSE_DRAWS = 0.02  # share of the claimed variance: a common offset of 0.14 sigma


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Estimates, errors and Monte-Carlo variances ``(datasets, observables)``; NaN: failed."""

    values: Array
    errors: Array
    sampling: Array


def summarise(
    outcomes: Outcomes,
    names: Sequence[str],
    truths: Sequence[Estimate],
    *,
    mode: str,
    level: float,
    n_events: int,
) -> Coverage:
    r"""Return the coverage of :math:`|\hat O - O| \le z \sigma`, ``z`` of the nominal `level`."""
    centre = np.array([truth.value for truth in truths])
    with np.errstate(divide="ignore", invalid="ignore"):
        pulls = (outcomes.values - centre) / outcomes.errors
    pulls[~np.isfinite(pulls)] = np.nan
    reach = float(stats.norm.isf(0.5 * (1.0 - level)))
    entries = tuple(
        _entry(name, truth, outcomes, pulls, column, reach)
        for column, (name, truth) in enumerate(zip(names, truths, strict=True))
    )
    return Coverage(
        mode=mode,
        level=level,
        interval_level=INTERVAL_LEVEL,
        datasets=pulls.shape[0],
        n_events=n_events,
        observables=entries,
        pulls=frozen(pulls),
        warnings=tuple(note for entry in entries for note in _notes(entry)),
    )


def _entry(
    name: str, truth: Estimate, outcomes: Outcomes, pulls: Array, column: int, reach: float
) -> ObservableCoverage:
    pull = pulls[:, column]
    done = np.isfinite(pull)
    covered, trials = int((np.abs(pull[done]) <= reach).sum()), pull.size
    values, errors = outcomes.values[done, column], outcomes.errors[done, column]
    low, high = clopper_pearson(covered, trials, level=INTERVAL_LEVEL)
    wilson_low, wilson_high = wilson(covered, trials, level=INTERVAL_LEVEL)
    mean, width = _mean(pull[done]), _width(pull[done])
    count = max(int(done.sum()), 1)
    return ObservableCoverage(
        name=name,
        truth=truth.value,
        truth_error=truth.error,
        covered=covered,
        trials=trials,
        failed=trials - int(done.sum()),
        rate=covered / trials,
        low=low,
        high=high,
        wilson_low=wilson_low,
        wilson_high=wilson_high,
        pull_mean=mean,
        pull_mean_error=width / math.sqrt(count),
        pull_width=width,
        pull_width_error=width / math.sqrt(2.0 * max(count - 1, 1)),
        bias=_mean(values) - truth.value,
        spread=_width(values),
        mean_error=_mean(errors),
        sampling_share=_mean(outcomes.sampling[done, column] / errors**2),
    )


def _notes(entry: ObservableCoverage) -> list[str]:
    notes = []
    if entry.failed:
        notes.append(
            f"{entry.name}: {entry.failed} of {entry.trials} data sets have no converged fit; "
            "they count as not covered."
        )
    if entry.truth_error > _COARSE_TRUTH * entry.mean_error:
        notes.append(
            f"{entry.name}: the true value is estimated to {entry.truth_error:.2g}, not small "
            f"against the claimed error {entry.mean_error:.2g}: give it by KnownTruth."
        )
    if entry.sampling_share > _COARSE_DRAWS:
        notes.append(
            f"{entry.name}: {entry.sampling_share:.0%} of the claimed variance comes from the "
            "members' finite draws; with given members all data sets share that offset."
        )
    return notes


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else math.nan


def _width(values: Array) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else math.nan
