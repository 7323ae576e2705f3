"""How the bins of a test become one p-value, on the same toys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array
from verisimile.stats.aggregate import min_p
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue

__all__ = ["Combination", "SmallestP", "SumOfBins"]


class Combination(Protocol):
    """Compares the statistics of all bins with those of the toys at once.

    Data and toys are treated alike, so that the p-value is valid whatever the
    dependence between the bins.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""

    def columns(self, table: Array) -> Array:
        """Return, from the bins' statistics ``(..., G)``, those whose smallest p is the test."""

    def p_value(self, observed: Array, toys: Array, null: str) -> PValue:
        """Return the p-value of statistics ``(G,)`` among those of toys ``(B, G)``."""


@dataclass(frozen=True, slots=True)
class SumOfBins:
    r"""The sum, :math:`T = \sum_b t_b`: as if all bins were one fit."""

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "sum"

    def columns(self, table: Array) -> Array:
        """Return the sum, ``(..., 1)``."""
        return np.asarray(table.sum(axis=-1, keepdims=True))

    def p_value(self, observed: Array, toys: Array, null: str) -> PValue:
        """Return the p-value of the sum."""
        return Empirical(toys.sum(axis=1), null).p_value(float(observed.sum()))


@dataclass(frozen=True, slots=True)
class SmallestP:
    """The smallest of the bins' p-values: for a deviation in one bin among many.

    G bins have G largest toys, so that the p-value of the clearest deviation is
    only about G / (B + 1): throw more toys.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""
        return "min-p"

    def columns(self, table: Array) -> Array:
        """Return the bins as they are, ``(..., G)``."""
        return table

    def p_value(self, observed: Array, toys: Array, null: str) -> PValue:
        """Return the p-value of the smallest p-value."""
        return min_p(observed, toys, null=null).p_value
