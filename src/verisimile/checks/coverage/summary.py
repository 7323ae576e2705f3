"""From estimates and errors of many data sets to coverage, pulls, bias and spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.checks.coverage.result import Coverage, ObservableCoverage
from verisimile.core.arrays import Array, frozen
from verisimile.core.result import Estimate
from verisimile.stats.intervals import clopper_pearson, wilson

__all__ = ["INTERVAL_LEVEL", "Outcomes", "summarise"]

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
