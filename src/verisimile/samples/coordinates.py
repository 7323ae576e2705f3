"""Coordinates common to both samples, made of the pooled events without their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special, stats

from verisimile.core.arrays import Array, BoolArray


class Coordinates(Protocol):
    """A map of the pooled events that treats all of them alike."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        ...

    def of(self, pooled: Array, blocks: Sequence[Sequence[int]] = ()) -> Array:
        """Return the coordinates ``(N, d)`` of events ``(N, d)`` without constant columns.

        Columns of a block, such as the cosine and the sine of one angle, have one scale.
        """
        ...


@dataclass(frozen=True, slots=True)
class Standardised:
    r"""Each feature less its mean, in units of its standard deviation.

    .. math:: z_{ij} = (x_{ij} - \bar x_j) / s_j

    with both taken over all events of both samples, unweighted; columns of a block share
    the root of their summed variances.  Distances keep
    the shape of the feature, its tails included: one event at 100 standard
    deviations then counts as far as it is.
    """

    @property
    def name(self) -> str:
        """Return ``standardised``."""
        return "standardised"

    def of(self, pooled: Array, blocks: Sequence[Sequence[int]] = ()) -> Array:
        """Return the coordinates ``(N, d)``."""
        # Scaled first, so that the squares of huge values stay finite.
        scaled = pooled / np.abs(pooled).max(axis=0)
        centred = scaled - scaled.mean(axis=0)
        centred /= np.abs(centred).max(axis=0)
        found = np.asarray(centred / centred.std(axis=0))
        for block in map(list, blocks):
            apart = pooled[:, block] - pooled[:, block].mean(axis=0)
            found[:, block] = apart / np.sqrt(apart.var(axis=0).sum())
        return found


@dataclass(frozen=True, slots=True)
class NormalScores:
    r"""Each feature through its pooled ranks to a standard normal.

    .. math:: z_{ij} = \Phi^{-1}\left((r_{ij} - \tfrac12) / N\right)

    with mid-ranks r of ties.  Unchanged by any increasing map of a feature, and
    no tail dominates; differences far in a tail count for less than with
    :class:`Standardised`.  Every column has its own ranks, also in a block.
    """

    @property
    def name(self) -> str:
        """Return ``normal scores``."""
        return "normal scores"

    def of(
        self,
        pooled: Array,
        blocks: Sequence[Sequence[int]] = (),  # noqa: ARG002  (protocol)
    ) -> Array:
        """Return the coordinates ``(N, d)``."""
        ranks = stats.rankdata(pooled, method="average", axis=0)
        return np.asarray(special.ndtri((ranks - 0.5) / len(pooled)))


def varying(pooled: Array) -> BoolArray:
    """Return which columns hold more than one value, ``(d,)``."""
    return np.asarray(pooled.min(axis=0) < pooled.max(axis=0))
