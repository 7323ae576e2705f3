"""Two weighted samples with the same columns, and what every comparison does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError, require
from verisimile.data.events import Events, match_features

LEAST_CARRIERS = 5.0
"""Events that must carry an error before a normal law is trusted."""

LEAST_EFFECTIVE = 50.0
"""Effective events or groups of a weighted or grouped sample before its own squares are trusted."""

_ROUNDING = 1e-12
_SMALLEST = float(np.finfo(np.float64).tiny)


def match_columns(reference: Events, other: Events, name: str = "generated") -> Events:
    """Return `other` with the columns of `reference`, after checking the sizes of both."""
    for label, events in (("reference", reference), (name, other)):
        require(events.n >= 2, label, got="one event", expected="two events or more")
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
    return _floored(z, 2.0 * special.ndtr(-np.abs(z)))


def by_group(terms: Array, group: IntArray | None) -> Array:
    """Return terms ``(n,)`` or ``(k, n)`` summed over each group, ``(G,)`` or ``(k, G)``."""
    if group is None:
        return terms
    rows = [np.bincount(group, weights=row) for row in np.atleast_2d(terms)]
    return np.asarray(rows, dtype=np.float64).reshape(*terms.shape[:-1], -1)


class InfluenceSpread(NamedTuple):
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


def spread_of(v: Array, influence: Array, group: IntArray | None = None) -> InfluenceSpread:
    """Return the spread for shares ``(n,)`` and influence functions ``(n,)`` or ``(k, n)``.

    Rows of one group add up before they are squared.
    """
    squares = by_group(v * influence, group) ** 2
    return InfluenceSpread(np.asarray(squares.sum(axis=-1)), np.asarray((squares**2).sum(axis=-1)))


class ScoreTest(NamedTuple):
    """How far apart two estimates are if both samples have one law; arrays of one shape.

    Attributes
    ----------
    error
        Standard deviation of the difference.
    z
        The smaller in modulus of difference over error and Rao's score over its own.
    carriers
        Effective number of events that the score's error rests on.
    p_values
        Two-sided, of z; NaN where fewer than five events carry the error, or weights or groups
        leave fewer than fifty.
    """

    error: Array
    z: Array
    carriers: Array
    p_values: Array


@dataclass(frozen=True, slots=True, eq=False)
class EqualLaws:
    r"""Two samples as draws from one law, known by both of them together.

    With the influence function :math:`\psi` of an estimate at the pooled events, whose shares
    are p, a difference has the variance

    .. math:: V = V_f + V_g, \quad V_S = \frac{1}{n_S} \sum_{i \in f, g} p_i \psi_i^2

    so that no sample errs about its own tail, and Rao's score is

    .. math:: s = \sum_{i \in g} v_i \psi_i - \sum_{i \in f} v_i \psi_i.

    Given the pooled events, and whatever they made one decide, the law of s over V is that of
    a relabelling; but it tells of any difference of the laws.  The difference of the estimates,
    with each sample in its own units, tells of what it is called, but its law is less normal.
    The smaller of the two keeps both promises.  A sample with weights
    has its own :math:`V_S = \sum_{i \in S} v_i^2 \psi_i^2`, groups added before they are
    squared, and the normal law is replaced by Student's with the degrees of freedom that these
    squares have.

    Attributes
    ----------
    samples
        Reference and generated, with the same columns.
    """

    samples: tuple[Events, Events]

    @property
    def pool(self) -> Array:
        """Shares ``(n_f + n_g,)`` of all events, each sample by its effective number."""
        parts = [one.n_effective * shares(one) for one in self.samples]
        joined = np.concatenate(parts)
        return np.asarray(joined / joined.sum())

    def score(
        self, difference: Array, own: Array, common: Array, *, scale: float | Array = 1.0
    ) -> ScoreTest:
        """Return error, z and p-value of a difference.

        Parameters
        ----------
        difference
            Of the two samples' estimates ``(...)``.
        own, common
            Influence functions at the pooled events ``(..., n_f + n_g)``, each sample in its own
            units or both in the same.
        scale
            Size of the estimate: differences at rounding beside it have no z.
        """
        spread, _ = self._spread(own)
        z = pulls(difference, spread.error, scale=scale)
        about, noise = self._spread(common)
        first, second = np.split(common, [self.samples[0].n], axis=-1)
        apart = second @ shares(self.samples[1]) - first @ shares(self.samples[0])
        rao = pulls(apart, about.error, scale=scale)
        z = np.asarray(np.where(np.abs(rao) < np.abs(z), rao, z))
        dof = np.full_like(z, np.inf)
        np.divide(2.0 * about.variance**2, noise, out=dof, where=noise > 0.0)
        p = _floored(z, 2.0 * special.stdtr(dof, -np.abs(z)))
        known = (about.carriers >= LEAST_CARRIERS) & self._worth_it
        return ScoreTest(spread.error, z, about.carriers, np.where(known, p, np.nan))

    @property
    def _worth_it(self) -> bool:
        """Whether there are events or groups enough to know an error from its own squares."""
        return all(
            (one.weights is None and one.n_groups == one.n)
            or min(one.n_effective, one.n_groups) >= LEAST_EFFECTIVE
            for one in self.samples
        )

    def _spread(self, influence: Array) -> tuple[InfluenceSpread, Array]:
        """Return the spread of a difference, and of its fourth power what is of own squares."""
        pool, parts = self.pool, np.split(influence, [self.samples[0].n], axis=-1)
        variance, fourth, noise = np.zeros((3, *influence.shape[:-1]))
        for one, psi in zip(self.samples, parts, strict=True):
            if one.weights is None and one.n_groups == one.n:
                square = influence * influence
                variance += square @ pool / one.n
                fourth += (square * square) @ pool / one.n**3
                continue
            own = spread_of(shares(one), psi, one.group)
            variance += own.variance
            fourth += own.fourth
            noise += own.fourth
        # Signed weights can leave a pooled square negative: then nothing is known of the error.
        return InfluenceSpread(np.where(variance < 0.0, np.nan, variance), fourth), noise


def _floored(z: Array, p: Array) -> Array:
    return np.asarray(np.where(np.isnan(z), np.nan, np.maximum(p, _SMALLEST)))
