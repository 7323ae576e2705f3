"""The compiled spline stack: density and inverse of a trained flow, and epochs of training.

`src/native/spline_flow.cpp` takes a tile of 64 events through all layers while everything stays
in the cache; in training also back.  It agrees with `fast.FastFlow` and with the
automatic derivatives of nflows' modules to rounding, on float32 and float64.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray
from verisimile.core.native import library, pointer
from verisimile.density.flows.epochs import AdamState
from verisimile.density.flows.nflows import Architecture
from verisimile.density.flows.packed import Floats, PackedLayout
from verisimile.density.training import CoordinateSample, Student

_SUFFIX = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


def compiles(shape: Architecture) -> bool:
    """Return whether such a stack can be evaluated and trained by compiled code here."""
    return not shape.residual and library() is not None


class CompiledFlow:
    """A stack of layers as a map from events ``(n, C + d)``; `arrays` are of `nflows.export`."""

    def __init__(
        self,
        shape: Architecture,
        arrays: Mapping[str, npt.NDArray[np.float32]],
        dtype: npt.DTypeLike,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.parameters = PackedLayout(shape).pack(arrays).astype(self.dtype)

    def log_base(self, z: Array) -> Array:
        r"""Return :math:`\log N(f(z); 0, 1) + \log |\det f'(z)|` of z ``(n, C + d)``."""
        out = np.empty(len(z))
        self._call("log_density", z, out)
        return out

    def from_base(self, u: Array) -> Array:
        """Return the coordinates ``(n, d)`` of base variables ``(n, C + d)``, context first."""
        out = np.empty((len(u), self.shape.features), dtype=self.dtype)
        self._call("inverse", u, out)
        return out.astype(np.float64)

    def _call(self, name: str, rows: Array, out: npt.NDArray[np.floating]) -> None:
        function = _function(f"{name}_{_SUFFIX[self.dtype]}")
        given = np.ascontiguousarray(rows, dtype=self.dtype)
        function(
            *_shape(self.shape),
            pointer(self.parameters),
            pointer(given),
            ctypes.c_int64(len(given)),
            pointer(out),
        )


class CompiledEpochs:
    """Members in training, one after the other: none can depend on its neighbours.

    Parameters
    ----------
    layout
        Of their packed parameters.
    state
        Where they are, ``(M, P)``; changed in place.
    students
        What each learns from.
    batches
        Events of each member's batches ``(M,)``.
    clip
        Largest norm of the gradient of one batch.
    """

    def __init__(
        self,
        layout: PackedLayout,
        state: AdamState,
        students: Sequence[Student],
        batches: Sequence[int],
        clip: float,
    ) -> None:
        self.shape = layout.shape
        self.state = state
        self.batches = batches
        self.clip = clip
        self.mask = layout.mask.astype(np.float32)
        self.samples = [(_arrays(s.training), _arrays(s.validation)) for s in students]

    def epoch(
        self, members: Sequence[int], orders: Sequence[IntArray], rates: Sequence[Array]
    ) -> Array:
        """Train some of the members for an epoch; see `Epochs`."""
        given = zip(members, orders, rates, strict=True)
        return np.array([self._train(*member) for member in given])

    def losses(self, members: Sequence[int]) -> Array:
        """Return the members' mean weighted losses on their validation events."""
        return np.array([self._loss(member) for member in members])

    def _train(self, member: int, order: IntArray, rates: Array) -> float:
        z, weights = self.samples[member][0]
        order = np.ascontiguousarray(order, dtype=np.int64)
        rates = np.ascontiguousarray(rates, dtype=np.float64)
        function = _function("epoch", ctypes.c_double)
        total = function(
            *_shape(self.shape),
            *(pointer(values) for values in self._row(member)),
            pointer(self.mask),
            pointer(z),
            pointer(weights),
            pointer(order),
            ctypes.c_int64(len(order)),
            ctypes.c_int64(self.batches[member]),
            pointer(rates),
            ctypes.c_int64(self.state.taken[member]),
            ctypes.c_double(self.clip),
        )
        self.state.taken[member] += len(rates)
        return total / len(order)

    def _loss(self, member: int) -> float:
        z, weights = self.samples[member][1]
        out = np.empty(len(z))
        function = _function("log_density_f32")
        parameters = self._row(member)[0]
        function(
            *_shape(self.shape),
            pointer(parameters),
            pointer(z),
            ctypes.c_int64(len(z)),
            pointer(out),
        )
        return float(-(weights.astype(np.float64) * out).mean())

    def _row(self, member: int) -> tuple[Floats, Floats, Floats]:
        state = self.state
        return (
            state.parameters[member],
            state.first_moment[member],
            state.second_moment[member],
        )


def _shape(shape: Architecture) -> tuple[ctypes.c_void_p, ctypes.c_double]:
    sizes = (shape.features, shape.context, shape.layers, shape.blocks, shape.hidden, shape.bins)
    return (ctypes.c_int64 * 6)(*sizes), ctypes.c_double(shape.tail_bound)  # type: ignore[return-value]


def _arrays(sample: CoordinateSample) -> tuple[Floats, Floats]:
    return tuple(np.ascontiguousarray(t.numpy()) for t in (sample.z, sample.weights))  # type: ignore[return-value]


def _function(name: str, result: type[ctypes.c_double] | None = None) -> Callable[..., float]:
    function = getattr(library(), f"vs_spline_{name}")
    function.restype = result
    return function  # type: ignore[no-any-return]
