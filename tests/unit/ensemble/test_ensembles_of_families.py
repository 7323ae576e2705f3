"""Any family in an ensemble: trained, stored, read back by another process, used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trained_generators import DENSITIES, plane_events
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.density.paths.diffusion import DiffusionTrainer
from verisimile.density.paths.flow_matching import FlowMatchingTrainer
from verisimile.density.protocol import DensityEstimator, Trainer
from verisimile.ensemble.fit import fit_ensemble, load_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import fit_mixture

PLAN = BootstrapPlan(members=2)
DIFFUSION = DiffusionTrainer(depth=1, width=8, inner=8, epochs=2, steps=10)


_SLOW = ("flow matching", "Bayesian flow", "dropout flow", "autoregressive mixture")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.calibration if n in _SLOW else ()) for n in DENSITIES],
)
def test_members_of_every_density_feed_the_weight_fit(name: str, tmp_path: Path) -> None:
    trainer: Trainer = DENSITIES[name]
    if isinstance(trainer, FlowMatchingTrainer):
        trainer = replace(trainer, epochs=3, tolerance=1e-3)
    events, other = plane_events(600).split((0.5, 0.5), Seeds(1))
    made = fit_ensemble(Run(Seeds(1), store=tmp_path), events, PLAN, trainer)
    read = load_ensemble(Run(Seeds(1), store=tmp_path))
    logs = read.log_densities(other)
    assert logs.shape == (300, 2)
    np.testing.assert_array_equal(logs, made.log_densities(other))
    mixture = fit_mixture(Run(Seeds(2)), read, other)
    assert np.isfinite(mixture.log_prob(other.x)).all()


def test_samplers_are_members_without_density(tmp_path: Path) -> None:
    events = plane_events(300)
    fit_ensemble(Run(Seeds(1), store=tmp_path), events, PLAN, DIFFUSION)
    read = load_ensemble(Run(Seeds(1), store=tmp_path))
    first, second = (s.sample(50, np.random.default_rng(1)) for s in read.samplers)
    assert first.shape == (50, 2)
    assert np.abs(first - second).max() > 0
    assert not any(isinstance(m, DensityEstimator) for m in read.samplers)
    for use in (lambda: read.members, lambda: read.log_densities(events)):
        with pytest.raises(InputError, match="samplers without density"):
            use()


def test_densities_are_samplers_too() -> None:
    made = fit_ensemble(Run(Seeds(1)), plane_events(300), PLAN, DENSITIES["Gaussian mixture"])
    assert made.samplers == made.members


def test_another_process_knows_the_families(tmp_path: Path) -> None:
    trainer = DENSITIES["kernel density"]
    fit_ensemble(Run(Seeds(1), store=tmp_path), plane_events(300), PLAN, trainer)
    code = (
        "import sys; from verisimile.core.run import Run; from verisimile.core.random import Seeds;"
        "from verisimile.ensemble.fit import load_ensemble;"
        "print(len(load_ensemble(Run(Seeds(1), store=sys.argv[1])).members))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "2"
