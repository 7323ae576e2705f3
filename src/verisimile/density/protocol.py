"""What a density estimator must offer, with or without a context, and what trains one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_matrix, as_vector
from verisimile.core.canonical import JSON
from verisimile.core.checkpoint import Checkpoint
from verisimile.core.errors import InputError, NumericsError, require
from verisimile.core.random import Seeds
from verisimile.data.events import Events


@runtime_checkable
class Sampler(Protocol):
    """Something that draws events."""

    @property
    def n_features(self) -> int:
        """Number of features d."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)`` in original units."""


@runtime_checkable
class DensityEstimator(Sampler, Protocol):
    """Something that draws events and knows their density."""

    def log_prob(self, x: Array) -> Array:
        """Return natural log-densities ``(n,)`` in original units.

        Minus infinity outside the support; never NaN, and no exception, for
        finite `x`.
        """


@runtime_checkable
class Rounded(DensityEstimator, Protocol):
    """An estimator that computes in less than double precision and knows its exact twin."""

    def reference(self) -> DensityEstimator:
        """Return the same density, evaluated in float64."""


M = TypeVar("M", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted(Generic[M]):
    """A trained model and how its training went.

    Attributes
    ----------
    model
        A density, a conditional density or a sampler, at its best epoch.
    training_curve, validation_curve
        Mean negative log-density per event (given its context, if there is one) in original
        units, ``(epochs,)``, or what ``meta["loss"]`` names.
    best_epoch
        Index of the epoch that was kept.
    meta
        Further facts, small and JSON.
    """

    model: M
    training_curve: Array
    validation_curve: Array
    best_epoch: int
    meta: Mapping[str, JSON] = field(default_factory=dict)


@runtime_checkable
class SamplerTrainer(Protocol):
    """A recipe that turns events into a sampler, whose density nobody may know."""

    def config(self) -> dict[str, JSON]:
        """Return all settings, resolved: what tells two recipes apart."""

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[Sampler]:
        """Train on `training`, which may repeat events (bootstrap); stop by `validation`."""


@runtime_checkable
class Trainer(SamplerTrainer, Protocol):
    """A recipe that turns events into a density estimator."""

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[DensityEstimator]:
        """Train on `training`, which may repeat events (bootstrap); stop by `validation`."""


@runtime_checkable
class Checking(SamplerTrainer, Protocol):
    """A trainer that can tell in advance that it cannot use a sample."""

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about the sample as such."""


@runtime_checkable
class ConditionalDensity(Protocol):
    r"""A density of d features, given C context columns.

    .. math:: \int f(x \mid c)\, dx = 1 \quad \text{for every } c
    """

    @property
    def n_features(self) -> int:
        """Number of features d of x."""

    @property
    def n_context(self) -> int:
        """Number of context columns C."""

    def log_prob(self, x: Array, context: Array) -> Array:
        """Return natural log-densities ``(n,)`` of `x` ``(n, d)`` at `context` ``(n, C)``.

        In original units of x.  Minus infinity outside the support; never NaN
        for finite rows.
        """

    def sample(self, context: Array, rng: np.random.Generator) -> Array:
        """Return one event per row of `context` ``(n, C)``, ``(n, d)`` in original units."""


@runtime_checkable
class NamedConditional(ConditionalDensity, Protocol):
    """A conditional density that knows which columns of events it reads."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of x."""

    @property
    def context_names(self) -> tuple[str, ...]:
        """Names of the context columns, in their order."""

    @property
    def context_range(self) -> Array:
        """Smallest and largest context seen in training, ``(2, C)``."""


@runtime_checkable
class RoundedConditional(ConditionalDensity, Protocol):
    """A conditional density that computes in less than double precision."""

    def reference(self) -> ConditionalDensity:
        """Return the same density, evaluated in float64."""


class TrainingEngine(Protocol):
    """What takes the steps of a training; its name is kept with each member."""

    @property
    def name(self) -> str:
        """Name in a record."""

    @property
    def together(self) -> int:
        """Largest number of members in one job."""


@runtime_checkable
class EngineTrainer(Protocol):
    """A recipe whose members can be trained by several engines, some of them as one job."""

    def engine(self, columns: int, wanted: Any = None) -> TrainingEngine:  # noqa: ANN401  (its own)
        """Return what will train models of so many columns: what is wanted, or the fastest."""

    def fit_many(
        self,
        members: Sequence[tuple[Events, Events, Seeds]],
        engine: Any = None,  # noqa: ANN401  (its own)
        checkpoint: Checkpoint | None = None,
    ) -> Sequence[Fitted[Any] | NumericsError]:
        """Train several models, each as `fit` would up to rounding; an error for one that fails."""


class ConditionalTrainer(Protocol):
    """A recipe that turns events into a conditional density."""

    @property
    def context(self) -> tuple[str, ...]:
        """Names of the columns that are conditions."""

    def config(self) -> dict[str, JSON]:
        """Return all settings, resolved: what tells two recipes apart."""

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[NamedConditional]:
        """Train on `training`, which holds features and context and may repeat events."""


AnyTrainer = SamplerTrainer | ConditionalTrainer
"""What may train the members of an ensemble; a `Trainer` is a `SamplerTrainer`."""


def density_arguments(
    model: DensityEstimator | ConditionalDensity | Sampler, events: Events
) -> tuple[Array, ...]:
    """Return what ``model.log_prob`` takes at `events`: ``(x,)``, or ``(x, context)`` by name."""
    if isinstance(model, NamedConditional):
        return events.select(model.names).x, events.select(model.context_names).x
    if isinstance(model, ConditionalDensity):
        raise InputError(
            "conditional density",
            got=f"a {type(model).__name__} without names and context_names",
            expected="a model that knows which columns are features and which are conditions",
        )
    return (events.x,)


def as_pair(
    x: npt.ArrayLike, context: npt.ArrayLike, *, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """Return features ``(n, d)`` and context ``(n, C)`` of `shape` (d, C), checked."""
    events = as_matrix(x, "x", columns=shape[0])
    rows = as_matrix(context, "context", columns=shape[1])
    require(
        len(rows) == len(events),
        "context",
        got=f"{len(rows)} rows for {len(events)} events",
        expected="one row of context per event",
        remedy="Use np.broadcast_to(context, (n, C)) for a single context.",
    )
    return events, rows


@dataclass(frozen=True, slots=True, eq=False)
class AtContext:
    """A conditional density at one context: an ordinary density of x."""

    model: ConditionalDensity
    context: Array

    def __post_init__(self) -> None:
        as_vector(self.context, "context", length=self.model.n_context)

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.model.n_features

    def log_prob(self, x: Array) -> Array:
        """Return natural log-densities ``(n,)`` at this context."""
        return self.model.log_prob(x, self._rows(len(x)))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)`` at this context."""
        return self.model.sample(self._rows(n), rng)

    def _rows(self, n: int) -> Array:
        return np.tile(np.asarray(self.context, dtype=np.float64), (n, 1))
