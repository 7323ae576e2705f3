"""Sums of a kernel over pairs of events, for many relabelings as one matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.distance import cdist

from verisimile.core.arrays import Array
from verisimile.samples.draws import Labels

__all__ = ["KEPT_EVENTS", "Kernels", "Pairs", "Sums"]

Kernels = Callable[[Array], list[Array]]
"""Squared distances ``(a, b)`` to J kernel matrices of the same shape."""

KEPT_EVENTS = 10_000  # 400 MiB of kernel in memory
_STRIP_ENTRIES = 2_000_000  # 16 MiB
_FEWEST_ROWS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    r"""Kernel sums :math:`\sum w_i w_j k(x_i, x_j)` of each kernel and relabeling, all ``(J, R)``.

    Attributes
    ----------
    first, second
        Over pairs within a sample, an event with itself included.
    across
        Over pairs of one event of each.
    """

    first: Array
    second: Array
    across: Array


@dataclass(slots=True, eq=False)
class Pairs:
    r"""Kernels of all pairs of pooled events, in strips of the upper triangle.

    With weights u of the first sample (zero elsewhere) and w of all,

    .. math:: S_{11} = u^T K u, \quad S_{12} = u^T K w - S_{11}, \quad
              S_{22} = w^T K w - 2 u^T K w + S_{11},

    so that R relabelings cost one product ``(R + 1, N) @ (N, N)``, and half of it
    by symmetry.  Every kernel entry is computed once for a call, whatever R is.
    Up to `kept` events the strips also stay in memory for the next call; beyond,
    a strip is gone once it is used, and memory is that of the labels.

    Attributes
    ----------
    x
        Coordinates ``(N, d)``.
    weights
        ``(N,)``.
    kernels
        From squared distances to J kernels.
    kept
        Most events whose kernels stay in memory, N² / 2 numbers each.
    """

    x: Array
    weights: Array
    kernels: Kernels
    kept: int = KEPT_EVENTS
    _strips: list[list[Array]] = field(default_factory=list, init=False, repr=False)

    def sums(self, labels: Labels) -> Sums:
        """Return the pair sums of relabelings ``(R, N)``."""
        mine = np.vstack([np.where(labels, self.weights, 0.0), self.weights])
        within: list[Array] = []
        cross: list[Array] = []
        for start, strips in self._walk():
            for j, strip in enumerate(strips):
                if len(within) <= j:
                    within.append(np.zeros(len(mine)))
                    cross.append(np.zeros(len(mine)))
                _add(within[j], cross[j], mine, strip, start)
        return _resolved(np.array(within), np.array(cross))

    def quadratic(self, signed: Array) -> Array:
        """Return v'Kv of each kernel and row of signed masses v ``(R, N)``, ``(J, R)``."""
        total: list[Array] = []
        for start, strips in self._walk():
            for j, strip in enumerate(strips):
                if len(total) <= j:
                    total.append(np.zeros(len(signed)))
                product = signed[:, start:] @ strip.T
                here = signed[:, start : start + len(strip)]
                total[j] += 2.0 * np.einsum("rb,rb->r", here, product)
        return np.array(total)

    def _walk(self) -> Iterator[tuple[int, list[Array]]]:
        rows = max(_FEWEST_ROWS, _STRIP_ENTRIES // len(self.x))
        starts = range(0, len(self.x), rows)
        if self._strips:
            yield from zip(starts, self._strips, strict=True)
            return
        keeping = len(self.x) <= self.kept
        made = []
        for start in starts:
            strips = self._strip(start, rows)
            if keeping:
                made.append(strips)
            yield start, strips
        self._strips = made

    def _strip(self, start: int, rows: int) -> list[Array]:
        """Return kernels of some events with those from them on, the diagonal block halved."""
        block = self.x[start : start + rows]
        strips = self.kernels(cdist(block, self.x[start:], "sqeuclidean"))
        for strip in strips:
            strip[:, : len(block)] *= 0.5
        return strips


def _add(within: Array, cross: Array, mine: Array, strip: Array, start: int) -> None:
    """Add a strip's share of u'Ku to `within` and of u'Kw to `cross`, for all rows u."""
    product = mine[:, start:] @ strip.T
    here = mine[:, start : start + len(strip)]
    within += 2.0 * np.einsum("rb,rb->r", here, product)
    cross += here @ product[-1] + product @ here[-1]


def _resolved(within: Array, cross: Array) -> Sums:
    first, total, mixed = within[:, :-1], within[:, -1:], cross[:, :-1]
    return Sums(first=first, second=total - 2.0 * mixed + first, across=mixed - first)
