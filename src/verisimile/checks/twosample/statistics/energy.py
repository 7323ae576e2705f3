"""Energy distance, with the number of events that it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.checks.twosample.statistics.protocol import in_battery
from verisimile.core.arrays import Array
from verisimile.samples.pair_sums import (
    Masses,
    Pairs,
    Waves,
    check_waves,
    distance_waves,
)
from verisimile.samples.pool import Labels, MassRows


@dataclass(frozen=True, slots=True)
class EnergyDistance:
    r"""Twice the mean distance across the samples less the mean distances within.

    .. math:: D^2 = 2 E\|X - Y\| - E\|X - X'\| - E\|Y - Y'\|

    over all pairs, those of an event with itself included; zero only if the
    distributions agree.  Weights enter as :math:`a_i = w_i / \sum w` of each
    sample and may be of either sign: it is the quadratic form
    :math:`-(a - b)^T \|x_i - x_j\| (a - b)`.

    The details hold :math:`E\|X - X'\|` of the first sample, :math:`D^2_u` free
    of bias, and

    .. math:: n_\mathrm{equiv} = E\|X - X'\| / D^2_u,

    the size at which a sample of the first distribution is itself as far from
    it; infinite where :math:`D^2_u \le 0`.

    Attributes
    ----------
    most
        Events of both samples up to which all pairs are computed, in a time that goes with
        their square.  Beyond, the kernel is a mean of random waves, and all events count.
    waves
        How many.

    References
    ----------
    G. J. Székely, M. L. Rizzo, J. Stat. Plan. Inference 143 (2013) 1249, eq. 2.5.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.normal(size=(100, 2)), rng.normal(0.5, 1.0, (100, 2))
    >>> statistic = vs.EnergyDistance()
    >>> found = vs.two_sample(vs.Run(vs.Seeds(1)), x, y, statistic=statistic, permutations=99)
    >>> found.p_value.value
    0.01
    """

    name: ClassVar[str] = "energy"
    weights: ClassVar[str] = "signed"

    most: int = 40_000
    waves: int = 128

    def __post_init__(self) -> None:
        check_waves(self.waves)

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedEnergy:
        """Return the distances of the pooled events, to be computed when first used."""
        if len(pooled) > self.most:
            return PreparedEnergy(distance_waves(pooled, weights, self.waves, rng))
        return PreparedEnergy(Pairs(pooled, weights, _distance))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedEnergy:
    """Distances of the pooled events."""

    pairs: Pairs | Waves

    def values(self, labels: Labels) -> Array:
        """Return the squared energy distance of each relabeling, ``(R,)``."""
        sums, mass = self.pairs.sums(labels), Masses.of(labels, self.pairs.weights)
        return np.asarray(
            2.0 * mass.mean_across(sums.across[0])
            - sums.first[0] / mass.first**2
            - sums.second[0] / mass.second**2
        )

    def of_masses(self, rows: MassRows) -> Array:
        """Return the squared energy distance of each pair of mass rows, ``(R,)``."""
        return np.asarray(-self.pairs.quadratic(rows.signed)[0])

    def details(self, labels: Labels) -> Mapping[str, float]:
        """Return the mean distance, the unbiased distance and the equivalent events."""
        sums, mass = self.pairs.sums(labels), Masses.of(labels, self.pairs.weights)
        within = mass.mean_within(sums.first[0], sums.second[0])
        unbiased = float((2.0 * mass.mean_across(sums.across[0]) - sum(within))[0])
        spread = float(within[0][0])
        return {
            "mean distance": spread,
            "unbiased": unbiased,
            "n_equiv": spread / unbiased if unbiased > 0.0 else np.inf,
        }


def _distance(squared: Array) -> list[Array]:
    return [np.sqrt(squared, out=squared)]


in_battery("energy", EnergyDistance(most=5_000), sees="shifts, broad differences")
