"""The convex objective shared by the weight fit and the profile test: a sum of -log(linear)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, SupportError, require

# Rows of the design matrix that are scaled and multiplied at a time: the block
# stays in the cache, and the memory is bounded for any number of events.
BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class LogLinear:
    r"""Penalised negative log-likelihood of a density that is linear in its parameters.

    .. math:: \phi(\theta) = -\sum_n u_n \log(b_n + A_n \theta)
              + \tfrac12 \sum_j q_j (\theta_j - c_j)^2

    It is convex, and self-concordant up to the factor :math:`1/\sqrt{\min u}`,
    so that damped Newton steps converge from any feasible point.

    Attributes
    ----------
    base
        b, density at the origin ``(n,)``; rows may be rescaled freely.
    design
        A, ``(n, P)``.
    weights
        u, positive row weights ``(n,)``.
    precision, centre
        q and c of the Gaussian constraint, ``(P,)``.
    """

    base: Array
    design: Array
    weights: Array
    precision: Array
    centre: Array

    def density(self, theta: Array) -> Array:
        r"""Return :math:`p = b + A \theta`, shape ``(n,)``."""
        return np.asarray(self.base + self.design @ theta)

    def value(self, density: Array, theta: Array) -> float:
        """Return the objective at `theta`, given its density (all positive)."""
        pull = theta - self.centre
        penalty = 0.5 * float(self.precision @ (pull * pull))
        return penalty - float(self.weights @ np.log(density))

    def gradient(self, density: Array, theta: Array) -> Array:
        r"""Return :math:`g = -A^T (u/p) + q (\theta - c)`, shape ``(P,)``."""
        pull = self.precision * (theta - self.centre)
        return np.asarray(pull - (self.weights / density) @ self.design)

    def derivatives(self, density: Array, theta: Array) -> tuple[Array, Array]:
        r"""Return gradient ``(P,)`` and Hessian ``(P, P)`` in one pass over the events.

        .. math:: g = -A^T (u/p) + q (\theta - c), \quad
                  H = A^T \mathrm{diag}(u/p^2) A + \mathrm{diag}(q)
        """
        root = np.sqrt(self.weights)
        hessian, score = weighted_gram(self.design, root / density, root)
        hessian[np.diag_indices_from(hessian)] += self.precision
        return self.precision * (theta - self.centre) - score, hessian

    def restricted(self, count: int) -> LogLinear:
        """Return the objective over the first `count` parameters, the others at zero."""
        return replace(
            self,
            design=np.ascontiguousarray(self.design[:, :count]),
            precision=self.precision[:count],
            centre=self.centre[:count],
        )


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
        """The number n of events; the rows after them are pseudo-events."""
        return self.shift.size

    def weights(self, theta: Array) -> Array:
        """Return the members' weights ``(M,)`` at `theta`."""
        members = self.basis.shape[0]
        return np.full(members, 1.0 / members) + self.basis @ theta

    def nll(self, density: Array) -> float:
        """Return the negative log-likelihood of the events, in nats, given `problem`'s density."""
        u = self.problem.weights[: self.data]
        return -float(u @ (np.log(density[: self.data]) + self.shift))


def weighted_gram(design: Array, scale: Array, root: Array) -> tuple[Array, Array]:
    """Return ``(sA)^T (sA)`` and ``r^T (sA)`` of a design scaled by rows, in blocks of rows."""
    n, columns = design.shape
    gram = np.zeros((columns, columns))
    score = np.zeros(columns)
    buffer = np.empty((min(BLOCK, n), columns))
    for rows in blocks(n):
        block = buffer[: rows.stop - rows.start]
        np.multiply(design[rows], scale[rows, None], out=block)
        gram += block.T @ block  # NumPy hands A.T @ A to SYRK
        score += root[rows] @ block
    return gram, score


def blocks(n: int) -> Iterator[slice]:
    """Yield slices that cover `n` rows, few enough at a time to stay in the cache."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def as_log_densities(logf: Array, name: str) -> Array:
    """Return `logf` as float64 ``(n, M)``, refusing NaN and rows without any density.

    Raises
    ------
    InputError, NumericsError, SupportError
        If it is no matrix, has NaN or plus infinity, or an event with zero density everywhere.
    """
    matrix = np.ascontiguousarray(logf, dtype=np.float64)
    require(
        matrix.ndim == 2 and matrix.size,
        name,
        got=f"an array of shape {matrix.shape}",
        expected="log-densities of shape (events, members), neither of them zero",
    )
    top = matrix.max(axis=1)  # NaN if the row has one
    if np.isfinite(top).all():
        return matrix
    bad = np.isnan(matrix) | (matrix == np.inf)
    if bad.any():
        row, member = (int(i) for i in np.argwhere(bad)[0])
        raise NumericsError(
            name,
            got=f"{int(bad.sum())} NaN or infinite log-densities, first: event {row}, "
            f"member {member}",
            expected="finite log-densities or minus infinity",
            remedy="Drop that member, or look at the event.",
        )
    empty = np.isneginf(top)
    raise SupportError(
        name,
        got=f"{int(empty.sum())} events to which every member gives zero density, "
        f"first: event {int(np.argmax(empty))}",
        expected="a positive density from at least one member",
        remedy="Such events lie outside the model's support: cut them away, or train on them.",
    )


def scale_rows(logf: Array) -> tuple[Array, Array]:
    """Return ``exp(logf - max over members)`` and the maxima ``(n,)``.

    A common factor per event moves the log-likelihood by a constant only, and
    keeps densities between 1e-300 and 1e300 apart from overflow.
    """
    top = logf.max(axis=1)
    relative = logf - top[:, None]
    return np.exp(relative, out=relative), top


def mixed_log_density(logf: Array, weights: Array) -> Array:
    r"""Return :math:`\log \max(0, \sum_i w_i f_i)`, ``(n,)``, of log-densities ``(n, M)``.

    Minus infinity where the signed sum is zero or negative.
    """
    out = np.full(logf.shape[0], -np.inf)
    possible = logf.max(axis=1) > -np.inf
    density, top = scale_rows(logf[possible])
    mixed = density @ weights
    values = np.full(mixed.size, -np.inf)
    np.log(mixed, out=values, where=mixed > 0.0)
    out[possible] = values + top
    return out


def density_error(logf: Array, covariance: Array) -> Array:
    r"""Return :math:`\sqrt{f^T C f}`, ``(n,)``, of log-densities ``(n, M)``, in density units."""
    density = np.exp(logf)
    variance = np.einsum("ni,ij,nj->n", density, covariance, density)
    return np.asarray(np.sqrt(np.clip(variance, 0.0, None)))


def capped_variations(
    logf: Array, weights: Array, variations: Array, cap: float
) -> tuple[Array, int]:
    """Return s ``(n, r)`` at events with log-densities ``(n, M)``, and how many were capped."""
    matrix = as_log_densities(logf, "log-densities")
    out, capped = np.empty((len(matrix), variations.shape[1])), 0
    for rows in blocks(len(matrix)):
        density, _ = scale_rows(matrix[rows])
        varied = density @ variations
        base = density @ weights
        least = np.sqrt((varied * varied).sum(axis=1)) / cap
        floor = np.maximum(base, least)[:, None]
        # Both vanish only where the mixture is not positive and does not vary.
        out[rows] = np.divide(varied, floor, out=np.zeros_like(varied), where=floor > 0.0)
        capped += int((base < least).sum())
    return out, capped
