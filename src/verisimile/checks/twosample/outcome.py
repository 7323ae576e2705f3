"""From values of the observed and of relabeled samples to a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.result import TwoSample
from verisimile.core.arrays import Array, frozen
from verisimile.samples.pool import Pool
from verisimile.stats.aggregate import min_p, smallest_p
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue
from verisimile.stats.sequential import besag_clifford

__all__ = ["Values", "judged", "tie_threshold"]

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


def judged(
    name: str,
    pool: Pool,
    values: Values,
    *,
    relabelings: int,
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
        else _single(values, pool.null, relabelings=relabelings, stop_after=stop_after)
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
    )


def tie_threshold(observed: Array, relabeled: Array) -> Array:
    """Return `observed` ``(J,)`` lowered by what rounding may have added."""
    few = relabeled[:_TIE_SAMPLE]
    spread = np.where(np.isfinite(few), few, np.nan)
    known = np.isfinite(spread).all(axis=0)
    width = np.where(known, np.std(np.where(known, spread, 0.0), axis=0), 0.0)
    return np.asarray(observed - _TIE * width - _ROUNDING * np.maximum(np.abs(observed), 1.0))


def _single(
    values: Values, name: str, *, relabelings: int, stop_after: int | None
) -> tuple[float, Array, PValue, dict[str, float]]:
    null = values.relabeled[:, 0]
    threshold = float(tie_threshold(values.observed, values.relabeled)[0])
    p_value = (
        Empirical(null, name).p_value(threshold)
        if stop_after is None
        else besag_clifford(threshold, null, stop_after=stop_after, maximum=relabelings, null=name)
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
