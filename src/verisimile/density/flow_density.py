"""`SplineFlow`, a normalizing flow of masked autoregressive splines, as a density estimator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError
from verisimile.core.store import Payload
from verisimile.density.evaluation import from_base, log_base
from verisimile.density.fast_flow import FastFlow
from verisimile.density.input_map import InputMap
from verisimile.density.nflows_backend import Architecture
from verisimile.density.registry import register_family

__all__ = ["Precision", "SplineFlow"]

Precision = Literal["float32", "float64"]

_ROUNDS = 100


class SplineFlow:
    r"""A trained flow: input map, spline layers, standard normal base.

    .. math:: \log p(x) = \log N(f(z(x)); 0, 1) + \log |\det f'| + \log |\det z'|

    The layers are evaluated in `precision`; input map, Jacobians and the sum
    over features always in float64.  Outside the box of the splines the flow is
    the identity with frozen conditioners, so every finite `x` has a density.

    Parameters
    ----------
    shape
        Size of the stack of layers.
    parameters
        What `nflows_backend.export` returned.
    input_map
        Support, standardisation and normal scores.
    precision
        ``float32`` (fast; the difference is measured when the flow is trained)
        or ``float64``.
    """

    family = "spline-flow"

    def __init__(
        self,
        shape: Architecture,
        parameters: Mapping[str, npt.NDArray[np.float32]],
        input_map: InputMap,
        *,
        precision: Precision = "float32",
    ) -> None:
        self.shape = shape
        self.parameters = dict(parameters)
        self.input_map = input_map
        self.precision: Precision = precision

    def __repr__(self) -> str:
        """Return one line: size and precision."""
        return f"SplineFlow({self.shape}, {self.precision})"

    def __reduce__(self) -> tuple[Any, ...]:
        payload = _pack(self)
        return (_unpack, (payload.meta, payload.arrays))

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.shape.features

    def reference(self) -> SplineFlow:
        """Return the same flow, evaluated in float64."""
        return SplineFlow(self.shape, self.parameters, self.input_map, precision="float64")

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` in original units; −inf outside the support.

        Raises
        ------
        InputError
            If `x` is not a finite matrix ``(n, d)``.
        """
        matrix = as_matrix(x, "x", columns=self.n_features)
        inside = self.input_map.inside(matrix)
        out = np.full(len(matrix), -np.inf)
        if inside.any():
            z, log_jacobian = self.input_map.forward(matrix[inside])
            out[inside] = log_base(self._fast, z) + log_jacobian
        return out

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``, all finite and inside the support.

        Raises
        ------
        NumericsError
            If the flow keeps giving events that are not.
        """
        u = rng.standard_normal((n, self.n_features))
        x = self.input_map.inverse(from_base(self._fast, u))
        failed = self._failed(x)
        for _ in range(_ROUNDS):
            if not failed.size:
                return x
            fresh = rng.standard_normal((failed.size, self.n_features))
            x[failed] = self.input_map.inverse(from_base(self.reference()._fast, fresh))
            failed = failed[self._failed(x[failed])]
        raise NumericsError(
            "SplineFlow.sample",
            got=f"{failed.size} of {n} events outside the support in {_ROUNDS} rounds",
            expected="events inside the support",
            remedy="Let the transform of bounded features be 'auto', and train again.",
        )

    @cached_property
    def _fast(self) -> FastFlow:
        return FastFlow(self.shape, self.parameters, getattr(torch, self.precision))

    def _failed(self, x: Array) -> npt.NDArray[np.intp]:
        # NaN is outside too.
        return np.flatnonzero(~self.input_map.inside(x))


def _pack(flow: SplineFlow) -> Payload:
    arrays = {f"flow.{name}": values for name, values in flow.parameters.items()}
    return Payload(
        {**arrays, **flow.input_map.arrays()},
        {
            "shape": flow.shape.config(),
            "input_map": flow.input_map.config(),
            "precision": flow.precision,
        },
    )


def _unpack(spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]) -> SplineFlow:
    # The shape of stored JSON is only known once it has been used.
    loose = cast(Mapping[str, Any], spec)
    parameters = {
        name.removeprefix("flow."): values
        for name, values in arrays.items()
        if name.startswith("flow.")
    }
    return SplineFlow(
        Architecture(**loose["shape"]),
        parameters,
        InputMap.of(loose["input_map"], arrays),
        precision=loose["precision"],
    )


register_family(SplineFlow.family, _pack, _unpack)
