"""The outcome of a two-sample test, from values of observed and of relabeled samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.result import Result, register
from verisimile.samples.pool import Pool
from verisimile.stats.aggregate import min_p, smallest_p
from verisimile.stats.pvalues import Empirical, PValue, Significance, besag_clifford


@register("two-sample", 1)
@dataclass(frozen=True, slots=True, eq=False)
class TwoSample(Result):
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
    columns
        Names of the columns that min-p combined; empty for a single number.
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
    columns: tuple[str, ...] = ()

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


_TIE = 1e-6  # standard deviations of the null
_ROUNDING = 1e-12  # of sums of up to 1e9 terms of order one, where the null does not vary
_TIE_SAMPLE = 50  # the same relabelings, wherever a sequential search ends


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """What was computed: the observed row ``(J,)``, that of the draws ``(B, J)``, their names.

    `form` says what is computed instead of the statistic of unweighted events, if anything.
    """

    observed: Array
    relabeled: Array
    columns: tuple[str, ...]
    details: Mapping[str, float]
    form: str = ""


def judge(
    name: str,
    pool: Pool,
    values: Values,
    *,
    permutations: int,
    stop_after: int | None,
    whole: Pool,
) -> TwoSample:
    """Return the result of one statistic on a pool that may have been thinned from the whole.

    Draws within a millionth of a null standard deviation (and 1e-12 of
    one or of the value) of the observed value tie with it, and count: their sums
    differ by rounding alone.
    """
    observed, null, p_value, details = (
        _combined(values, pool.null)
        if values.columns
        else _single(values, pool.null, permutations=permutations, stop_after=stop_after)
    )
    used = null[: p_value.n_null]
    finite = used[np.isfinite(used)]
    return TwoSample(
        statistic=name,
        observed=observed,
        p_value=p_value,
        null_mean=float(finite.mean()) if finite.size else np.nan,
        null_sd=float(finite.std(ddof=1)) if finite.size > 1 else np.nan,
        null=frozen(used),
        n_first=whole.sizes[0],
        n_second=whole.sizes[1],
        n_effective=whole.n_effective,
        coordinates=pool.coordinates,
        details=details,
        warnings=pool.warnings,
        n_used=pool.sizes,
        largest_share=whole.largest_share,
        form=values.form,
        refusal=pool.refusal,
        columns=values.columns,
    )


def tie_threshold(observed: Array, relabeled: Array) -> Array:
    """Return `observed` ``(J,)`` lowered by what rounding may have added."""
    few = relabeled[:_TIE_SAMPLE]
    spread = np.where(np.isfinite(few), few, np.nan)
    known = np.isfinite(spread).all(axis=0)
    width = np.where(known, np.std(np.where(known, spread, 0.0), axis=0), 0.0)
    return np.asarray(observed - _TIE * width - _ROUNDING * np.maximum(np.abs(observed), 1.0))


def _single(
    values: Values, name: str, *, permutations: int, stop_after: int | None
) -> tuple[float, Array, PValue, dict[str, float]]:
    null = values.relabeled[:, 0]
    threshold = float(tie_threshold(values.observed, values.relabeled)[0])
    p_value = (
        Empirical(null, name).p_value(threshold)
        if stop_after is None
        else besag_clifford(threshold, null, stop_after=stop_after, maximum=permutations, null=name)
    )
    return float(values.observed[0]), null, p_value, dict(values.details)


def _combined(values: Values, name: str) -> tuple[float, Array, PValue, dict[str, float]]:
    threshold = tie_threshold(values.observed, values.relabeled)
    found = min_p(threshold, values.relabeled, null=name)
    statistic = -np.log(smallest_p(threshold, values.relabeled))
    each = {
        f"p, {column}": p_value.value
        for column, p_value in zip(values.columns, found.columns, strict=True)
    }
    return float(statistic[0]), statistic[1:], found.p_value, {**values.details, **each}
