r"""Denoising diffusion: no density, and rows that fail are left as NaN; its trainer.

.. math:: x_t = \sqrt{\bar\alpha_t}\, z + \sqrt{1 - \bar\alpha_t}\, \epsilon, \qquad
          x_{t-1} = \frac{1}{\sqrt{\alpha_t}} \left( x_t
          - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \hat\epsilon(x_t, t) \right)
          + \sqrt{\beta_t}\, \eta
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.errors import require_at_least, require_one_of
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import MappedSampler, register_core
from verisimile.density.paths.training import (
    NetworkShape,
    PathCore,
    PathRecipe,
    Weights,
    net_output,
)
from verisimile.density.torch_scope import one_thread
from verisimile.density.training import Keep

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
        require_at_least(2, self.steps, "CosineNoise.steps")
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


@dataclass(eq=False)
class DiffusionCore(PathCore):
    """Ancestral sampling with variances β in T `steps`; float32 network, float64 steps.

    References
    ----------
    Ho, Jain and Abbeel (2020), algorithm 2, with noise in every step but the last.
    """

    steps: int

    family = _FAMILY

    @cached_property
    def noise(self) -> CosineNoise:
        """The noise levels."""
        return CosineNoise(self.steps)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``; a row that diverged is not finite."""
        x = rng.standard_normal((n, self.n_features))
        with one_thread(), torch.no_grad(), np.errstate(all="ignore"):
            for step in reversed(range(self.steps)):
                beta, signal = self.noise.beta[step], self.noise.signal[step]
                x -= beta / math.sqrt(1 - signal) * self._predicted(x, step)
                x /= math.sqrt(1 - beta)
                if step:
                    x += math.sqrt(beta) * rng.standard_normal(x.shape)
        return x

    def _predicted(self, x: Array, step: int) -> Array:
        out = np.empty_like(x)
        for start in range(0, len(x), _CHUNK):
            rows = slice(start, start + _CHUNK)
            points = torch.from_numpy(x[rows].astype(np.float32))[None]
            times = torch.full(points.shape[:2], float(step))
            out[rows] = net_output(self.shape, self._weights, points, times)[0].numpy()
        return out


register_core(_FAMILY, MappedSampler, DiffusionCore.restored)


@dataclass(frozen=True, slots=True)
class DiffusionTrainer(PathRecipe[MappedSampler]):
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

    References
    ----------
    Ho, Jain and Abbeel, *Denoising Diffusion Probabilistic Models* (2020), eq. 14.
    """

    family = _FAMILY
    loss = "denoising"

    depth: int = 4
    width: int = 128
    inner: int = 256
    steps: int = 100
    learning_rate: float = 2e-3
    batch: int = 500
    epochs: int = 200
    clip: float = 1.0
    decay: bool = False
    keep: Keep = "last"

    def __post_init__(self) -> None:
        CosineNoise(self.steps)
        PathRecipe.__post_init__(self)
        require_one_of(self.keep, ("last", "best"), "DiffusionTrainer.keep")

    def path(self) -> NoisingPath:
        """Return the forward process."""
        return NoisingPath(CosineNoise(self.steps))

    def model(self, shape: NetworkShape, weights: Weights, input_map: InputMap) -> MappedSampler:
        """Return the sampler of a trained network."""
        return MappedSampler(DiffusionCore(shape, weights, self.steps), input_map)
