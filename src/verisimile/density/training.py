"""Training of a flow by maximum likelihood: Adam, cosine schedule, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.density.input_map import InputMap
from verisimile.density.protocol import DensityEstimator, Fitted
from verisimile.density.torch_scope import one_thread

_LOG_2PI = math.log(2 * math.pi)
_CHUNK = 4096
_FEWEST_STEPS = 32  # per epoch: small samples get smaller batches
_SMALLEST_BATCH = 16


class Sample(NamedTuple):
    """Training or validation events in the flow's coordinates.

    `z` is ``(n, C + d)``, a context first if there is one, `weights` ``(n,)`` with
    mean one, and `offset` the mean log-Jacobian that turns curves into original units.
    """

    z: Tensor
    weights: Tensor
    offset: float

    @classmethod
    def of(cls, z: Array, log_jacobian: Array, weights: Array | None) -> Sample:
        """Return the sample in float32."""
        units = np.ones(len(z)) if weights is None else weights / weights.mean()
        offset = float((units * log_jacobian).mean())
        return cls(_float32(z), _float32(units), offset)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train; see `SplineFlowTrainer`."""

    learning_rate: float
    batch: int
    epochs: int
    patience: int
    clip: float


class Curves(NamedTuple):
    """Mean negative log-density per epoch in original units, and the best epoch."""

    training: Array
    validation: Array
    best: int

    def fitted(self, model: DensityEstimator, started: float) -> Fitted:
        """Return the trained model; `started` is the reading of the clock before training."""
        seconds = time.perf_counter() - started
        return Fitted(model, self.training, self.validation, self.best, {"seconds": seconds})


def train(
    flow: torch.nn.Module,
    training: Sample,
    validation: Sample,
    schedule: Schedule,
    seeds: Seeds,
) -> Curves:
    r"""Minimise the mean negative log-density of `training`; leave `flow` at its best epoch.

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
        return _Descent(flow, training, validation, schedule, seeds).run()


class _Descent:
    def __init__(
        self,
        flow: torch.nn.Module,
        training: Sample,
        validation: Sample,
        schedule: Schedule,
        seeds: Seeds,
    ) -> None:
        self.flow = flow
        self.training = training
        self.validation = validation
        self.schedule = schedule
        self.shuffle = seeds.at("shuffle").torch()
        n = len(training.z)
        self.batch = min(schedule.batch, max(n // _FEWEST_STEPS, _SMALLEST_BATCH))
        self.total = schedule.epochs * math.ceil(n / self.batch)
        self.step = 0
        # fused: the same arithmetic in one call instead of eight per parameter.
        self.adam = torch.optim.Adam(flow.parameters(), lr=schedule.learning_rate, fused=True)

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
        for rows in self._batches():
            loss = (self.training.weights[rows] * _losses(self.flow, self.training.z[rows])).mean()
            self.adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.flow.parameters(), self.schedule.clip)
            self._advance()
            total += loss.detach() * len(rows)
        return float(total) / len(self.training.z)

    def _batches(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.training.z), generator=self.shuffle)
        yield from torch.split(order, self.batch)

    def _advance(self) -> None:
        rate = self.schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * self.step / self.total))
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        self.step += 1

    def _mean_loss(self, sample: Sample) -> float:
        self.flow.eval()
        with torch.no_grad():
            losses = torch.cat([_losses(self.flow, z) for z in torch.split(sample.z, _CHUNK)])
        return float((sample.weights.double() * losses.double()).mean())

    def _state(self) -> dict[str, Tensor]:
        # The tensors of a state_dict go on changing with training.
        return {name: value.clone() for name, value in self.flow.state_dict().items()}

    def _check(self, curves: list[tuple[float, float]]) -> None:
        if all(math.isfinite(value) for value in curves[-1]):
            return
        raise NumericsError(
            "flow training",
            got=f"losses {curves[-1]} (training, validation) in epoch {len(curves) - 1}",
            expected="finite losses",
            remedy="Train with a smaller learning_rate or a smaller clip.",
        )


def refuse_signed(events: Events, name: str) -> None:
    """Raise for negative event weights: the likelihood has no maximum then."""
    if events.signed:
        raise InputError(
            f"{name} weights",
            got="negative event weights",
            expected="weights that are not negative",
            remedy="Train without weights, or on events with positive weights.",
        )


def _float32(values: Array) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _losses(flow: torch.nn.Module, z: Tensor) -> Tensor:
    u, log_det = flow(z)
    losses: Tensor = 0.5 * (u * u).sum(dim=1) - log_det + 0.5 * u.shape[1] * _LOG_2PI
    return losses


def require_positive(recipe: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Raise unless all numbers of a recipe are positive, and `marginal_bins` is 0 or at least 2.

    Raises
    ------
    InputError
        Naming the settings that are not.
    """
    given = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    wrong = {
        name: value
        for name, value in given.items()
        if isinstance(value, Real) and not isinstance(value, bool) and not _fine(name, float(value))
    }
    if wrong:
        raise InputError(
            type(recipe).__name__,
            got=", ".join(f"{name}={value!r}" for name, value in wrong.items()),
            expected="positive settings, marginal_bins 0 or at least 2",
        )


def _fine(name: str, value: float) -> bool:
    return value >= 0 and value != 1 if name == "marginal_bins" else value > 0


class Student(NamedTuple):
    """What one member learns from: events, validation events, streams."""

    training: Sample
    validation: Sample
    seeds: Seeds


def prepare(
    members: Sequence[tuple[Events, Events, Seeds]], marginal_bins: int
) -> tuple[list[InputMap], list[Student]]:
    """Return each member's own input map, and its events in the coordinates of that map.

    Raises
    ------
    InputError
        For negative weights, a constant feature, or different features.
    """
    pairs = [prepare_one(*member, marginal_bins) for member in members]
    return [input_map for input_map, _ in pairs], [student for _, student in pairs]


def prepare_one(
    training: Events, validation: Events, seeds: Seeds, marginal_bins: int
) -> tuple[InputMap, Student]:
    """Return the input map of the training events, and all events in its coordinates.

    Raises
    ------
    InputError
        For negative weights, a constant feature, or different features.
    """
    validation = match_features(validation, training.features)
    refuse_signed(training, "training")
    refuse_signed(validation, "validation")
    input_map = InputMap.fit(training, marginal_bins)
    student = Student(_sample(training, input_map), _sample(validation, input_map), seeds)
    return input_map, student


def _sample(events: Events, input_map: InputMap) -> Sample:
    z, log_jacobian = input_map.forward(events.x)
    return Sample.of(z, log_jacobian, events.weights)
