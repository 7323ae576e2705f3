"""Spearman's correlation of weighted events, with ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.physics.correlations import Correlated
from verisimile.core.arrays import Array

__all__ = ["spearman"]


def spearman(x: Array, v: Array) -> Correlated:
    r"""Return Spearman's correlations ``(d, d)`` and their influence functions.

    The correlation of the midranks :math:`F_j(x) = P(X_j < x) + \frac12 P(X_j = x)`,

    .. math:: \rho_{jk} = c_{jk} / \sqrt{c_{jj} c_{kk}}, \quad
              c_{jk} = \sum_i v_i (F_{ij} - \tfrac12)(F_{ik} - \tfrac12),

    whose ranks are estimated as well: the influence function of c is

    .. math:: \psi_i = (F_{ij} - \tfrac12)(F_{ik} - \tfrac12) + h_{jk}(x_{ij}) + h_{kj}(x_{ik})
              - 3 c_{jk}, \quad h_{jk}(x) = \sum_l v_l [x \prec x_{lj}] (F_{lk} - \tfrac12)

    with :math:`[\prec]` one half for ties.

    Parameters
    ----------
    x
        Values ``(n, d)``.
    v
        Shares ``(n,)`` of sum one, of any sign.
    """
    ranks = [_Ranks.of(column, v) for column in x.T]
    own = [_influence(one, one, v) for one in ranks]
    size = np.sqrt([moment if moment > 0.0 else np.nan for moment, _ in own])
    centred = np.array([one.centred for one in ranks])
    rho = (centred * v) @ centred.T / np.outer(size, size)

    def influence(j: int, k: int) -> Array:
        _, psi = own[j] if j == k else _influence(ranks[j], ranks[k], v)
        change = 0.5 * rho[j, k] * (own[j][1] / own[j][0] + own[k][1] / own[k][0])
        return np.asarray(psi / (size[j] * size[k]) - change)

    return Correlated(rho, centred.T, influence)


@dataclass(frozen=True, slots=True, eq=False)
class _Ranks:
    """One column's order, the span of each event's ties, and its midranks minus one half."""

    order: npt.NDArray[np.intp]
    left: npt.NDArray[np.intp]
    right: npt.NDArray[np.intp]
    centred: Array

    @classmethod
    def of(cls, column: Array, v: Array) -> _Ranks:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        left, right = (np.searchsorted(ordered, column, side) for side in ("left", "right"))
        below = np.concatenate([[0.0], np.cumsum(v[order])])
        # Equal values have no spread of ranks, not even by rounding.
        constant = bool(ordered[0] == ordered[-1])
        centred = np.zeros(column.size) if constant else 0.5 * (below[left] + below[right]) - 0.5
        return cls(order, left, right, centred)

    def above(self, terms: Array) -> Array:
        """Return the sum of `terms` over events above each, ties half, ``(n,)``."""
        content = np.concatenate([[0.0], np.cumsum(terms[self.order])])
        return np.asarray(content[-1] - 0.5 * (content[self.left] + content[self.right]))


def _influence(first: _Ranks, second: _Ranks, v: Array) -> tuple[float, Array]:
    product = first.centred * second.centred
    moment = float(v @ product)
    ranks = first.above(v * second.centred) + second.above(v * first.centred)
    return moment, product + ranks - 3.0 * moment
