"""Fast evaluation and inversion of a trained spline stack from its parameters alone.

Hidden units are sorted by their degree, the number of features that they may
see.  The weight matrices are then block-triangular, of which two uses are made:
evaluation skips the blocks of zeros, and inversion finds one feature after the
other while each hidden unit is computed once, so that sampling costs about as
much as evaluation (nflows evaluates the whole conditioner once per feature).

Context columns stand before the features: every conditioner sees them, no spline moves them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.density.flows import rational_quadratic as rq
from verisimile.density.flows.nflows import Architecture
from verisimile.density.flows.packed import degrees_of
from verisimile.density.torch_scope import one_thread

_CHUNK = 2048  # events at a time: their hidden units stay in the cache
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_MIN_ROWS = 16  # below this a block of a matrix product costs more than the zeros it saves


class _Block(NamedTuple):
    """Hidden units ``start:stop`` (by degree), which see the first `columns` columns."""

    start: int
    stop: int
    columns: int


class _Layer:
    """One autoregressive layer; all arrays have the events last."""

    def __init__(
        self,
        shape: Architecture,
        arrays: Mapping[str, npt.NDArray[np.float32]],
        number: int,
        dtype: torch.dtype,
    ) -> None:
        degrees = degrees_of(shape)
        order = np.argsort(degrees, kind="stable")
        ends = np.searchsorted(degrees[order], np.arange(shape.columns), side="right")
        self.shape = shape
        self.ends: list[int] = ends.tolist()
        self.blocks = _blocks(self.ends)
        last = 1 + shape.blocks * (2 if shape.residual else 1)
        tensors = [_linear(arrays, f"{number}.{name}", dtype) for name in range(last + 1)]
        by_degree = torch.from_numpy(order)
        self.hidden = [(w[by_degree], b[by_degree, None]) for w, b in tensors[:-1]]
        self.hidden[1:] = [(w[:, by_degree], b) for w, b in self.hidden[1:]]
        weight, bias = tensors[-1]
        raw = 3 * shape.bins - 1
        self.weight = weight[:, by_degree].reshape(shape.columns, raw, -1).contiguous()
        self.bias = bias.reshape(shape.columns, raw, 1)
        self.first = self._first()

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and log-derivatives, both ``(d, n)``."""
        bound, c = self.shape.tail_bound, self.shape.context
        seen = (torch.cat([context, x]) if c else x).clamp(-bound, bound)
        units = self._empty(x)
        for block in self.blocks:
            self._activate(units, seen, block)
        raw = x.new_empty((self.shape.features, self.bias.shape[1], x.shape[1]))
        for feature in range(self.shape.features):
            if c + feature:
                self._raw(units, c + feature, raw[feature])
            else:
                raw[feature] = self.first
        table = rq.knots(raw, self.shape.bins, bound)
        return rq.evaluate(x, rq.gather(table, rq.locate(x, table.x)))

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Return the inputs ``(d, n)``."""
        bound, c = self.shape.tail_bound, self.shape.context
        x = torch.empty_like(y)
        seen = y.new_empty((self.shape.columns, y.shape[1]))
        seen[:c] = context.clamp(-bound, bound)
        units = self._empty(y)
        for feature in range(self.shape.features):
            column = c + feature
            if column:
                # The first feature finds nothing activated yet, the others all but one degree.
                start = self.ends[column - 1] if feature else 0
                self._activate(units, seen, _Block(start, self.ends[column], column))
                raw = self._raw(units, column, y.new_empty((self.bias.shape[1], y.shape[1])))
            else:
                raw = self.first.expand(-1, y.shape[1])
            table = rq.knots(raw, self.shape.bins, bound)
            bins = rq.gather(table, rq.locate(y[feature], table.y))
            x[feature] = rq.invert(y[feature], bins)
            seen[column] = x[feature].clamp(-bound, bound)
        return x

    def _first(self) -> Tensor:
        """Return the raw parameters ``(P, 1)`` of column 0, which depend on nothing."""
        nothing = self.bias.new_zeros((self.shape.columns, 1))
        units = self._empty(nothing)
        self._activate(units, nothing, _Block(0, self.shape.hidden, self.shape.columns))
        return self.weight[0] @ units[-1] + self.bias[0]

    def _empty(self, x: Tensor) -> list[Tensor]:
        """Return room for the hidden units ``(H, n)`` of each linear map."""
        return [x.new_empty((self.shape.hidden, x.shape[1])) for _ in self.hidden]

    def _activate(self, units: list[Tensor], seen: Tensor, block: _Block) -> None:
        """Fill in one block of every map's hidden units; earlier blocks are there."""
        rows = slice(block.start, block.stop)
        weight, bias = self.hidden[0]
        torch.addmm(
            bias[rows], weight[rows, : block.columns], seen[: block.columns], out=units[0][rows]
        )
        if self.shape.residual:
            self._residual(units, block)
        else:
            self._feedforward(units, block)

    def _feedforward(self, units: list[Tensor], block: _Block) -> None:
        rows, known = slice(block.start, block.stop), slice(0, block.stop)
        units[0][rows].relu_()
        for number, (weight, bias) in enumerate(self.hidden[1:], start=1):
            below = units[number - 1][known]
            torch.addmm(bias[rows], weight[rows, known], below, out=units[number][rows]).relu_()

    def _residual(self, units: list[Tensor], block: _Block) -> None:
        # The even maps hold the running sum, the odd ones the inside of a block.
        rows, known = slice(block.start, block.stop), slice(0, block.stop)
        for number in range(1, len(self.hidden), 2):
            before, inside, after = units[number - 1 : number + 2]
            (w_in, b_in), (w_out, b_out) = self.hidden[number : number + 2]
            torch.addmm(b_in[rows], w_in[rows, known], before[known].relu(), out=inside[rows])
            inside[rows].relu_()
            torch.addmm(b_out[rows], w_out[rows, known], inside[known], out=after[rows])
            after[rows] += before[rows]

    def _raw(self, units: list[Tensor], column: int, out: Tensor) -> Tensor:
        """Write the raw spline parameters of a column into `out` ``(P, n)``."""
        known = self.ends[column]
        weight = self.weight[column, :, :known]
        return torch.addmm(self.bias[column], weight, units[-1][:known], out=out)


class FastFlow:
    """A stack of layers as a map between ``(d, n)`` tensors; `arrays` are of `nflows.export`."""

    def __init__(
        self, shape: Architecture, arrays: Mapping[str, npt.NDArray[np.float32]], dtype: torch.dtype
    ) -> None:
        self.dtype = dtype
        self.context = shape.context
        self.layers = [_Layer(shape, arrays, number, dtype) for number in range(shape.layers)]

    def log_base(self, z: Array) -> Array:
        r"""Return :math:`\log N(f(z); 0, 1) + \log |\det f'(z)|` of z ``(n, C + d)``."""
        out = np.empty(len(z))
        with one_thread(), torch.inference_mode():
            for rows in _chunks(len(z)):
                columns = torch.from_numpy(np.ascontiguousarray(z[rows].T)).to(self.dtype)
                u, log_det = self.forward(columns)
                out[rows] = (log_det - 0.5 * u.double().square().sum(dim=0)).numpy()
        return np.asarray(out - (z.shape[1] - self.context) * _HALF_LOG_2PI)

    def from_base(self, u: Array) -> Array:
        """Return the coordinates ``(n, d)`` of base variables ``(n, C + d)``, context first."""
        z = np.empty((len(u), u.shape[1] - self.context))
        with one_thread(), torch.inference_mode():
            for rows in _chunks(len(u)):
                columns = torch.from_numpy(np.ascontiguousarray(u[rows].T)).to(self.dtype)
                z[rows] = self.inverse(columns).double().numpy().T
        return z

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the base variables ``(d, n)`` and the float64 log-determinant ``(n,)``.

        The first C rows of `z` ``(C + d, n)`` are the context.
        """
        context, z = z[: self.context], z[self.context :]
        total = torch.zeros(z.shape[1], dtype=torch.float64)
        for number, layer in enumerate(self.layers):
            z, logs = layer.forward(z.flip(0) if number else z, context)
            total += logs.sum(dim=0)
        return z, total

    def inverse(self, u: Tensor) -> Tensor:
        """Return the inputs ``(d, n)`` of base variables, again below C rows of context."""
        context, u = u[: self.context], u[self.context :]
        for number, layer in reversed(list(enumerate(self.layers))):
            u = layer.inverse(u, context)
            u = u.flip(0) if number else u
        return u


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]


def _blocks(ends: list[int]) -> list[_Block]:
    """Return the blocks of hidden units for evaluation: whole degrees, not too small."""
    blocks: list[_Block] = []
    start = ends[0]
    for degree in range(1, len(ends)):
        if ends[degree] - start >= _MIN_ROWS or degree == len(ends) - 1:
            blocks.append(_Block(start, ends[degree], degree))
            start = ends[degree]
    return blocks


def _linear(
    arrays: Mapping[str, npt.NDArray[np.float32]], name: str, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    weight, bias = (np.array(arrays[f"{name}.{part}"]) for part in ("weight", "bias"))
    return torch.from_numpy(weight).to(dtype), torch.from_numpy(bias).to(dtype)
