"""From an ensemble of conditional densities and fresh events to a conditional mixture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import Seen, warn_overlap
from verisimile.density.conditional import NamedConditional
from verisimile.ensemble.ensemble import Ensemble
from verisimile.mixture.bind import PseudoEvents
from verisimile.mixture.bootstrap import Bootstrap, Refit, resampled, resolved_covariance
from verisimile.mixture.conditional import ConditionalMixture, ContextColumns
from verisimile.mixture.conditional_sampling import (
    conditional_log_densities,
    conditional_negative_mass,
)
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.solver import WeightSolver

__all__ = ["context_columns", "fit_conditional_mixture"]


def fit_conditional_mixture(
    run: Run,
    ensemble: Ensemble,
    events: Events,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: PseudoEvents = PseudoEvents(),  # noqa: B008
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
