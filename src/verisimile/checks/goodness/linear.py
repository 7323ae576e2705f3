"""The linear alternative placed on a model: kernel densities are added to the mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.kernels import Kernels
from verisimile.checks.goodness.null_model import Null
from verisimile.checks.goodness.profile import Basis, Hypothesis, Profile, Rows, profile_ratio
from verisimile.core.arrays import Array, digest
from verisimile.core.canonical import JSON
from verisimile.mixture.solver import WeightSolver

__all__ = ["LinearFits", "LinearSetup"]


@dataclass(frozen=True, slots=True, eq=False)
class LinearSetup:
    r"""Basis, kernels and barrier of :math:`p_1 = p_0 + \sum_k a_k k_k`, :math:`\sum_k a_k = 0`.

    Attributes
    ----------
    null
        The model under test.
    basis
        Weights, their variations and the kernel directions.
    kernels
        Placed kernels.
    barrier
        Rows of the reference events and of the kernels' own events.
    barrier_weight
        Weight of each of them.
    solver
        What minimises.
    """

    null: Null
    basis: Basis
    kernels: Kernels
    barrier: Rows
    barrier_weight: float
    solver: WeightSolver

    @property
    def rank(self) -> int:
        """Independent kernel directions."""
        return int(self.basis.directions.shape[1])

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the null model, determines the statistic of a toy."""
        return {
            "alternative": "linear",
            "directions": digest(self.basis.directions),
            "barrier": digest(self.barrier.base, self.barrier.design),
            "barrier_weight": self.barrier_weight,
            "ridge": self.basis.ridge,
            "kernels": self.kernels.digest,
            "solver": repr(self.solver),
        }

    def observe(self, x: Array, logf: Array) -> LinearFits:
        """Return the fits to events ``(n, d)`` of known log-densities ``(n, M)``."""
        return LinearFits(self, Rows.of(logf, self.kernels.log_density(x), self.basis))

    def coefficients(self, profile: Profile) -> Array:
        """Return the fitted mass moved into each kernel, ``(K,)``."""
        return np.asarray(self.basis.directions @ profile.amplitudes)


@dataclass(frozen=True, slots=True, eq=False)
class LinearFits:
    """One data set in the coordinates of the basis."""

    setup: LinearSetup
    rows: Rows

    @property
    def capped(self) -> int:
        """Events whose kernel densities had to be scaled down."""
        return self.rows.capped

    def profile(self, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Fit null and alternative: see :func:`profile_ratio`."""
        setup = self.setup
        return profile_ratio(
            self.rows,
            setup.barrier,
            setup.barrier_weight,
            setup.basis,
            hypothesis=hypothesis,
            centre=centre,
            solver=setup.solver,
        )

    def relative(self, profile: Profile) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f`, NaN where f-hat is not positive."""
        rank = self.setup.basis.variations.shape[1]
        varied, kernels = self.rows.design[:, :rank], self.rows.design[:, rank:]
        null = self.rows.base + varied @ profile.null
        alternative = self.rows.base + varied @ profile.alternative + kernels @ profile.amplitudes
        base = np.where(self.rows.base > 0.0, self.rows.base, np.nan)
        return null / base, alternative / base
