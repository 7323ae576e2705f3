"""Null distributions of a test statistic behind one face: ``p_value(observed)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.stats.pvalues import PValue, add_one

__all__ = ["Empirical"]


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
        failed = ~np.isfinite(self.toys)
        # NaN compares false with everything, and must not look like a good fit.
        exceed = failed | (self.toys >= observed) if np.isfinite(observed) else failed
        return add_one(
            int(exceed.sum()), self.toys.size, null=self.name, n_failed=int(failed.sum())
        )
