"""The fit of an exponential tilt: steps from a Hessian that is known before any data.

At the origin the Hessian is n times the features' covariance in the reference.
Steps use it, corrected by the gradients seen on the way, for as long as they
contract: a fit costs a few products with F and, as a rule, no Hessian at all.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import NumericsError
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.stats.linalg import solve_rounded, solve_spd

_ARMIJO = 0.1
_CONTRACTION = 0.25  # of the squared decrement, beyond which a Hessian is renewed
_TOO_FAR = 1e-3  # share of a Hessian that is kept, below which it certifies little
_SHORTEST = 1e-8
_NOTHING = -600.0


@dataclass(frozen=True, slots=True, eq=False)
class TiltCurvature:
    r"""The inverse of a Hessian along the free parameters, and where it was taken.

    That is said by `logits`, log p / f at the reference; None at the origin.
    """

    inverse: Array
    logits: Array | None

    @classmethod
    def of(cls, hessian: Array, precision: Array, logits: Array | None = None) -> TiltCurvature:
        """Return the curvature of a Hessian, which whitened bumps keep well conditioned.

        Where the data exceed the reference the covariance vanishes and `precision` ``(P,)``,
        which is in the Hessian, is all that is left; with none there is no optimum.
        """
        if not hessian.size:
            return cls(hessian, logits)
        solve = solve_rounded if (precision > 0.0).all() else solve_spd
        return cls(solve(hessian, np.eye(hessian.shape[0])), logits)

    def reach(self, rows: Array) -> float:
        r"""Return :math:`\rho = 2 \max_r |F_r|_{H^{-1}}` over rows ``(R, P)``, zero for P = 0."""
        largest = 0.0
        for start in range(0, rows.shape[0], _BLOCK):
            block = rows[start : start + _BLOCK]
            square = np.einsum("rp,rp->r", block @ self.inverse, block)
            largest = max(largest, float(square.max(initial=0.0)))
        return 2.0 * math.sqrt(largest)

    def squared(self, gradient: Array) -> float:
        """Return the squared decrement in this metric."""
        return max(0.0, float(gradient @ self.inverse @ gradient))

    def kept(self, point: TiltPoint) -> float:
        r"""Return :math:`\kappa \le 1` with :math:`H(\theta) \succeq \kappa H`.

        A variance is a minimum over constants of a mean square, and the mean
        of anything non-negative shrinks at most by the smallest ratio of the weights.
        """
        moved = point.logits if self.logits is None else point.logits - self.logits
        # Far below what can certify anything, but still a divisor.
        return math.exp(min(0.0, max(_NOTHING, float(moved.min()))))


@dataclass(frozen=True, slots=True, eq=False)
class Secant:
    """A step s and the change y of the gradient along it: what is learnt of the Hessian there."""

    step: Array
    change: Array
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class TiltOptimum:
    """Where a fit ended; `gap` bounds value - minimum, `first` is the value at its start."""

    theta: Array
    value: float
    first: float
    gap: float
    iterations: int
    converged: bool


def minimise_tilt(
    problem: Tilt, start: Array, origin: TiltCurvature, reach: float, solver: NewtonSolver
) -> TiltOptimum:
    r"""Minimise from `start` with the Hessian of the origin, renewed where it is too far off.

    `reach` is :math:`\rho = 2 \max_r |F_r|_{H^{-1}}` in this Hessian's metric; `solver` says the
    tolerance on the squared Newton decrement, and the most iterations.

    Along any direction h the third derivative is n times a third central moment,
    :math:`|\Phi'''| \le \rho |h|_H \Phi''`.  On the way to the minimum, at distance
    :math:`\delta` in the metric of the end point with decrement :math:`\nu`, this gives
    :math:`\rho\nu \ge 1 - e^{-\rho\delta}`, and convexity a gap of at most
    :math:`\nu\delta`:

    .. math:: \Phi - \min \Phi \le \nu^2 \frac{-\log(1 - \rho\nu)}{\rho\nu}, \quad \rho\nu < 1

    Both numbers are bounded through the Hessian at hand, see :meth:`TiltCurvature.kept`;
    where :math:`\rho\nu \ge 1` nothing is certified and the gap is infinite.

    References
    ----------
    F. Bach, Electron. J. Statist. 4 (2010) 384 (self-concordance of logistic losses).
    """
    path = _path(problem, start, origin, reach, solver)
    try:
        theta = next(path)
        while True:
            theta = path.send(problem.at(theta))
    except StopIteration as end:
        return cast(TiltOptimum, end.value)


def minimise_tilts(
    problems: Sequence[Tilt],
    starts: Sequence[Array],
    origin: TiltCurvature,
    reach: float,
    solver: NewtonSolver,
) -> list[TiltOptimum | NumericsError]:
    """Return what :func:`minimise_tilt` does, of problems that differ in their data alone.

    They go in step: a pass over the reference, which does not fit into the cache, serves all that
    are still on their way.  A number depends on the others by rounding only, and a fit that fails
    is returned as its error.
    """
    found: dict[int, TiltOptimum | NumericsError] = {}
    together = max(1, _TOGETHER // (8 * len(problems[0].reference))) if problems else 1
    for first in range(0, len(problems), together):
        some = range(first, min(first + together, len(problems)))
        paths = {k: _path(problems[k], starts[k], origin, reach, solver) for k in some}
        wanted = {k: next(path) for k, path in paths.items()}
        while wanted:
            points = _points([problems[k] for k in wanted], list(wanted.values()))
            moved = {}
            for k, point in zip(wanted, points, strict=True):
                try:
                    moved[k] = paths[k].send(point)
                except StopIteration as end:
                    found[k] = cast(TiltOptimum, end.value)
                except NumericsError as error:
                    found[k] = error
            wanted = moved
    return [found[k] for k in range(len(problems))]


_Path: TypeAlias = Generator[Array, "TiltPoint", TiltOptimum]
"""A fit that asks for the point at some parameters, and goes on when it is told."""


def _path(
    problem: Tilt, start: Array, origin: TiltCurvature, reach: float, solver: NewtonSolver
) -> _Path:
    here, curve = (yield start), origin
    secants: list[Secant] = []
    first, iterations, converged = here.value, 0, False
    while iterations < solver.max_iterations:
        squared, kept = curve.squared(here.gradient), curve.kept(here)
        converged = squared <= solver.tolerance * kept
        if converged:
            break
        if squared <= solver.tolerance and kept < _TOO_FAR:
            curve, secants = _renewed(problem, here)  # a nearer metric certifies what is there
            continue
        iterations += 1
        step = -_inverse_applied(curve, secants, here.gradient)
        there = yield problem.along(here, step)
        if not _falls(problem, here, there, step):
            if curve.logits is not here.logits:
                curve, secants = _renewed(problem, here)
                continue
            shortened = yield from _shortened(problem, here, step)
            if shortened is None:
                break
            there = shortened
        slow = curve.squared(there.gradient) > _CONTRACTION * squared
        secants += _learnt(here, there, problem.free)
        here = there
        if slow:
            curve, secants = _renewed(problem, here)
    gap = _gap(problem, here, curve, reach / math.sqrt(origin.kept(here)))
    return TiltOptimum(here.theta, here.value, first, gap, iterations, converged)


def _learnt(here: TiltPoint, there: TiltPoint, free: slice) -> list[Secant]:
    step, change = (there.theta - here.theta)[free], there.gradient - here.gradient
    rise = float(step @ change)
    return [Secant(step, change, 1.0 / rise)] if rise > 0.0 else []  # zero only by rounding


def _inverse_applied(curve: TiltCurvature, secants: Sequence[Secant], gradient: Array) -> Array:
    """Return the BFGS inverse times the gradient, by the two-loop recursion from H^-1."""
    q, pulls = gradient.copy(), []
    for secant in reversed(secants):
        pulls.append(secant.scale * float(secant.step @ q))
        q -= pulls[-1] * secant.change
    direction = curve.inverse @ q
    for secant, pull in zip(secants, reversed(pulls), strict=True):
        direction = (
            direction + (pull - secant.scale * float(secant.change @ direction)) * secant.step
        )
    return direction


def _falls(problem: Tilt, here: TiltPoint, there: TiltPoint, step: Array) -> bool:
    # n log Z is a sum over n events in which each bit counts.
    rounding = 4.0 * problem.events * float(np.finfo(np.float64).eps)
    return there.value <= here.value + _ARMIJO * float(here.gradient @ step) + rounding


def _renewed(problem: Tilt, point: TiltPoint) -> tuple[TiltCurvature, list[Secant]]:
    precision = problem.precision[problem.free]
    return TiltCurvature.of(problem.hessian(point), precision, point.logits), []


def _shortened(
    problem: Tilt, here: TiltPoint, step: Array
) -> Generator[Array, TiltPoint, TiltPoint | None]:
    length = 0.5
    while length > _SHORTEST:
        there = yield problem.along(here, length * step)
        if _falls(problem, here, there, length * step):
            return there
        length *= 0.5
    return None


def _gap(problem: Tilt, here: TiltPoint, curve: TiltCurvature, reach: float) -> float:
    kept = curve.kept(here)
    decrement = math.sqrt(curve.squared(here.gradient) / kept)
    if reach * decrement >= 1.0 and curve.logits is not None:
        reach = curve.reach(problem.reference[:, problem.free]) / math.sqrt(kept)
    x = reach * decrement
    if not x < 1.0:
        return math.inf
    return decrement * decrement * (-math.log1p(-x) / x if x > 0.0 else 1.0)


_BLOCK = 2048  # rows per block: it stays in the cache between its two products
_PASS = 512  # fewer, where several fits share them
_TOGETHER = 2**26  # bytes of log-weights, of fits that go in step


@dataclass(frozen=True, slots=True, eq=False)
class Tilt:
    r"""One fit: n events with feature sums T ``(P,)``, and features F of the reference ``(R, P)``.

    Penalised by q and c ``(P,)``, as :class:`~verisimile.mixture.objective.LogLinear`; only the
    `free` parameters are fitted, the others keep their start.
    """

    reference: Array
    total: Array
    events: float
    precision: Array
    centre: Array
    free: slice

    def at(self, theta: Array) -> TiltPoint:
        """Return value and gradient at `theta` ``(P,)``: one pass over the reference."""
        return _points([self], [theta])[0]

    def along(self, point: TiltPoint, step: Array) -> Array:
        """Return the parameters ``(P,)`` that are a step of the free ones away."""
        theta = point.theta.copy()
        theta[self.free] += step
        return theta

    def moved(self, point: TiltPoint, step: Array) -> TiltPoint:
        """Return the point that is a step of the free parameters away."""
        return self.at(self.along(point, step))

    def hessian(self, point: TiltPoint) -> Array:
        """Return the Hessian at a point, along the free parameters."""
        rows = self.reference[:, self.free]
        covariance = covariance_at(rows, np.exp(point.logits) / rows.shape[0])
        return self.events * covariance + np.diag(self.precision[self.free])


@dataclass(frozen=True, slots=True, eq=False)
class TiltPoint:
    """Objective and free gradient at `theta`; `logits` are log p_theta / f at the reference."""

    theta: Array
    value: float
    gradient: Array
    logits: Array


def covariance_at(rows: Array, weights: Array) -> Array:
    """Return the covariance ``(P, P)`` of features under weights that sum to one."""
    p = rows.shape[1]
    gram = np.zeros((p, p))
    root = np.sqrt(weights)
    for start in range(0, rows.shape[0], _BLOCK):
        part = slice(start, start + _BLOCK)
        block = rows[part] * root[part, None]
        gram += block.T @ block  # SYRK
    mean = weights @ rows
    return gram - np.outer(mean, mean)


def log_partition(rows: Array, theta: Array) -> float:
    """Return log Z, the log-mean of exp(F theta) over the reference rows."""
    return float(_moments(rows, theta[None])[0][0])


def _points(problems: Sequence[Tilt], thetas: Sequence[Array]) -> list[TiltPoint]:
    """Return the points of problems with the same reference and the same free parameters."""
    reference, free = problems[0].reference, problems[0].free
    # Null fits have no bumps, and frozen weights often sit at zero: skip those columns.
    table = np.array(thetas)
    used = _span(np.asarray(table.any(axis=0)), free)
    log_means, means, logits = _moments(reference[:, used], table[:, used])
    points = []
    for problem, theta, log_mean, mean, own in zip(
        problems, thetas, log_means, means, logits, strict=True
    ):
        pull = theta - problem.centre
        value = problem.events * float(log_mean) - float(problem.total @ theta)
        gradient = problem.precision * pull - problem.total
        gradient[used] += problem.events * mean
        points.append(
            TiltPoint(
                theta=theta,
                value=value + 0.5 * float(problem.precision @ (pull * pull)),
                gradient=gradient[free],
                logits=own,
            )
        )
    return points


def _span(given: BoolArray, free: slice) -> slice:
    """Return the shortest range with all free parameters and all that are not zero."""
    used = np.union1d(np.arange(given.size)[free], np.flatnonzero(given))
    return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)


def _moments(rows: Array, thetas: Array) -> tuple[Array, Array, Array]:
    """Return log mean exp(F theta), the tilted mean of F, and the log-weights times R.

    For B parameters ``(B, P)``: ``(B,), (B, P), (B, R)``.
    """
    count = len(thetas)
    logits = np.empty((count, rows.shape[0]))
    top, total = np.full(count, -math.inf), np.zeros(count)
    sums = np.zeros((count, rows.shape[1]))
    for start in range(0, rows.shape[0], _PASS):
        block = rows[start : start + _PASS]
        part = thetas @ block.T
        logits[:, start : start + _PASS] = part
        highest = np.maximum(top, part.max(axis=1))
        kept = np.exp(top - highest)
        weights = np.exp(part - highest[:, None])
        total = total * kept + weights.sum(axis=1)
        sums = sums * kept[:, None] + weights @ block
        top = highest
    log_means = top + np.log(total / rows.shape[0])
    logits -= log_means[:, None]
    return log_means, sums / total[:, None], logits
