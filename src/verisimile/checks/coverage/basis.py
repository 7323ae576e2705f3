r"""What another draw of the members would have given: the part that no weight covariance has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.responses import Propagated, Response
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.newton import NewtonSolver

__all__ = ["MemberBootstrap", "basis_variances", "restricted", "widened"]


@dataclass(frozen=True, slots=True)
class MemberBootstrap:
    """Resampling of the members with replacement, with a refit of the weights each time.

    Attributes
    ----------
    replicas
        How often.
    """

    replicas: int = 30

    def __post_init__(self) -> None:
        if self.replicas < 2:
            raise InputError("MemberBootstrap.replicas", got=self.replicas, expected="2 or more")


def basis_variances(
    responses: Sequence[Response],
    logf: Array,
    pseudo: Pseudo | None,
    bootstrap: MemberBootstrap,
    rng: np.random.Generator,
) -> Array:
    r"""Return the variance of every observable under resampling of the members, ``(K,)``.

    .. math:: v = \mathrm{var}_b \Big[ \sum_{i \in S_b} w^{(b)}_i O_i \Big]

    with :math:`S_b` the members in bootstrap sample b (a repeated member adds
    nothing) and :math:`w^{(b)}` fitted to the same events ``(n, M)`` as before.

    Raises
    ------
    SupportError, NumericsError
        If one of the refits has no answer.
    """
    members = logf.shape[1]
    seen: dict[bytes, list[float]] = {}
    rows = []
    for _ in range(bootstrap.replicas):
        picked = np.unique(rng.integers(members, size=members))
        if picked.tobytes() not in seen:
            weights = _refitted(logf, pseudo, picked)
            seen[picked.tobytes()] = [response.value(weights) for response in responses]
        rows.append(seen[picked.tobytes()])
    return np.asarray(np.var(rows, axis=0, ddof=1))


def widened(
    found: Sequence[Propagated],
    responses: Sequence[Response],
    logf: Array,
    pseudo: Pseudo | None,
    bootstrap: MemberBootstrap,
    seeds: Seeds,
) -> list[Propagated]:
    """Return the estimates with the members' variance in their errors."""
    extra = basis_variances(responses, logf, pseudo, bootstrap, seeds.numpy())
    return [item.widened(float(more)) for item, more in zip(found, extra, strict=True)]


def restricted(pseudo: Pseudo | None, columns: Sequence[int] | IntArray) -> Pseudo | None:
    """Return the pseudo-events that some of the kept members can make."""
    if pseudo is None:
        return None
    logz = pseudo.log_densities[:, np.asarray(columns)]
    made = logz.max(axis=1) > -np.inf
    return Pseudo(logz[made], pseudo.strength) if made.any() else None


def _refitted(logf: Array, pseudo: Pseudo | None, picked: IntArray) -> Array:
    fit = fit_weights(logf[:, picked], solver=NewtonSolver(), pseudo=restricted(pseudo, picked))
    weights = np.zeros(logf.shape[1])
    weights[picked] = fit.weights
    return weights
