"""Sums of weights of both samples, and the means over pairs that they normalise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.samples.draws import Labels

__all__ = ["Masses"]


@dataclass(frozen=True, slots=True, eq=False)
class Masses:
    r"""Sums of weights and of their squares of each relabeling, all ``(R,)``.

    A sample whose weights have no positive sum cannot be normalised: NaN,
    which makes the statistic of such a relabeling count as extreme.
    """

    first: Array
    second: Array
    first_squares: Array
    second_squares: Array

    @classmethod
    def of(cls, labels: Labels, weights: Array) -> Masses:
        """Return the masses of relabelings ``(R, N)`` of weights ``(N,)``."""
        first, squares = labels @ weights, labels @ weights**2
        return cls(
            _positive(first),
            _positive(weights.sum() - first),
            squares,
            (weights**2).sum() - squares,
        )

    def mean_across(self, across: Array) -> Array:
        """Return the mean over pairs of one event of each sample."""
        return np.asarray(across / (self.first * self.second))

    def mean_within(self, first: Array, second: Array) -> tuple[Array, Array]:
        r"""Return the means over pairs of different events of one sample.

        .. math:: \sum_{i \ne j} w_i w_j k_{ij} / ((\sum w)^2 - \sum w^2)

        from sums that hold no pair of an event with itself.
        """
        return (
            np.asarray(first / _positive(self.first**2 - self.first_squares)),
            np.asarray(second / _positive(self.second**2 - self.second_squares)),
        )


def _positive(values: Array) -> Array:
    return np.where(values > 0.0, values, np.nan)
