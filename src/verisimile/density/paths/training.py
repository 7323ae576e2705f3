r"""Regression along noising paths, M members as one batched job.

Flow matching and denoising diffusion train the same way: draw an event z, a
noise and a time, go to the point of the path between them, and regress a
network there on a target,

.. math:: L = E \left\| v(x_u, u) - y \right\|^2 / d .

Every member has its own events, initial weights and random streams; sums,
clipping and Adam's state are kept apart, so that a member comes out of a batch
as it would alone, up to the rounding of the matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.density.paths.network import NetworkShape, Parameters, field, initial, stack
from verisimile.density.torch_scope import Placement, threads
from verisimile.density.training import Curves, Schedule, Student

_REPEATS = 4  # noises per validation event


class Path(Protocol):
    """How noise becomes an event."""

    def point(self, z: Tensor, noise: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return network input ``(…, d)``, time ``(…)`` and target ``(…, d)``.

        `u` ``(…)`` is uniform in [0, 1).
        """
        ...


class PathSchedule(NamedTuple):
    """How long and how fast to train.

    `decay` lets the learning rate fall along half a cosine; `keep` says whether
    the epoch with the smallest validation loss or the last one is kept.
    """

    steps: Schedule
    decay: bool
    keep: Literal["best", "last"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The trained parameters of all members, and each one's losses per epoch."""

    parameters: Parameters
    curves: tuple[Curves, ...]


def train_paths(
    shape: NetworkShape,
    path: Path,
    students: Sequence[Student],
    schedule: PathSchedule,
    placement: Placement,
) -> Outcome:
    """Train one network per student, all of them in one batch.

    Random numbers are drawn on the CPU, so that a member sees the same noise on
    every device.

    Raises
    ------
    InputError
        If the students have different numbers of training events.
    NumericsError
        If a loss is no longer finite.
    """
    sizes = sorted({len(student.training.z) for student in students})
    if len(sizes) != 1:
        raise InputError(
            "students", got=f"training samples of {sizes} events", expected="samples of one size"
        )
    with threads(placement.threads):
        return _Regression(shape, path, students, schedule, placement.device).run()


class _Regression:
    def __init__(
        self,
        shape: NetworkShape,
        path: Path,
        students: Sequence[Student],
        schedule: PathSchedule,
        device: str,
    ) -> None:
        self.device = device
        self.shape = shape
        self.path = path
        self.students = students
        self.schedule = schedule
        self.streams = [student.seeds.at("shuffle").torch() for student in students]
        fresh = [initial(shape, student.seeds.at("initial").torch()) for student in students]
        self.parameters = {
            name: values.to(device).requires_grad_() for name, values in stack(fresh).items()
        }
        self.z = torch.stack([student.training.z for student in students]).to(device)
        self.weights = torch.stack([s.training.weights for s in students]).to(device)
        n = self.z.shape[1]
        self.batch = min(schedule.steps.batch, n)
        self.total = schedule.steps.epochs * math.ceil(n / self.batch)
        self.step = 0
        self.adam = torch.optim.Adam(
            list(self.parameters.values()), lr=schedule.steps.learning_rate, fused=True
        )

    def run(self) -> Outcome:
        count = len(self.students)
        best = np.zeros(count, dtype=int)
        active = np.ones(count, dtype=bool)
        saved = self._state()
        curves: list[list[tuple[float, float]]] = [[] for _ in self.students]
        for epoch in range(self.schedule.steps.epochs):
            training, validation = self._epoch(), self._validate()
            self._check(training, validation, epoch)
            for m in np.flatnonzero(active):
                curves[m].append((training[m], validation[m]))
                if self.schedule.keep == "last" or validation[m] <= curves[m][best[m]][1]:
                    best[m] = epoch
                    for name, values in self.parameters.items():
                        saved[name][m] = values.detach()[m]
                # A member that has stopped would see no later epoch if it were alone.
                active[m] = epoch - best[m] < self.schedule.steps.patience
            if not active.any():
                break
        pairs = [np.array(curve) for curve in curves]
        return Outcome(
            {name: values.cpu() for name, values in saved.items()},
            tuple(Curves(p[:, 0], p[:, 1], int(b)) for p, b in zip(pairs, best, strict=True)),
        )

    def _epoch(self) -> Array:
        members, n = self.z.shape[:2]
        orders = torch.stack([torch.randperm(n, generator=stream) for stream in self.streams])
        orders = orders.to(self.device)
        total = torch.zeros(members, dtype=torch.float64, device=self.device)
        row = torch.arange(members, device=self.device)[:, None]
        for some in torch.split(orders, self.batch, dim=1):
            loss = self._losses(
                self.parameters, self.z[row, some], self.weights[row, some], self.streams
            )
            self.adam.zero_grad(set_to_none=True)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            self._clip()
            self._advance()
            total += loss.detach() * some.shape[1]
        return np.asarray((total / n).cpu().numpy())

    def _validate(self) -> Array:
        # One by one: out-of-bag samples differ in size.
        values = []
        for m, student in enumerate(self.students):
            own = {name: p.detach()[m : m + 1] for name, p in self.parameters.items()}
            sample = student.validation
            # The same noises in every epoch: epochs are compared with each other.
            stream = student.seeds.at("validation").torch()
            z = sample.z.repeat(_REPEATS, 1)[None].to(self.device)
            weights = sample.weights.repeat(_REPEATS)[None].to(self.device)
            with torch.no_grad():
                values.append(float(self._losses(own, z, weights, [stream])))
        return np.array(values)

    def _losses(
        self,
        parameters: Parameters,
        z: Tensor,
        weights: Tensor,
        streams: Sequence[torch.Generator],
    ) -> Tensor:
        """Return each member's loss ``(M,)``."""
        noise = torch.stack([torch.randn(z.shape[1:], generator=s) for s in streams])
        u = torch.stack([torch.rand(z.shape[1], generator=s) for s in streams])
        x, t, target = self.path.point(z, noise.to(self.device), u.to(self.device))
        residual = field(self.shape, parameters, x, t) - target
        return (weights * residual.square().mean(dim=2)).mean(dim=1)

    def _clip(self) -> None:
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        squares = torch.stack([g.square().flatten(1).sum(dim=1) for g in grads])
        norm = squares.sum(dim=0).sqrt()
        factor = (self.schedule.steps.clip / (norm + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(factor[:, None, None])

    def _advance(self) -> None:
        rate = self.schedule.steps.learning_rate
        if self.schedule.decay:
            rate *= 0.5 * (1 + math.cos(math.pi * self.step / self.total))
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        self.step += 1

    def _state(self) -> Parameters:
        return {name: values.detach().clone() for name, values in self.parameters.items()}

    def _check(self, training: Array, validation: Array, epoch: int) -> None:
        bad = np.flatnonzero(~np.isfinite(training + validation))
        if bad.size:
            raise NumericsError(
                "path training",
                got=f"a loss that is not finite in epoch {epoch}, members {bad.tolist()}",
                expected="finite losses",
                remedy="Train with a smaller learning_rate or a smaller clip.",
            )
