r"""Denoising diffusion: no density, and rows that fail are left as NaN; its trainer.

.. math:: x_t = \sqrt{\bar\alpha_t}\, z + \sqrt{1 - \bar\alpha_t}\, \epsilon, \qquad
          x_{t-1} = \frac{1}{\sqrt{\alpha_t}} \left( x_t
          - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \hat\epsilon(x_t, t) \right)
          + \sqrt{\beta_t}\, \eta
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.density.mapped import MappedSampler, register_core
from verisimile.density.paths import network
from verisimile.density.paths.network import NetworkShape, numbers
from verisimile.density.paths.training import PathSchedule, train_paths
from verisimile.density.protocol import FittedSampler
from verisimile.density.torch_scope import CPU, Placement, one_thread
from verisimile.density.training import Schedule, prepare

_FAMILY = "diffusion"
_CHUNK = 4096
_OFFSET = 0.008
_LARGEST_BETA = 0.999


@dataclass(frozen=True, slots=True)
class CosineNoise:
    r"""Noise levels of the cosine schedule, ``(T,)`` each.

    .. math:: \bar\alpha(t) \propto \cos^2\!\left(
              \frac{t / T + s}{1 + s} \frac{\pi}{2} \right), \quad
              \beta_t = \min\!\left(1 - \frac{\bar\alpha(t + 1)}{\bar\alpha(t)}, 0.999\right),
              \quad s = 0.008

    References
    ----------
    Nichol and Dhariwal, *Improved Denoising Diffusion* (2021), eq. 17.
    """

    steps: int
    beta: Array = field(init=False, compare=False, repr=False)
    signal: Array = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise InputError("CosineNoise.steps", got=self.steps, expected="at least 2")
        t = np.arange(self.steps + 1) / self.steps
        level = np.cos((t + _OFFSET) / (1 + _OFFSET) * math.pi / 2) ** 2
        beta = np.minimum(1 - level[1:] / level[:-1], _LARGEST_BETA)
        object.__setattr__(self, "beta", beta)
        object.__setattr__(self, "signal", np.cumprod(1 - beta))


@dataclass(frozen=True, slots=True)
class NoisingPath:
    """The forward process at a uniformly random step; the target is the noise.

    References
    ----------
    Ho, Jain and Abbeel, *Denoising Diffusion Probabilistic Models* (2020), eq. 14.
    """

    noise: CosineNoise

    def point(self, z: Tensor, noise: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return noisy event, step (a whole number), and noise."""
        step = (u * self.noise.steps).long().clamp(max=self.noise.steps - 1)
        signal = torch.from_numpy(self.noise.signal).to(z)[step][..., None]
        return signal.sqrt() * z + (1 - signal).sqrt() * noise, step.to(z.dtype), noise


class DiffusionCore:
    """Ancestral sampling with variances β; float32 network, float64 steps.

    Parameters
    ----------
    shape
        Size of the network.
    parameters
        Of one member.
    steps
        T.

    References
    ----------
    Ho, Jain and Abbeel (2020), algorithm 2, with noise in every step but the last.
    """

    family = _FAMILY

    def __init__(
        self,
        shape: network.NetworkShape,
        parameters: Mapping[str, npt.NDArray[np.float32]],
        steps: int,
    ) -> None:
        self.shape = shape
        self.parameters = dict(parameters)
        self.noise = CosineNoise(steps)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.shape, self.parameters, self.noise.steps))

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.shape.features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``; a row that diverged is not finite."""
        x = rng.standard_normal((n, self.n_features))
        with one_thread(), torch.no_grad(), np.errstate(all="ignore"):
            for step in reversed(range(self.noise.steps)):
                beta, signal = self.noise.beta[step], self.noise.signal[step]
                x -= beta / math.sqrt(1 - signal) * self._predicted(x, step)
                x /= math.sqrt(1 - beta)
                if step:
                    x += math.sqrt(beta) * rng.standard_normal(x.shape)
        return x

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        return Payload(
            dict(self.parameters), {"shape": asdict(self.shape), "steps": self.noise.steps}
        )

    @cached_property
    def _weights(self) -> network.Parameters:
        return network.tensors(self.parameters, torch.float32)

    def _predicted(self, x: Array, step: int) -> Array:
        out = np.empty_like(x)
        for start in range(0, len(x), _CHUNK):
            rows = slice(start, start + _CHUNK)
            points = torch.from_numpy(x[rows].astype(np.float32))[None]
            times = torch.full(points.shape[:2], float(step))
            out[rows] = network.field(self.shape, self._weights, points, times)[0].numpy()
        return out


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> DiffusionCore:
    return DiffusionCore(network.NetworkShape(**meta["shape"]), arrays, int(meta["steps"]))


register_core(_FAMILY, MappedSampler, _rebuild)


@dataclass(frozen=True, slots=True)
class DiffusionTrainer:
    r"""Denoising diffusion with a residual perceptron, a sampler without density.

    .. math:: L = E_{t, \epsilon, z} \left\| \epsilon
              - \hat\epsilon(\sqrt{\bar\alpha_t} z + \sqrt{1 - \bar\alpha_t}\,\epsilon, t)
              \right\|^2

    The defaults are the network, noise and step size of the published ring
    study, with standardised features and a much shorter schedule (it trains for
    10 000 epochs and more).  Two things differ on purpose: the steps t are drawn
    for each event from all T (there one t per batch, and neither the first nor
    the last), and the last step of the sampler adds no noise.

    Parameters
    ----------
    depth, width, inner
        Residual blocks, their width and that of their inside.
    steps
        T.
    learning_rate, batch, epochs, clip
        Adam, with a constant step size, as published.
    decay
        Let the step size fall along half a cosine: far better draws after a short training.
    keep
        The epoch whose network is kept: ``"last"``, as published, or that with
        the ``"best"`` validation loss, which says little about the draws.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Ho, Jain and Abbeel, *Denoising Diffusion Probabilistic Models* (2020), eq. 14.
    """

    depth: int = 4
    width: int = 128
    inner: int = 256
    steps: int = 100
    learning_rate: float = 2e-3
    batch: int = 500
    epochs: int = 200
    clip: float = 1.0
    decay: bool = False
    keep: Literal["last", "best"] = "last"

    def __post_init__(self) -> None:
        self.shape(1)
        CosineNoise(self.steps)
        positive = ("learning_rate", "batch", "epochs", "clip")
        wrong = {name: getattr(self, name) for name in positive if not getattr(self, name) > 0}
        if self.keep not in ("last", "best"):
            wrong["keep"] = self.keep
        if wrong:
            raise InputError(
                "DiffusionTrainer",
                got=repr(wrong),
                expected="positive settings, keep 'last' or 'best'",
            )

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": DiffusionCore.family, "version": 1, **asdict(self)}

    def shape(self, d: int) -> NetworkShape:
        """Return the size of the network for `d` features; it sees t as a whole number."""
        return NetworkShape(d, self.depth, self.width, self.inner, 16, 1.0)

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> FittedSampler:
        """Train one sampler; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        return self.fit_many([(training, validation, seeds)])[0]

    def fit_many(
        self, members: Sequence[tuple[Events, Events, Seeds]], placement: Placement = CPU
    ) -> list[FittedSampler]:
        """Train several samplers as one batched job, each as `fit` would up to rounding.

        `placement` says on which device, or with how many threads.

        Raises
        ------
        InputError
            Also if the training samples have different sizes.
        NumericsError
            If a loss is no longer finite.
        """
        started = time.perf_counter()
        maps, students = prepare(members, 0)
        shape = self.shape(members[0][0].d)
        steps = Schedule(self.learning_rate, self.batch, self.epochs, self.epochs, self.clip)
        schedule = PathSchedule(steps, decay=self.decay, keep=self.keep)
        outcome = train_paths(
            shape, NoisingPath(CosineNoise(self.steps)), students, schedule, placement
        )
        seconds = (time.perf_counter() - started) / len(members)
        return [
            FittedSampler(
                MappedSampler(
                    DiffusionCore(shape, numbers(outcome.parameters, m), self.steps), input_map
                ),
                curves.training,
                curves.validation,
                curves.best,
                {"seconds": seconds, "loss": "denoising"},
            )
            for m, (input_map, curves) in enumerate(zip(maps, outcome.curves, strict=True))
        ]
