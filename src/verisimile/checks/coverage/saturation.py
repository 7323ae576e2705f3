"""How far observables still move when the ensemble grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.basis import restricted
from verisimile.core.arrays import Array, as_vector, frozen
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.newton import NewtonSolver

__all__ = ["Saturation", "saturation"]

_FEWEST = 4
_MOVED = 1.0


@register("saturation", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Saturation:
    r"""Observables of the mixture for a growing number of members.

    Attributes
    ----------
    names
        Observables.
    sizes
        Numbers of members, increasing to M.
    values, errors
        Estimates and errors ``(sizes, observables)``, weight covariance only.
    shifts
        :math:`|o_m - o_M| / \sigma_M` for all but the last size ``(sizes - 1, observables)``.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    values: Array
    errors: Array
    shifts: Array

    @property
    def flagged(self) -> tuple[str, ...]:
        """Observables that the second half of the members moved by more than one sigma."""
        return tuple(
            name
            for name, shift in zip(self.names, self.shifts[-1], strict=True)
            if not shift <= _MOVED  # NaN is flagged
        )

    def __repr__(self) -> str:
        """Return one line: sizes and last shifts."""
        last = ", ".join(
            f"{name} {shift:.2f}" for name, shift in zip(self.names, self.shifts[-1], strict=True)
        )
        return f"Saturation(M={self.sizes}, last shifts in sigma: {last})"


def saturation(
    logf: Array,
    expectations: Mapping[str, Array],
    *,
    weights: Array | None = None,
    pseudo: Pseudo | None = None,
    solver: NewtonSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> Saturation:
    r"""Refit with M/4, M/2 and all M members and compare the observables.

    .. math:: o_m = \sum_{i \le m} w_i^{(m)} O_i, \quad
              \sigma_m^2 = O_{\le m}^T C^{(m)} O_{\le m}

    Parameters
    ----------
    logf
        Log-densities ``(n, M)`` of the members at the weight-fit events.
    expectations
        Members' expectations ``(M,)`` of each observable, by name.
    weights, pseudo, solver
        As for :func:`~verisimile.mixture.fit.fit_weights`; pseudo-events that
        no kept member can make are left out.

    Raises
    ------
    InputError
        If there are fewer than four members, or shapes do not match.
    SupportError, NumericsError
        If one of the fits has no answer.
    """
    matrix = np.asarray(logf, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < _FEWEST:
        raise InputError(
            "logf",
            got=f"an array of shape {matrix.shape}",
            expected=f"log-densities of at least {_FEWEST} members",
        )
    if not expectations:
        raise InputError("expectations", got="none", expected="at least one observable")
    members = matrix.shape[1]
    table = np.array([as_vector(v, k, length=members) for k, v in expectations.items()])
    sizes = (members // 4, members // 2, members)
    fits = [
        fit_weights(matrix[:, :m], weights, solver=solver, pseudo=restricted(pseudo, range(m)))
        for m in sizes
    ]
    values = np.array([table[:, :m] @ f.weights for m, f in zip(sizes, fits, strict=True)])
    errors = np.array([_errors(table[:, :m], f) for m, f in zip(sizes, fits, strict=True)])
    with np.errstate(divide="ignore", invalid="ignore"):
        shifts = np.abs(values[:-1] - values[-1]) / errors[-1]
    return Saturation(tuple(expectations), sizes, frozen(values), frozen(errors), frozen(shifts))


def _errors(table: Array, fit: WeightFit) -> Array:
    variances = np.einsum("oi,ij,oj->o", table, fit.covariance, table)
    return np.asarray(np.sqrt(np.clip(variances, 0.0, None)))
