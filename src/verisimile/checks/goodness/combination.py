"""Several statistics of one data set made into one, alike for data and toys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from verisimile.core.arrays import Array

__all__ = ["Combination", "SmallestP", "SumOfStatistics", "smallest_p"]


class Combination(Protocol):
    """Turns J statistics of the data and of B toys into one each.

    Data and toys are treated alike, so that under the null they stay
    exchangeable and the p-value of the combined statistic is valid, whatever
    the dependence between the J.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""

    def __call__(self, table: Array) -> Array:
        """Return the combined statistics ``(1 + B,)`` of a table ``(J, 1 + B)``, data first.

        NaN marks a data set without one.
        """


@dataclass(frozen=True, slots=True)
class SumOfStatistics:
    r"""The sum, :math:`\sum_j t_j`: for a deviation spread over many bins."""

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "sum"

    def __call__(self, table: Array) -> Array:
        """Return the sums ``(1 + B,)``."""
        return np.asarray(table.sum(axis=0))


@dataclass(frozen=True, slots=True)
class SmallestP:
    r"""The smallest p-value, :math:`-\log \min_j p_j`: for a deviation in one bin among many."""

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "-log min p"

    def __call__(self, table: Array) -> Array:
        """Return minus the logarithm of the smallest p-value of each data set ``(1 + B,)``."""
        return smallest_p(table)


def smallest_p(table: Array) -> Array:
    r"""Return :math:`-\log \min_j p_j` of each data set ``(1 + B,)``.

    Data and toys are ranked together, statistic by statistic, so that under
    the null they are exchangeable and a second ranking is exact.

    Parameters
    ----------
    table
        Statistics ``(J, 1 + B)``, not finite where a fit failed.
    """
    failed = ~np.isfinite(table)
    filled = np.where(failed, np.inf, table)
    exceeded = filled.shape[1] - np.array([stats.rankdata(row, "min") - 1.0 for row in filled])
    smallest = -np.log(exceeded.min(axis=0) / filled.shape[1])
    smallest[failed.any(axis=0)] = np.nan  # counts as extreme, and is counted
    return np.asarray(smallest)
