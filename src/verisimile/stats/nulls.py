"""Null distributions of a test statistic behind one face: ``p_value(observed)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray
from verisimile.stats.pvalues import PValue, add_one


def matches(observed: npt.ArrayLike, toys: Array) -> BoolArray:
    """Return which toys are at least as extreme as the observation, in the shape of `toys`.

    A toy that failed, NaN or infinite, is as extreme as can be.  So is an
    observation without a finite statistic: only failed toys match it.

    Parameters
    ----------
    observed
        A statistic, or one for each column ``(J,)``.
    toys
        Statistics of the toys, ``(B,)`` or ``(B, J)``.
    """
    # NaN compares false with everything, and must not look like a good fit.
    row = np.asarray(observed, dtype=np.float64)
    return np.asarray(~np.isfinite(toys) | (np.isfinite(row) & (toys >= row)))


@dataclass(frozen=True, slots=True, eq=False)
class Empirical:
    """The null distribution as the statistics of toys.

    Attributes
    ----------
    toys
        Statistics of the toys, ``(B,)``; a toy that failed is NaN or infinite
        and counts as at least as extreme as any observation.
    name
        How the toys were made.
    """

    toys: Array
    name: str

    def p_value(self, observed: float) -> PValue:
        r"""Return :math:`(k + 1)/(B + 1)` with :math:`k = \#\{t_b \ge t\}` plus failed toys.

        An observation without a finite statistic is itself as extreme as can
        be: only failed toys match it.
        """
        return add_one(
            int(matches(observed, self.toys).sum()),
            self.toys.size,
            null=self.name,
            n_failed=int((~np.isfinite(self.toys)).sum()),
        )
