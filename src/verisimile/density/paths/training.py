r"""Regression along noising paths, M members as one batched job, and its network.

Flow matching and denoising diffusion train the same way: draw an event z, a
noise and a time, go to the point of the path between them, and regress a
network there on a target,

.. math:: L = E \left\| v(x_u, u) - y \right\|^2 / d .

Every member has its own events, initial weights and random streams; sums,
clipping and Adam's state are kept apart, so that a member comes out of a batch
as it would alone, up to the rounding of the matrix products.

The network is a residual perceptron of (point, time),

.. math:: h_0 = A x + a, \quad
          h_{l+1} = h_l + W_l\,\mathrm{SiLU}(V_l h_l + v_l + E_l\,e(t)) + w_l, \quad
          v(x, t) = B h_L + b

with a clock e(t) of two small layers.  All parameters have the members first,
so that M networks are one batched matrix product.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import silu

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError, require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import WithoutCache
from verisimile.density.protocol import Fitted, Sampler
from verisimile.density.torch_scope import CPU, Placement, threads
from verisimile.density.training import (
    CosineAdam,
    Curves,
    Keep,
    Recipe,
    Schedule,
    Student,
    prepare,
    require_positive_settings,
)

Parameters = dict[str, Tensor]
"""Weights ``(M, in, out)`` and biases ``(M, 1, out)`` of each linear map."""

Weights = Mapping[str, npt.NDArray[np.float32]]
"""The same of one member, as arrays."""

_REPEATS = 4  # noises per validation event


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Size of the network: `depth` blocks ``width -> inner -> width``, `clock` units for time.

    `tempo` multiplies a time in [0, 1] before the network sees it.
    """

    features: int
    depth: int
    width: int
    inner: int
    clock: int
    tempo: float

    def __post_init__(self) -> None:
        sizes = (self.features, self.depth, self.width, self.inner, self.clock)
        if min(sizes) < 1 or not 0 < self.tempo < math.inf:
            raise InputError("NetworkShape", got=repr(self), expected="positive sizes and tempo")

    def linears(self) -> dict[str, tuple[int, int]]:
        """Return the size (in, out) of each linear map, in the order of evaluation."""
        sizes = {"clock0": (1, self.clock), "clock1": (self.clock, self.clock)}
        sizes["first"] = (self.features, self.width)
        for number in range(self.depth):
            sizes[f"in{number}"] = (self.width, self.inner)
            sizes[f"time{number}"] = (self.clock, self.inner)
            sizes[f"out{number}"] = (self.inner, self.width)
        sizes["last"] = (self.width, self.features)
        return sizes


def initial(shape: NetworkShape, generator: torch.Generator) -> Parameters:
    """Return the parameters of one fresh member, uniform within one over the root of the inputs."""
    made: Parameters = {}
    for name, (inputs, outputs) in shape.linears().items():
        bound = 1.0 / math.sqrt(inputs)
        for part, rows in (("weight", inputs), ("bias", 1)):
            values = torch.rand((1, rows, outputs), generator=generator, dtype=torch.float32)
            made[f"{name}.{part}"] = bound * (2 * values - 1)
    return made


def stack(members: Sequence[Parameters]) -> Parameters:
    """Return the parameters of several members as those of one batch."""
    return {name: torch.cat([member[name] for member in members]) for name in members[0]}


def net_output(shape: NetworkShape, parameters: Parameters, x: Tensor, t: Tensor) -> Tensor:
    """Return the outputs ``(M, b, d)`` at points ``(M, b, d)`` and times ``(M, b)``."""

    def linear(name: str, inputs: Tensor) -> Tensor:
        return torch.matmul(inputs, parameters[f"{name}.weight"]) + parameters[f"{name}.bias"]

    clock = silu(linear("clock1", silu(linear("clock0", shape.tempo * t[..., None]))))
    h = linear("first", x)
    for number in range(shape.depth):
        inside = silu(linear(f"in{number}", h) + linear(f"time{number}", clock))
        h = h + linear(f"out{number}", inside)
    return linear("last", h)


def numbers(parameters: Parameters, member: int) -> Weights:
    """Return one member's parameters as arrays."""
    return {
        name: values[member : member + 1].detach().numpy().copy()
        for name, values in parameters.items()
    }


@dataclass(eq=False)
class PathCore(WithoutCache):
    """A trained network of one member, and how it makes events: the core of a mapped model."""

    shape: NetworkShape
    parameters: Weights

    dtype: ClassVar[torch.dtype] = torch.float32

    @classmethod
    def restored(cls, meta: Mapping[str, Any], arrays: Weights) -> Self:
        """Return the core that `payload` described."""
        return cls(**{**meta, "shape": NetworkShape(**meta["shape"]), "parameters": arrays})

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.shape.features

    def payload(self) -> Payload:
        """Return what `register_core` stores: the parameters, and all other fields."""
        own = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return Payload(dict(self.parameters), {"shape": asdict(self.shape), **own})

    @cached_property
    def _weights(self) -> Parameters:
        arrays = self.parameters.items()
        return {name: torch.from_numpy(np.array(a)).to(self.dtype) for name, a in arrays}


class Path(Protocol):
    """How noise becomes an event."""

    def point(self, z: Tensor, noise: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return network input ``(…, d)``, time ``(…)``, target ``(…, d)`` of `u` in [0, 1)."""


class PathTraining:
    """One network per student, all of them in one batch.

    Random numbers are drawn on the CPU, so that a member sees the same noise on
    every device.

    Raises
    ------
    InputError
        If the students have different numbers of training events.
    """

    def __init__(
        self,
        shape: NetworkShape,
        path: Path,
        students: Sequence[Student],
        schedule: Schedule,
        device: str,
    ) -> None:
        sizes = sorted({len(student.training.z) for student in students})
        require(
            len(sizes) == 1,
            "students",
            got=f"training samples of {sizes} events",
            expected="samples of one size",
        )
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
        self.batch = min(schedule.batch, n)
        own = list(self.parameters.values())
        self.adam = CosineAdam(own, schedule, events=n, batch=self.batch)

    def run(self) -> tuple[Parameters, list[Curves]]:
        """Return the trained parameters of all members, and each one's losses per epoch.

        Raises
        ------
        NumericsError
            If a loss is no longer finite.
        """
        count = len(self.students)
        best = np.zeros(count, dtype=int)
        active = np.ones(count, dtype=bool)
        saved = {name: values.detach().clone() for name, values in self.parameters.items()}
        curves: list[list[tuple[float, float]]] = [[] for _ in self.students]
        for epoch in range(self.schedule.epochs):
            training, validation = self._epoch(), self._validate()
            self._check(training, validation, epoch)
            for m in np.flatnonzero(active):
                curves[m].append((training[m], validation[m]))
                if self.schedule.keep == "last" or validation[m] <= curves[m][best[m]][1]:
                    best[m] = epoch
                    for name, values in self.parameters.items():
                        saved[name][m] = values.detach()[m]
                # A member that has stopped would see no later epoch if it were alone.
                active[m] = epoch - best[m] < self.schedule.patience
            if not active.any():
                break
        pairs = [np.array(curve) for curve in curves]
        return (
            {name: values.cpu() for name, values in saved.items()},
            [Curves(p[:, 0], p[:, 1], int(b)) for p, b in zip(pairs, best, strict=True)],
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
            self.adam.descend(loss.sum(), self._clip)
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
        self, parameters: Parameters, z: Tensor, weights: Tensor, streams: Sequence[torch.Generator]
    ) -> Tensor:
        """Return each member's loss ``(M,)``."""
        noise = torch.stack([torch.randn(z.shape[1:], generator=s) for s in streams])
        u = torch.stack([torch.rand(z.shape[1], generator=s) for s in streams])
        x, t, target = self.path.point(z, noise.to(self.device), u.to(self.device))
        residual = net_output(self.shape, parameters, x, t) - target
        return (weights * residual.square().mean(dim=2)).mean(dim=1)

    def _clip(self) -> None:
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        squares = torch.stack([g.square().flatten(1).sum(dim=1) for g in grads])
        norm = squares.sum(dim=0).sqrt()
        factor = (self.schedule.clip / (norm + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(factor[:, None, None])

    def _check(self, training: Array, validation: Array, epoch: int) -> None:
        bad = np.flatnonzero(~np.isfinite(training + validation))
        if bad.size:
            raise NumericsError(
                "path training",
                got=f"a loss that is not finite in epoch {epoch}, members {bad.tolist()}",
                expected="finite losses",
                remedy="Train with a smaller learning_rate or a smaller clip.",
            )


M = TypeVar("M", bound=Sampler)


class PathRecipe(Recipe, Generic[M]):
    """A network trained along a noising path; members can be trained as one batch."""

    __slots__ = ()
    tempo: ClassVar[float] = 1.0
    depth: int
    width: int
    inner: int

    @abstractmethod
    def path(self) -> Path:
        """Return how noise becomes an event."""

    @abstractmethod
    def model(self, shape: NetworkShape, weights: Weights, input_map: InputMap) -> M:
        """Return what the trained network of one member makes."""

    def __post_init__(self) -> None:
        self.shape(1)
        require_positive_settings(self)

    @property
    def decay(self) -> bool:
        """Whether the step size falls along half a cosine."""
        return True

    @property
    def keep(self) -> Keep:
        """Which epoch's network is kept."""
        return "best"

    def schedule(self) -> Schedule:
        """Return how long and how fast to train, and which epoch to keep."""
        return Recipe.schedule(self)._replace(decay=self.decay, keep=self.keep)

    def shape(self, d: int) -> NetworkShape:
        """Return the size of the network for `d` features."""
        return NetworkShape(d, self.depth, self.width, self.inner, 16, self.tempo)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[M]:
        """Train one model; the same arguments give the same bits; see `fit_many`."""
        return self.fit_many([(training, validation, seeds)])[0]

    def fit_many(
        self, members: Sequence[tuple[Events, Events, Seeds]], placement: Placement = CPU
    ) -> list[Fitted[M]]:
        """Train several models as one batched job, each as `fit` would up to rounding.

        `placement` says on which device, or with how many threads.

        Raises
        ------
        InputError
            For negative weights, a constant feature, different features, or training
            samples of different sizes.
        NumericsError
            If a loss is no longer finite.
        """
        started = time.perf_counter()
        pairs = [prepare(*member, self.input_map) for member in members]
        shape = self.shape(members[0][0].d)
        students = [student for _, student in pairs]
        with threads(placement.threads):
            job = PathTraining(shape, self.path(), students, self.schedule(), placement.device)
            parameters, curves = job.run()
        facts = self.facts(started, len(members))
        return [
            Fitted(self.model(shape, numbers(parameters, m), input_map), *curves[m], facts)
            for m, (input_map, _) in enumerate(pairs)
        ]
