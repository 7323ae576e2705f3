"""Regions of the feature space in which events are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_vector
from verisimile.core.errors import InputError

__all__ = ["QuantileRegions", "Regions", "UserRegions", "product_regions", "quantile_regions"]


class Regions(Protocol):
    """A division of the feature space that was made without the events counted in it."""

    @property
    def count(self) -> int:
        """Number of regions."""

    def of(self, x: Array) -> IntArray:
        """Return the region numbers ``(n,)`` of events ``(n, d)``, from 0 to count - 1."""


@dataclass(frozen=True, slots=True, eq=False)
class QuantileRegions:
    """Intervals of one feature, each with its upper edge.

    Attributes
    ----------
    edges
        Inner edges ``(count - 1,)``, ascending.
    """

    edges: Array

    @property
    def count(self) -> int:
        """Number of intervals."""
        return self.edges.size + 1

    def of(self, x: Array) -> IntArray:
        """Return the number of the interval that each event of one feature lies in."""
        return np.searchsorted(self.edges, _single(x), side="left").astype(np.int64, copy=False)


def quantile_regions(sample: Array, count: int) -> QuantileRegions:
    r"""Return intervals of one feature with equal shares of a sample.

    .. math:: q_j = x_{(\lceil j n / N_Q \rceil)}, \qquad R_j = (q_j, q_{j+1}]

    Edges are values of the sample: the share of the true distribution between two of
    them fluctuates exactly as a share of n + 1 events, whatever the distribution, if it has
    no ties.  Ties are never divided; where they allow no more, there are fewer intervals.

    Parameters
    ----------
    sample
        Events ``(n, 1)`` that are counted nowhere.
    count
        Intervals wanted.

    Raises
    ------
    InputError
        If there are several features, or fewer events than intervals.
    """
    values = np.sort(_single(sample))
    check_count(count, values.size)
    rank = -(-np.arange(1, count) * values.size // count) - 1
    edges = np.unique(values[rank])
    return QuantileRegions(edges[edges < values[-1]])


@dataclass(frozen=True, slots=True, eq=False)
class UserRegions:
    """Regions of the user's own.

    Attributes
    ----------
    assign
        Takes events ``(n, d)`` and returns their region numbers ``(n,)``.
    count
        Number of regions.
    """

    assign: Callable[[Array], npt.ArrayLike]
    count: int

    def of(self, x: Array) -> IntArray:
        """Return the region numbers ``(n,)``.

        Raises
        ------
        InputError
            If a number is not one of 0 to count - 1.
        """
        labels = as_vector(np.asarray(self.assign(x)), "region numbers", length=len(x))
        numbers = labels.astype(np.int64)
        if (numbers != labels).any() or ((numbers < 0) | (numbers >= self.count)).any():
            raise InputError(
                "region numbers",
                got=f"numbers from {labels.min():g} to {labels.max():g}",
                expected=f"integers from 0 to {self.count - 1}",
                remedy="Regions must cover the whole space: add one for the events beyond.",
            )
        return numbers


def product_regions(edges: Sequence[npt.ArrayLike | None]) -> UserRegions:
    """Return all combinations of the intervals between the inner edges of each feature.

    Parameters
    ----------
    edges
        Of each feature, ascending; the first and last interval reach to infinity.  None
        leaves a feature undivided.
    """
    inner = [
        np.unique(as_vector([] if each is None else each, f"edges[{column}]"))
        for column, each in enumerate(edges)
    ]
    shape = tuple(each.size + 1 for each in inner)

    def assign(x: Array) -> IntArray:
        if x.shape[1] != len(inner):
            got = f"edges of {len(inner)} features"
            raise InputError("edges", got=got, expected=f"those of {x.shape[1]} features")
        cells = [np.searchsorted(e, x[:, j], side="left") for j, e in enumerate(inner)]
        return np.ravel_multi_index(tuple(cells), shape).astype(np.int64, copy=False)

    return UserRegions(assign, int(np.prod(shape)))


def check_count(count: int, n: int) -> None:
    """Raise unless `n` events can make `count` regions, two or more."""
    if count < 2 or count > n:
        raise InputError(
            "regions",
            got=f"{count} regions to be made of {n} events",
            expected="at least two, and no more than events",
            remedy="Ask for fewer regions or generate more events.",
        )


def _single(x: Array) -> Array:
    if x.ndim != 2 or x.shape[1] != 1:
        raise InputError(
            "sample",
            got=f"shape {x.shape}",
            expected="one feature, (n, 1)",
            remedy="Use median_split_regions for several features.",
        )
    return x[:, 0]
