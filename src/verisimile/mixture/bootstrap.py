"""Covariance of the weights from refits to resampled events, for those who ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError, NumericsError, SupportError
from verisimile.core.random import Seeds
from verisimile.mixture.covariance import closed_form
from verisimile.mixture.fit import Pseudo, WeightFit, fitted_weights
from verisimile.mixture.solvers.protocol import WeightSolver
from verisimile.stats.linalg import symmetrised

BOOTSTRAP = "bootstrap"
_MAX_FAILED = 0.1


@dataclass(frozen=True, slots=True)
class Bootstrap:
    r"""Covariance of the weights by refits to events drawn with replacement.

    .. math:: C = \frac{1}{B - 1} \sum_b (w_b - \bar w)(w_b - \bar w)^T

    Pseudo-events are drawn anew for each refit.  The draws :math:`w_b` are kept, and
    the toys of a goodness-of-fit test are drawn from them.  **Not where positivity binds**
    (``record.free_share`` well below one): a refit stops at the boundary where
    the fit stopped, however far away the truth is, and the spread is several times too
    small.  The closed forms are right there.

    Attributes
    ----------
    replicas
        B, refits.

    References
    ----------
    B. Efron, Ann. Statist. 7 (1979) 1;
    D. W. K. Andrews, Econometrica 68 (2000) 399 (parameters at a boundary).
    """

    replicas: int = 400

    def __post_init__(self) -> None:
        if self.replicas < 2:
            raise InputError("Bootstrap.replicas", got=self.replicas, expected="2 or more")


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """What a refit needs.

    Attributes
    ----------
    logf
        Log-densities ``(n, M)`` at the events.
    weights
        Event weights ``(n,)``, or None.
    pseudo
        From a generator to fresh pseudo-events.
    solver
        What minimises.
    """

    logf: Array
    weights: Array | None
    pseudo: Callable[[np.random.Generator], Pseudo]
    solver: WeightSolver

    def __call__(self, rng: np.random.Generator) -> Array | None:
        """Return the weights ``(M,)`` of resampled events, or None if they have no fit."""
        n = self.logf.shape[0]
        rows = rng.integers(n, size=n)
        u = None if self.weights is None else self.weights[rows]
        try:
            return fitted_weights(self.logf[rows], u, self.pseudo(rng), self.solver)
        except (NumericsError, SupportError):
            return None


def resolved_covariance(covariance: str | Bootstrap) -> tuple[str, Bootstrap | None]:
    """Return the name of the closed form to start from, and the bootstrap if one is wanted.

    Raises
    ------
    InputError
        If there is no such covariance.
    """
    if isinstance(covariance, Bootstrap):
        return "sandwich", covariance
    if covariance == BOOTSTRAP:
        return "sandwich", Bootstrap()
    closed_form(covariance)
    return covariance, None


def resampled(fit: WeightFit, refit: Refit, plan: Bootstrap, seeds: Seeds) -> WeightFit:
    """Return a fit with the covariance of its refits, and their weights ``(B, M)``.

    Refit b has the stream ``seeds.at(b)``.

    Raises
    ------
    NumericsError
        If more than a tenth of the refits have no optimum.
    """
    found = [refit(seeds.at(b).numpy()) for b in range(plan.replicas)]
    draws = np.array([weights for weights in found if weights is not None])
    failed = plan.replicas - len(draws)
    if failed > _MAX_FAILED * plan.replicas:
        raise NumericsError(
            "bootstrap of the weight fit",
            got=f"{failed} of {plan.replicas} refits without an optimum",
            expected="at most a tenth",
            remedy='Use covariance="sandwich", more events, or fewer members.',
        )
    centred = draws - draws.mean(axis=0)
    record = replace(fit.record, covariance=BOOTSTRAP, n_refits=len(draws), n_failed_refits=failed)
    return replace(
        fit,
        covariance=frozen(symmetrised(centred.T @ centred / (len(draws) - 1))),
        draws=frozen(draws),
        record=record,
    )
