"""`SplineFlow` and `ConditionalSplineFlow`: masked autoregressive splines as densities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from verisimile.core.arrays import Array, IntArray, as_matrix, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError, SupportError
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.density.flows.fast import FastFlow
from verisimile.density.flows.nflows import Architecture
from verisimile.density.input_map import InputMap
from verisimile.density.protocol import as_pair
from verisimile.density.registry import register_family
from verisimile.density.torch_scope import one_thread

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


_CHUNK = 2048  # events at a time: their hidden units stay in the cache
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_base(fast: FastFlow, z: Array) -> Array:
    r"""Return :math:`\log N(f(z); 0, 1) + \log |\det f'(z)|`, ``(n,)``.

    Parameters
    ----------
    fast
        f.
    z
        The flow's coordinates ``(n, C + d)``, context columns first.
    """
    out = np.empty(len(z))
    with one_thread(), torch.inference_mode():
        for rows in _chunks(len(z)):
            columns = torch.from_numpy(np.ascontiguousarray(z[rows].T)).to(fast.dtype)
            u, log_det = fast.forward(columns)
            out[rows] = (log_det - 0.5 * u.double().square().sum(dim=0)).numpy()
    return np.asarray(out - (z.shape[1] - fast.context) * _HALF_LOG_2PI)


def from_base(fast: FastFlow, u: Array) -> Array:
    """Return the flow's coordinates ``(n, d)`` of base variables ``(n, C + d)``, context first."""
    z = np.empty((len(u), u.shape[1] - fast.context))
    with one_thread(), torch.inference_mode():
        for rows in _chunks(len(u)):
            columns = torch.from_numpy(np.ascontiguousarray(u[rows].T)).to(fast.dtype)
            z[rows] = fast.inverse(columns).double().numpy().T
    return z


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalMap:
    """The fixed first step of a conditional flow: maps of x and of c, fitted apart.

    The density is one of x, so that only the Jacobian of x's map enters.

    Attributes
    ----------
    features, context
        Support, scale and normal scores of x and of c.
    span
        Smallest and largest context of the training events, ``(2, C)``.
    """

    features: InputMap
    context: InputMap
    span: Array

    @classmethod
    def fit(cls, events: Events, context: tuple[str, ...], most_bins: int) -> ConditionalMap:
        """Return the map of these events, of which the columns `context` are conditions."""
        features = [name for name in events.names if name not in context]
        conditions = events.select(context)
        return cls(
            InputMap.fit(events.select(features), most_bins),
            InputMap.fit(conditions, most_bins),
            frozen([conditions.x.min(axis=0), conditions.x.max(axis=0)]),
        )

    def rows(self, x: Array, context: Array) -> tuple[Array, Array]:
        """Return the flow's coordinates ``(n, C + d)`` and x's log-Jacobian ``(n,)``."""
        z, log_jacobian = self.features.forward(x)
        return np.hstack([self.scores(context), z]), log_jacobian

    def scores(self, context: Array) -> Array:
        """Return the coordinates ``(n, C)`` of contexts.

        Raises
        ------
        SupportError
            If a context lies outside the support of its feature.
        """
        inside = self.context.inside(context)
        if not inside.all():
            row = int(np.flatnonzero(~inside)[0])
            raise SupportError(
                "context",
                got=f"{int((~inside).sum())} rows outside the support, the first "
                f"{dict(zip(self.context.chain.names, context[row].tolist(), strict=True))}",
                expected="contexts inside the stated bounds of their features",
                remedy="There is no f(x | c) there: remove these rows.",
            )
        return self.context.forward(context)[0]


class ConditionalSplineFlow:
    r"""A trained conditional flow: input maps, spline layers, standard normal base.

    .. math:: \log p(x \mid c) = \log N(f(z(x); c); 0, 1) + \log |\det f'| + \log |\det z'|

    Beyond the outermost scores of the training contexts the conditioners are
    frozen: f(x | c) is then that of the edge.

    Parameters
    ----------
    shape
        Size of the stack of layers, with its number of context columns.
    parameters
        What `nflows_backend.export` returned.
    input_map
        Maps of x and of c.
    precision
        ``float32`` or ``float64``.
    """

    family = "conditional-spline-flow"

    def __init__(
        self,
        shape: Architecture,
        parameters: Mapping[str, npt.NDArray[np.float32]],
        input_map: ConditionalMap,
        *,
        precision: Precision = "float32",
    ) -> None:
        self.shape = shape
        self.parameters = dict(parameters)
        self.input_map = input_map
        self.precision: Precision = precision

    def __repr__(self) -> str:
        """Return one line: what is given, size and precision."""
        given = f"{', '.join(self.names)} | {', '.join(self.context_names)}"
        return f"ConditionalSplineFlow({given}; {self.shape}, {self.precision})"

    def __reduce__(self) -> tuple[Any, ...]:
        payload = _pack_conditional(self)
        return (_unpack_conditional, (payload.meta, payload.arrays))

    @property
    def n_features(self) -> int:
        """Number of features d of x."""
        return self.shape.features

    @property
    def n_context(self) -> int:
        """Number of context columns C."""
        return self.shape.context

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.input_map.features.chain.names

    @property
    def context_names(self) -> tuple[str, ...]:
        """Names of the context columns."""
        return self.input_map.context.chain.names

    @property
    def context_range(self) -> Array:
        """Smallest and largest training context ``(2, C)``."""
        return self.input_map.span

    def reference(self) -> ConditionalSplineFlow:
        """Return the same flow, evaluated in float64."""
        return ConditionalSplineFlow(
            self.shape, self.parameters, self.input_map, precision="float64"
        )

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        """Return natural log-densities ``(n,)`` of x at c; −inf outside the support of x.

        Raises
        ------
        InputError
            If the arguments are not finite matrices ``(n, d)`` and ``(n, C)``.
        SupportError
            If a context is impossible.
        """
        events, conditions = as_pair(x, context, shape=(self.n_features, self.n_context))
        inside = self.input_map.features.inside(events)
        out = np.full(len(events), -np.inf)
        if inside.any():
            rows, log_jacobian = self.input_map.rows(events[inside], conditions[inside])
            out[inside] = log_base(self._fast, rows) + log_jacobian
        return out

    def sample(self, context: npt.ArrayLike, rng: np.random.Generator) -> Array:
        """Return one event per row of `context` ``(n, C)``, all inside the support ``(n, d)``.

        Raises
        ------
        SupportError
            If a context is impossible.
        NumericsError
            If the flow keeps giving events outside the support.
        """
        scores = self.input_map.scores(as_matrix(context, "context", columns=self.n_context))
        x = self._draw(scores, rng, self._fast)
        failed = self._failed(x)
        for _ in range(_ROUNDS):
            if not failed.size:
                return x
            x[failed] = self._draw(scores[failed], rng, self.reference()._fast)
            failed = failed[self._failed(x[failed])]
        raise NumericsError(
            "ConditionalSplineFlow.sample",
            got=f"{failed.size} of {len(x)} events outside the support in {_ROUNDS} rounds",
            expected="events inside the support",
            remedy="Let the transform of bounded features be 'auto', and train again.",
        )

    @cached_property
    def _fast(self) -> FastFlow:
        return FastFlow(self.shape, self.parameters, getattr(torch, self.precision))

    def _draw(self, scores: Array, rng: np.random.Generator, fast: FastFlow) -> Array:
        u = rng.standard_normal((len(scores), self.n_features))
        return self.input_map.features.inverse(from_base(fast, np.hstack([scores, u])))

    def _failed(self, x: Array) -> IntArray:
        # NaN is outside too.
        return np.flatnonzero(~self.input_map.features.inside(x)).astype(np.int64)


def _pack_conditional(flow: ConditionalSplineFlow) -> Payload:
    maps = flow.input_map
    arrays: dict[str, npt.NDArray[Any]] = {f"flow.{k}": v for k, v in flow.parameters.items()}
    arrays |= {f"x.{name}": values for name, values in maps.features.arrays().items()}
    arrays |= {f"c.{name}": values for name, values in maps.context.arrays().items()}
    return Payload(
        {**arrays, "span": maps.span},
        {
            "shape": flow.shape.config(),
            "features": maps.features.config(),
            "context": maps.context.config(),
            "precision": flow.precision,
        },
    )


def _unpack_conditional(
    spec: Mapping[str, JSON], arrays: Mapping[str, npt.NDArray[Any]]
) -> ConditionalSplineFlow:
    # The shape of stored JSON is only known once it has been used.
    loose = cast(Mapping[str, Any], spec)
    maps = ConditionalMap(
        InputMap.of(loose["features"], _below("x.", arrays)),
        InputMap.of(loose["context"], _below("c.", arrays)),
        frozen(arrays["span"]),
    )
    shape, parameters = Architecture(**loose["shape"]), _below("flow.", arrays)
    return ConditionalSplineFlow(shape, parameters, maps, precision=loose["precision"])


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


register_family(ConditionalSplineFlow.family, _pack_conditional, _unpack_conditional)
