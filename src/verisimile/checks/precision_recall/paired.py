"""The published comparison of two ensembles: a paired t-test at each recall, and its flaw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import register

__all__ = ["PairedTests", "paired_tests"]

_PAIRINGS = 200
_LABEL = (
    "published, not calibrated: members of two ensembles have no partners, and a thousand "
    "tests are not corrected for their number"
)


@register("precision-recall-paired", 1)
@dataclass(frozen=True, slots=True, eq=False)
class PairedTests:
    """Share of the recall grid where a paired t-test of precision is below a level.

    Attributes
    ----------
    fraction
        The published number.
    fraction_range
        5 % and 95 % quantile of that number over random pairings of the same curves.
    p
        P-value at each recall ``(G,)``; one where precisions agree.
    level
        0.05.
    label
        What a reader must know.
    """

    fraction: float
    fraction_range: tuple[float, float]
    p: Array
    level: float
    label: str = _LABEL


def paired_tests(seeds: Seeds, first: Array, second: Array, *, level: float = 0.05) -> PairedTests:
    """Return paired t-tests of precisions ``(J, G)`` at each recall.

    For comparison with published numbers only: use the max-T test.

    Raises
    ------
    InputError
        If the groups have different sizes.

    References
    ----------
    G. Morales et al., "Towards uncertainty quantification in generative model learning",
    section 4.
    """
    if first.shape != second.shape:
        raise InputError(
            "paired t-test",
            got=f"{len(first)} and {len(second)} curves",
            expected="as many in both groups",
            remedy="Leave it out: the max-T test needs no pairs.",
        )
    rng = seeds.numpy()
    p = _paired(first, second)
    others = [
        float((_paired(first, rng.permutation(second, axis=0)) < level).mean())
        for _ in range(_PAIRINGS)
    ]
    low, high = np.quantile(others, [0.05, 0.95])
    return PairedTests(float((p < level).mean()), (float(low), float(high)), p, level)


def _paired(first: Array, second: Array) -> Array:
    gaps = first - second
    count = len(gaps)
    mean, error = gaps.mean(axis=0), gaps.std(axis=0, ddof=1) / np.sqrt(count)
    t = np.divide(np.abs(mean), error, out=np.full_like(mean, np.inf), where=error > 0.0)
    t[mean == 0.0] = 0.0
    return np.asarray(2.0 * stats.t.sf(t, count - 1))
