"""From an ensemble and fresh events to a mixture: densities, pseudo-events, fit, audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import Provenance, Seen, warn_overlap
from verisimile.density.protocol import DensityEstimator, NamedConditional
from verisimile.ensemble.ensemble import Ensemble
from verisimile.mixture.bootstrap import Bootstrap, Refit, resampled, resolved_covariance
from verisimile.mixture.conditional import ConditionalMixture, ContextColumns
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import (
    conditional_log_densities,
    conditional_negative_mass,
    member_log_densities,
    negative_mass,
)
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import WeightSolver


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
        if not (self.count > 0 and self.strength > 0 and self.audit > 1):
            raise InputError("PseudoEvents", got=repr(self), expected="positive numbers")


def fit_mixture(
    run: Run,
    ensemble: Ensemble,
    events: Events,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: PseudoEvents = PseudoEvents(),
    covariance: str | Bootstrap = "sandwich",
) -> Mixture:
    """Fit the mixture weights of an ensemble on events that did not train it.

    Parameters
    ----------
    run
        Random streams (``"pseudo"``, ``"audit"``, ``"bootstrap"``) and storage.
    ensemble
        Trained members.
    events
        Weight-fit sample ``(n, d)``; features are matched by name.
    solver, pseudo
        Settings of :func:`~verisimile.mixture.fit.fit_weights`.
    covariance
        ``"sandwich"``, ``"fisher"`` (unit event weights only), or ``"bootstrap"``:
        ``Bootstrap()``, which is not for fits that positivity bounds.

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
    """
    matched = match_features(events, ensemble.features)
    seen: Provenance = ensemble.provenance
    warn_overlap(seen, matched, "weight-fit")
    form, bootstrap = resolved_covariance(covariance)
    members, logf = ensemble.members, ensemble.log_densities(matched)

    def drawn(rng: np.random.Generator) -> Pseudo:
        z = _drawn(members, pseudo.count, rng)
        return Pseudo(member_log_densities(members, z), pseudo.strength)

    fit = fit_weights(
        logf,
        matched.weights,
        solver=solver,
        pseudo=drawn(run.seeds.at("pseudo").numpy()),
        covariance=form,
    )
    if bootstrap is not None:
        refit = Refit(logf, matched.weights, drawn, solver)
        fit = resampled(fit, refit, bootstrap, run.seeds.at("bootstrap"))
    mass = negative_mass(members, fit.weights, pseudo.audit, run.seeds.at("audit").numpy())
    record = replace(fit.record, negative_mass=mass.value, negative_mass_error=mass.error)
    return Mixture(
        members,
        replace(fit, record=record),
        features=ensemble.features,
        provenance=(*seen, Seen.of("weight-fit", matched)),
    )


def _drawn(members: Sequence[DensityEstimator], count: int, rng: np.random.Generator) -> Array:
    counts = rng.multinomial(count, np.full(len(members), 1.0 / len(members)))
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    return np.concatenate(parts)


def fit_conditional_mixture(
    run: Run,
    ensemble: Ensemble,
    events: Events,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: PseudoEvents = PseudoEvents(),
    covariance: str | Bootstrap = "sandwich",
) -> ConditionalMixture:
    r"""Fit the weights of an ensemble of conditional densities.

    .. math:: L(w) = -\tfrac1n \sum_n u_n \log \sum_i w_i f_i(x_n \mid c_n)
              + \left(\sum_i w_i - 1\right)

    Pseudo-events and the audit of the negative mass use contexts of `events`,
    drawn with replacement.

    Parameters
    ----------
    run
        Random streams (``"pseudo"``, ``"audit"``, ``"bootstrap"``) and storage.
    ensemble
        Trained members.
    events
        Weight-fit sample with features and context, matched by name.
    solver, pseudo
        Settings of :func:`~verisimile.mixture.fit.fit_weights`.
    covariance
        As for :func:`~verisimile.mixture.bind.fit_mixture`.

    Raises
    ------
    InputError
        If the ensemble has no context, columns differ, event weights are
        not positive, or there is no such covariance.
    NumericsError
        If the fit has no certified optimum.

    Warns
    -----
    VerisimileWarning
        If events are shared with the training sample, or contexts lie outside
        of its range.
    """
    members = ensemble.conditionals
    columns = context_columns(ensemble)
    matched = match_features(events, ensemble.features)
    warn_overlap(ensemble.provenance, matched, "weight-fit")
    context = matched.select(columns.names).x
    columns.warn_outside(context, "weight-fit")
    form, bootstrap = resolved_covariance(covariance)
    logf = ensemble.log_densities(matched)

    def made(rng: np.random.Generator) -> Pseudo:
        return Pseudo(_pseudo(members, context, pseudo.count, rng), pseudo.strength)

    fit = fit_weights(
        logf,
        matched.weights,
        solver=solver,
        pseudo=made(run.seeds.at("pseudo").numpy()),
        covariance=form,
    )
    if bootstrap is not None:
        refit = Refit(logf, matched.weights, made, solver)
        fit = resampled(fit, refit, bootstrap, run.seeds.at("bootstrap"))
    rng = run.seeds.at("audit").numpy()
    drawn = context[rng.integers(len(context), size=pseudo.audit)]
    mass = conditional_negative_mass(members, fit.weights, drawn, rng)
    record = replace(fit.record, negative_mass=mass.value, negative_mass_error=mass.error)
    by_name = {feature.name: feature for feature in ensemble.features}
    return ConditionalMixture(
        members,
        replace(fit, record=record),
        features=[by_name[name] for name in members[0].names],
        context=columns,
        provenance=(*ensemble.provenance, Seen.of("weight-fit", matched)),
    )


def context_columns(ensemble: Ensemble) -> ContextColumns:
    """Return the context of an ensemble, with the range that any member has seen.

    Raises
    ------
    InputError
        If the members are densities without context.
    """
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
