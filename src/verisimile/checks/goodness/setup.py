"""Everything of the test that is fixed before the test sample is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from verisimile.checks.goodness.kernels import GaussianKernels, Kernels
from verisimile.checks.goodness.profile import Basis, Hypothesis, Profile, Rows, profile_ratio
from verisimile.core.arrays import Array
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.model import Mixture
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.sampling import sample_signed
from verisimile.stats.linalg import whitening

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """Members, basis, kernels and barrier, the same for data and all toys.

    Attributes
    ----------
    members
        M density estimators.
    basis
        Weights, their variations and the kernel directions.
    kernels
        Placed kernels.
    barrier
        Rows of the reference events and of the kernels' own events.
    barrier_weight
        Weight of each of them.
    solver
        Newton settings.
    """

    members: tuple[DensityEstimator, ...]
    basis: Basis
    kernels: Kernels
    barrier: Rows
    barrier_weight: float
    solver: NewtonSolver

    def rows(self, x: Array, logf: Array) -> Rows:
        """Return the rows of events ``(n, d)`` with known log-densities ``(n, M)``."""
        return Rows.of(logf, self.kernels.log_density(x), self.basis)

    def profile(self, data: Rows, hypothesis: Hypothesis, centre: Array) -> Profile:
        """Return both fits of one data set."""
        return profile_ratio(
            data,
            self.barrier,
            self.barrier_weight,
            self.basis,
            hypothesis=hypothesis,
            centre=centre,
            solver=self.solver,
        )


def prepare(
    run: Run,
    mixture: Mixture,
    alternative: GaussianKernels,
    *,
    solver: NewtonSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> Setup:
    r"""Draw reference events from the model, place the kernels, and fix the basis.

    Kernel directions are the zero-sum combinations whose variance relative to
    the model, :math:`E_{\hat f}[(k V / \hat f)^2]`, is not negligible; they are
    scaled to unit variance, so that the fit is well conditioned whatever the
    width and overlap of the kernels.
    """
    rng = run.seeds.at("reference").numpy()
    drawn = sample_signed(mixture.members, mixture.weights, alternative.reference, rng)
    reference = Events(drawn.x, features=mixture.features)
    kernels = alternative.place(reference, mixture.log_prob, rng)
    logk = kernels.log_density(drawn.x)
    variations = whitening(mixture.fit.covariance)
    directions = _directions(drawn.log_densities, logk, mixture.weights, alternative.truncation)
    basis = Basis(mixture.weights, variations, directions, alternative.ridge)
    probes = _probes(mixture, kernels)
    return Setup(
        members=mixture.members,
        basis=basis,
        kernels=kernels,
        barrier=Rows.of(drawn.log_densities, logk, basis).joined(
            Rows.of(mixture.log_densities(probes), kernels.log_density(probes), basis)
        ),
        barrier_weight=alternative.barrier,
        solver=solver,
    )


def _probes(mixture: Mixture, kernels: Kernels) -> Array:
    """Return the kernels' own events at which some member has a density, ``(R', d)``."""
    x = kernels.probe_events()
    return np.asarray(x[mixture.log_densities(x).max(axis=1) > -np.inf])


def _directions(logf: Array, logk: Array, weights: Array, truncation: float) -> Array:
    """Return zero-sum directions ``(K, v)`` of unit relative variance under the model."""
    top = logf.max(axis=1)[:, None]
    density = np.exp(logf - top) @ weights
    relative = np.exp(logk - top) / density[:, None]
    # A narrow kernel in the tail varies a million times more than one in the
    # core: compare shapes, not sizes.  The zero-sum rule then reads 1/size . b = 0.
    size = np.sqrt((relative * relative).mean(axis=0))
    zero_sum = linalg.null_space((1.0 / size)[None, :])
    projected = (relative / size) @ zero_sum
    values, vectors = linalg.eigh(projected.T @ projected / logf.shape[0])
    keep = values > truncation * values[-1]
    return np.ascontiguousarray(
        (zero_sum @ (vectors[:, keep] / np.sqrt(values[keep]))) / size[:, None]
    )
