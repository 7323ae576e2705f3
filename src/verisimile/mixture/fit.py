"""Maximum-likelihood weights of a mixture of fixed densities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, as_vector, frozen
from verisimile.core.errors import NumericsError, require
from verisimile.core.result import Result, register
from verisimile.mixture.covariance import (
    closed_form,
    freedom,
    information,
    inverse_hessian,
    leverages,
    newton_step,
)
from verisimile.mixture.objective import LogLinear, Reduced, as_log_densities, blocks, scale_rows
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver
from verisimile.stats.linalg import positive_definite, symmetrise, tangent_basis

# |w|_1 beyond which nothing is left of a mixture: of the digits of float32 densities,
# and of a hit-or-miss sampler, which would keep one proposal in half a million.
_RUNAWAY = 1e6
_REACH = 6.0  # standard deviations within which a variation of the weights may meet a wall


@register("fit-record", 2)
@dataclass(frozen=True, slots=True)
class FitRecord(Result):
    """How far the weights can be trusted.

    Attributes
    ----------
    n_events, n_members, n_pseudo, pseudo_strength
        Sizes of the problem.
    iterations, converged, decrement, gap
        The solver's end: see :class:`~verisimile.mixture.solvers.protocol.Optimum`.
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
    free_share
        What positivity leaves of the variance along the direction that it binds most, in
        (0, 1]: the smallest eigenvalue of the objective's inverse Hessian relative to
        the inverse information of the events.  Below one half, the fit has stopped at the
        boundary: its errors are those of the events, and wider than the fit scatters.
    covariance
        How it was computed: ``"sandwich"``, ``"fisher"`` or ``"bootstrap"``.
    n_refits, n_failed_refits
        Refits of a bootstrap, and those that had no optimum.
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
    free_share: float = math.nan
    covariance: str = "sandwich"
    n_refits: int = 0
    n_failed_refits: int = 0


@register("weight-fit", 2)
@dataclass(frozen=True, slots=True, eq=False)
class WeightFit(Result):
    """Weights of a mixture, with their covariance.

    Attributes
    ----------
    weights
        ``(M,)``, sum to one, may be negative.
    covariance
        Covariance ``(M, M)``; singular along the all-ones direction.
    inverse_hessian
        Inverse Hessian of the objective ``(M, M)``; equals `covariance` for unit event
        weights without pseudo-events, and vanishes where positivity binds.
    nll
        Negative log-likelihood at the optimum, in nats summed over events.
    record
        Diagnostics of the fit.
    draws
        Weights of the refits of a bootstrap ``(B, M)``, None without one.
    boundary
        Densities of the members, relative to the fit's, at the pseudo-events where one within
        six sigma could be negative, ``(K, M)``; None without pseudo-events.
    unbounded
        Weights ``(M,)`` that the events alone ask for, wherever the density turns negative:
        one Newton step of their likelihood from the fit; None without pseudo-events.  The
        last three are kept with a mixture (``save_mixture``), not in reports.
    """

    weights: Array
    covariance: Array
    inverse_hessian: Array
    nll: float
    record: FitRecord
    draws: Array | None = field(default=None, metadata={"transient": True})
    boundary: Array | None = field(default=None, metadata={"transient": True})
    unbounded: Array | None = field(default=None, metadata={"transient": True})
    listed: ClassVar[tuple[str, ...]] = ("weights", "errors")

    @property
    def errors(self) -> Array:
        """Standard deviations of the weights ``(M,)``."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))

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
    covariance: str = "sandwich",
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
        What minimises, and its rank truncation: :class:`NewtonSolver`, ``TorchSolver``,
        ``MinuitSolver``, ``DeviceNewton``, or any other
        :class:`~verisimile.mixture.solvers.protocol.WeightSolver`.
    pseudo
        Pseudo-events that keep the optimum finite (see :class:`Pseudo`).
    covariance
        ``"sandwich"``, or ``"fisher"``, which is right for unit event weights only:
        :func:`~verisimile.mixture.covariance.sandwich`.

    Raises
    ------
    InputError
        For malformed shapes, weights that are not positive or an unknown covariance.
    SupportError
        If an event has zero density under every member.
    NumericsError
        If densities are NaN, the optimum lies at infinity (sum of moduli above a
        million), or the solver has not reached it.

    References
    ----------
    G. Badaracco et al., eqs. 1 and 2; S. Benevedes, J. Thaler, arXiv:2506.00113.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> x = np.random.default_rng(1).normal(size=2000)
    >>> logf = np.column_stack([stats.norm.logpdf(x, mean, 0.9) for mean in (-0.5, 0.0, 0.5)])
    >>> fit = vs.fit_weights(logf)
    >>> fit.weights.shape, bool(abs(fit.weights.sum() - 1.0) < 1e-9)
    ((3,), True)
    """
    formula = closed_form(covariance)
    reduced, optimum = _solved(logf, weights, pseudo, solver)
    found = reduced.weights(optimum.theta)
    _, hessian = reduced.problem.derivatives(optimum.density, optimum.theta)
    if not positive_definite(hessian):  # the objective has become flat
        raise _runaway(found)
    known = information(reduced, optimum.density)
    record = _record(reduced, optimum, hessian, found, pseudo)
    errors = formula(known)
    fit = WeightFit(
        weights=frozen(found),
        covariance=frozen(errors),
        inverse_hessian=frozen(inverse_hessian(reduced.basis, hessian)),
        nll=reduced.nll(optimum.density),
        record=replace(record, covariance=covariance, free_share=freedom(known, hessian)),
    )
    if pseudo is None:
        return fit
    free = frozen(found + newton_step(reduced, optimum.density, known))
    walls = _boundary(pseudo, optimum.density[reduced.data :], free, errors)
    return replace(fit, boundary=walls, unbounded=free)


def fitted_weights(
    logf: Array, weights: Array | None, pseudo: Pseudo | None, solver: WeightSolver
) -> Array:
    """Return the weights ``(M,)`` of :func:`fit_weights` alone: all that a refit needs."""
    reduced, optimum = _solved(logf, weights, pseudo, solver)
    return reduced.weights(optimum.theta)


def check_converged(fit: WeightFit, name: str) -> None:
    """Refuse a fit that has stopped before its optimum: its weights and errors mean nothing."""
    if not fit.record.converged:
        raise _unconverged(name, fit.record.iterations, fit.record.decrement)


def check_one_weight_each(members: int, fit: WeightFit, name: str) -> None:
    """Raise unless there are as many members as weights."""
    require(
        members == fit.weights.size,
        name,
        got=f"{members} members for {fit.weights.size} weights",
        expected="one weight per member, in the same order",
    )


def _solved(
    logf: Array, weights: Array | None, pseudo: Pseudo | None, solver: WeightSolver
) -> tuple[Reduced, Optimum]:
    reduced = reduced_problem(logf, weights, pseudo, solver.truncation)
    try:
        optimum = solver.minimise(reduced.problem, np.zeros(reduced.basis.shape[1]))
    except NumericsError as error:  # on the way to infinity the curvature runs out of digits
        raise NumericsError(
            "weight fit",
            got=error.got,
            expected="a finite optimum",
            remedy=f"Members are collinear (raise the solver's truncation), or {_TRADED}",
        ) from error
    found = reduced.weights(optimum.theta)
    if not (np.abs(found).sum() < _RUNAWAY and optimum.decrement < math.inf):
        raise _runaway(found)
    if not optimum.converged:
        raise _unconverged("weight fit", optimum.iterations, optimum.decrement)
    return reduced, optimum


def _boundary(pseudo: Pseudo, fitted: Array, unbounded: Array, covariance: Array) -> Array:
    """Return the pseudo-events that can bound the weights, in units of their fitted density."""
    density, _ = scale_rows(as_log_densities(pseudo.log_densities, "pseudo.log_densities"))
    relative = density / fitted[:, None]
    variance = np.einsum("zi,ij,zj->z", relative, covariance, relative)
    return frozen(relative[relative @ unbounded < _REACH * np.sqrt(variance)])


def single_weight() -> WeightFit:
    """Return the trivial fit of a single density: weight one, no uncertainty."""
    record = FitRecord(
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
        free_share=1.0,
    )
    zero = frozen([[0.0]])
    return WeightFit(frozen([1.0]), zero, zero, nll=math.nan, record=record)


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


_TRADED = "signed weights trade mass where no event lies: pass pseudo-events (fit_mixture does)."


def _runaway(weights: Array) -> NumericsError:
    return NumericsError(
        "weight fit",
        got=f"weights that run away (sum of moduli {float(np.abs(weights).sum()):.2g})",
        expected="a finite optimum",
        remedy=f"Either members are not normalised (vs.check_estimator tells), or {_TRADED}",
    )


def _unconverged(name: str, iterations: int, decrement: float) -> NumericsError:
    return NumericsError(
        name,
        got=f"no optimum after {iterations} iterations (Newton decrement {decrement:.2g})",
        expected="an optimum, certified to the solver's tolerance",
        remedy="If signed weights trade mass where no event lies, there is none: pass "
        "pseudo-events (fit_mixture does).  Else use NewtonSolver(), or raise its max_iterations.",
    )


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


def reduced_problem(
    logf: Array, weights: Array | None, pseudo: Pseudo | None, truncation: float
) -> Reduced:
    """Check the input of :func:`fit_weights` and return the objective on the retained tangent."""
    matrix = as_log_densities(logf, "logf")
    n = matrix.shape[0]
    u, tables = unit_mean(weights, n), [matrix]
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
    return Reduced(LogLinear(base, design, u, zero, zero), basis, condition, shift[:n])


def _density_blocks(tables: Sequence[Array]) -> Iterator[tuple[slice, Array, Array]]:
    """Yield rows of all tables in turn, their densities over the row maximum, and its log."""
    first = 0
    for table in tables:
        for rows in blocks(table.shape[0]):
            density, top = scale_rows(table[rows])
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
    tangent = tangent_basis(hessian.shape[0])
    if hessian.shape[0] == 1:
        return tangent, 1.0
    curvature, vectors = np.linalg.eigh(symmetrise(tangent.T @ hessian @ tangent))
    largest = float(np.linalg.eigvalsh(hessian)[-1])
    keep = curvature > truncation * largest
    smallest = float(curvature[0])
    condition = float(curvature[-1]) / smallest if smallest > 0.0 else math.inf
    return np.ascontiguousarray(tangent @ vectors[:, keep]), condition


def unit_mean(weights: Array | None, n: int) -> Array:
    """Return event weights ``(n,)``, all positive, over their mean."""
    if weights is None:
        return np.ones(n)
    u = as_vector(weights, "weights", length=n)
    require(
        u.min() > 0.0,
        "weights",
        got=f"{int((u <= 0).sum())} event weights that are zero or negative",
        expected="positive event weights",
        remedy="The likelihood is not convex with negative weights; unweight the sample "
        "(cell resampling), or fit the weights on an unweighted sample.",
    )
    return np.asarray(u / u.mean())
