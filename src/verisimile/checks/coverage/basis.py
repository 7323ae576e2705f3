"""What another draw of the members would have given: the part that no weight covariance has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.checks.coverage.responses import ObservableEstimate, Response
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require, require_at_least
from verisimile.core.random import Seeds
from verisimile.mixture.covariance import left_out_members
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.objective import scale_rows


@dataclass(frozen=True, slots=True, eq=False)
class BasisFit:
    """A weight fit with what it was made from: log-densities ``(n, M)``, pseudo-events."""

    fit: WeightFit
    logf: Array
    pseudo: Pseudo | None = None


class BasisTerm(Protocol):
    """An estimate of the members' part of the variance of observables."""

    def variances(self, responses: Sequence[Response], fitted: BasisFit, seeds: Seeds) -> Array:
        """Return the variance to add to each observable ``(K,)``."""
        ...


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    r"""Each member in turn stands for the truth and is fitted by the others.

    .. math:: v = \frac1M \sum_i \Big(O_i - \sum_{j \ne i} w^{(i)}_j O_j\Big)^2, \quad
              w^{(i)} = \arg\min_{1^T w = 1} \int
              \frac{(f_i - \sum_{j \ne i} w_j f_j)^2}{\hat f}

    Members of bootstrap replicas scatter around the ensemble as the ensemble
    does around the truth: what M - 1 members miss of another member, M members
    miss of the truth, or a little less.  The term vanishes once the members
    span their own fluctuations.  What all members have in common, such as the
    bias of a flow that is too stiff, is not in it.
    """

    def variances(
        self,
        responses: Sequence[Response],
        fitted: BasisFit,
        seeds: Seeds,  # noqa: ARG002  (nothing is random here)
    ) -> Array:
        """Return the mean squared difference between a member and its fit by the others."""
        directions = left_out(fitted)
        weights = fitted.fit.weights
        return np.array(
            [np.mean([r.variation(weights, v) ** 2 for v in directions]) for r in responses]
        )


@dataclass(frozen=True, slots=True)
class MemberBootstrap:
    r"""Resampling of the members with replacement, with a refit of the weights each time.

    .. math:: v = \mathrm{var}_b \Big[ \sum_{i \in S_b} w^{(b)}_i O_i \Big]

    with :math:`S_b` the members in bootstrap sample b (a repeated member adds
    nothing) and :math:`w^{(b)}` fitted to the same events as before.  The
    fluctuation that all members share, because they share their training
    sample, is not in it: use :class:`LeaveOneOut`, unless to compare.

    Attributes
    ----------
    replicas
        How often.
    """

    replicas: int = 30

    def __post_init__(self) -> None:
        require_at_least(2, self.replicas, "MemberBootstrap.replicas")

    def variances(self, responses: Sequence[Response], fitted: BasisFit, seeds: Seeds) -> Array:
        """Return the variance over refits, all of which must have an answer."""
        members, rng = fitted.logf.shape[1], seeds.numpy()
        seen: dict[bytes, list[float]] = {}
        rows = []
        for _ in range(self.replicas):
            picked = np.unique(rng.integers(members, size=members))
            if picked.tobytes() not in seen:
                pseudo = keep_members(fitted.pseudo, picked)
                weights = np.zeros(members)
                weights[picked] = fit_weights(fitted.logf[:, picked], pseudo=pseudo).weights
                seen[picked.tobytes()] = [response.value(weights) for response in responses]
            rows.append(seen[picked.tobytes()])
        return np.asarray(np.var(rows, axis=0, ddof=1))


def add_basis_variance(
    found: Sequence[ObservableEstimate],
    responses: Sequence[Response],
    fitted: BasisFit,
    term: BasisTerm,
    seeds: Seeds,
) -> list[ObservableEstimate]:
    """Return the estimates with the variance of two or more members in their errors."""
    several, expected = fitted.logf.shape[1] > 1, "two or more, for a spread"
    require(several, "basis", got="one member", expected=expected)
    extra = term.variances(responses, fitted, seeds)
    return [item.plus_variance(float(more)) for item, more in zip(found, extra, strict=True)]


def left_out(fitted: BasisFit) -> Array:
    """Return, for every member, itself minus its fit by the others: rows ``(M, M)``."""
    density, _ = scale_rows(fitted.logf)
    scores = density / (density @ fitted.fit.weights)[:, None]
    return left_out_members(scores.T @ scores / scores.shape[0])


def keep_members(pseudo: Pseudo | None, columns: Sequence[int] | IntArray) -> Pseudo | None:
    """Return the pseudo-events that some of the kept members can make."""
    if pseudo is None:
        return None
    logz = pseudo.log_densities[:, np.asarray(columns)]
    made = logz.max(axis=1) > -np.inf
    return Pseudo(logz[made], pseudo.strength) if made.any() else None
