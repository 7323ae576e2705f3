"""What a density estimator must offer, in NumPy terms, and what trains one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.data.events import Events

__all__ = [
    "Checking",
    "DensityEstimator",
    "Fitted",
    "FittedSampler",
    "Rounded",
    "Sampler",
    "SamplerTrainer",
    "Trainer",
]


@runtime_checkable
class Sampler(Protocol):
    """Something that draws events."""

    @property
    def n_features(self) -> int:
        """Number of features d."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)`` in original units."""
        ...


@runtime_checkable
class DensityEstimator(Sampler, Protocol):
    """Something that draws events and knows their density."""

    def log_prob(self, x: Array) -> Array:
        """Return natural log-densities ``(n,)`` in original units.

        Minus infinity outside the support; never NaN, and no exception, for
        finite `x`.
        """
        ...


@runtime_checkable
class Rounded(DensityEstimator, Protocol):
    """An estimator that computes in less than double precision and knows its exact twin."""

    def reference(self) -> DensityEstimator:
        """Return the same density, evaluated in float64."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained estimator and how its training went.

    Attributes
    ----------
    model
        The estimator at its best epoch.
    training_curve, validation_curve
        Mean negative log-density per event in original units, ``(epochs,)``, or
        what ``meta["loss"]`` names.
    best_epoch
        Index of the smallest validation value.
    meta
        Further facts, small and JSON.
    """

    model: DensityEstimator
    training_curve: Array
    validation_curve: Array
    best_epoch: int
    meta: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class FittedSampler:
    """A trained sampler without density, and how its training went.

    Attributes
    ----------
    model
        The sampler at its best epoch.
    training_curve, validation_curve
        The loss that ``meta["loss"]`` names, ``(epochs,)``.
    best_epoch
        Index of the epoch that was kept.
    meta
        Further facts, small and JSON.
    """

    model: Sampler
    training_curve: Array
    validation_curve: Array
    best_epoch: int
    meta: Mapping[str, JSON] = field(default_factory=dict)


@runtime_checkable
class Trainer(Protocol):
    """A recipe that turns events into a density estimator."""

    def config(self) -> dict[str, JSON]:
        """Return all settings, resolved: what tells two recipes apart."""
        ...

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted:
        """Train on `training`, which may repeat events (bootstrap); stop by `validation`."""
        ...


@runtime_checkable
class SamplerTrainer(Protocol):
    """A recipe that turns events into a sampler whose density nobody knows."""

    def config(self) -> dict[str, JSON]:
        """Return all settings, resolved: what tells two recipes apart."""
        ...

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> FittedSampler:
        """Train on `training`, which may repeat events (bootstrap)."""
        ...


@runtime_checkable
class Checking(Trainer, Protocol):
    """A trainer that can tell in advance that it cannot use a sample."""

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such."""
        ...
