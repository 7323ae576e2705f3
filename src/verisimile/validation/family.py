"""All p-values of a study together: Holm's adjusted ones, and one for everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verisimile.checks.twosample.outcome import tie_threshold
from verisimile.checks.twosample.result import TwoSample
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import PValue

__all__ = ["draw_groups", "global_p_value"]


def global_p_value(permuted: Sequence[TwoSample], others: Sequence[PValue]) -> PValue | None:
    r"""Return one p-value for all tests, None if there are none.

    K tests on common draws of the null are combined by the smallest of their p-values,
    recalibrated on these draws, which uses that they are correlated; L other
    p-values have equal shares of the error with them (Bonferroni):

    .. math:: p = \min\left(1,\ \frac{K+L}{K}\,p_{\min}, \ (K+L)\,\min_l p_l\right)

    Tests that relabel a part of the events have draws of their own, and are such a group by
    themselves for each number of events; multipliers are those of all events anywhere.

    It is never above the smallest of Holm's adjusted p-values, so that nothing is significant
    after Holm's correction where this is not.

    Parameters
    ----------
    permuted
        Results of two-sample tests of the same samples.
    others
        P-values of tests with nulls of their own.
    """
    total = len(permuted) + len(others)
    if not total:
        return None
    candidates = [_scaled(p, total) for p in others]
    candidates += [_scaled(_smallest(group), total / len(group)) for group in draw_groups(permuted)]
    return min(candidates, key=lambda p: p.value)


def draw_groups(permuted: Sequence[TwoSample]) -> tuple[tuple[TwoSample, ...], ...]:
    """Return the results in groups that have their draws of the null in common."""
    groups: dict[tuple[object, ...], list[TwoSample]] = {}
    for result in permuted:
        null = result.p_value.null
        used = result.n_used if null == "relabelings" else ()
        groups.setdefault((null, *used), []).append(result)
    return tuple(tuple(group) for group in groups.values())


def _smallest(permuted: Sequence[TwoSample]) -> PValue:
    observed = np.array([result.observed for result in permuted])
    null = np.stack([result.null for result in permuted], axis=1)
    return min_p(tie_threshold(observed, null), null, null=permuted[0].p_value.null).p_value


def _scaled(p: PValue, factor: float) -> PValue:
    return PValue(
        value=min(1.0, factor * p.value),
        low=min(1.0, factor * p.low),
        high=min(1.0, factor * p.high),
        null=p.null,
        n_null=p.n_null,
        n_failed=p.n_failed,
    )
