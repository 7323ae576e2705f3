"""Differences of distribution functions along lines, for many relabelings at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.masses import Masses
from verisimile.checks.twosample.statistic import Labels
from verisimile.core.arrays import Array, BoolArray, IntArray

__all__ = ["Lines", "area", "ends_of", "supremum", "sum_of_squares"]

Reduction = Callable[[Array, Array], Array]
"""Differences ``(N, R)`` or ``(N,)`` and a measure ``(N,)`` to one number per relabeling."""

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
        if labels.shape[1] >= _LONG:
            return np.stack([self._single(row) for row in labels])
        rows = max(1, _ENTRIES // labels.shape[1])
        blocks = [
            self._block(labels[first : first + rows]) for first in range(0, len(labels), rows)
        ]
        return np.concatenate(blocks)

    def _single(self, labels: BoolArray) -> Array:
        steps = self._steps(labels[None])[:, 0]
        return np.array(
            [
                self.reduction(np.cumsum(steps.take(order)), measure)
                for order, measure in zip(self.order, self.measure, strict=True)
            ]
        )

    def _block(self, labels: Labels) -> Array:
        # Events run down the columns: one gather then moves whole rows.
        steps = self._steps(labels)
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
