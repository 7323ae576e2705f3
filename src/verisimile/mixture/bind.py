"""From an ensemble and fresh events to a mixture: densities, pseudo-events, fit, refits, audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import NumericsError, SupportError, require, require_at_least
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import Provenance, Seen, warn_overlap
from verisimile.density.protocol import DensityEstimator, NamedConditional
from verisimile.ensemble.cross import Trained
from verisimile.ensemble.ensemble import Ensemble
from verisimile.mixture.conditional import ConditionalMixture, ContextColumns
from verisimile.mixture.covariance import closed_form
from verisimile.mixture.discrepancy.conditional import correct_conditional_mixture
from verisimile.mixture.discrepancy.corrected import corrected_by, require_unseen
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.settings import check_discrepancy
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights, fitted_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import (
    conditional_log_densities,
    conditional_negative_mass,
    member_log_densities,
    negative_mass,
)
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import WeightSolver
from verisimile.stats.linalg import symmetrise


@dataclass(frozen=True, slots=True)
class PseudoEvents:
    """How many pseudo-events to draw from the members, and what they weigh together.

    Attributes
    ----------
    count
        n_z, drawn from the members in equal shares.
    strength
        n_0 in units of real events: the smallest number that keeps the mixture
        positive where the members have mass without pulling the weights.
    audit
        Draws for the estimate of the negative mass.
    """

    count: int = 2000
    strength: float = 1.0
    audit: int = 20_000

    def __post_init__(self) -> None:
        good = self.count > 0 and self.strength > 0 and self.audit > 1
        require(good, "PseudoEvents", got=repr(self), expected="positive numbers")


def fit_mixture(
    run: Run,
    ensemble: Ensemble,
    events: EventsLike,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: PseudoEvents = PseudoEvents(),
    covariance: str | Bootstrap = "sandwich",
    discrepancy: Discrepancy | None = Discrepancy(),  # noqa: B008  (a frozen value)
) -> Mixture:
    """Fit the mixture weights of an ensemble on events that did not train it.

    The same events then tell what all members miss alike, and how well that is known: the
    result is a :class:`~verisimile.mixture.discrepancy.corrected.CorrectedMixture`.

    Parameters
    ----------
    run
        Random streams (``"pseudo"``, ``"audit"``, ``"bootstrap"``, ``"draws"``,
        ``"discrepancy"``) and storage.
    ensemble, events
        Trained members, and weight-fit sample ``(n, d)``; features are matched by name.
    solver, pseudo
        Settings of :func:`~verisimile.mixture.fit.fit_weights`.
    covariance
        ``"sandwich"``, ``"fisher"`` (unit event weights only), or ``"bootstrap"``:
        ``Bootstrap()``, which is not for fits that positivity bounds.
    discrepancy
        Settings of the fit of what the members miss alike; None for the pipeline as published,
        whose errors are those of the weights *given* the members.

    Raises
    ------
    InputError
        If the features differ, event weights are not positive, or there is no such covariance.
    NumericsError
        If the fit has no certified optimum.

    Warns
    -----
    VerisimileWarning
        If events are shared with the training sample.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> events = vs.Events(np.random.default_rng(1).normal(size=(600, 1)), names=("m",))
    >>> training, weighting = events.split((0.5, 0.5), vs.Seeds(1))
    >>> run = vs.Run(vs.Seeds(1))
    >>> trainer = vs.density.GaussianMixtureTrainer(components=(1,))
    >>> ensemble = vs.fit_ensemble(run, training, vs.BootstrapPlan(members=3), trainer)
    >>> settings = vs.Discrepancy(draws=50)
    >>> mixture = vs.fit_mixture(run, ensemble, weighting, discrepancy=settings)
    >>> bool(abs(mixture.weights.sum() - 1.0) < 1e-6)
    True
    """
    events = as_events(events, "events")
    matched = match_features(events, ensemble.features)
    warn_overlap(ensemble.provenance, matched, "weight-fit")
    check_discrepancy(discrepancy)
    if discrepancy is not None:
        require_unseen(ensemble.provenance)
    settings = WeightSettings(solver, pseudo, resolved_covariance(covariance))
    provenance = (*ensemble.provenance, Seen.of("weight-fit", matched))
    logf = ensemble.log_densities(matched)
    mixture = bound_mixture(run, ensemble, logf, matched, provenance, settings)
    if discrepancy is None:
        return mixture
    return corrected_by(run, mixture, matched, logf, discrepancy)


@dataclass(frozen=True, slots=True)
class WeightSettings:
    """How weights are fitted: solver, pseudo-events, and what gives their covariance."""

    solver: WeightSolver
    pseudo: PseudoEvents
    covariance: tuple[str, Bootstrap | None]


def bound_mixture(
    run: Run,
    ensemble: Trained,
    logf: Array,
    events: Events,
    provenance: Provenance,
    settings: WeightSettings,
) -> Mixture:
    """Return the members with weights fitted to log-densities ``(n, M)`` at the events."""
    members, pseudo = ensemble.members, settings.pseudo

    def drawn(rng: np.random.Generator) -> Pseudo:
        z = _drawn(members, pseudo.count, rng)
        return Pseudo(member_log_densities(members, z), pseudo.strength)

    def audit(weights: Array, rng: np.random.Generator) -> Estimate:
        return negative_mass(members, weights, pseudo.audit, rng)

    refit = Refit(logf, events.weights, drawn, settings.solver)
    fit = _audited(run, refit, settings.covariance, audit)
    return Mixture(members, fit, features=ensemble.features, provenance=provenance)


def _audited(
    run: Run,
    refit: Refit,
    plan: tuple[str, Bootstrap | None],
    audit: Callable[[Array, np.random.Generator], Estimate],
) -> WeightFit:
    """Return the fit to the events as they are, with the covariance and the negative mass."""
    form, bootstrap = plan
    fit = fit_weights(
        refit.logf,
        refit.weights,
        solver=refit.solver,
        pseudo=refit.pseudo(run.seeds.at("pseudo").numpy()),
        covariance=form,
    )
    if bootstrap is not None:
        fit = bootstrap_fit(fit, refit, bootstrap, run.seeds.at("bootstrap"))
    mass = audit(fit.weights, run.seeds.at("audit").numpy())
    record = replace(fit.record, negative_mass=mass.value, negative_mass_error=mass.error)
    return replace(fit, record=record)


def _drawn(members: Sequence[DensityEstimator], count: int, rng: np.random.Generator) -> Array:
    counts = rng.multinomial(count, np.full(len(members), 1.0 / len(members)))
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.concatenate(parts)


def fit_conditional_mixture(
    run: Run,
    ensemble: Ensemble,
    events: EventsLike,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: PseudoEvents = PseudoEvents(),
    covariance: str | Bootstrap = "sandwich",
    discrepancy: Discrepancy | None = None,
) -> ConditionalMixture:
    r"""Fit the weights of an ensemble of conditional densities.

    .. math:: L(w) = -\tfrac1n \sum_n u_n \log \sum_i w_i f_i(x_n \mid c_n)
              + \left(\sum_i w_i - 1\right)

    Pseudo-events and the audit of the negative mass use contexts of `events`,
    drawn with replacement.  All else is as for :func:`fit_mixture`; an ensemble without
    context is refused, and a warning says if contexts lie outside of the training range.

    With a `discrepancy` the result is a
    :class:`~verisimile.mixture.discrepancy.conditional.CorrectedConditionalMixture`, whose errors
    hold what all members miss alike.  It is not the default, for its norm at each context is an
    average over draws there, so that a density costs as much as a hundred without it, and
    :func:`goodness_in_context` tests the mixture without it.
    """
    events = as_events(events, "events")
    members = ensemble.conditionals
    columns = context_columns(ensemble)
    matched = match_features(events, ensemble.features)
    warn_overlap(ensemble.provenance, matched, "weight-fit")
    context = matched.select(columns.names).x
    columns.warn_outside(context, "weight-fit")
    check_discrepancy(discrepancy)
    plan = resolved_covariance(covariance)

    def drawn(rng: np.random.Generator) -> Pseudo:
        return Pseudo(_pseudo(members, context, pseudo.count, rng), pseudo.strength)

    def audit(weights: Array, rng: np.random.Generator) -> Estimate:
        rows = context[rng.integers(len(context), size=pseudo.audit)]
        return conditional_negative_mass(members, weights, rows, rng)

    refit = Refit(ensemble.log_densities(matched), matched.weights, drawn, solver)
    mixture = ConditionalMixture(
        members,
        _audited(run, refit, plan, audit),
        features=ensemble_features(ensemble),
        context=columns,
        provenance=(*ensemble.provenance, Seen.of("weight-fit", matched)),
    )
    if discrepancy is None:
        return mixture
    return correct_conditional_mixture(run, mixture, matched, discrepancy)


def ensemble_features(ensemble: Ensemble) -> list[Feature]:
    """Return the features x of an ensemble of conditional densities, without its context."""
    by_name = {feature.name: feature for feature in ensemble.features}
    return [by_name[name] for name in ensemble.conditionals[0].names]


def context_columns(ensemble: Ensemble) -> ContextColumns:
    """Return the context of an ensemble, with the range that any member has seen."""
    members = ensemble.conditionals
    names = [feature.name for feature in ensemble.features]
    low = np.min([member.context_range[0] for member in members], axis=0)
    high = np.max([member.context_range[1] for member in members], axis=0)
    places = tuple(names.index(name) for name in members[0].context_names)
    return ContextColumns(tuple(ensemble.features[j] for j in places), frozen([low, high]), places)


def _pseudo(
    members: Sequence[NamedConditional], context: Array, count: int, rng: np.random.Generator
) -> Array:
    """Return log-densities ``(n_z, M)`` at draws of all members in equal shares."""
    rows = context[rng.integers(len(context), size=count)]
    which = rng.integers(len(members), size=count)
    x = np.empty((count, members[0].n_features))
    for i in np.unique(which):
        x[which == i] = members[i].sample(rows[which == i], rng)
    return conditional_log_densities(members, x, rows)


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
        require_at_least(2, self.replicas, "Bootstrap.replicas")


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """The fit to log-densities ``(n, M)`` of weighted events, with pseudo-events drawn anew."""

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
    """Return the name of the closed form to start from, and the bootstrap if one is wanted."""
    if isinstance(covariance, Bootstrap):
        return "sandwich", covariance
    if covariance == BOOTSTRAP:
        return "sandwich", Bootstrap()
    closed_form(covariance)
    return covariance, None


def bootstrap_fit(fit: WeightFit, refit: Refit, plan: Bootstrap, seeds: Seeds) -> WeightFit:
    """Return a fit with the covariance of its refits, and their weights; b has ``seeds.at(b)``."""
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
        covariance=frozen(symmetrise(centred.T @ centred / (len(draws) - 1))),
        draws=frozen(draws),
        record=record,
    )
