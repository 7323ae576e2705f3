"""Quadratic distances that an amplification can be measured in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from verisimile.checks.amplification.pair_means import Energy, Gaussian, Kernel, median_distance
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError

__all__ = ["CramerVonMises", "Distance", "EnergyDistance", "GaussianMMD"]

_PROBES = 1000  # events whose distances give the median


class Distance(Protocol):
    """A kernel and the coordinates that it is taken in."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        ...

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples ``(n, d)``, ``(m, d)`` in common coordinates of order one."""
        ...

    def kernel(self, holdout: Array) -> Kernel:
        """Return the kernel, given true events in the coordinates."""
        ...


@dataclass(frozen=True, slots=True)
class EnergyDistance:
    r"""The energy distance, each feature in units of the holdout's standard deviation.

    .. math:: D^2 = 2 E\|X - Y\| - E\|X - X'\| - E\|Y - Y'\|

    References
    ----------
    G. J. Székely, M. L. Rizzo, J. Stat. Plan. Inference 143 (2013) 1249, eq. 2.5.
    """

    @property
    def name(self) -> str:
        """Return ``energy``."""
        return "energy"

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples standardised."""
        return standardised(generated, holdout)

    def kernel(self, holdout: Array) -> Kernel:  # noqa: ARG002  (this one has no scale)
        """Return the negative distance."""
        return Energy()


@dataclass(frozen=True, slots=True)
class GaussianMMD:
    r"""Maximum mean discrepancy, :math:`k = \exp(-\|x - y\|^2 / 2 h^2)`.

    The narrower the kernel, the finer the resolution, and the larger is G.

    Attributes
    ----------
    bandwidth
        h in units of the holdout's standard deviation of each feature; None for the
        median distance of its events.

    References
    ----------
    A. Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, eq. 3.
    """

    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None and not 0.0 < self.bandwidth < np.inf:
            raise InputError("bandwidth", got=self.bandwidth, expected="a positive number")

    @property
    def name(self) -> str:
        """Return ``mmd``."""
        return "mmd"

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples standardised."""
        return standardised(generated, holdout)

    def kernel(self, holdout: Array) -> Kernel:
        """Return the Gaussian."""
        return Gaussian(self.bandwidth or median_distance(holdout[:_PROBES]))


@dataclass(frozen=True, slots=True)
class CramerVonMises:
    r"""The mean squared difference of two distribution functions, of one feature.

    .. math:: D^2 = 2 \int (F - G)^2 \, dH

    with the pooled distribution H: the energy distance of ranks.

    References
    ----------
    T. W. Anderson, Ann. Math. Statist. 33 (1962) 1148, eq. 2.
    """

    @property
    def name(self) -> str:
        """Return ``cramer-von-mises``."""
        return "cramer-von-mises"

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples as ranks in the pool of both, over its size."""
        if holdout.shape[1] != 1:
            raise InputError(
                "features",
                got=f"{holdout.shape[1]} of them",
                expected="one",
                remedy="Use events.select, or the energy distance.",
            )
        pool = np.concatenate([generated, holdout])
        ranks = stats.rankdata(pool, axis=0) / len(pool)
        return ranks[: len(generated)], ranks[len(generated) :]

    def kernel(self, holdout: Array) -> Kernel:  # noqa: ARG002  (ranks have their scale)
        """Return the negative distance."""
        return Energy()


def standardised(x: Array, reference: Array) -> tuple[Array, Array]:
    """Return both in units of the mean and standard deviation of the reference's features."""
    centre, scale = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    return (x - centre) / scale, (reference - centre) / scale
