"""Maximum mean discrepancy of Gaussian kernels, of one width or of several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import pdist

from verisimile.checks.twosample.statistics.protocol import in_battery
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.samples.pair_sums import Masses, Pairs, Waves, check_waves, gaussian_waves
from verisimile.samples.pool import Labels, MassRows
from verisimile.stats.aggregate import smallest_p

_PROBES = 2000  # events whose distances give the median, 2 million pairs


@dataclass(frozen=True, slots=True)
class MMD:
    r"""Unbiased squared maximum mean discrepancy with a Gaussian kernel.

    .. math:: \mathrm{MMD}^2_u = E\,k(X, X') + E\,k(Y, Y') - 2 E\,k(X, Y), \qquad
              k(x, y) = \exp(-\|x - y\|^2 / 2 h^2)

    over pairs of different events; it may be negative.  Weighted pairs count
    :math:`w_i w_j`, normalised by :math:`(\sum w)^2 - \sum w^2`.

    Attributes
    ----------
    bandwidth
        h, in common coordinates; None for the median of pooled distances.
    most
        Events of both samples up to which all pairs are computed, in a time that goes with
        their square.  Beyond, the kernel is a mean of random waves, and all events count.
    waves
        How many.

    References
    ----------
    A. Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, eq. 3; median
    heuristic: sec. 8.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.normal(size=(100, 2)), rng.normal(0.5, 1.0, (100, 2))
    >>> statistic = vs.MMD()
    >>> found = vs.two_sample(vs.Run(vs.Seeds(1)), x, y, statistic=statistic, permutations=99)
    >>> found.p_value.value
    0.01
    """

    name: ClassVar[str] = "mmd"
    weights: ClassVar[str] = "signed"

    bandwidth: float | None = None
    most: int = 40_000
    waves: int = 128

    def __post_init__(self) -> None:
        _check_widths([1.0 if self.bandwidth is None else self.bandwidth])
        check_waves(self.waves)

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedMMD:
        """Return the kernel of the pooled events, to be computed when first used."""
        width = median_distance(pooled, rng) if self.bandwidth is None else self.bandwidth
        if len(pooled) > self.most:
            return PreparedMMD(gaussian_waves(pooled, weights, (width,), self.waves, rng))
        return PreparedMMD(Pairs(pooled, weights, partial(_gaussians, widths=(width,))))


@dataclass(frozen=True, slots=True)
class AggregatedMMD:
    r"""MMD of several widths, the smallest of whose p-values is the statistic.

    .. math:: t = -\log \min_j p_j, \qquad h_j = f_j \cdot \mathrm{median}\|x - x'\|

    with each :math:`p_j` the rank among the observed and relabeled values of its
    width, and t calibrated on the same relabelings: see
    :func:`~verisimile.stats.aggregate.min_p`.  No width has to be chosen, at the
    price of a few per cent of power against the best one.

    Attributes
    ----------
    factors
        :math:`f_j`.
    most
        As for :class:`MMD`; time goes with the number of widths, too.
    waves
        Of each width.

    References
    ----------
    A. Schrab et al., J. Mach. Learn. Res. 24 (2023) 194 (aggregation over widths).
    """

    name: ClassVar[str] = "aggregated mmd"
    weights: ClassVar[str] = "signed"

    factors: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)
    most: int = 20_000
    waves: int = 128

    def __post_init__(self) -> None:
        _check_widths(list(self.factors))
        check_waves(self.waves)

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedWidths:
        """Return the kernels of the pooled events, to be computed when used."""
        scale = median_distance(pooled, rng)
        widths = tuple(factor * scale for factor in self.factors)
        names = tuple(f"width {width:.3g}" for width in widths)
        if len(pooled) > self.most:
            return PreparedWidths(gaussian_waves(pooled, weights, widths, self.waves, rng), names)
        kernels = partial(_gaussians, widths=widths)
        return PreparedWidths(Pairs(pooled, weights, kernels, kept=0), names)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedMMD:
    """A kernel of the pooled events."""

    pairs: Pairs | Waves

    def values(self, labels: Labels) -> Array:
        """Return the unbiased squared discrepancy of each relabeling, ``(R,)``."""
        return _discrepancies(self.pairs, labels)[:, 0]

    def of_masses(self, rows: MassRows) -> Array:
        """Return the squared discrepancy of each pair of mass rows ``(R,)``, own pairs in."""
        return np.asarray(self.pairs.quadratic(rows.signed)[0])


@dataclass(frozen=True, slots=True, eq=False)
class PreparedWidths:
    """Kernels of several widths of the pooled events."""

    pairs: Pairs | Waves
    columns: tuple[str, ...]

    def values(self, labels: Labels) -> Array:
        """Return -log of the smallest p-value of each row among the rows given, ``(R,)``."""
        table = self.table(labels)
        return np.asarray(-np.log(smallest_p(table[0], table[1:])))

    def table(self, labels: Labels) -> Array:
        """Return the unbiased squared discrepancies ``(R, J)``."""
        return _discrepancies(self.pairs, labels)

    def of_masses(self, rows: MassRows) -> Array:
        """Return the squared discrepancies of each pair of mass rows ``(R, J)``."""
        return np.asarray(self.pairs.quadratic(rows.signed).T)


def median_distance(x: Array, rng: np.random.Generator) -> float:
    """Return the median distance of different events, from at most 2000 random ones.

    Where most events coincide it is the median of the distances that are not zero.
    """
    some = x if len(x) <= _PROBES else x[np.sort(rng.choice(len(x), _PROBES, replace=False))]
    distances = pdist(some)
    median = float(np.median(distances))
    if median > 0.0:
        return median
    apart = distances[distances > 0.0]
    return float(np.median(apart)) if apart.size else 1.0


def _discrepancies(pairs: Pairs | Waves, labels: Labels) -> Array:
    sums, mass = pairs.sums(labels), Masses.of(labels, pairs.weights)
    first, second = mass.mean_within(
        sums.first - mass.first_squares, sums.second - mass.second_squares
    )
    return np.asarray((first + second - 2.0 * mass.mean_across(sums.across)).T)


def _gaussians(squared: Array, *, widths: tuple[float, ...]) -> list[Array]:
    return [np.exp(squared * (-0.5 / width**2)) for width in widths]


def _check_widths(widths: list[float]) -> None:
    if not widths or not all(np.isfinite(width) and width > 0.0 for width in widths):
        raise InputError(
            "kernel widths", got=widths, expected="positive numbers, at least one of them"
        )


in_battery("mmd", AggregatedMMD(most=4_000, waves=64), sees="differences of unknown width")
