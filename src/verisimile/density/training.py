"""The one training: events in coordinates, Adam on half a cosine, early stopping, recipes."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from numbers import Real
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError, require
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.density.input_map import InputMap
from verisimile.density.protocol import Fitted
from verisimile.density.torch_scope import one_thread, seed_scope

_LOG_2PI = math.log(2 * math.pi)
_CHUNK = 4096
_FEWEST_STEPS = 32  # per epoch: small samples get smaller batches
_SMALLEST_BATCH = 16


class CoordinateSample(NamedTuple):
    """Training or validation events in the flow's coordinates.

    `z` is ``(n, C + d)``, a context first if there is one, `weights` ``(n,)`` with
    mean one, and `offset` the mean log-Jacobian that turns curves into original units.
    """

    z: Tensor
    weights: Tensor
    offset: float

    @classmethod
    def of(cls, z: Array, log_jacobian: Array, weights: Array | None) -> CoordinateSample:
        """Return the sample in float32."""
        units = np.ones(len(z)) if weights is None else weights / weights.mean()
        rows, scale = (torch.from_numpy(values.astype(np.float32)) for values in (z, units))
        return cls(rows, scale, float((units * log_jacobian).mean()))


class Student(NamedTuple):
    """What one member learns from: events, validation events, streams."""

    training: CoordinateSample
    validation: CoordinateSample
    seeds: Seeds

    @property
    def columns(self) -> int:
        """C + d."""
        return self.training.z.shape[1]


Keep = Literal["last", "best"]


class Schedule(NamedTuple):
    """How long and how fast to train; see `SplineFlowTrainer`.

    `decay` lets the step size fall along half a cosine; `keep` says whether the epoch with
    the smallest validation loss or the last one is kept (not by `train`, which knows the
    best alone).
    """

    learning_rate: float
    batch: int
    epochs: int
    patience: int
    clip: float
    decay: bool = True
    keep: Keep = "best"


def batch_size(schedule: Schedule, n: int) -> int:
    """Return the events of a batch, of a training sample of `n`."""
    return min(schedule.batch, max(n // _FEWEST_STEPS, _SMALLEST_BATCH))


def rate_share(taken: int, steps: int, *, decay: bool) -> float:
    """Return the share of the first step size after so many of all steps."""
    return 0.5 * (1 + math.cos(math.pi * taken / steps)) if decay else 1.0


def lost(losses: tuple[float, ...], epoch: int) -> NumericsError:
    """Return the error of a training whose losses are no longer finite."""
    return NumericsError(
        "flow training",
        got=f"losses {losses} (training, validation) in epoch {epoch}",
        expected="finite losses",
        remedy="Train with a smaller learning_rate or a smaller clip.",
    )


class CosineAdam:
    """Adam whose step size falls along half a cosine to zero, unless it stays."""

    def __init__(
        self, parameters: Iterable[Tensor], schedule: Schedule, *, events: int, batch: int
    ) -> None:
        self.rate = schedule.learning_rate
        self.steps = schedule.epochs * math.ceil(events / batch)
        self.decay = schedule.decay
        self.taken = 0
        # fused: the same arithmetic in one call instead of eight per parameter.
        self.adam = torch.optim.Adam(parameters, lr=self.rate, fused=True)

    def descend(self, loss: Tensor, clip: Callable[[], object]) -> None:
        """Take one step; `clip` shortens the gradients before."""
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip()
        share = rate_share(self.taken, self.steps, decay=self.decay)
        for group in self.adam.param_groups:
            group["lr"] = self.rate * share
        self.adam.step()
        self.taken += 1


class Curves(NamedTuple):
    """Mean negative log-density per epoch in original units, and the best epoch."""

    training: Array
    validation: Array
    best: int


def train(flow: torch.nn.Module, student: Student, schedule: Schedule) -> Curves:
    r"""Minimise the mean negative log-density; leave `flow` at its best epoch.

    .. math:: L = -\tfrac{1}{n} \sum_n u_n
              \left[ \log N(f(z_n); 0, 1) + \log |\det f'(z_n)| \right]

    The learning rate falls along half a cosine to zero over all epochs.
    Training ends early after `patience` epochs without a smaller validation
    value, and the parameters of the smallest one are put back.

    Raises
    ------
    NumericsError
        If the loss is no longer finite.
    """
    with one_thread():
        return _Descent(flow, student, schedule).run()


class _Descent:
    def __init__(self, flow: torch.nn.Module, student: Student, schedule: Schedule) -> None:
        self.flow = flow
        self.training, self.validation, seeds = student
        self.schedule = schedule
        self.shuffle = seeds.at("shuffle").torch()
        n = len(self.training.z)
        self.batch = batch_size(schedule, n)
        self.adam = CosineAdam(flow.parameters(), schedule, events=n, batch=self.batch)

    def run(self) -> Curves:
        curves: list[tuple[float, float]] = []
        best, saved = 0, self._state()
        for epoch in range(self.schedule.epochs):
            curves.append((self._epoch(), self._mean_loss(self.validation)))
            self._check(curves)
            if curves[epoch][1] < curves[best][1] or epoch == 0:
                best, saved = epoch, self._state()
            if epoch - best >= self.schedule.patience:
                break
        self.flow.load_state_dict(saved)
        training, validation = np.array(curves).T
        return Curves(training - self.training.offset, validation - self.validation.offset, best)

    def _epoch(self) -> float:
        self.flow.train()
        total = torch.zeros((), dtype=torch.float64)
        order = torch.randperm(len(self.training.z), generator=self.shuffle)
        for rows in torch.split(order, self.batch):
            loss = (self.training.weights[rows] * _losses(self.flow, self.training.z[rows])).mean()
            self.adam.descend(loss, self._clip)
            total += loss.detach() * len(rows)
        return float(total) / len(self.training.z)

    def _clip(self) -> Tensor:
        return torch.nn.utils.clip_grad_norm_(self.flow.parameters(), self.schedule.clip)

    def _mean_loss(self, sample: CoordinateSample) -> float:
        self.flow.eval()
        with torch.no_grad():
            losses = torch.cat([_losses(self.flow, z) for z in torch.split(sample.z, _CHUNK)])
        return float((sample.weights.double() * losses.double()).mean())

    def _state(self) -> dict[str, Tensor]:
        # The tensors of a state_dict go on changing with training.
        return {name: value.clone() for name, value in self.flow.state_dict().items()}

    def _check(self, curves: list[tuple[float, float]]) -> None:
        if not all(math.isfinite(value) for value in curves[-1]):
            raise lost(curves[-1], len(curves) - 1)


def _losses(flow: torch.nn.Module, z: Tensor) -> Tensor:
    u, log_det = flow(z)
    losses: Tensor = 0.5 * (u * u).sum(dim=1) - log_det + 0.5 * u.shape[1] * _LOG_2PI
    return losses


def refuse_signed(events: Events, name: str) -> None:
    """Raise for negative event weights: the likelihood has no maximum then."""
    require(
        not events.signed,
        f"{name} weights",
        got="negative event weights",
        expected="weights that are not negative",
        remedy="Train without weights, or on events with positive weights.",
    )


class FlowCoordinates(Protocol):
    """What takes events to the coordinates of a flow."""

    def rows(self, events: Events) -> tuple[Array, Array]:
        """Return coordinates ``(n, C + d)`` and the log-Jacobian ``(n,)`` of the features'."""


Map = TypeVar("Map", bound=FlowCoordinates)
M = TypeVar("M")


def prepare(
    training: Events, validation: Events, seeds: Seeds, fit: Callable[[Events], Map]
) -> tuple[Map, Student]:
    """Return the map that `fit` makes of the training events, and all events in its coordinates.

    An InputError tells of negative weights, a constant feature, or different features.
    """
    validation = match_features(validation, training.features)
    refuse_signed(training, "training")
    refuse_signed(validation, "validation")
    coordinates = fit(training)

    def sample(events: Events) -> CoordinateSample:
        return CoordinateSample.of(*coordinates.rows(events), events.weights)

    return coordinates, Student(sample(training), sample(validation), seeds)


def require_positive_settings(recipe: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Raise unless all numbers of a recipe are positive, and `marginal_bins` is 0 or at least 2."""
    given = ((field.name, getattr(recipe, field.name)) for field in fields(recipe))
    numbers = {n: v for n, v in given if isinstance(v, Real) and not isinstance(v, bool)}
    wrong = [f"{n}={v!r}" for n, v in numbers.items() if not _fine(n, float(v))]
    require(
        not wrong,
        type(recipe).__name__,
        got=", ".join(wrong),
        expected="positive settings, marginal_bins 0 or at least 2",
    )


def _fine(name: str, value: float) -> bool:
    return value >= 0 and value != 1 if name == "marginal_bins" else value > 0


class Recipe(ABC):
    """What trainers with these settings share; each is a frozen dataclass of its own settings.

    Attributes
    ----------
    family, version
        Names in a configuration; a changed training has another version.
    loss
        What the curves hold, if it is not the mean negative log-density.
    """

    __slots__ = ()
    family: ClassVar[str]
    version: ClassVar[int] = 1
    loss: ClassVar[str] = ""
    learning_rate: float
    batch: int
    epochs: int
    clip: float

    def __post_init__(self) -> None:
        require_positive_settings(self)

    @property
    def marginal_bins(self) -> int:
        """Quantile bins of each feature's Gaussianisation: none, where it is no setting."""
        return 0

    @property
    def patience(self) -> int:
        """Epochs without a smaller validation loss before training ends."""
        return self.epochs

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": self.family, "version": self.version, **asdict(self)}  # type: ignore[call-overload]

    def schedule(self) -> Schedule:
        """Return how long and how fast to train."""
        return Schedule(self.learning_rate, self.batch, self.epochs, self.patience, self.clip)

    def input_map(self, training: Events) -> InputMap:
        """Return the fixed first step, fitted on the training events."""
        return InputMap.fit(training, self.marginal_bins)

    def facts(self, started: float, members: int = 1) -> dict[str, JSON]:
        """Return the meta of a training that began at `started` on the clock."""
        seconds = (time.perf_counter() - started) / members
        return {"seconds": seconds, **({"loss": self.loss} if self.loss else {})}


Draft = tuple[torch.nn.Module, Callable[[], M]]
"""A fresh network, and what makes the model of it once it is trained."""


class LikelihoodRecipe(Recipe, Generic[M]):
    """A network trained by maximum likelihood, or a bound on it, with `training.train`."""

    __slots__ = ()

    @abstractmethod
    def draft(self, input_map: Any, student: Student) -> Draft[M]:  # noqa: ANN401  (its own)
        """Return network and model; initial weights may come from torch's stream: it is seeded."""

    def descent(self, network: torch.nn.Module, student: Student) -> Curves:
        """Train the network."""
        return train(network, student, self.schedule())

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[M]:
        """Train a model; the same arguments give the same bits.

        Parameters
        ----------
        training
            Events ``(n, d)``, repeats allowed; weights must not be negative.
        validation
            Events that decide when to stop; they should share none with `training`.
        seeds
            Streams of the initial weights and of the shuffling.

        Raises
        ------
        InputError
            For negative weights, a constant feature, fewer events than features, or
            different features of the two samples.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare(training, validation, seeds, self.input_map)
        with seed_scope(seeds.at("initial")):
            network, trained = self.draft(input_map, student)
        curves = self.descent(network, student)
        return Fitted(trained(), *curves, self.facts(started))
