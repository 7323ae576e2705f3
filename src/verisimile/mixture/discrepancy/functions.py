"""What a discrepancy is made of at an event: relative variations of the weights, and the basis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, IntArray, digest
from verisimile.core.result import Result, register
from verisimile.mixture.discrepancy.basis import DiscrepancyBasis
from verisimile.mixture.objective import capped_variations, mixed_log_density

_BLOCK = 500  # events at a time: their functions stay in the cache, not 2^k bytes apart


@register("discrepancy-functions", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Functions(Result):
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
        out = np.empty((len(x), self.groups.size))
        for rows, block in self._blocks(x, logf):
            out[rows] = block.T
        return out

    def along(self, directions: Array, x: Array, logf: Array) -> Array:
        """Return their products ``(n, k)`` with coefficients ``(r + P, k)``.

        In blocks: the functions of many events, a hundred times their features, are never held.
        """
        out = np.empty((len(x), directions.shape[1]))
        across = np.ascontiguousarray(directions.T)
        for rows, block in self._blocks(x, logf):
            out[rows] = (across @ block).T
        return out

    def total(self, x: Array, logf: Array, weights: Array) -> Array:
        """Return their sums ``(r + P,)`` over events that count by weights ``(n,)``."""
        found = np.zeros(self.groups.size)
        for rows, block in self._blocks(x, logf):
            found += block @ weights[rows]
        return found

    def _blocks(self, x: Array, logf: Array) -> Iterator[tuple[slice, Array]]:
        """Yield rows of events and the functions ``(r + P, n')`` there, which the next replace."""
        room = np.empty((self.groups.size, min(_BLOCK, len(x))))
        for start in range(0, len(x), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(x)))
            block = room[:, : rows.stop - start]
            s, _ = capped_variations(logf[rows], self.weights, self.variations, self.cap)
            block[: self.free] = s.T
            log_f = mixed_log_density(logf[rows], self.weights)
            self.basis.fill(x[rows], log_f, block[self.free :])
            yield rows, block
