r"""Samplers that push normal noise through a perceptron: :math:`z = g(u) + \tau \epsilon`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from verisimile.core.arrays import Array
from verisimile.core.records import Payload
from verisimile.density.mapped import MappedSampler, register_core

_LEAK = 0.2


class DecoderCore:
    """A perceptron of latent noise, evaluated in float64.

    Parameters
    ----------
    family
        ``"gan"`` or ``"vae"``.
    layers
        Weights ``(in, out)`` and biases ``(out,)`` of its linear maps.
    noise
        τ, the width of the noise that is added to each feature, ``(d,)``.
    """

    def __init__(self, family: str, layers: tuple[tuple[Array, Array], ...], noise: Array) -> None:
        self.family = family
        self.layers = layers
        self.noise = noise

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return len(self.noise)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``."""
        z = leaky(self.layers, rng.standard_normal((n, len(self.layers[0][0]))))
        return np.asarray(z + self.noise * rng.standard_normal(z.shape))

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        arrays = {"noise": self.noise}
        for number, (weight, bias) in enumerate(self.layers):
            arrays |= {f"{number}.weight": weight, f"{number}.bias": bias}
        return Payload(arrays, {"family": self.family, "layers": len(self.layers)})


def perceptron(*sizes: int) -> torch.nn.Sequential:
    """Return a fresh leaky perceptron; call it inside `torch_scope.seeded`."""
    parts: list[torch.nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        parts += [torch.nn.Linear(inputs, outputs), torch.nn.LeakyReLU(_LEAK)]
    return torch.nn.Sequential(*parts[:-1])


def layers_of(net: torch.nn.Sequential) -> tuple[tuple[Array, Array], ...]:
    """Return the linear maps of a perceptron as arrays."""
    return tuple(
        (_array(part.weight).T.copy(), _array(part.bias))
        for part in net
        if isinstance(part, torch.nn.Linear)
    )


def leaky(layers: tuple[tuple[Array, Array], ...], h: Array) -> Array:
    """Return what a perceptron of these linear maps makes of inputs ``(n, in)``."""
    for number, (weight, bias) in enumerate(layers):
        h = h @ weight + bias
        if number < len(layers) - 1:
            h = np.where(h > 0, h, _LEAK * h)
    return h


def _array(values: torch.Tensor) -> Array:
    return np.array(values.detach().double().numpy())


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> DecoderCore:
    layers = tuple((arrays[f"{k}.weight"], arrays[f"{k}.bias"]) for k in range(meta["layers"]))
    return DecoderCore(meta["family"], layers, arrays["noise"])


register_core("gan", MappedSampler, _rebuild)
register_core("vae", MappedSampler, _rebuild)
