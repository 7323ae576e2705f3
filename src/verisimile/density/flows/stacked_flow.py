"""Spline flows of one architecture side by side in plain torch, and their way back.

Every number of a member has the member first.  Hidden units stand next to each other, events
of a spline do: each product then has the order that suits what comes after it, and none is
copied.  Units are sorted by degree (`packed`), so that a weight matrix is block-triangular;
blocks of zeros are left out where they are large enough to be worth a product of their own.

Products read and write the packed vectors in place, through views that are made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from verisimile.density.flows.packed import Block, PackedLayout
from verisimile.density.flows.spline_gradient import SplineRoom, Splines

_LEAST_UNITS = 64  # of a block: narrower products take longer than the zeros that they save


class Vectors(NamedTuple):
    """Packed parameters ``(m, P)`` of the members, and room for the derivatives by them, if any."""

    parameters: Tensor
    gradient: Tensor | None = None


class _Lanes(NamedTuple):
    """Hidden units ``start:stop``: whole degrees, and the first feature that sees any of them."""

    start: int
    stop: int
    first_feature: int


class _Product(NamedTuple):
    left: Tensor
    right: Tensor
    out: Tensor

    def __call__(self) -> None:
        torch.bmm(self.left, self.right, out=self.out)


class _Affine(NamedTuple):
    bias: Tensor
    left: Tensor
    right: Tensor
    out: Tensor

    def __call__(self) -> None:
        torch.baddbmm(self.bias, self.left, self.right, out=self.out)


class _Map:
    """What the linear maps share: matrices as they are stored, biases, and sums for these."""

    def __init__(self, vectors: Vectors, block: Block) -> None:
        self.weights, self.biases = _parts(vectors.parameters, block)
        gradient = vectors.parameters if vectors.gradient is None else vectors.gradient
        self.by_weights, self.by_biases = _parts(gradient, block)
        self.ahead: list[_Affine] = []
        self.back: list[_Product] = []

    def forward(self) -> None:
        """Fill in the outputs."""
        for product in self.ahead:
            product()


class _FirstMap(_Map):
    """From columns ``(m, C + d, n)`` to hidden units ``(m, n, H)``; masked by zeros alone."""

    def __init__(
        self, vectors: Vectors, block: Block, seen: Tensor, units: Tensor, by_units: Tensor
    ) -> None:
        super().__init__(vectors, block)
        self.by_units = by_units
        self.ahead = [_Affine(_rows(self.biases, units), seen.mT, self.weights, units)]
        self.back = [_Product(seen, by_units, self.by_weights)]

    def backward(self) -> None:
        """Fill in the derivatives by the parameters."""
        for product in self.back:
            product()
        torch.sum(self.by_units, 1, out=self.by_biases)

    def by_features(self, context: int) -> Tensor:
        """Return the derivatives by the features ``(m, d, n)``."""
        return torch.bmm(self.weights[:, context:], self.by_units.mT)


class _HiddenMap(_Map):
    """From hidden units to hidden units, ``(m, n, H)`` each."""

    def __init__(
        self,
        vectors: Vectors,
        block: Block,
        lanes: Sequence[_Lanes],
        units: tuple[Tensor, Tensor],
        by_units: tuple[Tensor, Tensor],
    ) -> None:
        super().__init__(vectors, block)
        (below, above), (by_below, self.by_above) = units, by_units
        biases = _rows(self.biases, above)
        for start, stop, _ in lanes:
            own = slice(start, stop)
            known, weights = below[..., :stop], self.weights[:, :stop, own]
            self.ahead.append(_Affine(biases[..., own], known, weights, above[..., own]))
            by_weights = self.by_weights[:, :stop, own]
            self.back.append(_Product(known.mT, self.by_above[..., own], by_weights))
            seers = self.weights[:, own, start:].mT
            self.back.append(_Product(self.by_above[..., start:], seers, by_below[..., own]))

    def backward(self) -> None:
        """Fill in the derivatives by parameters and inputs."""
        for product in self.back:
            product()
        torch.sum(self.by_above, 1, out=self.by_biases)


class _LastMap(_Map):
    """From hidden units ``(m, n, H)`` to raw parameters of splines ``(m, d, 3 K - 1, n)``."""

    def __init__(
        self,
        vectors: Vectors,
        layout: PackedLayout,
        block: Block,
        lanes: Sequence[_Lanes],
        units: tuple[Tensor, Tensor, Tensor],
    ) -> None:
        super().__init__(vectors, block)
        below, by_below, raw = units
        size, shape = raw.shape[2], layout.shape
        own = slice(shape.context * size, shape.columns * size)
        weights, by_weights = self.weights[:, own], self.by_weights[:, own]
        self.by_own_biases = self.by_biases[:, own]
        self.raw = raw.view(raw.shape[0], -1, raw.shape[3])
        biases = self.biases[:, own].unsqueeze(2).expand_as(self.raw)
        # Features that see no unit have the same splines for all events.
        blind = lanes[0].first_feature * size
        self.constant = (self.raw[:, :blind], biases[:, :blind])
        stops = [each.first_feature * size for each in lanes[1:]] + [self.raw.shape[1]]
        for (start, stop, first), end in zip(lanes, stops, strict=True):
            rows, known = slice(first * size, end), below[..., :stop]
            if first * size < end:
                self.ahead.append(
                    _Affine(biases[:, rows], weights[:, rows, :stop], known.mT, self.raw[:, rows])
                )
                self.back.append(_Product(self.raw[:, rows], known, by_weights[:, rows, :stop]))
            seers, lane = slice(first * size, None), slice(start, stop)
            self.back.append(
                _Product(self.raw[:, seers].mT, weights[:, seers, lane], by_below[..., lane])
            )

    def forward(self) -> None:
        """Fill in the raw parameters."""
        constant, biases = self.constant
        constant.copy_(biases)
        super().forward()

    def backward(self) -> None:
        """Fill in the derivatives by parameters and inputs of those that took the place of raw."""
        for product in self.back:
            product()
        torch.sum(self.raw, 2, out=self.by_own_biases)


class _Room(NamedTuple):
    """Room for one layer: clamped columns, hidden units of each map, splines."""

    seen: Tensor
    units: list[Tensor]
    splines: SplineRoom


class _StackedLayer:
    """One layer of all members; `room` may be another layer's where there is no way back."""

    def __init__(
        self, layout: PackedLayout, vectors: Vectors, number: int, room: _Room, by: list[Tensor]
    ) -> None:
        shape = layout.shape
        first, *hidden, last = (block for block in layout.blocks if block.layer == number)
        by = [by[place % 2] for place in range(shape.blocks + 1)]  # neighbours alone need both
        lanes = _lanes(layout)
        self.bound, self.context = shape.tail_bound, shape.context
        self.room, self.by = room, by
        self.known = room.seen[:, self.context :]
        self.inside = torch.empty_like(self.known)
        self.first = _FirstMap(vectors, first, room.seen, room.units[0], by[0])
        self.hidden = [
            _HiddenMap(vectors, block, lanes, units, by_units)
            for block, units, by_units in zip(
                hidden, pairwise(room.units), pairwise(by), strict=True
            )
        ]
        self.last = _LastMap(
            vectors, layout, last, lanes, (room.units[-1], by[-1], room.splines.raw)
        )

    def forward(self, splines: Splines) -> tuple[Tensor, Tensor]:
        """Return outputs and log-derivatives ``(m, d, n)``."""
        torch.clamp(self.room.splines.x, -self.bound, self.bound, out=self.known)
        for linear, units in zip([self.first, *self.hidden], self.room.units, strict=True):
            linear.forward()
            units.relu_()
        self.last.forward()
        return splines.forward(self.room.splines)

    def backward(self, splines: Splines, by_y: Tensor, by_log: Tensor) -> Tensor:
        """Return the derivatives by the inputs ``(m, d, n)`` as the splines' own argument."""
        by_x = splines.backward(self.room.splines, by_y, by_log)
        self.last.backward()
        for linear, by, units in zip(
            self.hidden[::-1], self.by[:0:-1], self.room.units[:0:-1], strict=True
        ):
            _where_active(by, units)
            linear.backward()
        _where_active(self.by[0], self.room.units[0])
        self.first.backward()
        return by_x

    def add_known(self, by_x: Tensor) -> Tensor:
        """Add the derivatives by the inputs ``(m, d, n)`` as what conditioners see."""
        # Those that were clamped do not move what is seen.
        inside = torch.eq(self.known, self.room.splines.x, out=self.inside)
        return by_x.addcmul_(inside, self.first.by_features(self.context))


class StackedFlow:
    """Flows of m members, each on n events of its own.

    Parameters
    ----------
    layout
        Where parameters are in the vectors.
    vectors
        Of the members; changed parameters change the flows.  Without a gradient there is no
        way back, and less is kept.
    n
        Number of events.

    Attributes
    ----------
    x, context
        Room for features ``(m, d, n)``, and for context columns ``(m, C, n)``.
    """

    def __init__(self, layout: PackedLayout, vectors: Vectors, n: int) -> None:
        shape, m = layout.shape, len(vectors.parameters)
        keep = vectors.gradient is not None
        like = vectors.parameters
        raw = like.new_empty((m, shape.features, 3 * shape.bins - 1, n))
        by = [like.new_empty((m, n, shape.hidden)) for _ in range(2)]

        def room() -> _Room:
            x = like.new_empty((m, shape.features, n))
            units = [like.new_empty((m, n, shape.hidden)) for _ in range(shape.blocks + 1)]
            return _Room(like.new_empty((m, shape.columns, n)), units, SplineRoom(x, raw))

        rooms = [room() for _ in range(shape.layers if keep else 1)]
        self.layers = [
            _StackedLayer(layout, vectors, number, rooms[number if keep else 0], by)
            for number in range(shape.layers)
        ]
        self.x = rooms[0].splines.x
        self.context = like.new_empty((m, shape.context, n))
        self.splines = Splines(self.x, shape.bins, shape.tail_bound)
        self.bound = shape.tail_bound
        self.reverse = torch.arange(shape.features - 1, -1, -1, device=like.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return base variables ``(m, d, n)`` and log-determinants ``(m, n)``."""
        y, total = self.x, self.x.new_zeros(self.x.shape)
        for number, layer in enumerate(self.layers):
            if number:
                torch.index_select(y, 1, self.reverse, out=layer.room.splines.x)
            if self.context.shape[1]:
                layer.room.seen[:, : layer.context] = self.context.clamp(-self.bound, self.bound)
            y, logs = layer.forward(self.splines)
            total += logs
        return y, total.sum(1)

    def backward(self, by_y: Tensor, by_log: Tensor) -> None:
        """Fill in the gradient from dL/d(base) ``(m, d, n)`` and dL/d(log-det) ``(m, n)``.

        Entries that are not trained get any finite number.
        """
        by_log = by_log.unsqueeze(1)
        for number, layer in reversed(list(enumerate(self.layers))):
            by_x = layer.backward(self.splines, by_y, by_log)
            if number:
                by_y = layer.add_known(by_x).flip(1)


def _parts(vectors: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    """Return a map's matrix as it is stored, without padding, and its biases."""
    rows, columns = block.stored
    matrix = vectors[:, block.start : block.biases].view(-1, rows, block.stride)[..., :columns]
    return matrix, vectors[:, block.biases : block.biases + block.outputs]


def _rows(biases: Tensor, like: Tensor) -> Tensor:
    return biases.unsqueeze(1).expand_as(like)


def _where_active(by: Tensor, units: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(by, units, 0.0, grad_input=by)


def _lanes(layout: PackedLayout) -> list[_Lanes]:
    """Return blocks of hidden units, each of whole degrees and not too small."""
    shape, ends = layout.shape, layout.ends
    stops = [0]
    for stop in map(int, ends):
        if min(stop - stops[-1], shape.hidden - stop) >= _LEAST_UNITS:
            stops.append(stop)
    stops.append(shape.hidden)
    features = ends[shape.context :]
    return [_Lanes(start, stop, int((features <= start).sum())) for start, stop in pairwise(stops)]
