"""Densities that are there already become an ensemble, and say what they are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from trained_generators import plane_events, trained
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.adapters import CallableDensity
from verisimile.density.flows.random_weights import PosteriorFlow
from verisimile.ensemble.gather import gather_ensemble
from verisimile.mixture.bind import fit_mixture

NORMALS = (stats.norm(0.0, 1.0), stats.norm(1.0, 2.0))


def line(n: int = 200) -> Events:
    return Events(np.random.default_rng(1).normal(size=(n, 1)), names=("m",))


def test_members_and_their_matrix() -> None:
    ensemble = gather_ensemble(Run(Seeds(1)), NORMALS, features=(Feature("m"),))
    assert len(ensemble) == len(ensemble.members) == len(ensemble.samplers) == 2
    expected = np.stack([law.logpdf(line().x[:, 0]) for law in NORMALS], axis=1)
    np.testing.assert_allclose(ensemble.log_densities(line()), expected, rtol=1e-12)
    assert ensemble.precision_gap == 0.0
    assert np.isnan(ensemble.records[0].seconds)
    assert ensemble.records[0].training_curve.size == 0


def test_draws_of_a_posterior_carry_their_rounding() -> None:
    model = trained("Bayesian flow", 2).model
    assert isinstance(model, PosteriorFlow)
    ensemble = gather_ensemble(Run(Seeds(1)), model.members(2, Seeds(2)), training=plane_events())
    assert [feature.name for feature in ensemble.features] == ["a", "b"]
    assert 0.0 < ensemble.precision_gap < 0.1


def test_kept_densities_belong_to_their_model(tmp_path: Path) -> None:
    run = Run(Seeds(1), store=tmp_path)
    first = gather_ensemble(run, NORMALS, features=(Feature("m"),)).log_densities(line())
    other = gather_ensemble(run, NORMALS[::-1], features=(Feature("m"),)).log_densities(line())
    np.testing.assert_array_equal(first, other[:, ::-1])
    shift = CallableDensity(1, lambda x: NORMALS[0].logpdf(x[:, 0]) + 1e-6, _standard)
    plain = CallableDensity(1, lambda x: NORMALS[0].logpdf(x[:, 0]), _standard)
    columns = [
        gather_ensemble(run, [model], features=(Feature("m"),)).log_densities(line())
        for model in (plain, shift)
    ]
    np.testing.assert_allclose(columns[1] - columns[0], 1e-6, rtol=1e-6)


def _standard(n: int, rng: np.random.Generator) -> Array:
    return rng.normal(size=(n, 1))


def test_events_of_the_training_are_noticed() -> None:
    run = Run(Seeds(1))
    ensemble = gather_ensemble(run, NORMALS, training=line())
    with pytest.warns(VerisimileWarning, match="200 of 200 weight-fit events"):
        fit_mixture(run, ensemble, line())
    assert ensemble.training_digest == line().digest


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (list, "at least one density"),
        (lambda: [stats.norm(), stats.multivariate_normal([0, 0])], "features"),
        (lambda: [stats.norm(), object()], "log_prob"),
        (lambda: [stats.poisson(3)], "model"),
    ],
)
def test_what_is_no_density_is_refused(make: Callable[[], list[object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gather_ensemble(Run(Seeds(1)), make())


def test_features_must_fit() -> None:
    with pytest.raises(InputError, match="one per column"):
        gather_ensemble(Run(Seeds(1)), NORMALS, features=(Feature("a"), Feature("b")))
    with pytest.raises(InputError, match="one per column"):
        gather_ensemble(Run(Seeds(1)), NORMALS, training=plane_events())
