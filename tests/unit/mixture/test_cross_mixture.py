"""Mixtures of an ensemble over folds: what their weights, errors and footprint are made of."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from biased_ensemble import truth
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.provenance import warn_overlap
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.density.mixtures.kernel import KernelDensityTrainer
from verisimile.ensemble.cross import CrossEnsemble, fit_cross_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.cross import fit_cross_mixture
from verisimile.mixture.discrepancy.corrected import (
    CorrectedMixture,
    correct_mixture,
    corrected_by,
)
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.io import load_mixture, save_mixture
from verisimile.mixture.sampling import member_log_densities

SETTINGS = Discrepancy(reference=20_000, draws=60)
TRAINER = GaussianMixtureTrainer(components=(3,))


@pytest.fixture(scope="module")
def events() -> Events:
    return Events(truth(600, np.random.default_rng(3)), names=("a", "b"))


@pytest.fixture(scope="module")
def ensemble(events: Events) -> CrossEnsemble:
    return fit_cross_ensemble(Run(Seeds(1)), events, BootstrapPlan(members=2), TRAINER)


@pytest.fixture(scope="module")
def corrected(events: Events, ensemble: CrossEnsemble) -> CorrectedMixture:
    found = fit_cross_mixture(Run(Seeds(1)), ensemble, events, discrepancy=SETTINGS)
    assert isinstance(found, CorrectedMixture)
    return found


def test_weights_are_fitted_to_densities_of_flows_that_did_not_see_the_event(
    events: Events, ensemble: CrossEnsemble, corrected: CorrectedMixture
) -> None:
    x = events.x
    outside = np.empty((600, 2))
    for k, fold in enumerate(ensemble.folds):
        rows = ensemble.fold == k
        outside[rows] = member_log_densities(fold.members, x[rows])
    expected = fit_weights(outside).weights
    # Pseudo-events are worth one of the 600 events.
    assert corrected.weights == pytest.approx(expected, abs=0.02)
    inside = fit_weights(member_log_densities(ensemble.members, x)).weights
    assert not np.allclose(corrected.weights, inside, atol=0.05)
    assert corrected.fit.record.n_events == 600
    assert [type(m).__name__ for m in corrected.members] == ["AveragedDensity"] * 2


def test_a_density_that_has_learnt_the_events_by_heart_gets_no_weight(events: Events) -> None:
    """Its twin: at events that they have seen, kernels as narrow as that are the best."""
    narrow = fit_cross_ensemble(
        Run(Seeds(1)), events, BootstrapPlan(1), KernelDensityTrainer(bandwidth=0.02)
    )
    smooth = fit_cross_ensemble(Run(Seeds(1)), events, BootstrapPlan(1), TRAINER)
    both = [narrow, smooth]
    outside = np.hstack([each.out_of_fold(events) for each in both])
    inside = np.hstack([member_log_densities(each.members, events.x) for each in both])
    assert fit_weights(outside).weights[0] < 0.1
    assert fit_weights(inside).weights[0] > 0.5


def test_the_covariance_is_twice_that_of_independent_events(
    events: Events, ensemble: CrossEnsemble, corrected: CorrectedMixture
) -> None:
    plain = corrected.uncorrected
    logf = ensemble.out_of_fold(events)
    apart = corrected_by(Run(Seeds(1)), plain, events, logf, SETTINGS).discrepancy
    found = corrected.discrepancy
    np.testing.assert_array_equal(found.coefficients, apart.coefficients)
    np.testing.assert_array_equal(found.covariance, 2.0 * apart.covariance)
    # Bands are made of it; the variance of their draws is small.
    assert found.claimed == pytest.approx(np.sqrt(2.0) * apart.claimed, rel=0.02)


def test_its_own_events_raise_no_warning_and_a_later_test_does(
    events: Events, ensemble: CrossEnsemble
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = fit_cross_mixture(Run(Seeds(1)), ensemble, events, discrepancy=None)
    with pytest.warns(VerisimileWarning, match="50 of 50 test events are also in the training and"):
        assert len(warn_overlap(mixture.provenance, events.take(np.arange(50)), "test")) == 1
    assert not warn_overlap(mixture.provenance, Events(events.x + 1.0), "test")


def test_rows_of_groups_are_noticed(events: Events) -> None:
    grouped = Events(events.x, names=("a", "b"), group=np.arange(600) // 2)
    ensemble = fit_cross_ensemble(Run(Seeds(1)), grouped, BootstrapPlan(1), TRAINER)
    with pytest.warns(VerisimileWarning, match="come in 300 groups"):
        fit_cross_mixture(Run(Seeds(1)), ensemble, grouped, discrepancy=None)


def test_events_of_its_training_alone_can_fit_it(
    events: Events, ensemble: CrossEnsemble, corrected: CorrectedMixture
) -> None:
    with pytest.raises(InputError, match="was not trained on"):
        fit_cross_mixture(Run(Seeds(1)), ensemble, Events(events.x + 1.0, names=("a", "b")))
    with pytest.raises(InputError, match="fit_cross_mixture"):
        correct_mixture(Run(Seeds(1)), corrected.uncorrected, events, SETTINGS)


def test_it_is_read_back(tmp_path: Path, events: Events) -> None:
    run = Run(Seeds(1), store=tmp_path)
    ensemble = fit_cross_ensemble(run, events, BootstrapPlan(2), TRAINER)
    mixture = fit_cross_mixture(run, ensemble, events, discrepancy=None)
    save_mixture(run, mixture)
    found = load_mixture(Run(Seeds(9), store=tmp_path))
    assert found.fingerprint == mixture.fingerprint
    np.testing.assert_array_equal(found.log_prob(events), mixture.log_prob(events))
    assert [seen.role for seen in found.provenance] == ["training and weight-fit"]
