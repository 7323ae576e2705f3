"""What a discrepancy is made of at an event: relative variations of the weights, and the basis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, IntArray, digest
from verisimile.core.result import register
from verisimile.mixture.discrepancy.basis import DiscrepancyBasis
from verisimile.mixture.objective import capped_variations, mixed_log_density


@register("discrepancy-functions", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Functions:
    r"""The functions :math:`(s, \varphi)` of an event, ``(r + P,)``.

    Attributes
    ----------
    weights, variations
        Of the mixture: its weights ``(M,)``, and L ``(M, r)`` with covariance = L L^T.
    cap
        Largest length of s, the relative variations by the weights.
    basis
        phi.
    """

    weights: Array
    variations: Array
    cap: float
    basis: DiscrepancyBasis

    @property
    def free(self) -> int:
        """r, the number of variations of the weights."""
        return int(self.variations.shape[1])

    @property
    def groups(self) -> IntArray:
        """Group of each function ``(r + P,)``; -1 for those of the weights."""
        return np.concatenate([np.full(self.free, -1), self.basis.groups])

    @property
    def digest(self) -> str:
        """Content key."""
        axes = [
            part
            for axis in (*self.basis.axes, self.basis.level)
            for part in (axis.knots, axis.spikes)
        ]
        return digest(self.weights, self.variations, np.array([self.cap]), *axes)

    def at(self, x: Array, logf: Array) -> Array:
        """Return them ``(n, r + P)`` at events with members' log-densities ``(n, M)``."""
        out = np.empty((len(x), self.free + self.basis.groups.size))
        out[:, : self.free] = capped_variations(logf, self.weights, self.variations, self.cap)[0]
        self.basis.fill(x, mixed_log_density(logf, self.weights), out[:, self.free :])
        return out
