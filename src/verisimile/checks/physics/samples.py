"""Two weighted samples with the same columns, and what every comparison does with them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features

__all__ = [
    "LEAST_CARRIERS",
    "Spread",
    "matched",
    "place",
    "pulls",
    "shares",
    "spread_of",
    "two_sided",
]

LEAST_CARRIERS = 5.0
"""Events that must carry an error before a normal law is trusted."""

_ROUNDING = 1e-12
_SMALLEST = float(np.finfo(np.float64).tiny)


def matched(reference: Events, other: Events, name: str = "generated") -> Events:
    """Return `other` with the columns of `reference`, after checking the sizes of both.

    Raises
    ------
    InputError
        If columns differ, a sample has one event only, or its weights do not sum to a
        positive number.
    """
    for label, events in (("reference", reference), (name, other)):
        if events.n < 2:
            raise InputError(label, got="one event", expected="two events or more")
        if events.weights is not None and not events.weights.sum() > 0.0:
            raise InputError(
                f"{label}.weights",
                got=f"a sum of {events.weights.sum():.4g}",
                expected="weights with a positive sum",
            )
    return match_features(other, reference.features)


def shares(events: Events) -> Array:
    r"""Return :math:`v_i = u_i / \sum_j u_j` ``(n,)``."""
    if events.weights is None:
        return np.full(events.n, 1.0 / events.n)
    return np.asarray(events.weights / events.weights.sum())


def pulls(difference: Array, error: Array, *, scale: float | Array = 1.0) -> Array:
    """Return difference over error; NaN where both are rounding beside `scale`."""
    least = _ROUNDING * np.asarray(scale)
    nothing = (np.abs(difference) <= least) & (error <= least)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(nothing, np.nan, difference / error))


def two_sided(z: Array) -> Array:
    """Return the p-values of normal pulls; NaN stays, and none is below 2.2e-308."""
    p = 2.0 * special.ndtr(-np.abs(z))
    return np.asarray(np.where(np.isnan(z), np.nan, np.maximum(p, _SMALLEST)))


class Spread(NamedTuple):
    r"""What an estimate's influence function says about its error.

    Attributes
    ----------
    variance
        :math:`\sum_i v_i^2 \psi_i^2`.
    fourth
        :math:`\sum_i v_i^4 \psi_i^4`.
    """

    variance: Array
    fourth: Array

    @property
    def error(self) -> Array:
        """Standard deviation of the estimate."""
        return np.sqrt(self.variance)

    @property
    def carriers(self) -> Array:
        """The effective number of events that the error rests on; 0 without error.

        A heavy tail may leave it to a handful of events, and the next sample's to others.
        """
        out = np.zeros_like(self.fourth)
        return np.divide(self.variance**2, self.fourth, out=out, where=self.fourth > 0.0)

    def plus(self, other: Spread) -> Spread:
        """Return the spread of a difference of independent estimates."""
        return Spread(self.variance + other.variance, self.fourth + other.fourth)

    def reliable(self, p: Array) -> Array:
        """Return `p`, but NaN where fewer than five events carry the error."""
        return np.asarray(np.where(self.carriers >= LEAST_CARRIERS, p, np.nan))


def spread_of(v: Array, influence: Array) -> Spread:
    """Return the spread for shares ``(n,)`` and influence functions ``(n,)`` or ``(k, n)``."""
    squares = (v * influence) ** 2
    return Spread(np.asarray(squares.sum(axis=-1)), np.asarray((squares**2).sum(axis=-1)))


def place(matrices: Spread, j: int, k: int, entry: Spread) -> None:
    """Write one pair's spread into symmetric matrices ``(d, d)``."""
    for matrix, value in zip(matrices, entry, strict=True):
        matrix[j, k] = matrix[k, j] = value
