"""The outcome of a two-sample test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verisimile.core.arrays import Array
from verisimile.core.result import register
from verisimile.stats.pvalues import PValue, Significance

__all__ = ["TwoSample"]


@register("two-sample", 1)
@dataclass(frozen=True, slots=True, eq=False)
class TwoSample:
    """One statistic of two samples, calibrated by draws of their null.

    Attributes
    ----------
    statistic
        Its name.
    observed
        Its value; large means different.
    p_value
        Share of draws at least as extreme, add-one, with its interval; its `null` says whether
        these are ``"relabelings"`` or ``"multipliers"``.
    null_mean, null_sd
        Mean and standard deviation of the draws' values.
    null
        Values of the draws ``(B,)``, in the same order for every statistic
        of one call on the same events: several of them may be combined on it.
    n_first, n_second
        Events of each sample.
    n_effective
        Their effective numbers, equal to those without weights and groups.
    coordinates
        Coordinates in which distances were taken.
    details
        What else the statistic says, by name.
    warnings
        What a reader must know.
    n_used
        Events of each sample that the statistic took.
    largest_share
        Largest share of one event, or group, in each sample.
    form
        What was computed instead of the statistic of unweighted events; empty if nothing.
    refusal
        Why the p-value makes no verdict; empty if it does.
    """

    statistic: str
    observed: float
    p_value: PValue
    null_mean: float
    null_sd: float
    null: Array
    n_first: int
    n_second: int
    n_effective: tuple[float, float]
    coordinates: str
    details: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    n_used: tuple[int, int] = (0, 0)
    largest_share: tuple[float, float] = (0.0, 0.0)
    form: str = ""
    refusal: str = ""

    def __repr__(self) -> str:
        """Return one line: statistic, value beside its null, p-value."""
        return (
            f"TwoSample({self.statistic}={self.observed:.4g}, "
            f"null {self.null_mean:.4g} ± {self.null_sd:.2g}, p={self.p_value.value:.4g}, "
            f"{self.n_first} against {self.n_second} events)"
        )

    @property
    def z(self) -> Significance:
        """The one-sided significance of the p-value, with its interval."""
        return self.p_value.significance
