"""The outcome of a coverage study."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import register

CONDITIONAL = "conditional"
RETRAINED = "retrained"


@register("observable-coverage", 1)
@dataclass(frozen=True, slots=True)
class ObservableCoverage:
    r"""How often intervals on one observable contained its true value.

    Attributes
    ----------
    name
        Name of the observable.
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
class Coverage:
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
    observables
        One entry per observable.
    pulls
        (estimate - truth) / error, ``(datasets, observables)``; NaN marks a failed fit.
    warnings
        What a reader must know.
    """

    mode: str
    level: float
    interval_level: float
    datasets: int
    n_events: int
    observables: tuple[ObservableCoverage, ...]
    pulls: Array
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return one line: mode and rates."""
        rates = ", ".join(f"{item.name} {item.rate:.4f}" for item in self.observables)
        return (
            f"Coverage({self.mode}, nominal {self.level:.4f}, {self.datasets} data sets: {rates})"
        )

    def named(self, name: str) -> ObservableCoverage:
        """Return the entry of one observable.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        for item in self.observables:
            if item.name == name:
                return item
        names = [item.name for item in self.observables]
        raise InputError("observable", got=repr(name), expected=f"one of {names}")
