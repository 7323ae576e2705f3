"""Variance over members of the region fractions, without the noise of finite samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.checks.amplification.member_counts import MemberCounts
from verisimile.checks.amplification.result import Interval
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError

__all__ = ["Pooled", "Spread", "pooled", "region_limits", "spread"]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    r"""Moments of J members in K regions.

    .. math:: \hat a_i = v_i - \frac1J \sum_j \frac{P_{ji} (1 - P_{ji})}{n_j - 1}

    with :math:`v_i` the sample variance over members of the fractions.  Each
    member's term is the unbiased binomial variance of its own fraction, so that
    :math:`\hat a_i` has no bias for any numbers of events :math:`n_j`.

    Attributes
    ----------
    probability
        Mean over members ``(K,)``.
    variance, noise
        :math:`v_i` and the mean binomial variance in it ``(K,)``.
    """

    members: int
    probability: Array
    variance: Array
    noise: Array

    @property
    def between(self) -> Array:
        r"""The members' own variance :math:`\hat a_i`, ``(K,)``; negative by fluctuation."""
        return self.variance - self.noise

    @property
    def scale(self) -> Array:
        r"""Variance :math:`\bar p_i (1 - \bar p_i)` of a single true event ``(K,)``."""
        return self.probability * (1.0 - self.probability)


@dataclass(frozen=True, slots=True)
class Pooled:
    r"""Sum over regions of the variance, with the jackknife over members.

    Attributes
    ----------
    total, noise
        :math:`T = \sum_i v_i`, and the binomial part of it.
    error
        Standard error of T.
    scale
        :math:`\sum_i \bar p_i (1 - \bar p_i)`.
    members
        J.
    farthest, farthest_share
        The member farthest from the mean, and its share of T.
    """

    total: float
    noise: float
    error: float
    scale: float
    members: int
    farthest: int
    farthest_share: float

    @property
    def inverse_size(self) -> float:
        r"""One over the equivalent events, :math:`\sum \hat a_i / \sum \bar p_i (1 - \bar p_i)`."""
        return (self.total - self.noise) / self.scale

    @property
    def effective_degrees(self) -> float:
        r"""Degrees of freedom :math:`2 T^2 / \mathrm{var}(T)` of a chi-square as wide as T."""
        return float(np.inf) if self.error == 0.0 else 2.0 * (self.total / self.error) ** 2

    def limits(self, level: float) -> Interval:
        r"""Return the interval on one over the equivalent number of events, cut at zero.

        .. math:: T\, e^{\pm t_{J-1} s / T} - N

        The logarithm of a variance is nearly symmetric, and Student's t allows
        for an error :math:`s` that comes from J members.  Measured coverage is nominal
        from 7 members on; with 5 it is 0.70 to 0.75 and 0.95 to 0.97, with 3 it is 0.78
        and 0.98.  Members of heavy tails are another matter: no J of this size shows
        how heavy they are, and the coverage is lower.
        """
        half = float(stats.t.isf(0.5 * (1.0 - level), self.members - 1)) * self.error / self.total
        low, high = (self.total * np.exp(sign * half) - self.noise for sign in (-1.0, 1.0))
        return Interval(level, max(0.0, low / self.scale), max(0.0, high / self.scale))


def spread(found: MemberCounts) -> Spread:
    """Return the moments over members of the fractions of their events."""
    fractions = found.fractions
    noise = fractions * (1.0 - fractions) / (found.totals[:, None] - 1)
    return Spread(
        members=len(fractions),
        probability=fractions.mean(axis=0),
        variance=fractions.var(axis=0, ddof=1),
        noise=noise.mean(axis=0),
    )


def pooled(found: MemberCounts, moments: Spread) -> Pooled:
    r"""Return the sum over regions, whose error is the jackknife over members.

    Leaving out member j changes :math:`T = \sum_j |P_j - \bar p|^2 / (J - 1)` to

    .. math:: T_{(j)} = \frac{(J - 1) T - |P_j - \bar p|^2 J / (J - 1)}{J - 2},

    whatever the correlations of the regions and the shape of the members' law.  For
    members that scatter normally its mean square is (J - 1)/(J - 2) times the
    variance of T: too much for few members, never too little.

    Raises
    ------
    InputError
        If all members have the same counts, or one region holds every event.
    """
    total, size = float(moments.variance.sum()), moments.members
    scale = float(moments.scale.sum())
    if scale <= 0.0 or (found.fractions == found.fractions[0]).all():
        raise InputError(
            "member_samples",
            got="the same fraction in every region for all members",
            expected="independent samples, spread over two or more regions",
            remedy="Check that the members do not share a random seed.",
        )
    square = ((found.fractions - moments.probability) ** 2).sum(axis=1)
    left_out = ((size - 1) * total - square * size / (size - 1)) / (size - 2)
    error = np.sqrt((size - 1) / size * ((left_out - left_out.mean()) ** 2).sum())
    return Pooled(
        total=total,
        noise=float(moments.noise.sum()),
        error=float(error),
        scale=scale,
        members=size,
        farthest=int(square.argmax()),
        farthest_share=float(square.max() / square.sum()),
    )


def region_limits(moments: Spread, level: float) -> tuple[Array, Array]:
    r"""Return limits ``(K,)`` on each region's variance between members, cut at zero.

    .. math:: \frac{(J - 1)\, v_i}{\chi^2_{J-1}} - \text{noise}_i

    Exact for members that scatter normally.
    """
    degrees = moments.members - 1
    tail = 0.5 * (1.0 - level)
    scaled = degrees * moments.variance
    low = scaled / stats.chi2.isf(tail, degrees) - moments.noise
    high = scaled / stats.chi2.ppf(tail, degrees) - moments.noise
    return np.clip(low, 0.0, None), np.clip(high, 0.0, None)
