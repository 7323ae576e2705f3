"""Every family with a density: it learns, and reproducibly so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trained_generators import DENSITIES, camel_events, plane_events, trained
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.density.protocol import Trainer


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("d", [pytest.param(1, marks=pytest.mark.calibration), 2])
def test_better_than_one_gaussian(name: str, d: int) -> None:
    events = (camel_events if d == 1 else plane_events)(6000)
    fresh = events.x[3000:]
    gauss = stats.multivariate_normal(fresh.mean(axis=0), np.cov(fresh.T))
    gain = trained(name, d).model.log_prob(fresh) - gauss.logpdf(fresh)
    error = gain.std() / np.sqrt(len(gain))
    assert gain.mean() > 5 * error


@pytest.mark.calibration
@pytest.mark.parametrize("name", DENSITIES)
def test_same_seeds_same_model(name: str) -> None:
    trainer: Trainer = DENSITIES[name]
    training, validation = camel_events().split((0.7, 0.3), Seeds(1))
    again = trainer.fit(training, validation, Seeds(2))
    x = training.x[:50]
    np.testing.assert_array_equal(again.model.log_prob(x), trained(name, 1).model.log_prob(x))
    curve = again.validation_curve
    assert curve[again.best_epoch] == curve.min()


@pytest.mark.parametrize("name", DENSITIES)
def test_settings_are_json_and_name_the_family(name: str) -> None:
    trainer = DENSITIES[name]
    assert isinstance(trainer, Trainer)
    assert trainer.config()["family"] == trained(name, 1).model.family  # type: ignore[attr-defined]


def test_weighted_events_are_refused_where_they_cannot_be_used() -> None:
    events = Events(np.random.default_rng(1).normal(size=(50, 1)), np.ones(50))
    with pytest.raises(InputError, match="without weights"):
        GaussianMixtureTrainer().fit(events, events, Seeds(1))
