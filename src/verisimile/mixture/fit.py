"""Maximum-likelihood weights of a mixture of fixed densities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import NumericsError
from verisimile.core.result import register
from verisimile.mixture.covariance import inverse_hessian, leverages, sandwich
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.reduced import Pseudo, Reduced, reduced_problem
from verisimile.mixture.solver import Optimum, WeightSolver
from verisimile.stats.linalg import positive_definite

__all__ = ["FitRecord", "Pseudo", "WeightFit", "fit_weights", "single_weight"]

_RUNAWAY = 1e8  # |w|_1 beyond which the optimum is taken to lie at infinity


@register("fit-record", 1)
@dataclass(frozen=True, slots=True)
class FitRecord:
    """How far the weights can be trusted.

    Attributes
    ----------
    n_events, n_members, n_pseudo, pseudo_strength
        Sizes of the problem.
    iterations, converged, decrement, gap
        The solver's end: see :class:`~verisimile.mixture.solver.Optimum`.
    effective_rank
        Retained tangent directions (at most M - 1).
    condition
        Largest over smallest curvature among all tangent directions, before truncation.
    l1_norm
        Sum of the weights' moduli; hit-or-miss sampling accepts about ``2/(1 + l1_norm)``.
    max_leverage
        Largest influence of a single event, in [0, 1].
    min_density
        Smallest fitted density at an event, in units of the largest member's density there.
    negative_mass, negative_mass_error
        Integral of the negative part of the mixture; NaN until it has been audited by sampling.
    """

    n_events: int
    n_members: int
    n_pseudo: int
    pseudo_strength: float
    iterations: int
    converged: bool
    decrement: float
    gap: float
    effective_rank: int
    condition: float
    l1_norm: float
    max_leverage: float
    min_density: float
    negative_mass: float = math.nan
    negative_mass_error: float = math.nan


@register("weight-fit", 1)
@dataclass(frozen=True, slots=True, eq=False)
class WeightFit:
    """Weights of a mixture, with their covariance.

    Attributes
    ----------
    weights
        ``(M,)``, sum to one, may be negative.
    covariance
        Sandwich covariance ``(M, M)``; singular along the all-ones direction.
    inverse_hessian
        Inverse Hessian ``(M, M)``; equals `covariance` for unit event weights
        without pseudo-events.
    nll
        Negative log-likelihood at the optimum, in nats summed over events.
    record
        Diagnostics of the fit.
    """

    weights: Array
    covariance: Array
    inverse_hessian: Array
    nll: float
    record: FitRecord

    def __repr__(self) -> str:
        """Return one line: sizes, rank and norm."""
        r = self.record
        return (
            f"WeightFit(M={r.n_members}, n={r.n_events}, rank={r.effective_rank}, "
            f"|w|={r.l1_norm:.3g}, converged={r.converged})"
        )


def fit_weights(
    logf: Array,
    weights: Array | None = None,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: Pseudo | None = None,
) -> WeightFit:
    r"""Fit the weights of :math:`\hat f = \sum_i w_i f_i` by maximum likelihood.

    .. math:: L(w) = -\frac1n \sum_n u_n \log (F w)_n + \Big(\sum_i w_i - 1\Big)

    minimised exactly on the tangent :math:`w = 1/M + U \theta`, :math:`1^T U = 0`.
    Weights may be negative.  At a full-rank optimum
    :math:`\langle F_i / p \rangle = 1` for every member.

    Parameters
    ----------
    logf
        Natural log-densities ``(n, M)`` of the members at the events; minus
        infinity is allowed where another member has density.
    weights
        Positive event weights ``(n,)``; rescaled to mean one.
    solver
        What minimises, and its rank truncation: :class:`NewtonSolver`,
        :class:`~verisimile.mixture.torch_solver.TorchSolver`,
        :class:`~verisimile.mixture.minuit_solver.MinuitSolver`, or any other
        :class:`~verisimile.mixture.solver.WeightSolver`.
    pseudo
        Pseudo-events that keep the optimum finite (see :class:`Pseudo`).

    Raises
    ------
    InputError
        For malformed shapes or weights that are not positive.
    SupportError
        If an event has zero density under every member.
    NumericsError
        If densities are NaN, or the optimum lies at infinity.

    References
    ----------
    G. Badaracco et al., eqs. 1 and 2; S. Benevedes, J. Thaler, arXiv:2506.00113.
    """
    reduced = reduced_problem(logf, weights, pseudo, solver.truncation)
    problem, basis, n = reduced.problem, reduced.basis, reduced.data
    optimum = solver.minimise(problem, np.zeros(basis.shape[1]))
    found = reduced.weights(optimum.theta)
    if not (np.abs(found).sum() < _RUNAWAY and optimum.decrement < math.inf):
        raise _runaway(found)
    _, hessian = problem.derivatives(optimum.density, optimum.theta)
    if not positive_definite(hessian):  # the objective has become flat
        raise _runaway(found)
    return WeightFit(
        weights=frozen(found),
        covariance=frozen(sandwich(basis, hessian, problem, optimum.density, n)),
        inverse_hessian=frozen(inverse_hessian(basis, hessian)),
        nll=reduced.nll(optimum.density),
        record=_record(reduced, optimum, hessian, found, pseudo),
    )


def single_weight() -> WeightFit:
    """Return the trivial fit of a single density: weight one, no uncertainty."""
    return WeightFit(
        weights=frozen([1.0]),
        covariance=frozen([[0.0]]),
        inverse_hessian=frozen([[0.0]]),
        nll=math.nan,
        record=FitRecord(
            n_events=0,
            n_members=1,
            n_pseudo=0,
            pseudo_strength=0.0,
            iterations=0,
            converged=True,
            decrement=0.0,
            gap=0.0,
            effective_rank=0,
            condition=1.0,
            l1_norm=1.0,
            max_leverage=math.nan,
            min_density=math.nan,
            negative_mass=0.0,
            negative_mass_error=0.0,
        ),
    )


def _record(
    reduced: Reduced,
    optimum: Optimum,
    hessian: Array,
    weights: Array,
    pseudo: Pseudo | None,
) -> FitRecord:
    n, problem = reduced.data, reduced.problem
    influence = leverages(problem.design[:n], optimum.density[:n], hessian)
    return FitRecord(
        n_events=n,
        n_members=weights.size,
        n_pseudo=0 if pseudo is None else pseudo.log_densities.shape[0],
        pseudo_strength=0.0 if pseudo is None else pseudo.strength,
        iterations=optimum.iterations,
        converged=optimum.converged,
        decrement=optimum.decrement,
        gap=optimum.gap,
        effective_rank=problem.design.shape[1],
        condition=reduced.condition,
        l1_norm=float(np.abs(weights).sum()),
        max_leverage=float((problem.weights[:n] * influence).max()),
        min_density=float(optimum.density[:n].min()),
    )


def _runaway(weights: Array) -> NumericsError:
    return NumericsError(
        "weight fit",
        got=f"weights that run away (sum of moduli {float(np.abs(weights).sum()):.2g})",
        expected="a finite optimum",
        remedy="Either members are not normalised (vs.check_estimator tells), or signed "
        "weights trade mass where no event lies: pass pseudo-events (fit_mixture does).",
    )
