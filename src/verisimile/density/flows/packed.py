"""All parameters of a spline stack in one vector, hidden units sorted by degree.

A hidden unit's degree is the number of columns that it may see.  Sorted by it, the weight
matrices are block-triangular; padded to whole vector registers, they suit compiled code; in
one vector, an optimiser's step is a handful of operations, for one member or for a stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import BoolArray, IntArray
from verisimile.core.errors import require
from verisimile.density.flows.nflows import Architecture, Parameters

PAD = 16
"""Rows of weights begin at multiples of this many numbers."""

Floats = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


class Block(NamedTuple):
    """A linear map's place in the vector: a padded matrix of weights, then padded biases.

    The matrix has a row per *input* of a hidden map, and per *output* of the last map of a
    layer: either way hidden units lie next to each other.
    """

    layer: int
    number: int
    last: bool
    start: int
    outputs: int
    inputs: int

    @property
    def stored(self) -> tuple[int, int]:
        """Rows and columns of the matrix, without padding."""
        return (self.outputs, self.inputs) if self.last else (self.inputs, self.outputs)

    @property
    def stride(self) -> int:
        """Numbers from one row of the matrix to the next."""
        return padded(self.stored[1])

    @property
    def biases(self) -> int:
        """Where the biases begin."""
        return self.start + self.stored[0] * self.stride

    @property
    def stop(self) -> int:
        """Where the next map begins."""
        return self.biases + padded(self.outputs)


@dataclass(frozen=True)
class PackedLayout:
    """Where each parameter of a stack of feed-forward conditioners is in the vector.

    Parameters
    ----------
    shape
        Architecture without residual blocks.
    heads_alone
        Whether the last map of each layer is all that is trained.
    """

    shape: Architecture
    heads_alone: bool = False

    def __post_init__(self) -> None:
        require(
            not self.shape.residual,
            "PackedLayout",
            got="residual blocks",
            expected="feed-forward conditioners",
        )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The linear maps, layer by layer in the order of evaluation."""
        return tuple(self._blocks())

    @cached_property
    def size(self) -> int:
        """Length P of the vector."""
        return self.blocks[-1].stop

    @cached_property
    def degrees(self) -> IntArray:
        """Columns that each hidden unit may see ``(H,)``, ascending."""
        return np.sort(degrees_of(self.shape))

    @cached_property
    def ends(self) -> IntArray:
        """Number of hidden units that see at most so many columns ``(C + d,)``."""
        return np.searchsorted(self.degrees, np.arange(self.shape.columns), side="right")

    @cached_property
    def mask(self) -> BoolArray:
        """Which entries ``(P,)`` are trained: neither padding nor masked, and of features."""
        mask = np.zeros(self.size, dtype=bool)
        for block in self.blocks:
            if self.heads_alone and not block.last:
                continue
            weights, biases = self.views(mask, block)
            seen = self._limits(block)
            weights[:] = np.arange(block.inputs) < seen[:, None]
            biases[:] = seen >= 0
        return mask

    def views(
        self, vector: npt.NDArray[Number], block: Block
    ) -> tuple[npt.NDArray[Number], npt.NDArray[Number]]:
        """Return a map's weights ``(..., outputs, inputs)`` and biases, as views of the vector.

        Of vectors ``(..., P)``, one for each member.
        """
        rows, columns = block.stored
        lead = vector.shape[:-1]
        matrix = vector[..., block.start : block.biases].reshape(*lead, rows, block.stride)
        weights = matrix[..., :columns]
        biases = vector[..., block.biases : block.biases + block.outputs]
        return weights if block.last else np.swapaxes(weights, -1, -2), biases

    def pack(self, arrays: Mapping[str, npt.NDArray[np.float32]]) -> Floats:
        """Return the vector of what `nflows.export` returned."""
        vector = np.zeros(self.size, dtype=np.float32)
        for block, (rows, columns) in self._orders():
            weights, biases = self.views(vector, block)
            name = f"{block.layer}.{block.number}"
            weights[:] = arrays[f"{name}.weight"][np.ix_(rows, columns)]
            biases[:] = arrays[f"{name}.bias"][rows]
        return vector

    def unpack(self, vector: Floats) -> Parameters:
        """Return parameters by the names of `nflows.export`."""
        arrays: Parameters = {}
        for block, (rows, columns) in self._orders():
            weights, biases = self.views(vector, block)
            weight = np.empty((block.outputs, block.inputs), dtype=np.float32)
            bias = np.empty(block.outputs, dtype=np.float32)
            weight[np.ix_(rows, columns)] = weights
            bias[rows] = biases
            name = f"{block.layer}.{block.number}"
            arrays[f"{name}.weight"], arrays[f"{name}.bias"] = weight, bias
        return arrays

    def _blocks(self) -> Iterator[Block]:
        shape, start = self.shape, 0
        sizes = [(shape.hidden, shape.columns)]
        sizes += [(shape.hidden, shape.hidden)] * shape.blocks
        sizes += [(shape.columns * (3 * shape.bins - 1), shape.hidden)]
        for layer in range(shape.layers):
            for number, (outputs, inputs) in enumerate(sizes):
                last = number > shape.blocks
                block = Block(layer, number, last, start, outputs, inputs)
                yield block
                start = block.stop

    def _limits(self, block: Block) -> IntArray:
        """Return how many inputs each output sees, -1 for those of context columns' splines."""
        if block.number == 0:
            return self.degrees
        if not block.last:
            return np.searchsorted(self.degrees, self.degrees, side="right")
        limits = self.ends.copy()
        limits[: self.shape.context] = -1
        return np.repeat(limits, block.outputs // self.shape.columns)

    def _orders(self) -> Iterator[tuple[Block, tuple[IntArray, IntArray]]]:
        """Yield each block with nflows' numbers of its outputs and inputs."""
        by_degree = np.argsort(degrees_of(self.shape), kind="stable")
        for block in self.blocks:
            outputs = np.arange(block.outputs) if block.last else by_degree
            inputs = np.arange(block.inputs) if block.number == 0 else by_degree
            yield block, (outputs, inputs)


def padded(count: int) -> int:
    """Return `count`, rounded up to whole registers."""
    return -(-count // PAD) * PAD


def degrees_of(shape: Architecture) -> IntArray:
    """Return how many columns each hidden unit may see, as nflows deals them out."""
    if shape.columns == 1:
        return np.zeros(shape.hidden, dtype=np.int64)
    return np.arange(shape.hidden, dtype=np.int64) % (shape.columns - 1) + 1
