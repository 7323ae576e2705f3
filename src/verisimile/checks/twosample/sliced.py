"""Distances of distribution functions along random directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.steps import Lines, area, ends_of, supremum
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.samples.draws import Labels, MassRows

__all__ = ["MeanOverLines", "SlicedKS", "SlicedWasserstein", "directions"]


@dataclass(frozen=True, slots=True)
class SlicedWasserstein:
    r"""Mean Wasserstein-1 distance of projections on random directions.

    .. math:: SW_1 = \frac1K \sum_k \int |F_k(z) - G_k(z)|\, dz

    with the distribution functions of :math:`\theta_k \cdot x`, :math:`\theta_k`
    uniform on the sphere.  In this form it takes weights of either sign.

    Attributes
    ----------
    count
        K; one direction serves for one feature.
    most
        Events of both samples beyond which a random subset of so many is used, of the
        smaller sample as many as half of them if it has them.

    References
    ----------
    N. Bonneel et al., J. Math. Imaging Vis. 51 (2015) 22, with the L1 cost of
    S. S. Vallender, Theory Probab. Appl. 18 (1974) 784.
    """

    count: int = 50
    most: int = 100_000

    def __post_init__(self) -> None:
        _check(self.count, self.most)

    @property
    def name(self) -> str:
        """Return ``sliced wasserstein``."""
        return "sliced wasserstein"

    @property
    def weights(self) -> str:
        """Return ``signed``."""
        return "signed"

    @property
    def thinned_to(self) -> int:
        """Return `most`."""
        return self.most

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> MeanOverLines:
        """Return the pooled events in order along every direction."""
        order, ordered = _projected(pooled, self.count, rng)
        gaps = np.diff(ordered, axis=1, append=ordered[:, -1:])
        return MeanOverLines(Lines(order, gaps, weights, area))


@dataclass(frozen=True, slots=True)
class SlicedKS:
    r"""Mean Kolmogorov–Smirnov distance of projections on random directions.

    .. math:: \frac1K \sum_k \sup_z |F_k(z) - G_k(z)|

    Attributes
    ----------
    count
        K; one direction serves for one feature.
    most
        Events of both samples beyond which a random subset of so many is used, of the
        smaller sample as many as half of them if it has them.

    References
    ----------
    S. Grossi, M. Letizia, R. Torre, Mach. Learn.: Sci. Technol. 6 (2025) 015062.
    """

    count: int = 50
    most: int = 100_000

    def __post_init__(self) -> None:
        _check(self.count, self.most)

    @property
    def name(self) -> str:
        """Return ``sliced ks``."""
        return "sliced ks"

    @property
    def weights(self) -> str:
        """Return ``signed``."""
        return "signed"

    @property
    def thinned_to(self) -> int:
        """Return `most`."""
        return self.most

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> MeanOverLines:
        """Return the pooled events in order along every direction."""
        order, ordered = _projected(pooled, self.count, rng)
        ends = ends_of(ordered).astype(float)
        return MeanOverLines(Lines(order, ends, weights, supremum))


@dataclass(frozen=True, slots=True, eq=False)
class MeanOverLines:
    """The mean over lines of a difference of distribution functions."""

    lines: Lines

    def values(self, labels: Labels) -> Array:
        """Return the mean of each relabeling, ``(R,)``."""
        return np.asarray(self.lines.table(labels).mean(axis=1))

    def of_masses(self, rows: MassRows) -> Array:
        """Return the mean of each pair of mass rows, ``(R,)``."""
        return np.asarray(self.lines.table_of(rows.signed).mean(axis=1))


def directions(count: int, d: int, rng: np.random.Generator) -> Array:
    """Return unit vectors ``(count, d)``, uniform on the sphere; one only if d is one."""
    if d == 1:
        return np.ones((1, 1))
    vectors = rng.normal(size=(count, d))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _projected(pooled: Array, count: int, rng: np.random.Generator) -> tuple[IntArray, Array]:
    projections = directions(count, pooled.shape[1], rng) @ pooled.T
    order = np.argsort(projections, axis=1, kind="stable").astype(np.int64, copy=False)
    return order, np.take_along_axis(projections, order, axis=1)


def _check(count: int, most: int) -> None:
    if count < 1:
        raise InputError("count", got=count, expected="at least one direction")
    if most < 2:
        raise InputError("most", got=most, expected="at least two events")
