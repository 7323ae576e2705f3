"""The weight fit as an unconstrained problem: densities, event weights, pseudo-events, tangent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import InputError
from verisimile.mixture.objective import LogLinear, as_log_densities, blocks, scaled
from verisimile.stats.linalg import symmetrised, tangent_basis

__all__ = ["Pseudo", "Reduced", "reduced_problem"]


@dataclass(frozen=True, slots=True, eq=False)
class Pseudo:
    r"""Pseudo-events drawn from the members: the barrier that makes the optimum exist.

    They add :math:`-(n_0 / n_z) \sum_z \log(w \cdot f(z))` to the objective,
    which forces the mixture to be positive where the members have mass.

    Attributes
    ----------
    log_densities
        Members' log-densities at the pseudo-events, ``(n_z, M)``.
    strength
        n_0, the number of real events that they weigh together.
    """

    log_densities: Array
    strength: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    r"""The objective on the tangent :math:`w = 1/M + U \theta` that every solver is given.

    Attributes
    ----------
    problem
        Objective over theta ``(r,)``, feasible at zero; the `data` first rows are events.
    basis
        U, retained tangent directions ``(M, r)``.
    condition
        Largest over smallest curvature among all tangent directions.
    shift
        Logarithm of the densities' scale at the events ``(n,)``.
    """

    problem: LogLinear
    basis: Array
    condition: float
    shift: Array

    @property
    def data(self) -> int:
        """Return n, the number of events; the rows after them are pseudo-events."""
        return self.shift.size

    def weights(self, theta: Array) -> Array:
        """Return the members' weights ``(M,)`` at `theta`."""
        members = self.basis.shape[0]
        return np.full(members, 1.0 / members) + self.basis @ theta

    def nll(self, density: Array) -> float:
        """Return the negative log-likelihood of the events, in nats, given `problem`'s density."""
        u = self.problem.weights[: self.data]
        return -float(u @ (np.log(density[: self.data]) + self.shift))


def reduced_problem(
    logf: Array, weights: Array | None, pseudo: Pseudo | None, truncation: float
) -> Reduced:
    """Check the input and return the objective on the retained tangent.

    Raises
    ------
    InputError, SupportError, NumericsError
        As :func:`~verisimile.mixture.fit.fit_weights`.
    """
    matrix = as_log_densities(logf, "logf")
    n = matrix.shape[0]
    u, tables = _unit_mean(weights, n), [matrix]
    if pseudo is not None:
        extra = as_log_densities(pseudo.log_densities, "pseudo.log_densities")
        u = np.concatenate([u, np.full(extra.shape[0], pseudo.strength / extra.shape[0])])
        tables.append(extra)
    base, hessian, shift = _equal_weights(tables, u)
    basis, condition = _retained(hessian, truncation)
    # The densities are not kept: computing them again takes less than their memory is worth.
    design = np.empty((u.size, basis.shape[1]))
    for rows, density, _ in _density_blocks(tables):
        np.matmul(density, basis, out=design[rows])
    zero = np.zeros(basis.shape[1])
    reduced = LogLinear(base, design, u, zero, zero)
    return Reduced(reduced, basis, condition, shift[:n])


def _density_blocks(tables: Sequence[Array]) -> Iterator[tuple[slice, Array, Array]]:
    """Yield rows of all tables in turn, their densities over the row maximum, and its log."""
    first = 0
    for table in tables:
        for rows in blocks(table.shape[0]):
            density, top = scaled(table[rows])
            yield slice(first + rows.start, first + rows.stop), density, top
        first += table.shape[0]


def _equal_weights(tables: Sequence[Array], u: Array) -> tuple[Array, Array, Array]:
    """Return density ``(n,)`` and full Hessian ``(M, M)`` at equal weights, and the log scale."""
    base, shift = np.empty(u.size), np.empty(u.size)
    members = tables[0].shape[1]
    hessian = np.zeros((members, members))
    for rows, density, top in _density_blocks(tables):
        base[rows], shift[rows] = density.mean(axis=1), top
        density *= (np.sqrt(u[rows]) / base[rows])[:, None]
        hessian += density.T @ density
    return base, hessian, shift


def _retained(hessian: Array, truncation: float) -> tuple[Array, float]:
    """Return tangent directions ``(M, r)`` that the data can see, and the tangent's condition."""
    members = hessian.shape[0]
    tangent = tangent_basis(members)
    if members == 1:
        return tangent, 1.0
    curvature, vectors = np.linalg.eigh(symmetrised(tangent.T @ hessian @ tangent))
    largest = float(np.linalg.eigvalsh(hessian)[-1])
    keep = curvature > truncation * largest
    smallest = float(curvature[0])
    condition = float(curvature[-1]) / smallest if smallest > 0.0 else math.inf
    return np.ascontiguousarray(tangent @ vectors[:, keep]), condition


def _unit_mean(weights: Array | None, n: int) -> Array:
    if weights is None:
        return np.ones(n)
    u = as_vector(weights, "weights", length=n)
    if not u.min() > 0.0:
        raise InputError(
            "weights",
            got=f"{int((u <= 0).sum())} event weights that are zero or negative",
            expected="positive event weights",
            remedy="The likelihood is not convex with negative weights; unweight the sample "
            "(cell resampling), or fit the weights on an unweighted sample.",
        )
    return np.asarray(u / u.mean())
