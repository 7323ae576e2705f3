"""From an ensemble and fresh events to a mixture: densities, pseudo-events, fit, audit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import Provenance, Seen, warn_overlap
from verisimile.ensemble.fit import Ensemble
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.newton import NewtonSolver
from verisimile.mixture.sampling import member_log_densities, negative_mass
from verisimile.mixture.solver import WeightSolver

__all__ = ["PseudoEvents", "fit_mixture"]


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
) -> Mixture:
    """Fit the mixture weights of an ensemble on events that did not train it.

    Parameters
    ----------
    run
        Random streams (``"pseudo"``, ``"audit"``) and storage.
    ensemble
        Trained members.
    events
        Weight-fit sample ``(n, d)``; features are matched by name.
    solver, pseudo
        Settings of :func:`~verisimile.mixture.fit.fit_weights`.

    Raises
    ------
    InputError
        If the features differ or event weights are not positive.

    Warns
    -----
    VerisimileWarning
        If events are shared with the training sample.
    """
    matched = match_features(events, ensemble.features)
    seen: Provenance = ensemble.provenance
    warn_overlap(seen, matched, "weight-fit")
    members = ensemble.members
    z = _drawn(run, ensemble, pseudo.count)
    fit = fit_weights(
        ensemble.log_densities(matched),
        matched.weights,
        solver=solver,
        pseudo=Pseudo(member_log_densities(members, z), pseudo.strength),
    )
    mass = negative_mass(members, fit.weights, pseudo.audit, run.seeds.at("audit").numpy())
    record = replace(fit.record, negative_mass=mass.value, negative_mass_error=mass.error)
    return Mixture(
        members,
        replace(fit, record=record),
        features=ensemble.features,
        provenance=(*seen, Seen.of("weight-fit", matched)),
    )


def _drawn(run: Run, ensemble: Ensemble, count: int) -> Array:
    rng = run.seeds.at("pseudo").numpy()
    shares = np.full(len(ensemble.members), 1.0 / len(ensemble.members))
    counts = rng.multinomial(count, shares)
    parts = [m.sample(int(k), rng) for m, k in zip(ensemble.members, counts, strict=True) if k]
    return np.concatenate(parts)
