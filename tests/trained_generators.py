"""Small trained generators of every family, for the tests that all of them must pass."""

from __future__ import annotations

import functools

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.truths import Camel
from verisimile.density.flow_matching_trainer import FlowMatchingTrainer
from verisimile.density.gaussian_mixture import GaussianMixtureTrainer
from verisimile.density.kernel_density import KernelDensityTrainer
from verisimile.density.mixture_network_trainer import MixtureNetworkTrainer
from verisimile.density.posterior_trainers import BayesianFlowTrainer, DropoutFlowTrainer
from verisimile.density.protocol import Fitted, Trainer
from verisimile.density.spline_flow import SplineFlowTrainer

__all__ = ["DENSITIES", "banana", "camel_events", "plane_events", "trained"]

_FLOW = SplineFlowTrainer(layers=2, hidden=16, epochs=12, batch=64)

DENSITIES: dict[str, Trainer] = {
    "kernel density": KernelDensityTrainer(),
    "Gaussian mixture": GaussianMixtureTrainer(components=(1, 4)),
    "flow matching": FlowMatchingTrainer(
        depth=1, width=24, inner=24, epochs=60, batch=64, tolerance=1e-4
    ),
    "autoregressive mixture": MixtureNetworkTrainer(components=4, hidden=16, batch=64, epochs=20),
    "Bayesian flow": BayesianFlowTrainer(_FLOW, draws=4),
    "dropout flow": DropoutFlowTrainer(_FLOW, probability=0.03, draws=4),
}


def banana(n: int, rng: np.random.Generator) -> Array:
    """Return draws of a bent Gaussian ``(n, 2)``."""
    x = rng.normal(size=n)
    return np.column_stack([x, 0.5 * x**2 + 0.5 * rng.normal(size=n)])


def camel_events(n: int = 1000) -> Events:
    return Events(Camel(2.0).sample(n, np.random.default_rng(1)), names=("x",))


def plane_events(n: int = 1500) -> Events:
    return Events(banana(n, np.random.default_rng(2)), features=(Feature("a"), Feature("b")))


@functools.cache
def trained(name: str, d: int) -> Fitted:
    """Return the family's small model of one or two features."""
    events = camel_events() if d == 1 else plane_events()
    training, validation = events.split((0.7, 0.3), Seeds(1))
    return DENSITIES[name].fit(training, validation, Seeds(2))
