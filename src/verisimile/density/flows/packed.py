"""All parameters of a spline stack in one vector, hidden units sorted by degree.

A hidden unit's degree is the number of columns that it may see.  Sorted by it, the weight
matrices are block-triangular; padded to whole vector registers, they suit compiled code; in
one vector, an optimiser's step is a handful of operations, for one member or for a stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import BoolArray, IntArray
from verisimile.core.errors import require
from verisimile.density.flows.nflows import Architecture, Parameters

PAD = 16
"""Rows of weights begin at multiples of this many numbers."""

Floats = npt.NDArray[np.float32]


class Block(NamedTuple):
    """A linear map's place in the vector: weights ``rows × stride``, then `rows` biases."""

    layer: int
    number: int
    start: int
    rows: int
    columns: int

    @property
    def stride(self) -> int:
        """Numbers from one row of weights to the next."""
        return padded(self.columns)

    @property
    def bias(self) -> int:
        """Where the biases begin."""
        return self.start + self.rows * self.stride

    @property
    def stop(self) -> int:
        """Where the next map begins."""
        return self.bias + padded(self.rows)


@dataclass(frozen=True)
class PackedLayout:
    """Where each parameter of a stack of feed-forward conditioners is in the vector.

    Parameters
    ----------
    shape
        Architecture without residual blocks.
    """

    shape: Architecture

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
        return np.sort(_degrees(self.shape))

    @cached_property
    def ends(self) -> IntArray:
        """Number of hidden units that see at most so many columns ``(C + d,)``."""
        return np.searchsorted(self.degrees, np.arange(self.shape.columns), side="right")

    @cached_property
    def mask(self) -> BoolArray:
        """Which entries ``(P,)`` are parameters: neither padding nor masked, and of features."""
        mask = np.zeros(self.size, dtype=bool)
        for block in self.blocks:
            weights, biases = self._views(mask, block)
            seen = self._limits(block)
            weights[:] = np.arange(block.columns) < seen[:, None]
            biases[:] = seen >= 0
        return mask

    def pack(self, arrays: Mapping[str, npt.NDArray[np.float32]]) -> Floats:
        """Return the vector of what `nflows.export` returned."""
        vector = np.zeros(self.size, dtype=np.float32)
        for block, (rows, columns) in self._orders():
            weights, biases = self._views(vector, block)
            name = f"{block.layer}.{block.number}"
            weights[:] = arrays[f"{name}.weight"][np.ix_(rows, columns)]
            biases[:] = arrays[f"{name}.bias"][rows]
        return vector

    def unpack(self, vector: Floats) -> Parameters:
        """Return parameters by the names of `nflows.export`."""
        arrays: Parameters = {}
        for block, (rows, columns) in self._orders():
            weights, biases = self._views(vector, block)
            weight = np.empty((block.rows, block.columns), dtype=np.float32)
            bias = np.empty(block.rows, dtype=np.float32)
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
            for number, (rows, columns) in enumerate(sizes):
                block = Block(layer, number, start, rows, columns)
                yield block
                start = block.stop

    def _views(
        self, vector: npt.NDArray[np.generic], block: Block
    ) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
        matrix = vector[block.start : block.bias].reshape(block.rows, block.stride)
        return matrix[:, : block.columns], vector[block.bias : block.bias + block.rows]

    def _limits(self, block: Block) -> IntArray:
        """Return how many columns each row sees, -1 for rows of context columns' splines."""
        if block.number == 0:
            return self.degrees
        if block.number <= self.shape.blocks:
            return np.searchsorted(self.degrees, self.degrees, side="right")
        limits = self.ends.copy()
        limits[: self.shape.context] = -1
        return np.repeat(limits, block.rows // self.shape.columns)

    def _orders(self) -> Iterator[tuple[Block, tuple[IntArray, IntArray]]]:
        """Yield each block with nflows' numbers of its rows and columns."""
        by_degree = np.argsort(_degrees(self.shape), kind="stable")
        for block in self.blocks:
            last = block.number > self.shape.blocks
            rows = np.arange(block.rows) if last else by_degree
            columns = np.arange(block.columns) if block.number == 0 else by_degree
            yield block, (rows, columns)


def padded(count: int) -> int:
    """Return `count`, rounded up to whole registers."""
    return -(-count // PAD) * PAD


def _degrees(shape: Architecture) -> IntArray:
    """Return how many columns each hidden unit may see, as nflows deals them out."""
    if shape.columns == 1:
        return np.zeros(shape.hidden, dtype=np.int64)
    return np.arange(shape.hidden, dtype=np.int64) % (shape.columns - 1) + 1
