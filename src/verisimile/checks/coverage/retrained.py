"""Coverage of the whole procedure: members and weights are made anew in every data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.checks.coverage.basis import (
    BasisFit,
    BasisTerm,
    add_basis_variance,
    keep_members,
)
from verisimile.checks.coverage.corrected import CorrectedLaw, require_no_basis
from verisimile.checks.coverage.members import (
    Aim,
    PooledDraws,
    local_responses,
    pilot_columns,
    pseudo_events,
)
from verisimile.checks.coverage.observables import FeatureColumns, Observable, bind_all
from verisimile.checks.coverage.responses import ObservableEstimate
from verisimile.checks.coverage.result import RETRAINED, Coverage, check_sizes, run_experiments
from verisimile.checks.coverage.truth import (
    draw_truth,
    true_values,
    truth_key,
    truth_notes,
    truth_of,
)
from verisimile.core.arrays import Array, IntArray, as_vector, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.inputs import EventsLike
from verisimile.density.protocol import Sampler
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import scale_rows
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.stats.intervals import ONE_SIGMA

MakeMixture = Callable[[Seeds, Events], Mixture | tuple[Mixture, Events]]


def coverage_retrained(  # noqa: PLR0913  (what a study consists of)
    run: Run,
    make_mixture: MakeMixture,
    truth: Sampler | EventsLike,
    *,
    observables: Mapping[str, Observable],
    level: float = ONE_SIGMA,
    datasets: int = 300,
    events: int,
    draws: PooledDraws = PooledDraws(),  # noqa: B008  (a frozen value)
    basis: BasisTerm | None = None,
) -> Coverage:
    """Count how often intervals contain the truth when everything is made anew.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    make_mixture
        ``make_mixture(seeds, events)`` trains members and fits weights on one
        data set; it splits the events as it likes.  With `basis` it returns
        the mixture and the events of the weight fit.  It is identified by its
        name: after a change, use ``run.at("another word")``.  If its mixture has a discrepancy,
        intervals are those of the corrected law; the draws are those of the fit if that was
        given ``Run(seeds)``, and otherwise others, whose noise is in the errors.
    truth, observables, level, datasets
        As for :func:`~verisimile.checks.coverage.conditional.coverage`; features
        have the names ``x0, x1, ...`` that :class:`Events` gives them.
    events
        Events per data set, for training and weights together.
    draws
        Draws of the members for their expectations, where these are not exact; not for a
        mixture with discrepancy.
    basis
        Adds the members' own variance to every error (:class:`LeaveOneOut`);
        nothing if not given, or for a mixture with discrepancy, whose errors hold it.
    """
    check_sizes(level=level, datasets=datasets, events=events)
    source = truth_of(truth)
    pilot = draw_truth(source, 1000, run.seeds.at("coverage", "pilot").numpy())
    columns = FeatureColumns(tuple(Events(pilot).names), pilot)
    bound = bind_all(observables, columns)
    named = make_mixture if hasattr(make_mixture, "__qualname__") else type(make_mixture)
    identity: dict[str, JSON] = {
        "mode": RETRAINED,
        "recipe": f"{named.__module__}.{named.__qualname__}",
        "truth": truth_key(source),
        "observables": [item.key for item in bound.values()],
        "events": events,
        "draws": repr(draws),
        "basis": repr(basis),
    }
    return run_experiments(
        run,
        _Retraining(source, make_mixture, dict(observables), events, draws, basis),
        identity,
        true_values(source, bound, run.seeds.at("coverage", "truth")),
        level=level,
        datasets=datasets,
        chunk=1,
        notes=truth_notes(source, events, datasets),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Retraining:
    """One pseudo-experiment from its events to its observables."""

    truth: Sampler
    make_mixture: MakeMixture
    observables: Mapping[str, Observable]
    events: int
    draws: PooledDraws
    basis: BasisTerm | None

    def __call__(self, seeds: Seeds) -> list[ObservableEstimate]:
        """Draw, train, fit, and return all observables."""
        x = draw_truth(self.truth, self.events, seeds.at("events").numpy())
        made = self.make_mixture(seeds.at("mixture"), Events(x))
        mixture = made if isinstance(made, Mixture) else made[0]
        require_no_basis(mixture, self.basis)
        bound = [*bind_all(self.observables, pilot_columns(mixture, seeds)).values()]
        if isinstance(mixture, CorrectedMixture):
            drawn = mixture.weighted_draws(Run(seeds.at("mixture")))
            return CorrectedLaw.of(mixture, *drawn).estimates(bound)
        n = mixture.fit.record.n_events
        responses = local_responses(seeds, mixture, bound, self.draws, Aim(n))
        found = [response.estimate(mixture.fit) for response in responses]
        if self.basis is None:
            return found
        if isinstance(made, Mixture):
            raise InputError(
                "make_mixture",
                got="a mixture alone",
                expected="a mixture and the events of its weight fit, to refit with other members",
                remedy="Return (mixture, events), or leave out basis=.",
            )
        record = mixture.fit.record
        pseudo = pseudo_events(
            mixture, record.n_pseudo, record.pseudo_strength, seeds.at("basis", "pseudo")
        )
        fitted = BasisFit(mixture.fit, mixture.log_densities(made[1].x), pseudo)
        return add_basis_variance(found, responses, fitted, self.basis, seeds.at("basis"))


_FEWEST = 4
_MOVED = 1.0
_MISSED = 3.0
_HALVES = 6  # other halves of the members, beside the first


@register("saturation", 2)
@dataclass(frozen=True, slots=True, eq=False)
class Saturation(Result):
    r"""Observables of the mixture for a growing number of members.

    Attributes
    ----------
    sizes
        Numbers of members, increasing to M.
    values, errors
        Estimates and errors ``(sizes, observables)``, weight covariance only.
    shifts
        :math:`|o_m - o_M| / \sigma_M` for all but the last size ``(sizes - 1, observables)``.
        Here and below :math:`\sigma_M` is the error of the estimate where one was given.
    shift_errors
        Standard deviation of a shift whose truth lies in the span of the m members,
        from the events and from the members' finite draws, in the same units.
    half_shifts
        Root mean square of the shifts of several halves of the members beyond their own
        errors, in :math:`\sigma_M`, ``(observables,)``: how far a half is off.
    pulls
        (estimate - mean over the events) / error of the difference ``(observables,)``, or the
        error of counting where an estimate was given; NaN
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
    listed: ClassVar[tuple[str, ...]] = ("names", "half_shifts", "pulls")

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


def saturation(  # noqa: PLR0913  (what a refit needs, and what it is judged by)
    logf: Array,
    expectations: Mapping[str, Array],
    *,
    weights: Array | None = None,
    pseudo: Pseudo | None = None,
    solver: NewtonSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    draw_errors: Mapping[str, Array] | None = None,
    observed: Mapping[str, Array] | None = None,
    estimates: Mapping[str, Estimate] | None = None,
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

    The errors of a mixture with its discrepancy hold what the members miss.  Given its `estimates`,
    the question is whether its errors are large enough: shifts of the weights' fits are in units
    of these errors instead of :math:`\sigma_M`, and a pull is that of the estimate
    :math:`\tilde o` in units of the counting error,
    :math:`(\tilde o - \bar h) / \sqrt{\mathrm{var}(h)/n}`.  The estimate follows the events, and
    the scatter of the difference is less than that; how much less depends on scales that are
    learnt, so that no smaller error is claimed for it.

    Parameters
    ----------
    logf
        Log-densities ``(n, M)`` of four members or more at the weight-fit events.
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
    estimates
        Of every observable, by name, from the mixture with its discrepancy:
        ``mixture.expectation(h, run)``.

    References
    ----------
    J. A. Hausman, Econometrica 46 (1978) 1251 (variance of the shift).
    """
    matrix = np.asarray(logf, dtype=np.float64)
    require(
        matrix.ndim == 2 and matrix.shape[1] >= _FEWEST,
        "logf",
        got=f"an array of shape {matrix.shape}",
        expected=f"log-densities of at least {_FEWEST} members",
    )
    require(expectations, "expectations", got="none", expected="at least one observable")
    names, members = tuple(expectations), matrix.shape[1]
    refit = _SubsetRefits(
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
    if estimates is None:
        units, pulls = full.errors, refit.pulls(full, known)
    else:
        centre, units = _honest(estimates, names)
        pulls = refit.counted_pulls(centre, known)
    shifts = [refit.shift(fit, full, units) for fit in (*nested, *halves)]
    noise = [refit.noise(fit, full, units) for fit in (*nested, *halves)]
    excess = np.square(shifts[2:]) - np.square(noise[2:])
    return Saturation(
        names=names,
        sizes=(*sizes, members),
        values=frozen([fit.values for fit in (*nested, full)]),
        errors=frozen([fit.errors for fit in (*nested, full)]),
        shifts=frozen(np.abs(shifts[:2])),
        shift_errors=frozen(noise[:2]),
        half_shifts=frozen(np.sqrt(np.maximum(np.mean(excess, axis=0), 0.0))),
        pulls=frozen(pulls),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _SubsetFit:
    """A fit of some of the members: weights ``(M,)``, values and errors ``(observables,)``."""

    fit: WeightFit
    weights: Array
    values: Array
    errors: Array


@dataclass(frozen=True, slots=True, eq=False)
class _SubsetRefits:
    """Log-densities ``(n, M)``, expectations and their errors ``(observables, M)``, settings."""

    logf: Array
    table: Array
    draws: Array
    settings: tuple[Array | None, Pseudo | None, NewtonSolver]

    def subset(self, members: IntArray) -> _SubsetFit:
        u, pseudo, solver = self.settings
        fit = fit_weights(
            self.logf[:, members], u, solver=solver, pseudo=keep_members(pseudo, members)
        )
        weights = np.zeros(self.logf.shape[1])
        weights[members] = fit.weights
        part = self.table[:, members]
        variances = np.einsum("oi,ij,oj->o", part, fit.covariance, part)
        errors = np.sqrt(np.clip(variances, 0.0, None))
        return _SubsetFit(fit, weights, self.table @ weights, np.asarray(errors))

    def shift(self, part: _SubsetFit, full: _SubsetFit, units: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((part.values - full.values) / units)

    def noise(self, part: _SubsetFit, full: _SubsetFit, units: Array) -> Array:
        drawn = (self.draws**2) @ (part.weights - full.weights) ** 2
        events = np.clip(full.errors**2 - part.errors**2, 0.0, None)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(events + drawn) / units)

    def pulls(self, full: _SubsetFit, observed: Array) -> Array:
        density, _ = scale_rows(self.logf)
        scores = density / (density @ full.weights)[:, None]
        n, u = self.logf.shape[0], self._shares()
        influence = n * (self.table @ full.fit.covariance) @ scores.T
        drawn = (self.draws**2) @ full.weights**2
        spread = np.sqrt(((observed - influence) * u).var(axis=1, ddof=1) / n + drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((full.values - (observed * u).mean(axis=1)) / spread)

    def counted_pulls(self, values: Array, observed: Array) -> Array:
        u = self._shares()
        means = (observed * u).mean(axis=1)
        counted = (((observed - means[:, None]) * u) ** 2).mean(axis=1) / u.size
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((values - means) / np.sqrt(counted))

    def _shares(self) -> Array:
        u = self.settings[0]
        return np.ones(self.logf.shape[0]) if u is None else np.asarray(u) / np.mean(u)


def _table(given: Mapping[str, Array], names: Sequence[str], length: int, missing: float) -> Array:
    """Return one row per observable, `missing` where there is none of that name."""
    unknown = sorted(given.keys() - set(names))
    require(not unknown, "observables", got=unknown, expected=f"names among {list(names)}")
    rows = [
        as_vector(given[name], name, length=length) if name in given else np.full(length, missing)
        for name in names
    ]
    return np.array(rows)


def _honest(estimates: Mapping[str, Estimate], names: Sequence[str]) -> tuple[Array, Array]:
    """Return values and errors ``(observables,)`` of estimates of all observables."""
    got, expected = f"of {sorted(estimates)}", f"one of each of {sorted(names)}"
    require(estimates.keys() == set(names), "estimates", got=got, expected=expected)
    table = np.array([(estimates[name].value, estimates[name].error) for name in names])
    return table[:, 0], table[:, 1]


def _halves(members: int) -> list[IntArray]:
    """Return other halves than the first: the second, and every second member, pair, ..."""
    size, place = members // 2, np.arange(members)
    parts = [np.sort(np.roll(place, -size)[:size])]
    for stride in range(1, 1 + (_HALVES - 1) // 2):
        order = np.argsort(place // stride % 2, kind="stable")
        parts += [np.sort(order[:size]), np.sort(order[-size:])]
    return parts
