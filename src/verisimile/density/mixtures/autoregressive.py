r"""An autoregressive mixture of Gaussians: each feature given those before it; its trainer.

.. math:: q(z) = \prod_j \sum_k w_{jk}(z_{<j})\,
          N\big(z_j;\, \mu_{jk}(z_{<j}),\, \sigma_{jk}(z_{<j})\big)

The networks see arsinh of the features, so that far events stay harmless.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.records import Payload
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import MappedDensity, register_core
from verisimile.density.registry import below
from verisimile.density.samplers import (
    Layers,
    layers_of,
    leaky,
    packed_layers,
    perceptron,
    unpacked_layers,
)
from verisimile.density.training import Draft, LikelihoodRecipe, Student

_FAMILY = "autoregressive-mixture"
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LEAST, _MOST = -6.0, 3.0  # of log σ: a component on repeated events would grow without bound


class MixtureNetwork(torch.nn.Module):
    """One perceptron per feature, in training; build it inside `torch_scope.seeded`."""

    def __init__(self, d: int, components: int, hidden: int) -> None:
        super().__init__()
        # The first feature has nothing before it: its network sees a constant zero.
        self.nets = torch.nn.ModuleList(
            perceptron(max(j, 1), hidden, hidden, 3 * components) for j in range(d)
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return zeros and log-densities, with the base's constant taken off.

        `training.train` adds the negative log-density of the base at the first.
        """
        total = z.new_zeros(len(z))
        for j, net in enumerate(self.nets):
            known = torch.asinh(z[:, :j]) if j else z.new_zeros((len(z), 1))
            logits, mean, raw = net(known).chunk(3, dim=1)
            log_width = _LEAST + (_MOST - _LEAST) * torch.sigmoid(raw)
            square = ((z[:, j : j + 1] - mean) / log_width.exp()).square()
            terms = torch.log_softmax(logits, dim=1) - 0.5 * square - log_width
            total = total + torch.logsumexp(terms, dim=1) - _HALF_LOG_2PI
        return torch.zeros_like(z), total + z.shape[1] * _HALF_LOG_2PI

    def layers(self) -> tuple[Layers, ...]:
        """Return the networks' weights as arrays."""
        return tuple(layers_of(net) for net in self.nets if isinstance(net, torch.nn.Sequential))


@dataclass(frozen=True, slots=True, eq=False)
class MixtureNetworkCore:
    """Density and sampler of the trained networks, in float64; `layers` are each feature's."""

    layers: tuple[Layers, ...]

    family = _FAMILY

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return len(self.layers)

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``."""
        total = np.zeros(len(z))
        for j in range(self.n_features):
            log_share, mean, width = self._given(z, j)
            # Beyond 1e150 a square overflows to infinity: the density is zero there.
            pull = (z[:, j : j + 1].clip(-1e150, 1e150) - mean) / width
            terms = log_share - 0.5 * pull**2 - np.log(width)
            total += logsumexp(terms, axis=1) - _HALF_LOG_2PI
        return total

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``, one feature after the other."""
        z = np.zeros((n, self.n_features))
        for j in range(self.n_features):
            log_share, mean, width = self._given(z, j)
            edges = np.exp(log_share).cumsum(axis=1)
            passed = rng.random((n, 1)) * edges[:, -1:] >= edges
            row, k = np.arange(n), passed.sum(axis=1)
            z[:, j] = mean[row, k] + width[row, k] * rng.standard_normal(n)
        return z

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        arrays = {
            f"{j}.{name}": values
            for j, layers in enumerate(self.layers)
            for name, values in packed_layers(layers).items()
        }
        return Payload(arrays, {"features": self.n_features, "depth": len(self.layers[0])})

    def _given(self, z: Array, j: int) -> tuple[Array, Array, Array]:
        """Return log-weights, means and widths ``(n, K)`` of feature j."""
        known = np.arcsinh(z[:, :j]) if j else np.zeros((len(z), 1))
        logits, mean, raw = np.split(leaky(self.layers[j], known), 3, axis=1)
        log_width = _LEAST + (_MOST - _LEAST) / (1 + np.exp(-raw.clip(-500, 500)))
        return logits - logsumexp(logits, axis=1, keepdims=True), mean, np.exp(log_width)


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> MixtureNetworkCore:
    depth = int(meta["depth"])
    return MixtureNetworkCore(
        tuple(unpacked_layers(below(f"{j}.", arrays), depth) for j in range(meta["features"]))
    )


register_core(_FAMILY, MappedDensity, _rebuild)


@dataclass(frozen=True, slots=True)
class MixtureNetworkTrainer(LikelihoodRecipe[MappedDensity]):
    r"""Each feature a mixture of K Gaussians whose parameters depend on the features before it.

    .. math:: \log p(x) = \sum_j \log \sum_k w_{jk} N(z_j; \mu_{jk}, \sigma_{jk})
              + \log |\det z'|

    The order of the features matters; widths lie between e⁻⁶ and e³ standard
    deviations.

    Parameters
    ----------
    components
        K.
    hidden
        Width of the two hidden layers of each feature's network.
    marginal_bins
        Quantile bins of the features' Gaussianisation; 0 leaves standardisation alone.
    learning_rate, batch, epochs, patience, clip
        Adam on half a cosine, with early stopping on the validation loss.

    References
    ----------
    Bishop, *Mixture Density Networks* (1994).
    Uria, Murray and Larochelle, *RNADE* (2013).
    """

    family = _FAMILY

    components: int = 8
    hidden: int = 32
    marginal_bins: int = 0
    learning_rate: float = 5e-3
    batch: int = 256
    epochs: int = 40
    patience: int = 10
    clip: float = 5.0

    def draft(self, input_map: InputMap, student: Student) -> Draft[MappedDensity]:
        """Return network and model."""
        net = MixtureNetwork(student.columns, self.components, self.hidden)
        return net, lambda: MappedDensity(MixtureNetworkCore(net.layers()), input_map)
