"""Small trained generators of every family, for the tests that all of them must pass."""

from __future__ import annotations

import functools
import importlib.util
from typing import cast

import numpy as np
import pytest

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.truths import Camel
from verisimile.density.flows.random_weights import (
    BayesianFlowTrainer,
    DropoutFlowTrainer,
    PosteriorFlow,
)
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.flows.zuko import ZukoSplineTrainer
from verisimile.density.mixtures.autoregressive import MixtureNetworkTrainer
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.density.mixtures.kernel import KernelDensityTrainer
from verisimile.density.paths.diffusion import DiffusionTrainer
from verisimile.density.paths.flow_matching import FlowMatchingTrainer
from verisimile.density.protocol import (
    AtContext,
    ConditionalDensity,
    DensityEstimator,
    Fitted,
    Rounded,
    Sampler,
    SamplerTrainer,
    Trainer,
)
from verisimile.density.samplers import AdversarialTrainer, AutoencoderTrainer

_FLOW = SplineFlowTrainer(layers=2, hidden=16, epochs=12, batch=64)

DENSITIES: dict[str, Trainer] = {
    "kernel density": KernelDensityTrainer(),
    "Gaussian mixture": GaussianMixtureTrainer(components=(1, 4)),
    "flow matching": FlowMatchingTrainer(depth=1, width=24, inner=24, epochs=60, batch=64),
    "autoregressive mixture": MixtureNetworkTrainer(components=4, hidden=16, batch=64, epochs=20),
    "Bayesian flow": BayesianFlowTrainer(_FLOW, draws=4),
    "dropout flow": DropoutFlowTrainer(_FLOW, probability=0.03, draws=4),
}

"""Families with a density of which one training is small."""

SAMPLERS: dict[str, SamplerTrainer] = {
    "diffusion": DiffusionTrainer(depth=1, width=32, inner=32, epochs=150, batch=64, steps=50),
    "GAN": AdversarialTrainer(epochs=40),
    "VAE": AutoencoderTrainer(epochs=30),
}
"""Families without a density."""

TRAINERS: dict[str, Trainer | SamplerTrainer] = {
    **DENSITIES,
    "spline flow": _FLOW,
    "mixture of normal scores": MixtureNetworkTrainer(
        components=4, hidden=16, marginal_bins=8, batch=64, epochs=20
    ),
    "zuko spline flow": ZukoSplineTrainer(layers=2, hidden=16, epochs=10, batch=64),
    **SAMPLERS,
}
"""Every family."""

MODELS = (
    *(name for name in TRAINERS if name not in SAMPLERS),
    "spline flow, float64",
    "Bayesian flow, one draw",
    "dropout flow, one draw",
    "conditional flow, one context",
)
"""What `model_of` knows: every kind of density that a training leads to."""

_ZUKO = importlib.util.find_spec("zuko") is not None


def banana(n: int, rng: np.random.Generator) -> Array:
    """Return draws of a bent Gaussian ``(n, 2)``."""
    x = rng.normal(size=n)
    return np.column_stack([x, 0.5 * x**2 + 0.5 * rng.normal(size=n)])


def camel_events(n: int = 1000) -> Events:
    return Events(Camel(2.0).sample(n, np.random.default_rng(1)), names=("x",))


def plane_events(n: int = 1500) -> Events:
    return Events(banana(n, np.random.default_rng(2)), features=(Feature("a"), Feature("b")))


def box_events(n: int = 700) -> Events:
    """Return three dependent features: without bounds, positive, and between zero and one."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=n)
    b = rng.gamma(3.0, size=n) * np.exp(0.3 * a)
    c = rng.beta(2 + b / 3, 3)
    features = (Feature("a"), Feature("b", low=0), Feature("c", low=0, high=1))
    return Events(np.column_stack([a, b, c]), features=features)


def events_of(d: int) -> Events:
    """Return the sample of one, two or three features that the small models are trained on."""
    return {1: camel_events, 2: plane_events, 3: box_events}[d]()


def named(*names: str) -> list[object]:
    """Return parameters of a test; families that are not installed are skipped."""
    skip = pytest.mark.skipif(not _ZUKO, reason="zuko is not installed")
    return [pytest.param(name, marks=skip if "zuko" in name else ()) for name in names]


@functools.cache
def generator(name: str, d: int) -> Fitted[Sampler]:
    """Return the family's small model of one, two or three features."""
    training, validation = events_of(d).split((0.7, 0.3), Seeds(1))
    return TRAINERS[name].fit(training, validation, Seeds(2))


def trained(name: str, d: int) -> Fitted[DensityEstimator]:
    """Return the small model of a family with a density."""
    fitted = generator(name, d)
    assert isinstance(fitted.model, DensityEstimator)
    return cast(Fitted[DensityEstimator], fitted)


@functools.cache
def conditional(d: int) -> ConditionalDensity:
    """Return a flow of the same features, given a noisy copy of the first one."""
    events = events_of(d)
    copy = events.x[:, :1] + np.random.default_rng(4).normal(size=(events.n, 1))
    features = (*events.features, Feature("copy"))
    given = Events(np.hstack([events.x, copy]), features=features)
    training, validation = given.split((0.7, 0.3), Seeds(1))
    return _FLOW.given("copy").fit(training, validation, Seeds(2)).model


def model_of(name: str, d: int) -> DensityEstimator:
    """Return one of `MODELS` for so many features."""
    if name == "conditional flow, one context":
        return AtContext(conditional(d), np.array([0.5]))
    family, _, part = name.partition(", ")
    model = trained(family, d).model
    if part == "one draw":
        assert isinstance(model, PosteriorFlow)
        return model.members(1, Seeds(5))[0]
    if part == "float64":
        assert isinstance(model, Rounded)
        return model.reference()
    return model


def sampler_of(name: str, d: int) -> Sampler:
    """Return one of `MODELS` or `SAMPLERS`."""
    return generator(name, d).model if name in SAMPLERS else model_of(name, d)
