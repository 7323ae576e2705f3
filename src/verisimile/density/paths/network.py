r"""A residual perceptron of (point, time), for several members at once.

.. math:: h_0 = A x + a, \quad
          h_{l+1} = h_l + W_l\,\mathrm{SiLU}(V_l h_l + v_l + E_l\,e(t)) + w_l, \quad
          v(x, t) = B h_L + b

with a clock e(t) of two small layers.  All parameters have the members first,
so that M networks are one batched matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import silu

from verisimile.core.errors import InputError

Parameters = dict[str, Tensor]
"""Weights ``(M, in, out)`` and biases ``(M, 1, out)`` of each linear map."""


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


def field(shape: NetworkShape, parameters: Parameters, x: Tensor, t: Tensor) -> Tensor:
    """Return the outputs ``(M, b, d)`` at points ``(M, b, d)`` and times ``(M, b)``."""

    def linear(name: str, inputs: Tensor) -> Tensor:
        return torch.matmul(inputs, parameters[f"{name}.weight"]) + parameters[f"{name}.bias"]

    clock = silu(linear("clock1", silu(linear("clock0", shape.tempo * t[..., None]))))
    h = linear("first", x)
    for number in range(shape.depth):
        inside = silu(linear(f"in{number}", h) + linear(f"time{number}", clock))
        h = h + linear(f"out{number}", inside)
    return linear("last", h)


def numbers(parameters: Parameters, member: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return one member's parameters as arrays."""
    return {
        name: values[member : member + 1].detach().numpy().copy()
        for name, values in parameters.items()
    }


def tensors(arrays: Mapping[str, npt.NDArray[np.float32]], dtype: torch.dtype) -> Parameters:
    """Return stored parameters in the precision of an evaluation."""
    return {name: torch.from_numpy(np.array(values)).to(dtype) for name, values in arrays.items()}
