"""The profile likelihood ratio of one data set: null fit, alternative fit, statistic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError, require_one_of
from verisimile.mixture.objective import LogLinear, as_log_densities
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver, certified_gap
from verisimile.stats.linalg import solve_rounded

# Kernel over model at an event, beyond e^20 of which the squares in the Hessian would
# drown everything else in rounding.  Events of the model itself stay below e^10.
_CAP = 20.0
_FLOOR = -700.0
_BLOCK = 1024  # events at a time: their densities stay in the cache


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the null hypothesis leaves free.

    ``single``: one member; ``ensemble``: the mixture with frozen weights;
    ``ensemble+uncertainty``: the mixture with its weights profiled under their covariance.
    """

    name: str
    free: bool


HYPOTHESES = {
    "single": Hypothesis("single", free=False),
    "ensemble": Hypothesis("ensemble", free=False),
    "ensemble+uncertainty": Hypothesis("ensemble+uncertainty", free=True),
}


def hypothesis_of(name: str) -> Hypothesis:
    """Return the hypothesis of that name."""
    require_one_of(name, HYPOTHESES, "hypothesis")
    return HYPOTHESES[name]


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

    def same_mixture(self, other: Basis) -> bool:
        """Return whether only the kernel directions of two bases can differ."""
        pairs = ((self.weights, other.weights), (self.variations, other.variations))
        return all(np.array_equal(*pair) for pair in pairs)


@dataclass(frozen=True, slots=True, eq=False)
class BasisDensities:
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
    def of(
        cls, logf: Array, logk: Array, basis: Basis, *, beside: BasisDensities | None = None
    ) -> BasisDensities:
        """Return the rows of events with log-densities ``(n, M)`` and ``(n, K)``.

        `beside` are their rows in another basis of the same mixture: only the kernels differ.
        """
        matrix = logf if beside else as_log_densities(logf, "log-densities")
        rank = basis.variations.shape[1]
        base = beside.base if beside else np.empty(matrix.shape[0])
        design = np.empty((base.size, rank + basis.directions.shape[1]))
        capped = 0
        for start in range(0, base.size, _BLOCK):
            rows = slice(start, start + _BLOCK)
            top = matrix[rows].max(axis=1)[:, None]
            kernels, outside = _kernels(logk[rows], top)
            design[rows, rank:] = kernels @ basis.directions
            capped += outside
            if beside:
                design[rows, :rank] = beside.design[rows, :rank]
            else:
                density = np.exp(matrix[rows] - top)
                np.matmul(density, basis.weights, out=base[rows])
                design[rows, :rank] = density @ basis.variations
        return cls(base, design, capped)

    def possible(self, centre: Array) -> BasisDensities:
        """Return the rows that have a positive density for weights at `centre`."""
        keep = self.base + self.design[:, : centre.size] @ centre > 0.0
        return (
            self if keep.all() else BasisDensities(self.base[keep], self.design[keep], self.capped)
        )

    def joined(self, other: BasisDensities) -> BasisDensities:
        """Return these rows followed by those of `other`, which are no data."""
        return BasisDensities(
            np.concatenate([self.base, other.base]),
            np.concatenate([self.design, other.design]),
            self.capped,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    r"""Both fits of one data set.

    Attributes
    ----------
    statistic, gap
        :math:`t = 2(\ell_1 - \ell_0) \ge 0` and a certified bound on its error; infinite if the
        null cannot describe some event at all, NaN if a fit did not converge.
    null, alternative, amplitudes
        Weight variations ``(r,)`` of the two fits, and b ``(v,)`` of the alternative.
    iterations
        Newton steps of both fits together.
    """

    statistic: float
    gap: float
    null: Array
    alternative: Array
    amplitudes: Array
    iterations: int

    @classmethod
    def without_fit(cls, statistic: float, centre: Array, directions: int) -> Profile:
        """Return the profile of data that have no fit, with weights at `centre` ``(r,)``."""
        return cls(statistic, math.inf, centre, centre, np.zeros(directions), 0)


def profile_ratio(
    data: BasisDensities,
    barrier: BasisDensities,
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
        Densities of the test sample and of the barrier events z; of these, the ones
        where the model at `centre` has no density are left out.
    barrier_weight
        epsilon.
    hypothesis, centre
        Whether the weights are profiled under the constraint or frozen at its centre c
        ``(r,)``, which is zero for data.

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
        return Profile.without_fit(math.inf, centre, v)
    null = steady_minimum(restricted, start, solver)
    alternative = steady_minimum(full, np.concatenate([null.theta, np.zeros(v)]), solver)
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


def _kernels(logk: Array, top: Array) -> tuple[Array, int]:
    """Return kernels over the largest density of each event, and the capped events.

    Those below e^-700 of it are set there: zero for every purpose, and the exponential of what
    underflows takes ten times as long.
    """
    relative = logk - top
    excess = np.clip(relative.max(axis=1, initial=-np.inf) - _CAP, 0.0, None)
    if excess.any():
        relative -= excess[:, None]
    np.maximum(relative, _FLOOR, out=relative)
    return np.exp(relative, out=relative), int((excess > 0.0).sum())


# Depths at which -log p is continued by its parabola.  A shallow one bends
# easily, a deep one is nearly the true objective.
_DEPTHS = (1e-2, 1e-3, 1e-4, 1e-6)
_STEPS = 200
_ROUGHLY = 1e-10  # squared decrement: it is only a start


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
        step = -solve_rounded(hessian + np.diag(problem.precision), gradient)
        decrement = -float(gradient @ step)
        if decrement < _ROUGHLY:
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


# Fits that end where a Hessian is singular in float64.  An event whose density is a tiny
# difference of members, or to which a kernel gives e^20 times the model's density, puts a
# square of 1e17 into the Hessian; what the other thousand events say along its row is then
# below rounding.  The rows themselves lose half as many digits as their squares.
_SHRINK = 0.99  # share of the way to the boundary that a step may go
_ARMIJO = 0.1
_SHORTEST = 1e-14
_MOST = 400  # a step at most doubles the density of a lone event: e^20 takes thirty
_RANK = 1e-13  # of the longest column: curvature below its square is rounding, not data
_LOST = 1e-8  # nats
_UNSEEN = 1e-12  # a column this short: no row says anything about that parameter
_TOLERANCE = NewtonSolver().tolerance


def steady_minimum(problem: LogLinear, start: Array, solver: WeightSolver) -> Optimum:
    r"""Minimise from a feasible point by `solver`, and where it gives up by steps on the rows.

    With :math:`J = (\sqrt{u_n} A_n / p_n;\ \sqrt{q})` and r its residuals, :math:`H = J^T J`,
    :math:`-g = J^T r`, the Newton step is the least-squares solution of :math:`J s = r`
    and the squared decrement :math:`|J s|^2`, from a QR factorisation of J: H is never
    formed.  Combinations of columns that are zero to rounding do not move.  The objective
    and its certificate are the same, so that the data may end one way and a toy the other.

    References
    ----------
    A. J. Cox, N. J. Higham, Stability of Householder QR factorization for weighted least
    squares problems (1998): rows sorted by size, columns pivoted.
    """
    try:
        return solver.minimise(problem, start)
    except NumericsError:
        return _by_rows(problem, start)


def _by_rows(problem: LogLinear, start: Array) -> Optimum:
    theta, density = start, problem.density(start)
    value = problem.value(density, theta)
    square, iteration = 0.0 if not theta.size else math.inf, 0
    while square > _TOLERANCE and iteration < _MOST:
        iteration += 1
        step, square = _step(problem, theta, density)
        length = _length(problem, theta, density, step, value, square)
        if length == 0.0:
            break
        theta = theta + length * step
        density = problem.density(theta)
        value = problem.value(density, theta)
    lost = _rounding(problem, theta, density)
    return Optimum(
        theta=theta,
        density=density,
        value=value,
        decrement=math.sqrt(square),
        gap=certified_gap(problem, math.sqrt(square)) + lost,
        iterations=iteration,
        # Parameters so large that they cancel in the density certify nothing.
        converged=square <= _TOLERANCE and lost <= _LOST,
    )


def _rounding(problem: LogLinear, theta: Array, density: Array) -> float:
    """Return how far rounding in the density may have moved the objective."""
    terms = np.abs(problem.design) @ np.abs(theta) + np.abs(problem.base)
    return float(np.finfo(np.float64).eps) * float(problem.weights @ (terms / density))


def _step(problem: LogLinear, theta: Array, density: Array) -> tuple[Array, float]:
    """Return the Newton step ``(P,)`` and the squared decrement."""
    root, held = np.sqrt(problem.weights), problem.precision > 0.0
    pulls = np.sqrt(problem.precision[held])
    rows = np.concatenate(
        [problem.design * (root / density)[:, None], np.diag(np.sqrt(problem.precision))[held]]
    )
    residual = np.concatenate([root, -pulls * (theta - problem.centre)[held]])
    columns = np.sqrt((rows * rows).sum(axis=0))
    unseen = columns < _UNSEEN
    columns[unseen] = 1.0
    rows[:, unseen] = 0.0
    rows /= columns
    order = np.argsort(-np.abs(rows).max(axis=1), kind="stable")
    q, r, pivots = linalg.qr(rows[order], mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(r))
    rank = int((diagonal > _RANK).sum())  # columns have length one or zero
    along = q[:, :rank].T @ residual[order]
    step = np.zeros(theta.size)
    step[pivots[:rank]] = linalg.solve_triangular(r[:rank, :rank], along, check_finite=False)
    return step / columns, float(along @ along)


def _length(
    problem: LogLinear, theta: Array, density: Array, step: Array, value: float, square: float
) -> float:
    """Return a step length that stays feasible and lowers the objective, or zero."""
    slope = problem.design @ step
    steepest = float(np.max(-slope / density))
    length = min(1.0, _SHRINK / steepest) if steepest > 0.0 else 1.0
    rounding = 4.0 * float(np.finfo(np.float64).eps) * (1.0 + abs(value))
    while length > _SHORTEST:
        moved = theta + length * step
        there = problem.density(moved)
        if there.min() > 0.0:
            fall = _ARMIJO * length * square
            if problem.value(there, moved) <= value - fall + rounding:
                return length
        length *= 0.5
    return 0.0
