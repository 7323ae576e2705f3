"""Whether observables still move when the ensemble grows, and whether they miss their events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.basis import restricted
from verisimile.core.arrays import Array, IntArray, as_vector, frozen
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.objective import scaled

__all__ = ["Saturation", "saturation"]

_FEWEST = 4
_MOVED = 1.0
_MISSED = 3.0
_HALVES = 6  # other halves of the members, beside the first


@register("saturation", 2)
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
    shift_errors
        Standard deviation of a shift whose truth lies in the span of the m members,
        from the events and from the members' finite draws, in the same units.
    half_shifts
        Root mean square of the shifts of several halves of the members beyond their own
        errors, in :math:`\sigma_M`, ``(observables,)``: how far a half is off.
    pulls
        (estimate - mean over the events) / error of the difference ``(observables,)``; NaN
        where the events' values are not given.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    values: Array
    errors: Array
    shifts: Array
    shift_errors: Array
    half_shifts: Array
    pulls: Array

    @property
    def flagged(self) -> tuple[str, ...]:
        """Observables whose error means little.

        Those that halves of the members shift by more than one sigma beyond noise, and
        those that miss the events that they were fitted to by more than three errors.
        """
        return tuple(
            name
            for name, shift, pull in zip(self.names, self.half_shifts, self.pulls, strict=True)
            # NaN shifts are flagged; a NaN pull was not asked for.
            if not shift <= _MOVED or abs(pull) > _MISSED
        )

    def __repr__(self) -> str:
        """Return one line: sizes, and shifts with their errors."""
        last = ", ".join(
            f"{name} {shift:.2f} ± {error:.2f}"
            for name, shift, error in zip(
                self.names, self.shifts[-1], self.shift_errors[-1], strict=True
            )
        )
        return f"Saturation(M={self.sizes}, last shifts in sigma: {last})"


def saturation(
    logf: Array,
    expectations: Mapping[str, Array],
    *,
    weights: Array | None = None,
    pseudo: Pseudo | None = None,
    solver: NewtonSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    draw_errors: Mapping[str, Array] | None = None,
    observed: Mapping[str, Array] | None = None,
) -> Saturation:
    r"""Refit with M/4, M/2 and all M members and compare the observables.

    .. math:: o_m = \sum_{i \le m} w_i^{(m)} O_i, \quad
              \sigma_m^2 = O_{\le m}^T C^{(m)} O_{\le m}, \quad
              \mathrm{var}(o_m - o_M) = \max(0, \sigma_M^2 - \sigma_m^2)
              + \sum_i (w_i^{(m)} - w_i^{(M)})^2 e_i^2

    The variance of the shift is that of a truth in the span of the m members, whose fit is
    efficient.  One half may agree with the whole by chance: several halves are refitted.
    What *all* members miss moves with none of them; only the events themselves show it, in the
    difference of their mean :math:`\bar h` from :math:`o_M`, of which each event
    contributes :math:`h_n - n\, O^T C\, f(x_n)/\hat f(x_n)`.

    Parameters
    ----------
    logf
        Log-densities ``(n, M)`` of the members at the weight-fit events.
    expectations
        Members' expectations ``(M,)`` of each observable, by name.
    weights, pseudo, solver
        As for :func:`~verisimile.mixture.fit.fit_weights`; pseudo-events that
        no kept member can make are left out.
    draw_errors
        Standard errors e ``(M,)`` of the expectations, by name, if they come from draws
        of each member by itself; exact if not given.
    observed
        Values h ``(n,)`` of observables at the weight-fit events, by name.

    Raises
    ------
    InputError
        If there are fewer than four members, or names or shapes do not match.
    SupportError, NumericsError
        If one of the fits has no answer.

    References
    ----------
    J. A. Hausman, Econometrica 46 (1978) 1251 (variance of the shift).
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
    names, members = tuple(expectations), matrix.shape[1]
    refit = _Refit(
        matrix,
        _table(expectations, names, members, math.nan),
        _table(draw_errors or {}, names, members, 0.0),
        (weights, pseudo, solver),
    )
    full = refit.subset(np.arange(members))
    sizes = (members // 4, members // 2)
    nested = [refit.subset(np.arange(m)) for m in sizes]
    halves = [nested[1], *(refit.subset(part) for part in _halves(members))]
    known = _table(observed or {}, names, matrix.shape[0], math.nan)
    return Saturation(
        names=names,
        sizes=(*sizes, members),
        values=frozen([fit.values for fit in (*nested, full)]),
        errors=frozen([fit.errors for fit in (*nested, full)]),
        shifts=frozen([np.abs(refit.shift(fit, full)) for fit in nested]),
        shift_errors=frozen([refit.noise(fit, full) for fit in nested]),
        half_shifts=frozen(_excess(refit, halves, full)),
        pulls=frozen(refit.pulls(full, known)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A fit of some of the members: weights ``(M,)``, values and errors ``(observables,)``."""

    fit: WeightFit
    weights: Array
    values: Array
    errors: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Refit:
    """Log-densities ``(n, M)``, expectations and their errors ``(observables, M)``, settings."""

    logf: Array
    table: Array
    draws: Array
    settings: tuple[Array | None, Pseudo | None, NewtonSolver]

    def subset(self, members: IntArray) -> _Part:
        u, pseudo, solver = self.settings
        fit = fit_weights(
            self.logf[:, members], u, solver=solver, pseudo=restricted(pseudo, members)
        )
        weights = np.zeros(self.logf.shape[1])
        weights[members] = fit.weights
        part = self.table[:, members]
        variances = np.einsum("oi,ij,oj->o", part, fit.covariance, part)
        errors = np.sqrt(np.clip(variances, 0.0, None))
        return _Part(fit, weights, self.table @ weights, np.asarray(errors))

    def shift(self, part: _Part, full: _Part) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((part.values - full.values) / full.errors)

    def noise(self, part: _Part, full: _Part) -> Array:
        drawn = (self.draws**2) @ (part.weights - full.weights) ** 2
        events = np.clip(full.errors**2 - part.errors**2, 0.0, None)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(events + drawn) / full.errors)

    def pulls(self, full: _Part, observed: Array) -> Array:
        density, _ = scaled(self.logf)
        scores = density / (density @ full.weights)[:, None]
        n = self.logf.shape[0]
        u = np.ones(n) if self.settings[0] is None else np.asarray(self.settings[0])
        u = u / u.mean()
        influence = n * (self.table @ full.fit.covariance) @ scores.T
        drawn = (self.draws**2) @ full.weights**2
        spread = np.sqrt(((observed - influence) * u).var(axis=1, ddof=1) / n + drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((full.values - (observed * u).mean(axis=1)) / spread)


def _table(given: Mapping[str, Array], names: Sequence[str], length: int, missing: float) -> Array:
    """Return one row per observable, `missing` where there is none of that name."""
    unknown = sorted(given.keys() - set(names))
    if unknown:
        raise InputError("observables", got=unknown, expected=f"names among {list(names)}")
    rows = [
        as_vector(given[name], name, length=length) if name in given else np.full(length, missing)
        for name in names
    ]
    return np.array(rows)


def _halves(members: int) -> list[IntArray]:
    """Return other halves than the first: the second, and every second member, pair, ..."""
    size, place = members // 2, np.arange(members)
    parts = [np.sort(np.roll(place, -size)[:size])]
    for stride in range(1, 1 + (_HALVES - 1) // 2):
        order = np.argsort(place // stride % 2, kind="stable")
        parts += [np.sort(order[:size]), np.sort(order[-size:])]
    return parts


def _excess(refit: _Refit, halves: Sequence[_Part], full: _Part) -> Array:
    squares = [refit.shift(part, full) ** 2 - refit.noise(part, full) ** 2 for part in halves]
    return np.asarray(np.sqrt(np.maximum(np.mean(squares, axis=0), 0.0)))
