"""Differences of distribution functions along lines, for many relabelings at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from verisimile.checks.twosample.masses import Masses
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.samples.draws import Labels

__all__ = ["Lines", "area", "ends_of", "supremum", "sum_of_squares"]

Reduction = Callable[[Array, Array], Array]
"""Differences ``(N, R)`` or ``(N,)`` and a measure ``(N,)`` to one number per relabeling."""

_Draws = TypeVar("_Draws", Labels, Array)

_ENTRIES = 250_000  # 2 MiB of differences at a time: they stay in the cache
_LONG = 8_000  # events from which on one relabeling at a time is faster than a block of few columns


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    r"""Pooled events in order along each of K lines.

    The difference of the weighted distribution functions after the k-th event is

    .. math:: F(z_k) - G(z_k) = \sum_{l \le k} (a_l - b_l), \qquad a = w / \sum_1 w, \;
              b = w / \sum_2 w

    a running sum over the ordered events: sorting is done once.

    Attributes
    ----------
    order
        Events in ascending order ``(K, N)``.
    measure
        What the reduction weighs the differences with ``(K, N)``; zero between tied events.
    weights
        Event weights ``(N,)``.
    reduction
        From differences to a number.
    """

    order: IntArray
    measure: Array
    weights: Array
    reduction: Reduction

    def table(self, labels: Labels) -> Array:
        """Return the reduced difference of each relabeling along each line, ``(R, K)``."""
        return self._walk(labels, self._steps)

    def table_of(self, signed: Array) -> Array:
        """Return the same for rows of signed masses ``(R, N)``."""
        return self._walk(signed, _columns)

    def _walk(self, draws: _Draws, steps: Callable[[_Draws], Array]) -> Array:
        if draws.shape[1] >= _LONG:
            return np.stack([self._single(steps(row[None])[:, 0]) for row in draws])
        rows = max(1, _ENTRIES // draws.shape[1])
        blocks = [
            self._block(steps(draws[first : first + rows])) for first in range(0, len(draws), rows)
        ]
        return np.concatenate(blocks)

    def _single(self, steps: Array) -> Array:
        return np.array(
            [
                self.reduction(np.cumsum(steps.take(order)), measure)
                for order, measure in zip(self.order, self.measure, strict=True)
            ]
        )

    def _block(self, steps: Array) -> Array:
        # Events run down the columns: one gather then moves whole rows.
        return np.stack(
            [
                self.reduction(np.cumsum(steps[order], axis=0), measure)
                for order, measure in zip(self.order, self.measure, strict=True)
            ],
            axis=1,
        )

    def _steps(self, labels: Labels) -> Array:
        """Return what each event adds to F - G, ``(N, R)``."""
        mass = Masses.of(labels, self.weights)
        signs = np.where(labels.T, 1.0 / mass.first, -1.0 / mass.second)
        return np.asarray(self.weights[:, None] * signs)


def _columns(signed: Array) -> Array:
    return np.ascontiguousarray(signed.T)


def ends_of(ordered: Array) -> BoolArray:
    """Return which of the ordered values ``(K, N)`` are the last of their ties."""
    last = np.ones((ordered.shape[0], 1), dtype=np.bool_)
    return np.concatenate([ordered[:, 1:] > ordered[:, :-1], last], axis=1)


def area(difference: Array, measure: Array) -> Array:
    """Return the sum of absolute differences, each times its gap."""
    return np.asarray(measure @ np.abs(difference, out=difference))


def supremum(difference: Array, measure: Array) -> Array:
    """Return the largest absolute difference where the measure is not zero."""
    inside = measure > 0.0
    # The last difference is zero, so that zeros change no supremum.
    at = difference if inside.all() else (difference.T * inside).T
    return np.asarray(np.maximum(at.max(axis=0), -at.min(axis=0)))


def sum_of_squares(difference: Array, measure: Array) -> Array:
    """Return the sum of squared differences, each times its measure."""
    return np.asarray(measure @ np.square(difference, out=difference))
