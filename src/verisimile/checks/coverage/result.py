"""Pseudo-experiments in many data sets, resumable in chunks, and the coverage that they show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from verisimile.checks.coverage.responses import ObservableEstimate
from verisimile.core.arrays import Array, digest, frozen, require_fraction
from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import InputError, NumericsError, SupportError, require_at_least
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.stats.intervals import clopper_pearson, wilson

CONDITIONAL = "conditional"
RETRAINED = "retrained"
INTERVAL_LEVEL = 0.95
_COARSE_TRUTH = 0.1  # in units of the mean claimed error
_COARSE_DRAWS = 0.02  # share of the claimed variance: a common offset of 0.14 sigma


@register("observable-coverage", 1)
@dataclass(frozen=True, slots=True)
class ObservableCoverage(Result):
    r"""How often intervals on one observable contained its true value.

    Attributes
    ----------
    truth, truth_error
        True value, and its error if it was estimated (not part of the pulls).
    covered, trials, failed
        Data sets whose interval contains the truth, all data sets, and those
        without a converged fit, which count as not covered.
    rate, low, high
        covered / trials with its exact (Clopper-Pearson) interval.
    wilson_low, wilson_high
        The score interval on the same rate.
    pull_mean, pull_mean_error, pull_width, pull_width_error
        Moments of (estimate - truth) / error over finished data sets.
    bias
        Mean estimate minus truth.
    spread, mean_error
        Standard deviation of the estimates, and the mean of their claimed errors.
    sampling_share
        Mean part of the claimed variance that comes from the members' finite draws.
    """

    name: str
    truth: float
    truth_error: float
    covered: int
    trials: int
    failed: int
    rate: float
    low: float
    high: float
    wilson_low: float
    wilson_high: float
    pull_mean: float
    pull_mean_error: float
    pull_width: float
    pull_width_error: float
    bias: float
    spread: float
    mean_error: float
    sampling_share: float

    def __repr__(self) -> str:
        """Return one line: rate with interval, pull."""
        return (
            f"ObservableCoverage({self.name}: {self.rate:.4f} [{self.low:.4f}, {self.high:.4f}], "
            f"pull {self.pull_mean:+.3f} ± {self.pull_width:.3f})"
        )


@register("coverage", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Coverage(Result):
    """Coverage of intervals at a nominal level, by observable.

    Attributes
    ----------
    mode
        ``"conditional"`` (members fixed, weights refitted) or ``"retrained"``
        (members and weights made anew in every data set).
    level
        Nominal probability content of the intervals under study.
    interval_level
        Confidence level of the intervals on the rates.
    datasets, n_events
        Number of pseudo-experiments, and events in each of them.
    pulls
        (estimate - truth) / error, ``(datasets, observables)``; NaN marks a failed fit.
    """

    mode: str
    level: float
    interval_level: float
    datasets: int
    n_events: int
    observables: tuple[ObservableCoverage, ...]
    pulls: Array
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("observables",)

    def __repr__(self) -> str:
        """Return one line: mode and rates."""
        rates = ", ".join(f"{item.name} {item.rate:.4f}" for item in self.observables)
        return (
            f"Coverage({self.mode}, nominal {self.level:.4f}, {self.datasets} data sets: {rates})"
        )

    def named(self, name: str) -> ObservableCoverage:
        """Return the entry of one observable."""
        for item in self.observables:
            if item.name == name:
                return item
        names = [item.name for item in self.observables]
        raise InputError("observable", got=repr(name), expected=f"one of {names}")


Experiment = Callable[[Seeds], Sequence[ObservableEstimate]]
"""One pseudo-experiment: its random streams to one estimate per observable."""


def run_experiments(  # noqa: PLR0913  (what to do, and how to count it)
    run: Run,
    experiment: Experiment,
    identity: Mapping[str, JSON],
    truths: Mapping[str, Estimate],
    *,
    level: float,
    datasets: int,
    chunk: int,
    notes: Sequence[str] = (),
) -> Coverage:
    """Return the coverage in `datasets` pseudo-experiments, each with its own random stream.

    The run keeps `chunk` of them in a record.  A data set whose fit fails leaves NaN; any
    other failure says nothing about coverage, and ends the call.

    Parameters
    ----------
    run, level, datasets
        As for :func:`~verisimile.checks.coverage.conditional.coverage`.
    experiment
        What is done in a data set.
    identity
        All that determines the outcome, apart from the seeds; with ``mode`` and ``events``.
    truths
        True values by the observables' names.
    chunk, notes
        Data sets in a record; what a reader must know beside the counts.
    """
    mode, n_events = str(identity["mode"]), int(str(identity["events"]))
    text = canonical(identity, "coverage").encode()
    key = digest(np.frombuffer(text, dtype=np.uint8))[:16]
    tasks = [
        Task(
            address=f"coverage/{key}/{first:06d}-{min(first + chunk, datasets):06d}",
            config={**identity, "first": first, "count": min(chunk, datasets - first)},
            seeds=run.seeds.at("coverage", mode),
            args=(experiment, len(truths), range(first, min(first + chunk, datasets))),
        )
        for first in range(0, datasets, chunk)
    ]
    found = run.map(_chunk, tasks, label="coverage", small=True)
    table = np.concatenate([
        np.asarray(each.arrays["estimates"]) for each in found if isinstance(each, Record)
    ])  # fmt: skip
    outcomes = Outcomes(frozen(table[..., 0]), frozen(table[..., 1]), frozen(table[..., 2]))
    values = list(truths.values())
    return summarise(
        outcomes, list(truths), values, mode=mode, level=level, n_events=n_events, notes=notes
    )


def check_sizes(*, level: float, datasets: int, events: int) -> None:
    """Refuse impossible sizes of a study."""
    require_fraction(level, "level")
    require_at_least(2, datasets, "datasets", remedy="Use 300.")
    require_at_least(1, events, "events", what="events per data set")


def _chunk(seeds: Seeds, experiment: Experiment, observables: int, datasets: range) -> Payload:
    rows = [_row(experiment, seeds.at(dataset), observables) for dataset in datasets]
    return Payload({"estimates": np.array(rows)}, {})


def _row(experiment: Experiment, seeds: Seeds, observables: int) -> Array:
    try:
        found = experiment(seeds)
    except (NumericsError, SupportError):
        # One failed fit must not cost its neighbours; it counts as not covered.
        return np.full((observables, 3), np.nan)
    row = np.array([(item.value, item.error, item.sampling) for item in found])
    usable = np.isfinite(row[:, :2]).all(axis=1) & (row[:, 1] > 0.0)
    return np.where(usable[:, None], row, np.nan)


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
    notes: Sequence[str] = (),
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
        warnings=(*(note for entry in entries for note in _notes(entry)), *notes),
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
