"""The profile likelihood ratio of one data set: null fit, alternative fit, statistic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.steady import minimised, solved
from verisimile.core.arrays import Array
from verisimile.mixture.objective import LogLinear, as_log_densities
from verisimile.mixture.solvers.protocol import WeightSolver

# Kernel over model at an event, beyond e^20 of which the squares in the Hessian would
# drown everything else in rounding.  Events of the model itself stay below e^10.
_CAP = 20.0
_FLOOR = -700.0
_BLOCK = 1024  # events at a time: their densities stay in the cache


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the null hypothesis leaves free.

    Attributes
    ----------
    name
        ``single``: one member; ``ensemble``: the mixture with frozen weights;
        ``ensemble+uncertainty``: the mixture with its weights profiled under
        their covariance.
    free
        Whether the weights are profiled.
    """

    name: str
    free: bool


HYPOTHESES = {
    h.name: h
    for h in (
        Hypothesis("single", free=False),
        Hypothesis("ensemble", free=False),
        Hypothesis("ensemble+uncertainty", free=True),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What spans the two hypotheses, the same for data and toys.

    Attributes
    ----------
    weights
        Fitted mixture weights ``(M,)``.
    variations
        L, eigen-variations of the weights ``(M, r)``: covariance = L L^T.
    directions
        V, zero-sum kernel directions ``(K, v)``: coefficients a = V b.
    ridge
        Quadratic penalty on b.
    """

    weights: Array
    variations: Array
    directions: Array
    ridge: float


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Densities of a set of events in the coordinates of a basis, rescaled per event.

    Attributes
    ----------
    base
        Mixture density ``(n,)``.
    design
        Its changes along variations and kernel directions ``(n, r + v)``.
    capped
        Events whose kernel densities had to be scaled down: so far outside
        the model that the statistic is a lower bound.
    """

    base: Array
    design: Array
    capped: int

    @classmethod
    def of(cls, logf: Array, logk: Array, basis: Basis) -> Rows:
        """Return the rows of events with log-densities ``(n, M)`` and ``(n, K)``."""
        matrix = as_log_densities(logf, "log-densities")
        rank = basis.variations.shape[1]
        base = np.empty(matrix.shape[0])
        design = np.empty((base.size, rank + basis.directions.shape[1]))
        capped = 0
        for start in range(0, base.size, _BLOCK):
            rows = slice(start, start + _BLOCK)
            density, kernels, outside = _relative(matrix[rows], logk[rows])
            np.matmul(density, basis.weights, out=base[rows])
            design[rows, :rank] = density @ basis.variations
            design[rows, rank:] = kernels @ basis.directions
            capped += outside
        return cls(base, design, capped)

    def possible(self, centre: Array) -> Rows:
        """Return the rows that have a positive density for weights at `centre`."""
        keep = self.base + self.design[:, : centre.size] @ centre > 0.0
        return self if keep.all() else Rows(self.base[keep], self.design[keep], self.capped)

    def joined(self, other: Rows) -> Rows:
        """Return these rows followed by those of `other`, which are no data."""
        return Rows(
            np.concatenate([self.base, other.base]),
            np.concatenate([self.design, other.design]),
            self.capped,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    r"""Both fits of one data set.

    Attributes
    ----------
    statistic
        :math:`t = 2(\ell_1 - \ell_0) \ge 0`; infinite if the null cannot
        describe some event at all, NaN if a fit did not converge.
    gap
        Certified bound on the error of t.
    null, alternative
        Weight variations ``(r,)`` of the two fits.
    amplitudes
        b, along the kernel directions ``(v,)``, of the alternative.
    iterations
        Newton steps of both fits together.
    """

    statistic: float
    gap: float
    null: Array
    alternative: Array
    amplitudes: Array
    iterations: int


def profile_ratio(
    data: Rows,
    barrier: Rows,
    barrier_weight: float,
    basis: Basis,
    *,
    hypothesis: Hypothesis,
    centre: Array,
    solver: WeightSolver,
) -> Profile:
    r"""Fit null and alternative to one data set and return their likelihood ratio.

    .. math:: \ell(\eta, b) = \sum_n \log p(x_n) - \tfrac12 |\eta - c|^2
              - \tfrac{\lambda}{2} |b|^2 + \epsilon \sum_z \log p(z), \quad
              p = \hat f + B \eta + (k V) b

    The null has b = 0.  Total mass is one by construction in both, and the
    alternative starts at the null's optimum, so that t cannot be negative.

    Parameters
    ----------
    data, barrier
        Rows of the test sample and of the barrier events z; of these, the ones
        where the model at `centre` has no density are left out.
    barrier_weight
        epsilon.
    basis
        Variations and kernel directions.
    hypothesis
        Whether the weights are profiled under the constraint or frozen at its centre.
    centre
        Centre c of the constraint ``(r,)``; zero for data.
    solver
        What minimises: :class:`~verisimile.mixture.solvers.newton.NewtonSolver`, or any other.

    References
    ----------
    G. Badaracco et al., eq. 5.
    """
    rank, v = basis.variations.shape[1], basis.directions.shape[1]
    rows = data.joined(barrier.possible(centre))
    weights = np.ones(rows.base.size)
    weights[data.base.size :] = barrier_weight
    free = rank if hypothesis.free else 0
    full = LogLinear(
        base=rows.base if free else rows.base + rows.design[:, :rank] @ centre,
        design=np.ascontiguousarray(rows.design[:, rank - free :]),
        weights=weights,
        precision=np.concatenate([np.ones(free), np.full(v, basis.ridge)]),
        centre=np.concatenate([centre[:free], np.zeros(v)]),
    )
    restricted = full.restricted(free)
    start = feasible_start(restricted, restricted.centre)
    if start is None:
        return _impossible(centre, v)
    null = minimised(restricted, start, solver)
    alternative = minimised(full, np.concatenate([null.theta, np.zeros(v)]), solver)
    good = null.converged and alternative.converged
    return Profile(
        # Not below zero: the alternative starts at the null, so only rounding can be.
        statistic=max(0.0, 2.0 * (null.value - alternative.value)) if good else math.nan,
        gap=2.0 * (null.gap + alternative.gap),
        null=null.theta if free else centre,
        alternative=alternative.theta[:free] if free else centre,
        amplitudes=alternative.theta[free:],
        iterations=null.iterations + alternative.iterations,
    )


def _relative(logf: Array, logk: Array) -> tuple[Array, Array, int]:
    """Return densities and kernels over the largest density of each event, and the capped events.

    Kernels below e^-700 of it are set there: zero for every purpose, and the
    exponential of what underflows takes ten times as long.
    """
    top = logf.max(axis=1)[:, None]
    relative = logk - top
    excess = np.clip(relative.max(axis=1, initial=-np.inf) - _CAP, 0.0, None)
    if excess.any():
        relative -= excess[:, None]
    np.maximum(relative, _FLOOR, out=relative)
    return np.exp(logf - top), np.exp(relative, out=relative), int((excess > 0.0).sum())


def _impossible(centre: Array, directions: int) -> Profile:
    return Profile(math.inf, math.inf, centre, centre, np.zeros(directions), 0)


# Depths at which -log p is continued by its parabola.  A shallow one bends
# easily, a deep one is nearly the true objective.
_DEPTHS = (1e-2, 1e-3, 1e-4, 1e-6)
_STEPS = 200
_TOLERANCE = 1e-10  # squared decrement: it is only a start


def feasible_start(problem: LogLinear, start: Array) -> Array | None:
    """Return parameters of positive density at all rows, or None if none were found.

    The mixture may be slightly negative where an event of the test sample
    lies.  Below a depth, -log p is continued by its second-order expansion,
    which is finite and convex everywhere; its minimum is pulled back to
    positive densities wherever the constraint allows it.  Only the start comes
    from this: the fit itself uses the true likelihood.

    References
    ----------
    A. B. Owen, Empirical Likelihood (2001), eq. 3.37 (the pseudo-logarithm).
    """
    if problem.density(start).min(initial=np.inf) > 0.0:
        return start
    if not start.size:
        return None
    theta = start
    for depth in _DEPTHS:
        theta = _relaxed_minimum(problem, theta, depth)
        if problem.density(theta).min() > 0.0:
            return theta
    return None


def _relaxed_minimum(problem: LogLinear, theta: Array, depth: float) -> Array:
    value, slope, curve = _relaxed(problem.density(theta), depth)
    for _ in range(_STEPS):
        u = problem.weights
        gradient = problem.design.T @ (u * slope) + problem.precision * (theta - problem.centre)
        hessian = (problem.design * (u * curve)[:, None]).T @ problem.design
        step = -solved(hessian + np.diag(problem.precision), gradient)
        decrement = -float(gradient @ step)
        if decrement < _TOLERANCE:
            break
        length, current = 1.0, float(u @ value) + _penalty(problem, theta)
        while length > 1e-10:
            trial = theta + length * step
            value, slope, curve = _relaxed(problem.density(trial), depth)
            if float(u @ value) + _penalty(problem, trial) <= current - 0.1 * length * decrement:
                theta = trial
                break
            length *= 0.5
        else:
            break
    return theta


def _penalty(problem: LogLinear, theta: Array) -> float:
    return 0.5 * float(problem.precision @ (theta - problem.centre) ** 2)


def _relaxed(density: Array, depth: float) -> tuple[Array, Array, Array]:
    """Return the continued -log p with its first and second derivatives."""
    inside = density >= depth
    safe = np.where(inside, density, depth)
    away = np.where(inside, 0.0, 1.0 - density / depth)
    value = -np.log(safe) + away + 0.5 * away * away
    slope = np.where(inside, -1.0 / safe, -(1.0 + away) / depth)
    return value, slope, 1.0 / (safe * safe)
