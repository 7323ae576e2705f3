"""The published soft normalisation, kept as a cautionary example: most of its t is an artefact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.profile import Basis, BasisDensities
from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.newton import NewtonSolver, minimise
from verisimile.mixture.solvers.protocol import Optimum

STRENGTH = 1e6
"""Published strength of the quadratic penalty."""


@dataclass(frozen=True, slots=True)
class SoftPenalty:
    """What a soft penalty makes of one data set.

    Attributes
    ----------
    statistic
        Log-likelihood ratio as published: without the penalty, without the factor two.
    null_mass, alternative_mass
        Integrals of the two fitted "densities".
    artefact
        The part of the statistic that comes from the masses alone.
    """

    statistic: float
    null_mass: float
    alternative_mass: float
    artefact: float


def penalised_mass(events: int, coefficients: int, *, strength: float = STRENGTH) -> float:
    r"""Return the integral to which a softly normalised density inflates.

    Scaling a density by s gains :math:`N \log s` and costs
    :math:`\lambda (s - 1)^2 / m`; the best of it is

    .. math:: s(m) = \tfrac12 \big(1 + \sqrt{1 + 2 N m / \lambda}\big)

    for N events and m coefficients.

    Examples
    --------
    >>> round(penalised_mass(100_000, 60), 3), round(penalised_mass(100_000, 80), 3)
    (2.303, 2.562)
    """
    return 0.5 * (1.0 + math.sqrt(1.0 + 2.0 * events * coefficients / strength))


def soft_penalty_ratio(
    data: BasisDensities,
    basis: Basis,
    *,
    coefficients: tuple[int, int],
    strength: float = STRENGTH,
    solver: NewtonSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> SoftPenalty:
    r"""Fit null and alternative whose mass is only held by :math:`\lambda (s - 1)^2 / m`.

    Do not use it as a test.  With the published settings (N = 100 000, m = 60
    and 80, :math:`\lambda = 10^6`) the masses are 2.30 and 2.56, and
    :math:`N \log(s_{80}/s_{60}) = 10\,649.8` of the statistic says nothing
    about the data.  :func:`~verisimile.checks.goodness.profile.profile_ratio`
    has mass one by construction.

    Parameters
    ----------
    data, basis
        Densities of the test sample, and kernel directions; the weights are frozen.
    coefficients
        Numbers m of coefficients of null and alternative.
    strength
        Penalty strength :math:`\lambda`.

    References
    ----------
    G. Badaracco et al., sec. 3 (the quadratic penalty on the sum of the coefficients).
    """
    kernels = data.design[:, basis.variations.shape[1] :]
    bare = _fit(data.base, kernels[:, :0], coefficients[0], strength, solver)
    full = _fit(data.base, kernels, coefficients[1], strength, solver)
    masses = float(bare.theta[0]), float(full.theta[0])
    gain = float(np.log(full.density).sum() - np.log(bare.density).sum())
    return SoftPenalty(gain, *masses, artefact=data.base.size * math.log(masses[1] / masses[0]))


def _fit(
    base: Array, kernels: Array, coefficients: int, strength: float, solver: NewtonSolver
) -> Optimum:
    # The mass is the first parameter: all other directions carry none.
    first = np.eye(1 + kernels.shape[1])[0]
    problem = LogLinear(
        base=np.zeros(base.size),
        design=np.column_stack([base, kernels]),
        weights=np.ones(base.size),
        precision=2.0 * strength / coefficients * first,
        centre=first,
    )
    optimum = minimise(problem, first, solver)
    if not optimum.converged:
        raise NumericsError(
            "soft-penalty fit", got="no convergence", expected="an optimum", remedy=""
        )
    return optimum
