"""Errors of a cross-fitted mixture cover, with every event used for members, weights and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biased_ensemble import Observables, truth
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.ensemble.cross import fit_cross_ensemble
from verisimile.ensemble.gather import gather_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.cross import fit_cross_mixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.model import Mixture

pytestmark = pytest.mark.calibration

SETS, EVENTS = 16, 2000
# Eight components fit the truth well: what they then miss is for the most part noise of the
# events, which makes them and the events of the weight fit as dependent as they can be.
TRAINER = GaussianMixtureTrainer(components=(8,), floor=1e-3)
SETTINGS = Discrepancy(reference=20_000, draws=60)


def pulls(sets: int) -> tuple[Array, Array, Array]:
    """Return pulls of cross-fitted mixtures, of their twins ``(S, O)``, and claimed over counted.

    The twins are averages over the folds, too, but all events are taken as fresh.
    """
    large = truth(1_000_000, Seeds(1).at("truth").numpy())
    observables = Observables(large, 16, Seeds(1).at("boxes").numpy())
    expected = observables(large).mean(axis=0)
    counted = np.sqrt(expected * (1.0 - expected) / EVENTS)
    found, seen, claimed = [], [], []
    for data in range(sets):
        run = Run(Seeds(data))
        events = Events(truth(EVENTS, Seeds(3).at("events", data).numpy()))
        ensemble = fit_cross_ensemble(run, events, BootstrapPlan(3), TRAINER)
        mixture = fit_cross_mixture(run, ensemble, events, discrepancy=SETTINGS)
        mean, error = _estimates(mixture, observables, run)
        found.append((mean - expected) / error)
        claimed.append(error / counted)
        twin = gather_ensemble(run, ensemble.members, features=events.features)
        mean, error = _estimates(
            fit_mixture(run, twin, events, discrepancy=SETTINGS), observables, run
        )
        seen.append((mean - expected) / error)
    return np.array(found), np.array(seen), np.array(claimed)


def _estimates(mixture: Mixture, observables: Observables, run: Run) -> tuple[Array, Array]:
    assert isinstance(mixture, CorrectedMixture)
    x, rows = mixture.weighted_draws(run)
    mean, covariance, _ = mixture.discrepancy.moments(observables(x), x, rows)
    return mean, np.sqrt(np.diag(covariance))


def test_coverage_of_bins_and_boxes() -> None:
    found, seen, claimed = pulls(SETS)
    at68, at95 = ((np.abs(found) < z).mean() for z in (1.0, 1.96))
    # Observables of one data set share its noise.
    error = (np.abs(found) < 1.0).mean(axis=1).std(ddof=1) / math.sqrt(SETS)
    assert at68 > 0.6827 - 0.04 - 2.0 * error, (at68, error)
    assert at95 > 0.95 - 0.03, at95
    # Wide by no more than the bound on the correlation may make it.
    assert at68 < 0.9, at68
    assert np.sqrt((claimed**2).mean()) < 1.0
    # The twin, for which the events are fresh although the members have seen them; and the one
    # whose densities are out of fold, but whose covariance is that of independent events.
    for twin in (seen, math.sqrt(2.0) * found):
        assert (np.abs(twin) < 1.0).mean() < 0.6827 - 0.04 - 2.0 * error
        assert (np.abs(twin) < 1.96).mean() < 0.95 - 0.03
