"""Observables of a mixture with its discrepancy: values, and errors of weights and correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from verisimile.checks.coverage.responses import ObservableEstimate
from verisimile.core.arrays import Array
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Reference
from verisimile.mixture.model import Mixture

if TYPE_CHECKING:
    from verisimile.checks.coverage.basis import BasisTerm
    from verisimile.checks.coverage.observables import BoundObservable


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedLaw:
    """A corrected mixture, and draws of the uncorrected one that stand for it.

    Attributes
    ----------
    mixture
        Its density and the covariance of weights and correction.
    x, rows
        The draws ``(R, d)`` and their functions ``(R, r + P)``.
    shares
        What each of them counts ``(R,)``, sum one.
    """

    mixture: CorrectedMixture
    x: Array
    rows: Array
    shares: Array

    @classmethod
    def of(cls, mixture: CorrectedMixture, x: Array, rows: Array) -> CorrectedLaw:
        """Return the law of draws of the uncorrected mixture."""
        return cls(mixture, x, rows, mixture.discrepancy.shares(rows))

    def quantiles(self, column: int, probabilities: Array) -> Array:
        """Return quantiles of one feature, ``(K,)``."""
        order = np.argsort(self.x[:, column], kind="stable")
        share = self.shares[order]
        # Half of an event's own share lies below it.
        below = np.cumsum(share) - 0.5 * share
        return np.asarray(np.interp(probabilities, below, self.x[order, column]))

    def estimates(self, bound: Sequence[BoundObservable]) -> list[ObservableEstimate]:
        """Return value and error of every observable."""
        tangents = [item.tangent(self) for item in bound]
        moving = [k for k, tangent in enumerate(tangents) if tangent.values is not None]
        columns = [tangent.values for tangent in tangents if tangent.values is not None]
        variances = np.array([tangent.error**2 for tangent in tangents])
        sampling = np.zeros(len(tangents))
        if moving:
            table = np.column_stack(columns)
            _, whole, drawn = self.mixture.discrepancy.moments(table, self.x, self.rows)
            variances[moving], sampling[moving] = np.diag(whole), np.diag(drawn)
        return [
            ObservableEstimate(tangent.value, math.sqrt(max(variance, 0.0)), part)
            for tangent, variance, part in zip(
                tangents, variances.tolist(), sampling.tolist(), strict=True
            )
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Tangent:
    """An observable of a corrected law, to first order in what is uncertain.

    Attributes
    ----------
    value
        The observable.
    values
        Of a function at the draws of the law ``(R,)``: the observable moves as its expectation
        does.  None where the error is known without draws.
    error
        That error then.
    """

    value: float
    values: Array | None = None
    error: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class JointRefit:
    r"""Weights and discrepancy fitted to the events of another data set, for given members.

    The functions s of the discrepancy are the relative variations by the weights, and their
    coefficients have a flat prior: the fit of :math:`(\eta, b)` about the *given* weights is, to
    first order, that of the weights and of b in this data set.  Draws of the mixture and the
    functions are shared by all data sets; only the means of the functions are those of its events.
    """

    mixture: CorrectedMixture
    reference: Reference

    @classmethod
    def of(cls, mixture: CorrectedMixture, x: Array, rows: Array) -> JointRefit:
        """Return the refit about a mixture, from draws of the uncorrected one."""
        return cls(mixture, Reference.at(mixture.discrepancy.functions, x, rows))

    def __call__(self, x: Array, logf: Array, seeds: Seeds) -> CorrectedLaw:
        """Return the law that is fitted to events ``(n, d)`` of log-densities ``(n, M)``."""
        plain, reference = self.mixture.uncorrected, self.reference
        seen = reference.functions.at(x, logf).mean(axis=0)
        fit = reference.fit(seen, float(len(x)), self.mixture.discrepancy.settings, seeds)
        return CorrectedLaw.of(CorrectedMixture(plain, fit), reference.x, reference.rows)


def require_no_basis(mixture: Mixture, basis: BasisTerm | None) -> None:
    """Refuse to add the members' part to errors that hold it already."""
    require(
        basis is None or not isinstance(mixture, CorrectedMixture),
        "basis",
        got=f"{type(basis).__name__} for a mixture with discrepancy",
        expected="none: what the members miss would count twice",
        remedy="Leave out basis=, or use the mixture without: mixture.uncorrected, or "
        "fit_mixture(..., discrepancy=None).",
    )
